//! Azure's Key Vault, which holds a real RSA key, and its tokens for applications.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use hyper::http::request::Parts;
use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::OsRng;
use rsa::{Oaep, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::Sha256;

use super::gcp::PRIVATE_KEY;
use super::{Refused, account_of, field, header};

/// The vault, by the name that files give it.
pub const VAULT: &str = "https://shop.vault.azure.net";
/// The key.
pub const NAME: &str = "sops";
/// Its version.
pub const VERSION: &str = "0a1b2c3d";
/// The tenant.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// The application.
pub const CLIENT: &str = "66666666-7777-8888-9999-000000000000";
/// Its secret.
pub const SECRET: &str = "secret~of the&application";
/// The service account's token that stands for the application too.
pub const JWT: &str = "header.claims-of-azure.signature";

const TOKEN: &str = "eyJ.stand-in";
const SCOPE: &str = "https://vault.azure.net/.default";

const DENIED: Refused = (
    StatusCode::UNAUTHORIZED,
    r#"{"error":{"code":"Unauthorized","message":"hush-hush"}}"#,
);
const INVALID_CLIENT: Refused = (
    StatusCode::UNAUTHORIZED,
    r#"{"error":"invalid_client","error_description":"hush-hush"}"#,
);

fn key() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs8_pem(PRIVATE_KEY).expect("a key")
}

/// A data key as the vault's key wraps it.
pub fn wrap(data_key: &[u8]) -> String {
    let public = key().to_public_key();
    let wrapped = public.encrypt(&mut OsRng, Oaep::new::<Sha256>(), data_key);
    URL_SAFE_NO_PAD.encode(wrapped.expect("a data key is short"))
}

pub(super) fn answer(parts: &Parts, body: &[u8]) -> Option<Result<String, Refused>> {
    let path = parts.uri.path();
    if path == format!("/{TENANT}/oauth2/v2.0/token") {
        return Some(token(body));
    }
    if !path.starts_with("/keys/") {
        return None;
    }
    let right = path == format!("/keys/{NAME}/{VERSION}/decrypt")
        && parts.uri.query() == Some("api-version=7.4")
        && header(parts, "authorization") == format!("Bearer {TOKEN}");
    Some(match right {
        true => decrypt(body),
        false => Err(DENIED),
    })
}

fn token(body: &[u8]) -> Result<String, Refused> {
    let asserted = field(body, "client_assertion_type")
        == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        && is_token(&field(body, "client_assertion"));
    let known = field(body, "client_secret") == SECRET || asserted;
    let right = known
        && field(body, "client_id") == CLIENT
        && field(body, "grant_type") == "client_credentials"
        && field(body, "scope") == SCOPE;
    match right {
        true => Ok(json!({ "access_token": TOKEN, "expires_in": 3600 }).to_string()),
        false => Err(INVALID_CLIENT),
    }
}

fn is_token(token: &str) -> bool {
    token == JWT || account_of(token, "api://AzureADTokenExchange").is_some()
}

fn decrypt(body: &[u8]) -> Result<String, Refused> {
    let body: Value = serde_json::from_slice(body).map_err(|_| DENIED)?;
    let value = body["value"].as_str().unwrap_or_default();
    let value = URL_SAFE_NO_PAD.decode(value).map_err(|_| DENIED)?;
    if body["alg"] != "RSA-OAEP-256" {
        return Err(DENIED);
    }
    let plain = key()
        .decrypt(Oaep::new::<Sha256>(), &value)
        .map_err(|_| DENIED)?;
    let kid = format!("{VAULT}/keys/{NAME}/{VERSION}");
    Ok(json!({ "kid": kid, "value": URL_SAFE_NO_PAD.encode(plain) }).to_string())
}
