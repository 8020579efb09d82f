//! AWS's signatures of requests, version 4.

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::http::Request;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A key of AWS, and what its owner shows besides.
#[derive(Clone)]
pub(super) struct SigningKey {
    pub(super) id: String,
    pub(super) secret: Zeroizing<String>,
    pub(super) session: Option<Zeroizing<String>>,
}

/// What a signature is for.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) time: Timestamp,
}

/// Signs a POST to the root of a service: all its headers and its body.
pub(super) fn sign(request: Request, key: &SigningKey, scope: &Scope<'_>) -> Request {
    let time = scope.time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut request = request.header("x-amz-date", &time);
    if let Some(session) = &key.session {
        request = request.header("x-amz-security-token", session.as_str());
    }
    let host = authority(&request);
    let mut headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .chain([("host", host.as_str())])
        .collect();
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = Zeroizing::new("POST\n/\n\n".to_owned());
    for (name, value) in &headers {
        canonical.push_str(&format!("{name}:{}\n", value.trim()));
    }
    canonical.push_str(&format!(
        "\n{names}\n{}",
        hex(&Sha256::digest(&request.body))
    ));

    let (date, _) = time.split_once('T').unwrap_or_default();
    let place = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    let message = format!("{ALGORITHM}\n{time}\n{place}\n{hashed}");
    let secret = Zeroizing::new(format!("AWS4{}", *key.secret).into_bytes());
    let derived = [date, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(secret, |key, part| mac(&key, part));
    let signature = hex(&mac(&derived, &message));
    let value = format!(
        "{ALGORITHM} Credential={}/{place}, SignedHeaders={names}, Signature={signature}",
        key.id
    );
    request.header("authorization", value)
}

/// The header `host`, as the client will send it.
fn authority(request: &Request) -> String {
    let host = request.url.host_str().unwrap_or_default();
    match request.url.port() {
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From AWS's published tests of the signature: post-x-www-form-urlencoded.
    #[test]
    fn a_published_request_has_its_published_signature() {
        let url = reqwest::Url::parse("https://example.amazonaws.com/").expect("an address");
        let request = Request::post(url, "application/x-www-form-urlencoded", "Param1=value1");
        let key = SigningKey {
            id: "AKIDEXAMPLE".to_owned(),
            secret: Zeroizing::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session: None,
        };
        let scope = Scope {
            region: "us-east-1",
            service: "service",
            time: "2015-08-30T12:36:00Z".parse().expect("a time"),
        };
        let signed = sign(request, &key, &scope);
        let (_, value) = signed.headers.last().expect("signed");
        assert_eq!(
            value.as_str(),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }
}
