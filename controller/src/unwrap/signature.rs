//! Signed requests to AWS's services.

use sha2::{Digest, Sha256};

use super::http::Request;
pub(super) use crate::signature_v4::{Scope, SigningKey};
use crate::signature_v4::{Signed, authority, authorization, date, hex};

/// Signs a POST to the root of a service: all its headers and its body.
pub(super) fn sign(request: Request, key: &SigningKey, scope: &Scope<'_>) -> Request {
    let mut request = request.header("x-amz-date", date(scope));
    if let Some(session) = &key.session {
        request = request.header("x-amz-security-token", session.as_str());
    }
    let host = authority(&request.url);
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| (*name, value.as_str()));
    let signed = Signed {
        method: "POST",
        path: "/",
        query: "",
        headers: headers.chain([("host", host.as_str())]).collect(),
        body: &hex(&Sha256::digest(&request.body)),
    };
    let value = authorization(signed, key, scope);
    request.header("authorization", value)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

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
