//! Values that cannot be had where a build runs: texts that stand for them through merging, substitution and comparison.
//!
//! A token is letters and digits only, so that it is the same text in every notation of YAML. It carries what it stands
//! for, and the marker of its caller, which nobody who writes manifests can guess.

/// Why a value is not known, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unknown {
    /// For people: `cluster-secrets.domain`.
    pub reason: String,
    /// Two of the same identity are the same value, whatever that is.
    pub identity: String,
}

/// What the tokens of one caller begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Marker(String);

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'t> {
    /// Text as it is.
    Text(&'t str),
    /// A token, and what it stands for.
    Unknown(Unknown),
}

/// Between the reason and the identity; no digit of a number.
const BETWEEN: char = 'q';

/// Behind a token; no digit of a number either.
const END: char = 'z';

impl Marker {
    /// A marker of its own for a number that repository content cannot hold, such as one drawn by chance.
    pub fn new(nonce: u128) -> Self {
        Self(format!("unknown{nonce:032x}x"))
    }

    /// The text that stands for a value.
    pub fn token(&self, unknown: &Unknown) -> String {
        let Self(marker) = self;
        let (reason, identity) = (hex(&unknown.reason), hex(&unknown.identity));
        format!("{marker}{reason}{BETWEEN}{identity}{END}")
    }

    /// Whether a text holds a token.
    pub fn is_in(&self, text: &str) -> bool {
        text.contains(&self.0)
    }

    /// The text in pieces, in order; what only looks like a token stays text.
    pub fn parts<'t>(&self, text: &'t str) -> Vec<Part<'t>> {
        let mut parts = Vec::new();
        let (mut rest, mut from) = (text, 0);
        while let Some(at) = rest[from..].find(&self.0).map(|at| at + from) {
            let behind = &rest[at + self.0.len()..];
            let Some((unknown, length)) = read(behind) else {
                from = at + self.0.len();
                continue;
            };
            if at > 0 {
                parts.push(Part::Text(&rest[..at]));
            }
            parts.push(Part::Unknown(unknown));
            (rest, from) = (&behind[length..], 0);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest));
        }
        parts
    }

    /// The text with every token as `show` says.
    pub fn shown(&self, text: &str, show: impl Fn(&Unknown) -> String) -> String {
        let piece = |part: Part<'_>| match part {
            Part::Text(text) => text.to_owned(),
            Part::Unknown(unknown) => show(&unknown),
        };
        self.parts(text).into_iter().map(piece).collect()
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What a token stands for, from behind its marker, and how long that is.
fn read(behind: &str) -> Option<(Unknown, usize)> {
    let end = behind.find(END)?;
    let (reason, identity) = behind[..end].split_once(BETWEEN)?;
    let unknown = Unknown {
        reason: unhex(reason)?,
        identity: unhex(identity)?,
    };
    Some((unknown, end + END.len_utf8()))
}

fn unhex(digits: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_wherever_it_stands() {
        let marker = Marker::new(7);
        let unknown = Unknown {
            reason: "cluster-secrets.domain é".to_owned(),
            identity: "ENC[x]".to_owned(),
        };
        let token = marker.token(&unknown);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let text = format!("https://{token}{token}/é");
        let parts = [
            Part::Text("https://"),
            Part::Unknown(unknown.clone()),
            Part::Unknown(unknown.clone()),
            Part::Text("/é"),
        ];
        assert_eq!(marker.parts(&text), parts);
        let shown = marker.shown(&text, |unknown| format!("<{}>", unknown.identity));
        assert_eq!(shown, "https://<ENC[x]><ENC[x]>/é");
    }

    #[test]
    fn what_only_looks_like_a_token_stays_text() {
        let marker = Marker::new(7);
        let token = marker.token(&Unknown {
            reason: "r".to_owned(),
            identity: "i".to_owned(),
        });
        let other = Marker::new(8);
        let cut = &token[..token.len() - 1];
        for text in [cut, &token.replace('q', "qg"), &token.replace('q', "")] {
            assert_eq!(marker.parts(text), [Part::Text(text)], "{text}");
        }
        assert!(!other.is_in(&token) && marker.is_in(&token));
        let both = format!("{cut}!{token}");
        assert_eq!(marker.parts(&both).len(), 2);
    }
}
