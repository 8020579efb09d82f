//! Which keys a server may show: the lines of a `known_hosts` file that speak of it, in the formats of OpenSSH.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::Sha1;

use super::error::SourceError;
use super::remote::SshAddress;

/// The port that goes without saying.
const PORT: u16 = 22;

/// What is known of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct HostKeys {
    accepted: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
}

/// What a key that a server shows is worth. Shown as Flux's library words it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Verdict {
    /// It is one of the known.
    #[error("knownhosts: key is known")]
    Known,
    /// Others are known.
    #[error("knownhosts: key mismatch")]
    Changed,
    /// Nothing is known of the server.
    #[error("knownhosts: key is unknown")]
    Unknown,
    /// It is known to be in the wrong hands.
    #[error("knownhosts: key is revoked")]
    Revoked,
}

impl HostKeys {
    /// Picks the lines for a server. Certificate authorities are left aside: no certificate is asked for.
    pub(super) fn of(text: &str, host: &str, port: u16) -> Self {
        let name = name(host, port);
        let mut keys = Self::default();
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
        {
            let mut words = line.split_whitespace().peekable();
            let marker = words.next_if(|word| word.starts_with('@'));
            let (Some(hosts), Some(kind), Some(key)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if !speaks_of(hosts, &name) {
                continue;
            }
            let Ok(key) = PublicKey::from_openssh(&format!("{kind} {key}")) else {
                continue;
            };
            match marker {
                None => keys.accepted.push(key),
                Some("@revoked") => keys.revoked.push(key),
                Some(_) => {}
            }
        }
        keys
    }

    pub(super) fn judge(&self, shown: &PublicKey) -> Verdict {
        let among = |keys: &[PublicKey]| keys.iter().any(|key| key.key_data() == shown.key_data());
        match () {
            () if among(&self.revoked) => Verdict::Revoked,
            () if among(&self.accepted) => Verdict::Known,
            () if self.accepted.is_empty() => Verdict::Unknown,
            () => Verdict::Changed,
        }
    }

    /// The kinds of keys to ask the server for: it may have others, too, of which nothing is known.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        for key in &self.accepted {
            match key.algorithm() {
                Algorithm::Rsa { .. } => algorithms.extend(
                    [HashAlg::Sha512, HashAlg::Sha256]
                        .map(|hash| Algorithm::Rsa { hash: Some(hash) }),
                ),
                other => algorithms.push(other),
            }
        }
        algorithms
    }
}

/// The lines of a `known_hosts` file that speak of the server of an `ssh://` address.
pub fn known_lines(text: &str, url: &str) -> Result<String, SourceError> {
    let address = SshAddress::of(url)?;
    let name = name(&address.host, address.port);
    let speaks = |line: &&str| {
        let mut words = line
            .split_whitespace()
            .filter(|word| !word.starts_with('@'));
        let hosts = words.next().filter(|hosts| !hosts.starts_with('#'));
        hosts.is_some_and(|hosts| speaks_of(hosts, &name))
    };
    Ok(text
        .lines()
        .filter(speaks)
        .map(|line| format!("{line}\n"))
        .collect())
}

/// What a server is called in the file.
fn name(host: &str, port: u16) -> String {
    match port {
        PORT => host.to_owned(),
        port => format!("[{host}]:{port}"),
    }
}

/// Whether a list of names, patterns and hashed names means the server. `!` before a pattern excludes it.
fn speaks_of(hosts: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(excluded, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("|1|") {
        Some(hashed) => hash_matches(hashed, name).unwrap_or(false),
        None => glob(pattern.as_bytes(), name.as_bytes()),
    }
}

/// `salt|hash`, both in base64.
fn hash_matches(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&BASE64.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&BASE64.decode(hash).ok()?).is_ok())
}

/// `*` stands for anything, `?` for one character; upper and lower case are the same. Steps grow with the product of
/// both lengths at most: only the last star is ever taken back.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(byte) if *byte == b'?' || byte.eq_ignore_ascii_case(&name[in_name]) => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((position, taken)) = star else {
                    return false;
                };
                star = Some((position, taken + 1));
                (at, in_name) = (position + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const BOB: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE0oYLyXEu3ceUGXY7yPpR6nnHYHeZh1SI9hL4lpAGvL";

    fn judge(known: &str, host: &str, port: u16) -> Verdict {
        let shown = PublicKey::from_openssh(ADA).expect("valid");
        HostKeys::of(known, host, port).judge(&shown)
    }

    #[test]
    fn lines_speak_of_names_ports_and_patterns() {
        let cases = [
            (format!("git.example.org {ADA}"), Verdict::Known),
            (
                format!("GIT.example.org,10.0.0.1 {ADA} someone"),
                Verdict::Known,
            ),
            (format!("*.example.org {ADA}"), Verdict::Known),
            (format!("*.example.org,!git.* {ADA}"), Verdict::Unknown),
            (format!("git.example.?rg {ADA}"), Verdict::Known),
            (format!("[git.example.org]:22 {ADA}"), Verdict::Unknown),
            (format!("other.example.org {ADA}"), Verdict::Unknown),
            (format!("git.example.org {BOB}"), Verdict::Changed),
            (
                format!("git.example.org {BOB}\ngit.example.org {ADA}"),
                Verdict::Known,
            ),
            (
                format!("git.example.org {ADA}\n@revoked * {ADA}"),
                Verdict::Revoked,
            ),
            (
                format!("@cert-authority *.example.org {ADA}"),
                Verdict::Unknown,
            ),
            (
                format!("# git.example.org {ADA}\n\nrubbish"),
                Verdict::Unknown,
            ),
            (String::new(), Verdict::Unknown),
        ];
        for (known, expected) in cases {
            assert_eq!(judge(&known, "git.example.org", 22), expected, "{known}");
        }
        let with_port = format!("[git.example.org]:2222 {ADA}");
        assert_eq!(judge(&with_port, "git.example.org", 2222), Verdict::Known);
        assert_eq!(judge(&with_port, "git.example.org", 22), Verdict::Unknown);
    }

    #[test]
    fn hashed_names_are_known() {
        let salt = [7; 20];
        let mut mac = Hmac::<Sha1>::new_from_slice(&salt).expect("any length will do");
        mac.update(b"git.example.org");
        let hash = BASE64.encode(mac.finalize().into_bytes());
        let line = format!("|1|{}|{hash} {ADA}", BASE64.encode(salt));
        assert_eq!(judge(&line, "git.example.org", 22), Verdict::Known);
        assert_eq!(judge(&line, "git.example.com", 22), Verdict::Unknown);
    }
}
