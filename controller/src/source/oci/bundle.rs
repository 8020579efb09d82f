//! Signatures of cosign 3: Sigstore bundles that lie beside an artifact as its referrers.
//!
//! A bundle holds a statement, which names what it speaks of by digest, in an envelope (DSSE) that is signed. SBOMs and
//! attestations come in such bundles, too, and may be signed with the same key: only a statement that says of itself that
//! it is a signature of cosign counts as one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use super::cosign::Keys;
use super::{Descriptor, Registry};

/// What bundles are, whatever their version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.";

/// What is in the envelope of a signature.
const PAYLOAD: &str = "application/vnd.in-toto+json";

/// What a statement says of itself.
const STATEMENT: &str = "https://in-toto.io/Statement/";

/// What it says that it is.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// As many referrers as are looked at.
const REFERRERS: usize = 64;

/// As many bytes as the bundle of a signature may have.
const LIMIT: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Whether one of the referrers is a signature of the manifest by somebody trusted.
pub(super) async fn is_signed(
    registry: &Registry,
    digest: &str,
    keys: &Keys,
) -> Result<bool, String> {
    let referrers = registry.referrers(digest).await?;
    let bundles = referrers.iter().filter(|one| is_bundle(one));
    for referrer in bundles.take(REFERRERS) {
        let manifest = registry.manifest(&referrer.digest).await?;
        let Some(layer) = manifest.layers.first() else {
            continue;
        };
        // What is too large to be a signature is something else.
        let Ok(bytes) = registry.blob(&layer.digest, LIMIT).await else {
            continue;
        };
        if signs(&bytes, digest, keys) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_bundle(referrer: &Descriptor) -> bool {
    let kind = referrer.artifact_type.as_deref().unwrap_or_default();
    // Lists of older programs do not say what their entries are.
    super::is_digest(&referrer.digest) && (kind.is_empty() || kind.starts_with(BUNDLE))
}

/// Whether a bundle is a signature of the manifest by somebody trusted.
fn signs(bundle: &[u8], digest: &str, keys: &Keys) -> bool {
    let Ok(Bundle { dsse_envelope }) = serde_json::from_slice(bundle) else {
        return false;
    };
    let Ok(payload) = BASE64.decode(&dsse_envelope.payload) else {
        return false;
    };
    let message = encoded(&dsse_envelope.payload_type, &payload);
    let signatures = dsse_envelope.signatures.iter();
    let mut signatures = signatures.filter_map(|one| BASE64.decode(&one.sig).ok());
    dsse_envelope.payload_type == PAYLOAD
        && signatures.any(|signature| keys.have_signed(&message, &signature))
        && speaks_of(&payload, digest)
}

/// What is signed of an envelope: its type and its payload, each behind its length.
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn speaks_of(statement: &[u8], digest: &str) -> bool {
    let Ok(statement) = serde_json::from_slice::<Statement>(statement) else {
        return false;
    };
    let hex = digest.strip_prefix("sha256:");
    let is_it = |subject: &Subject| {
        let found = subject.digest.get("sha256").map(String::as_str);
        found.is_some() && found == hex
    };
    statement.kind.starts_with(STATEMENT)
        && statement.predicate_type == SIGNATURE
        && statement.subject.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_envelope_is_that_of_its_specification() {
        let encoded = encoded("http://example.com/HelloWorld", b"hello world");
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(encoded, expected);
    }

    #[test]
    fn only_a_signature_of_the_digest_speaks_of_it() {
        let hex = "0a".repeat(32);
        let digest = format!("sha256:{hex}");
        let statement = |kind: &str, predicate: &str, hex: &str| {
            let subject = json!([{ "digest": { "sha256": hex } }]);
            json!({ "_type": kind, "predicateType": predicate, "subject": subject, "predicate": {} })
                .to_string()
        };
        let good = "https://in-toto.io/Statement/v1";
        let cases = [
            (statement(good, SIGNATURE, &hex), true),
            (statement("other", SIGNATURE, &hex), false),
            (statement(good, "https://spdx.dev/Document", &hex), false),
            (statement(good, SIGNATURE, &"0b".repeat(32)), false),
            (statement(good, SIGNATURE, ""), false),
            ("{}".to_owned(), false),
        ];
        for (statement, expected) in cases {
            let found = speaks_of(statement.as_bytes(), &digest);
            assert_eq!(found, expected, "{statement}");
        }
        assert!(!speaks_of(cases_without_digest().as_bytes(), "md5:0"));
    }

    fn cases_without_digest() -> String {
        let subject = json!([{ "name": "a" }]);
        json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": SIGNATURE, "subject": subject })
            .to_string()
    }
}
