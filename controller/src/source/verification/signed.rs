//! What of a commit or a tag is signed, and the signature itself, as Git lays them out.

use gix::bstr::ByteSlice;

/// How a signature begins, by its form.
const BEGINNINGS: [(&str, Form); 2] = [
    ("-----BEGIN PGP SIGNATURE-----", Form::OpenPgp),
    ("-----BEGIN SSH SIGNATURE-----", Form::Ssh),
];

/// The forms of signatures that Git makes and Flux knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    OpenPgp,
    Ssh,
}

impl Form {
    pub(super) fn of(signature: &[u8]) -> Option<Self> {
        let found = BEGINNINGS
            .iter()
            .find(|(beginning, _)| signature.starts_with(beginning.as_bytes()));
        found.map(|(_, form)| *form)
    }
}

/// An object without its signature, and the signature; empty where there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl Signed {
    /// A commit carries its signature in a header, one more space before each further line.
    pub(super) fn commit(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.find(b"\n\n").unwrap_or(bytes.len());
        let (headers, message) = bytes.split_at(end);
        let mut payload = Vec::with_capacity(bytes.len());
        let mut signature = Vec::new();
        let mut header: &[u8] = b"";
        let mut seen = false;
        for line in headers.lines_with_terminator() {
            let continued = line.strip_prefix(b" ");
            if continued.is_none() {
                header = line.split(|byte| *byte == b' ').next().unwrap_or_default();
                if header == b"gpgsig" && std::mem::replace(&mut seen, true) {
                    return Err("it has two signatures".to_owned());
                }
            }
            match header {
                b"gpgsig" => signature.extend_from_slice(
                    continued.unwrap_or(line.strip_prefix(b"gpgsig ").unwrap_or_default()),
                ),
                // The signature of the same commit under its other hash.
                b"gpgsig-sha256" => {}
                _ => payload.extend_from_slice(line),
            }
        }
        // The last header's line end stands at the beginning of the rest, unless it went with the signature.
        if seen && payload.last() == Some(&b'\n') && !message.is_empty() {
            payload.extend_from_slice(&message[1..]);
        } else {
            payload.extend_from_slice(message);
        }
        Ok(Self { payload, signature })
    }

    /// A tag carries its signature after its message.
    pub(super) fn tag(bytes: &[u8]) -> Self {
        let mut at = 0;
        let mut found = bytes.len();
        for line in bytes.lines_with_terminator() {
            if Form::of(line).is_some() {
                found = at;
            }
            at += line.len();
        }
        let (payload, signature) = bytes.split_at(found);
        Self {
            payload: payload.to_owned(),
            signature: signature.to_owned(),
        }
    }
}

/// The name that a tag was given when it was made.
pub(super) fn name_of_tag(bytes: &[u8]) -> Option<&[u8]> {
    bytes
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix(b"tag "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";

    #[test]
    fn a_signature_leaves_the_headers_of_a_commit() {
        let other = "gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n x\n";
        for (headers, expected) in [
            (
                format!("tree a\nauthor b\ngpgsig {BEGIN}\n \n abc\n end\nencoding x\n"),
                "tree a\nauthor b\nencoding x\n\nsubject\n gpgsig no\n",
            ),
            (
                format!("tree a\nauthor b\n{other}gpgsig {BEGIN}\n \n abc\n end\n"),
                "tree a\nauthor b\n\nsubject\n gpgsig no\n",
            ),
        ] {
            let bytes = format!("{headers}\nsubject\n gpgsig no\n");
            let signed = Signed::commit(bytes.as_bytes()).expect("valid");
            assert_eq!(signed.payload.as_bstr(), expected, "{headers}");
            let signature = signed.signature.trim_end().as_bstr().to_owned();
            assert_eq!(signature, format!("{BEGIN}\n\nabc\nend"));
        }
    }

    #[test]
    fn a_commit_without_a_signature_is_its_payload() {
        let bytes = b"tree a\nauthor b\n\nsubject\n";
        let signed = Signed::commit(bytes).expect("valid");
        assert_eq!(signed.payload, bytes);
        assert!(signed.signature.is_empty());
    }

    #[test]
    fn two_signatures_are_one_too_many() {
        let bytes = format!("tree a\ngpgsig {BEGIN}\n x\ngpgsig {BEGIN}\n y\n\nsubject\n");
        assert!(Signed::commit(bytes.as_bytes()).is_err());
    }

    #[test]
    fn a_tag_ends_with_its_last_signature() {
        let text = format!("object a\ntag v1\n\n{BEGIN}\nfake\n-----END\nmore\n{BEGIN}\ntrue\n");
        let signed = Signed::tag(text.as_bytes());
        assert!(signed.payload.ends_with(b"more\n"));
        assert_eq!(signed.signature.as_bstr(), format!("{BEGIN}\ntrue\n"));
        assert_eq!(name_of_tag(text.as_bytes()), Some(&b"v1"[..]));
    }
}
