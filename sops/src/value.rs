//! The grammar of one encrypted value, `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, and the types inside.

use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use zeroize::Zeroizing;

use crate::canonical::{self, FloatStyle};
use crate::error::ErrorKind;
use crate::gcm::Gcm;
use crate::time::Time;
use crate::tree::Value;

/// Go's decoder lets the unused bits of the last letter be anything.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The longest nonce that is read; SOPS writes 32 bytes.
const NONCE_LIMIT: usize = 128;

/// What came out of an encrypted value.
pub(crate) enum Opened {
    /// A value of the type that its label says.
    Value(Value),
    /// A comment.
    Comment(Zeroizing<Vec<u8>>),
}

struct Parts<'a> {
    data: &'a str,
    nonce: &'a str,
    tag: &'a str,
    label: &'a str,
}

/// Splits an encrypted value. Text after the closing bracket is ignored, as the sops program does.
fn split(text: &str) -> Option<Parts<'_>> {
    let line = text.split('\n').next()?;
    let body = line.strip_prefix("ENC[AES256_GCM,data:")?;
    let body = &body[..body.rfind(']')?];
    // The last of each label counts: the fields of SOPS's pattern are greedy.
    let (body, label) = split_last(body, ",type:")?;
    let (body, tag) = split_last(body, ",tag:")?;
    let (data, nonce) = split_last(body, ",iv:")?;
    (!data.is_empty()).then_some(Parts {
        data,
        nonce,
        tag,
        label,
    })
}

fn split_last<'a>(text: &'a str, label: &str) -> Option<(&'a str, &'a str)> {
    let at = text.rfind(label)?;
    let value = &text[at + label.len()..];
    (!value.is_empty()).then_some((&text[..at], value))
}

/// Opens an encrypted value under its key path (`a:b:`).
pub(crate) fn open(text: &str, cipher: &Cipher, path: &str) -> Result<Opened, ErrorKind> {
    if text.is_empty() {
        return Ok(Opened::Value(Value::text("")));
    }
    let parts = split(text).ok_or(ErrorKind::NotEncrypted)?;
    let mut sealed = decode(parts.data, "data")?;
    let nonce = decode(parts.nonce, "iv")?;
    if nonce.is_empty() || nonce.len() > NONCE_LIMIT {
        return Err(ErrorKind::BadCiphertext("iv"));
    }
    sealed.extend(decode(parts.tag, "tag")?);
    let plain = cipher
        .0
        .open(&nonce, path.as_bytes(), &sealed)
        .ok_or(ErrorKind::ValueRefused)?;
    typed(plain, parts.label)
}

fn decode(field: &str, name: &'static str) -> Result<Vec<u8>, ErrorKind> {
    STANDARD
        .decode(field.replace('\r', ""))
        .map_err(|_| ErrorKind::BadCiphertext(name))
}

fn typed(plain: Zeroizing<Vec<u8>>, label: &str) -> Result<Opened, ErrorKind> {
    fn read<T>(
        plain: &[u8],
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ErrorKind> {
        std::str::from_utf8(plain)
            .ok()
            .and_then(parse)
            .ok_or(ErrorKind::BadValue(name))
    }
    Ok(Opened::Value(match label {
        "str" | "bytes" => Value::Text(plain),
        "int" => Value::Int(read(&plain, "int", canonical::parse_int)?),
        "float" => Value::Float(read(&plain, "float", canonical::parse_float)?),
        "bool" => Value::Bool(read(&plain, "bool", canonical::parse_bool)?),
        "time" => Value::Time(read(&plain, "time", Time::parse_rfc3339)?),
        "comment" => return Ok(Opened::Comment(plain)),
        _ => return Err(ErrorKind::UnknownType),
    }))
}

/// Seals a text under its key path with a fresh nonce.
pub(crate) fn seal(
    plain: &[u8],
    label: &str,
    cipher: &Cipher,
    path: &str,
    nonce: &[u8; 32],
) -> String {
    let (data, tag) = cipher.0.seal(nonce, path.as_bytes(), plain);
    format!(
        "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{label}]",
        STANDARD.encode(data),
        STANDARD.encode(nonce),
        STANDARD.encode(tag),
    )
}

/// A file's data key, ready to open and seal values.
pub(crate) struct Cipher(Gcm);

impl Cipher {
    /// A cipher of a 32-byte data key; other lengths are refused.
    pub(crate) fn new(data_key: &[u8]) -> Result<Self, ErrorKind> {
        let key = Zeroizing::new(
            <[u8; 32]>::try_from(data_key).map_err(|_| ErrorKind::BadDataKey(data_key.len()))?,
        );
        Ok(Self(Gcm::new(&key)))
    }
}

/// The label of a value's type and the text of it that is encrypted; `None` for null and collections.
pub(crate) fn plaintext(value: &Value) -> Option<(&'static str, Zeroizing<Vec<u8>>)> {
    let text = |text: String| Zeroizing::new(text.into_bytes());
    Some(match value {
        Value::Null | Value::List(_) | Value::Map(_) => return None,
        Value::Text(bytes) => ("str", bytes.clone()),
        Value::Int(int) => ("int", text(int.to_string())),
        Value::Float(float) => ("float", text(canonical::float(*float, FloatStyle::Plain))),
        Value::Bool(true) => ("bool", text("True".to_owned())),
        Value::Bool(false) => ("bool", text("False".to_owned())),
        Value::Time(time) => ("time", text(time.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::{Cipher, Opened, open, seal, split};
    use crate::error::ErrorKind;
    use crate::tree::Value;

    #[test]
    fn the_grammar_is_anchored_at_the_start_only() {
        assert!(split("ENC[AES256_GCM,data:a,iv:b,tag:c,type:str] and more").is_some());
        assert!(split(" ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]").is_none());
        assert!(split("ENC[AES256_GCM,data:,iv:b,tag:c,type:str]").is_none());
        assert!(split("ENC[AES256_GCM,data:a,iv:b,tag:c,type:str").is_none());
    }

    #[test]
    fn a_value_opens_at_its_own_path_only() -> Result<(), ErrorKind> {
        let cipher = Cipher::new(&[1; 32])?;
        let sealed = seal(b"007", "int", &cipher, "a:", &[2; 32]);
        let Ok(Opened::Value(Value::Int(7))) = open(&sealed, &cipher, "a:") else {
            return Err(ErrorKind::ValueRefused);
        };
        assert_eq!(
            open(&sealed, &cipher, "b:").err(),
            Some(ErrorKind::ValueRefused)
        );
        Ok(())
    }
}
