//! The header of an age file: one stanza for each recipient, and a MAC under the file key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{FileKey, derive};

const VERSION: &str = "age-encryption.org/v1\n";
const COLUMNS: usize = 64;
/// More stanzas than any data key has recipients: SOPS writes one to a file.
const STANZA_LIMIT: usize = 64;

/// The file key as it lies in a header for one recipient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stanza {
    /// The kind and its arguments.
    pub(crate) arguments: Vec<String>,
    /// The wrapped file key.
    pub(crate) body: Vec<u8>,
}

/// A header, and the payload behind it.
pub(crate) struct Header<'a> {
    pub(crate) stanzas: Vec<Stanza>,
    /// The bytes that the MAC is over.
    authenticated: &'a [u8],
    mac: Vec<u8>,
    pub(crate) payload: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads a file up to its payload.
    pub(crate) fn read(file: &'a [u8]) -> Option<Self> {
        let mut rest = file.strip_prefix(VERSION.as_bytes())?;
        let mut stanzas = Vec::new();
        loop {
            let (line, after) = take_line(rest)?;
            if let Some(mac) = line.strip_prefix("--- ") {
                let start = file.len() - rest.len();
                return Some(Self {
                    stanzas,
                    authenticated: &file[..start + 3],
                    mac: decode(mac)?,
                    payload: after,
                });
            }
            let arguments = line.strip_prefix("-> ")?;
            (stanzas.len() < STANZA_LIMIT).then_some(())?;
            let (body, after) = take_body(after)?;
            stanzas.push(Stanza {
                arguments: arguments.split(' ').map(str::to_owned).collect(),
                body,
            });
            rest = after;
        }
    }

    /// True when the header is the one that the owner of this file key wrote.
    pub(crate) fn is_genuine(&self, file_key: &FileKey) -> bool {
        mac(file_key, self.authenticated).is_some_and(|mac| mac.verify_slice(&self.mac).is_ok())
    }
}

/// Writes a header.
pub(crate) fn write(stanzas: &[Stanza], file_key: &FileKey) -> Option<Vec<u8>> {
    let mut text = VERSION.to_owned();
    for stanza in stanzas {
        text.push_str("-> ");
        text.push_str(&stanza.arguments.join(" "));
        text.push('\n');
        let body = STANDARD_NO_PAD.encode(&stanza.body);
        for line in body.as_bytes().chunks(COLUMNS) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        // A body ends with a short line, if it must be an empty one.
        if body.len() % COLUMNS == 0 {
            text.push('\n');
        }
    }
    text.push_str("---");
    let mac = mac(file_key, text.as_bytes())?.finalize().into_bytes();
    text.push(' ');
    text.push_str(&STANDARD_NO_PAD.encode(mac));
    text.push('\n');
    Some(text.into_bytes())
}

fn mac(file_key: &FileKey, authenticated: &[u8]) -> Option<Hmac<Sha256>> {
    let key = derive(&**file_key, &[], b"header");
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&*key).ok()?;
    mac.update(authenticated);
    Some(mac)
}

fn take_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((line, &bytes[end + 1..]))
}

fn take_body(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut base64 = String::new();
    loop {
        let (line, after) = take_line(rest)?;
        (line.len() <= COLUMNS).then_some(())?;
        base64.push_str(line);
        rest = after;
        if line.len() < COLUMNS {
            return Some((decode(&base64)?, rest));
        }
    }
}

/// Encodes the unpadded base64 of headers.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Decodes the unpadded base64 of headers.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
