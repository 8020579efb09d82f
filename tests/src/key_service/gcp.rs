//! Google's key service, its tokens for accounts and for identities of elsewhere, and the metadata server.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use hyper::StatusCode;
use hyper::http::request::Parts;
use rsa::pkcs8::DecodePrivateKey;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Refused, account_of, field, header, scramble};

/// The key.
pub const RESOURCE: &str = "projects/shop/locations/global/keyRings/weir/cryptoKeys/sops";
/// The service account.
pub const EMAIL: &str = "weir@shop.iam.gserviceaccount.com";
/// A token that may decrypt.
pub const TOKEN: &str = "ya29.stand-in";
/// The pool that identities of elsewhere come from.
pub const AUDIENCE: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k8s";
/// The provider that it is without the name of its service.
pub const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/p/providers/k8s";
/// The pool of a cluster of Google's own.
const CLUSTER_AUDIENCE: &str = "identitynamespace:shop.svc.id.goog:https://container.googleapis.com/v1/projects/shop/locations/europe-west4/clusters/prod";
/// The token of one of them.
pub const JWT: &str = "header.claims-of-gcp.signature";
/// The key of the account, made for these tests alone.
pub const PRIVATE_KEY: &str = include_str!("throw_away.pem");

/// What the exchange gives: it may only be turned into the account's token.
const FEDERATED: &str = "federated-token";

/// How PKCS #1 says that SHA-256 was signed.
const SHA256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

const DENIED: Refused = (
    StatusCode::FORBIDDEN,
    r#"{"error":{"code":403,"message":"hush-hush","status":"PERMISSION_DENIED"}}"#,
);
const INVALID_GRANT: Refused = (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#);

/// A data key as the service wraps it.
pub fn wrap(data_key: &[u8]) -> String {
    BASE64.encode(scramble(data_key))
}

/// The key file of the account.
pub fn key_file() -> String {
    json!({
        "type": "service_account", "client_email": EMAIL, "private_key_id": "1",
        "private_key": PRIVATE_KEY, "token_uri": "https://oauth2.googleapis.com/token",
    })
    .to_string()
}

pub(super) fn answer(parts: &Parts, body: &[u8]) -> Option<Result<String, Refused>> {
    let path = parts.uri.path();
    let bearer = header(parts, "authorization");
    match path {
        "/token" => Some(account_token(body)),
        "/v1/token" => Some(exchange(body)),
        _ if path.starts_with("/computeMetadata/v1/") => {
            Some(match header(parts, "metadata-flavor") {
                "Google" => metadata(path),
                _ => Err(DENIED),
            })
        }
        _ if path == format!("/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken") => {
            Some(match bearer == format!("Bearer {FEDERATED}") {
                true => Ok(json!({ "accessToken": TOKEN }).to_string()),
                false => Err(DENIED),
            })
        }
        _ if path.ends_with(":decrypt") => {
            let right = path == format!("/v1/{RESOURCE}:decrypt");
            Some(match right && bearer == format!("Bearer {TOKEN}") {
                true => decrypt(body),
                false => Err(DENIED),
            })
        }
        _ => None,
    }
}

fn metadata(path: &str) -> Result<String, Refused> {
    Ok(match path.trim_start_matches("/computeMetadata/v1/") {
        "instance/service-accounts/default/token" => granted(TOKEN),
        "project/project-id" => "shop".to_owned(),
        "instance/attributes/cluster-location" => "europe-west4".to_owned(),
        "instance/attributes/cluster-name" => "prod".to_owned(),
        _ => return Err(DENIED),
    })
}

fn granted(token: &str) -> String {
    json!({ "access_token": token, "expires_in": 3600, "token_type": "Bearer" }).to_string()
}

/// The header and the content of a claim, if the key has signed it.
pub(crate) fn signed(claim: &str) -> Option<(Value, Value)> {
    let (message, signature) = claim.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let key = RsaPrivateKey::from_pkcs8_pem(PRIVATE_KEY).expect("a key");
    let scheme = Pkcs1v15Sign {
        hash_len: Some(32),
        prefix: SHA256.into(),
    };
    let hash = Sha256::digest(message);
    key.to_public_key().verify(scheme, &hash, &signature).ok()?;
    let part = |index: usize| -> Value {
        let text = message.split('.').nth(index).unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    Some((part(0), part(1)))
}

/// Checks the claim's signature with the account's public key, and what it says.
fn account_token(body: &[u8]) -> Result<String, Refused> {
    let (head, claims) = signed(&field(body, "assertion")).ok_or(INVALID_GRANT)?;
    let lifetime = claims["exp"].as_i64().zip(claims["iat"].as_i64());
    let right = head == json!({ "alg": "RS256", "typ": "JWT", "kid": "1" })
        && claims["iss"] == EMAIL
        && claims["aud"] == "https://oauth2.googleapis.com/token"
        && claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
        && lifetime.is_some_and(|(end, start)| (1..=3600).contains(&(end - start)))
        && field(body, "grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer";
    match right {
        true => Ok(granted(TOKEN)),
        false => Err(INVALID_GRANT),
    }
}

fn exchange(body: &[u8]) -> Result<String, Refused> {
    let token = field(body, "subject_token");
    let known = match field(body, "audience").as_str() {
        AUDIENCE => token == JWT || account_of(&token, AUDIENCE).is_some(),
        CLUSTER_AUDIENCE => account_of(&token, "shop.svc.id.goog").is_some(),
        _ => false,
    };
    let right = known
        && field(body, "subject_token_type") == "urn:ietf:params:oauth:token-type:jwt"
        && field(body, "grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange";
    match right {
        true => Ok(granted(FEDERATED)),
        false => Err(INVALID_GRANT),
    }
}

fn decrypt(body: &[u8]) -> Result<String, Refused> {
    let body: Value = serde_json::from_slice(body).map_err(|_| DENIED)?;
    let ciphertext = body["ciphertext"].as_str().unwrap_or_default();
    let ciphertext = BASE64.decode(ciphertext).map_err(|_| DENIED)?;
    Ok(json!({ "plaintext": BASE64.encode(scramble(&ciphertext)) }).to_string())
}
