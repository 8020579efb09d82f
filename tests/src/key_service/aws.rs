//! AWS's key and token services: every signature is computed again from the request as it came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use hyper::StatusCode;
use hyper::http::request::Parts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Refused, account_of, field, header, scramble};

/// The key.
pub const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// A role that its users may take.
pub const ROLE: &str = "arn:aws:iam::111122223333:role/weir";
/// The name of the user's key.
pub const ID: &str = "AKIASTANDIN";
/// The user's key.
pub const SECRET: &str = "secret/of+the=user";
/// The service account's token.
pub const JWT: &str = "header.claims-of-aws.signature";

/// The keys of the role, once taken.
const SESSION: (&str, &str, &str) = ("ASIASTANDIN", "secret-of-the-role", "token+of/the=role");

const NOT_SIGNED: Refused = (
    StatusCode::BAD_REQUEST,
    r#"{"__type":"InvalidSignatureException","message":"hush-hush"}"#,
);
const DENIED: Refused = (
    StatusCode::BAD_REQUEST,
    r#"{"__type":"AccessDeniedException","Message":"hush-hush"}"#,
);

/// A data key as the service wraps it.
pub fn wrap(data_key: &[u8]) -> String {
    BASE64.encode(scramble(data_key))
}

pub(super) fn answer(parts: &Parts, body: &[u8]) -> Option<Result<String, Refused>> {
    if parts.uri.path() != "/" {
        return None;
    }
    if header(parts, "x-amz-target") == "TrentService.Decrypt" {
        return Some(signed(parts, body, "kms").and_then(|()| decrypt(body)));
    }
    match field(body, "Action").as_str() {
        "AssumeRoleWithWebIdentity" => {
            let token = field(body, "WebIdentityToken");
            let known = token == JWT || account_of(&token, "sts.amazonaws.com").is_some();
            Some(match known {
                true => take_role(body),
                false => Err(DENIED),
            })
        }
        "AssumeRole" => Some(signed(parts, body, "sts").and_then(|()| take_role(body))),
        _ => None,
    }
}

fn decrypt(body: &[u8]) -> Result<String, Refused> {
    let body: Value = serde_json::from_slice(body).map_err(|_| DENIED)?;
    if body["KeyId"] != ARN || body["EncryptionContext"] != json!({ "app": "weir" }) {
        return Err(DENIED);
    }
    let blob = body["CiphertextBlob"].as_str().unwrap_or_default();
    let blob = BASE64.decode(blob).map_err(|_| DENIED)?;
    Ok(json!({ "KeyId": ARN, "Plaintext": BASE64.encode(scramble(&blob)) }).to_string())
}

fn take_role(body: &[u8]) -> Result<String, Refused> {
    if field(body, "RoleArn") != ROLE || field(body, "Version") != "2011-06-15" {
        return Err(DENIED);
    }
    let (id, secret, token) = SESSION;
    Ok(format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ))
}

/// Computes the signature again, from what came over the wire.
fn signed(parts: &Parts, body: &[u8], service: &str) -> Result<(), Refused> {
    let authorization = header(parts, "authorization");
    let part = |name: &str| {
        let (_, rest) = authorization.split_once(name).unwrap_or_default();
        rest.split(", ").next().unwrap_or_default()
    };
    let (credential, names) = (part("Credential="), part("SignedHeaders="));
    let secret = match credential.split('/').next().unwrap_or_default() {
        ID => SECRET,
        id if id == SESSION.0 && header(parts, "x-amz-security-token") == SESSION.2 => SESSION.1,
        _ => return Err(NOT_SIGNED),
    };
    let needed = ["content-type", "host", "x-amz-date"];
    if !needed
        .iter()
        .all(|name| names.split(';').any(|signed| signed == *name))
    {
        return Err(NOT_SIGNED);
    }
    let date = header(parts, "x-amz-date");
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/eu-west-1/{service}/aws4_request");
    if credential.split_once('/').map(|(_, rest)| rest) != Some(&scope) {
        return Err(NOT_SIGNED);
    }
    let lines: String = names
        .split(';')
        .map(|name| format!("{name}:{}\n", header(parts, name)))
        .collect();
    let request = format!(
        "POST\n/\n\n{lines}\n{names}\n{}",
        hex(&Sha256::digest(body))
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        hex(&Sha256::digest(request))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for step in scope.split('/') {
        key = mac(&key, step);
    }
    match hex(&mac(&key, &text)) == part("Signature=") {
        true => Ok(()),
        false => Err(NOT_SIGNED),
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
