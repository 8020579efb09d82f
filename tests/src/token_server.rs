//! Whoever gives a registry's tokens, as Docker Hub and GitHub do: to those who know the password.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Request, Response, StatusCode};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey as _};
use serde_json::{Value, json};

use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;
use crate::registry::ACCOUNT;

/// What the registry is called in tokens, and their giver.
const SERVICE: &str = "test-registry";
const ISSUER: &str = "test-issuer";

/// The name of the key that signs.
const KEY: &str = "test-key";

/// A server that gives tokens.
#[derive(Debug)]
pub(crate) struct TokenServer {
    http: Listening,
    keys: Value,
}

#[derive(Clone)]
struct Giver(Arc<KeyPair>);

impl TokenServer {
    /// Starts a server on a free port.
    pub(crate) fn start() -> TokenServer {
        let key = KeyPair::generate_for(&PKCS_ED25519).expect("make a key");
        let public = URL_SAFE_NO_PAD.encode(key.public_key_raw());
        let public =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": public, "kid": KEY, "alg": "EdDSA" });
        TokenServer {
            http: http_server::start(None, Giver(Arc::new(key))),
            keys: json!({ "keys": [public] }),
        }
    }

    /// What a registry is told of it. The public key goes into a file.
    pub(crate) fn configuration(&self, keys: &Path) -> Value {
        std::fs::write(keys, self.keys.to_string()).expect("write a key");
        json!({ "token": {
            "realm": format!("http://{}/token", self.http.address),
            "service": SERVICE,
            "issuer": ISSUER,
            "jwks": keys,
            "signingalgorithms": ["EdDSA"],
        } })
    }
}

impl Handler for Giver {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let account = STANDARD.encode(format!("{}:{}", ACCOUNT.0, ACCOUNT.1));
        let given = request.headers().get(AUTHORIZATION);
        if given.is_none_or(|given| *given != format!("Basic {account}").as_str()) {
            return Ok(answer(StatusCode::UNAUTHORIZED, "who are you?"));
        }
        let query = request.uri().query().unwrap_or_default();
        let text = json!({ "token": self.token(query) }).to_string();
        Ok(answer(StatusCode::OK, text))
    }
}

impl Giver {
    /// A token to pull what the query asks for, for a minute.
    fn token(&self, query: &str) -> String {
        let decoded = query.replace("%3A", ":").replace("%2F", "/");
        let asked = |name: &str| {
            let mut pairs = decoded.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(found, _)| *found == name)
                .map(|(_, value)| value.to_owned())
        };
        let scope = asked("scope").expect("a token is for something");
        let repository = scope.split(':').nth(1).expect("a repository");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("it is after 1970");
        let now = now.as_secs();
        let access = json!([{ "type": "repository", "name": repository, "actions": ["pull"] }]);
        let claims = json!({
            "iss": ISSUER, "sub": ACCOUNT.0, "aud": asked("service"), "jti": "1", "access": access,
            "exp": now + 60, "nbf": now - 1, "iat": now,
        });
        let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": KEY });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let signature = self.0.sign(text.as_bytes()).expect("sign");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
