//! The transit engine of Vault at `transit/`, with the key `weir`, and logins by AppRole and by a Kubernetes token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::{Refused, account_of, header, scramble};

/// The token that may decrypt.
pub const TOKEN: &str = "hvs.stand-in-token";
/// Half of the role that may log in.
pub const ROLE_ID: &str = "role-of-weir";
/// The other half.
pub const SECRET_ID: &str = "secret-of-weir";
/// The Kubernetes role that may log in.
pub const ROLE: &str = "flux-system_weir";
/// The service account's token.
pub const JWT: &str = "header.claims.signature";

const PREFIX: &str = "vault:v1:";
const FORBIDDEN: Refused = (
    StatusCode::FORBIDDEN,
    r#"{"errors":["permission denied for hush-hush"]}"#,
);

/// A data key as the engine wraps it.
pub fn wrap(data_key: &[u8]) -> String {
    format!("{PREFIX}{}", BASE64.encode(scramble(data_key)))
}

pub(super) fn answer(parts: &Parts, body: &[u8]) -> Option<Result<String, Refused>> {
    if header(parts, "x-vault-request") != "true"
        || !matches!(parts.method.as_str(), "POST" | "PUT")
    {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(match parts.uri.path() {
        "/v1/auth/approle/login" => {
            login(body == json!({ "role_id": ROLE_ID, "secret_id": SECRET_ID }))
        }
        "/v1/auth/kubernetes/login" => login(body == json!({ "role": ROLE, "jwt": JWT })),
        "/v1/team/auth/jwt/login" => {
            // A role for each account, bound to tokens that were made for this server.
            let address = format!("http://{}", header(parts, "host"));
            let account = account_of(body["jwt"].as_str().unwrap_or_default(), &address);
            login(account.is_some() && account.as_deref() == body["role"].as_str())
        }
        "/v1/transit/decrypt/weir" => match header(parts, "x-vault-token") {
            TOKEN => decrypt(&body),
            _ => Err(FORBIDDEN),
        },
        _ => Err(FORBIDDEN),
    })
}

fn login(right: bool) -> Result<String, Refused> {
    let auth = json!({ "client_token": TOKEN, "lease_duration": 3600 });
    match right {
        true => Ok(json!({ "auth": auth }).to_string()),
        false => Err(FORBIDDEN),
    }
}

fn decrypt(body: &Value) -> Result<String, Refused> {
    let ciphertext = body["ciphertext"].as_str().unwrap_or_default();
    let wrapped = ciphertext
        .strip_prefix(PREFIX)
        .and_then(|text| BASE64.decode(text).ok());
    match wrapped {
        Some(wrapped) => {
            let plaintext = BASE64.encode(scramble(&wrapped));
            Ok(json!({ "data": { "plaintext": plaintext } }).to_string())
        }
        None => Err((
            StatusCode::BAD_REQUEST,
            r#"{"errors":["invalid ciphertext"]}"#,
        )),
    }
}
