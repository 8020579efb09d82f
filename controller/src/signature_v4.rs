//! AWS's signatures of requests, version 4: for key services, and for storages that speak S3.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A key of AWS, and what its owner shows besides.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) id: String,
    pub(crate) secret: Zeroizing<String>,
    pub(crate) session: Option<Zeroizing<String>>,
}

/// What a signature is for.
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) time: Timestamp,
}

/// What is signed of a request. Path and query are as they are sent, encoded and the query in order.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// All headers by their names in small letters, `host` among them.
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    /// The digest of the body, as [`hex`] has it.
    pub(crate) body: &'a str,
}

/// The header `x-amz-date`, which is one of those that are signed.
pub(crate) fn date(scope: &Scope<'_>) -> String {
    scope.time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The header `authorization`.
pub(crate) fn authorization(signed: Signed<'_>, key: &SigningKey, scope: &Scope<'_>) -> String {
    let time = date(scope);
    let mut headers = signed.headers;
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let (method, path, query) = (signed.method, signed.path, signed.query);
    let mut canonical = Zeroizing::new(format!("{method}\n{path}\n{query}\n"));
    for (name, value) in &headers {
        canonical.push_str(&format!("{name}:{}\n", value.trim()));
    }
    canonical.push_str(&format!("\n{names}\n{}", signed.body));

    let (date, _) = time.split_once('T').unwrap_or_default();
    let place = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    let message = format!("{ALGORITHM}\n{time}\n{place}\n{hashed}");
    let secret = Zeroizing::new(format!("AWS4{}", *key.secret).into_bytes());
    let derived = [date, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(secret, |key, part| mac(&key, part));
    let signature = hex(&mac(&derived, &message));
    let id = &key.id;
    format!("{ALGORITHM} Credential={id}/{place}, SignedHeaders={names}, Signature={signature}")
}

/// The header `host`, as the client will send it.
pub(crate) fn authority(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn mac(key: &[u8], text: &str) -> Zeroizing<Vec<u8>> {
    // HMAC takes keys of any length: there is no error to tell of.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Zeroizing::default();
    };
    mac.update(text.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// Bytes as the signature writes them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
