//! A container registry (`distribution`) with artifacts as `flux push artifact` and `cosign sign` leave them there.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::http_client::ask;
use crate::program::Program;
use crate::token_server::TokenServer;

/// The media type of Flux's files.
pub const FLUX_CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

/// The user that a registry with a password lets in, and the password.
pub const ACCOUNT: (&str, &str) = ("ada", "correct horse");

/// The same as a line of `htpasswd`.
const HASHED: &str = "ada:$2a$04$cgshM0YTK/2qWBOXeABpdeyKTzPGGmfDlIDFAmhAIwMgB84qNEeVy\n";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What cosign 3 keeps signatures in.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What the statement of a signature says that it is.
pub const COSIGN_SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// A registry that keeps what is pushed to it for as long as it lives.
#[derive(Debug)]
pub struct Registry {
    program: Program,
    has_password: bool,
    folder: TempDir,
}

/// The same registry through another door.
#[derive(Debug)]
pub struct Front {
    program: Program,
    /// The certificate to trust, in PEM; none without TLS.
    pub certificate: Option<String>,
    _tokens: Option<TokenServer>,
}

impl Front {
    /// Host and port.
    pub fn address(&self) -> &str {
        &self.program.address
    }

    /// The address of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("oci://{}/{repository}", self.program.address)
    }
}

/// One layer of an artifact.
pub struct Layer {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its annotations.
    pub annotations: Value,
}

impl Registry {
    /// Starts a registry that lets everybody in, or those who know the password.
    pub async fn start(has_password: bool) -> Registry {
        let folder = tempfile::tempdir().expect("create a folder for a registry");
        let file = folder.path().join("htpasswd");
        std::fs::write(&file, HASHED).expect("write the password");
        let auth = match has_password {
            true => json!({ "htpasswd": { "realm": "test", "path": file } }),
            false => json!({}),
        };
        let program = serve(folder.path(), "registry", json!({}), auth).await;
        Registry {
            program,
            has_password,
            folder,
        }
    }

    /// Serves the same artifacts behind TLS, with a certificate that nobody knows.
    pub async fn behind_tls(&self) -> Front {
        let path = |name: &str| self.folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let made = made.expect("make a certificate");
        let key = made.signing_key.serialize_pem();
        std::fs::write(path("tls.crt"), made.cert.pem()).expect("write a certificate");
        std::fs::write(path("tls.key"), key).expect("write a key");
        let tls = json!({ "certificate": path("tls.crt"), "key": path("tls.key") });
        Front {
            program: serve(self.folder.path(), "tls", json!({ "tls": tls }), json!({})).await,
            certificate: Some(made.cert.pem()),
            _tokens: None,
        }
    }

    /// Serves the same artifacts to those who bring a token, which they get for the password.
    pub async fn behind_tokens(&self) -> Front {
        let tokens = TokenServer::start();
        let auth = tokens.configuration(&self.folder.path().join("keys.json"));
        Front {
            program: serve(self.folder.path(), "tokens", json!({}), auth).await,
            certificate: None,
            _tokens: Some(tokens),
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.program.address
    }

    /// The address of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("oci://{}/{repository}", self.program.address)
    }

    /// Pushes files as one layer under a tag; gives the digest of the manifest.
    pub async fn push(&self, repository: &str, tag: &str, files: &[(&str, &str)]) -> String {
        let layer = Layer {
            media_type: FLUX_CONTENT.to_owned(),
            bytes: archive(files),
            annotations: json!({}),
        };
        self.push_layers(repository, tag, vec![layer]).await
    }

    /// Pushes layers under a tag; gives the digest of the manifest.
    pub async fn push_layers(&self, repository: &str, tag: &str, layers: Vec<Layer>) -> String {
        let config = self.blob(repository, b"{}").await;
        let mut descriptors = Vec::new();
        for layer in layers {
            let mut descriptor = self.blob(repository, &layer.bytes).await;
            descriptor["mediaType"] = json!(layer.media_type);
            descriptor["annotations"] = layer.annotations;
            descriptors.push(descriptor);
        }
        let mut config = config;
        config["mediaType"] = json!("application/vnd.cncf.flux.config.v1+json");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": descriptors,
            "annotations": { "org.opencontainers.image.revision": format!("{tag}@sha1:1") },
        })
        .to_string();
        let path = format!("/v2/{repository}/manifests/{tag}");
        let headers = [("Content-Type", MANIFEST)];
        self.send("PUT", &path, &headers, manifest.as_bytes(), 201)
            .await;
        digest(manifest.as_bytes())
    }

    /// Signs a manifest as cosign does.
    pub async fn sign(&self, repository: &str, manifest: &str, key: &CosignKey) {
        let statement = json!({
            "critical": {
                "identity": { "docker-reference": format!("{}/{repository}", self.address()) },
                "image": { "docker-manifest-digest": manifest },
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string();
        let signature = BASE64.encode(key.0.sign(statement.as_bytes()).expect("sign"));
        let layer = Layer {
            media_type: "application/vnd.dev.cosign.simplesigning.v1+json".to_owned(),
            bytes: statement.into_bytes(),
            annotations: json!({ "dev.cosignproject.cosign/signature": signature }),
        };
        let tag = format!("{}.sig", manifest.replace(':', "-"));
        self.push_layers(repository, &tag, vec![layer]).await;
    }

    /// Signs a manifest as cosign 3 does: a bundle that refers to it. The registry does not list referrers, so that they are
    /// noted under a tag. `predicate` is what the statement says that it is.
    pub async fn sign_bundle(
        &self,
        repository: &str,
        manifest: &str,
        predicate: &str,
        key: &CosignKey,
    ) -> Value {
        let bundle = bundle(manifest, predicate, key);
        let mut layer = self.blob(repository, &bundle).await;
        layer["mediaType"] = json!(BUNDLE);
        let mut config = self.blob(repository, b"{}").await;
        config["mediaType"] = json!("application/vnd.oci.empty.v1+json");
        let referrer = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": config,
            "layers": [layer],
        })
        .to_string();
        let found = digest(referrer.as_bytes());
        let path = format!("/v2/{repository}/manifests/{found}");
        let headers = [("Content-Type", MANIFEST)];
        self.send("PUT", &path, &headers, referrer.as_bytes(), 201)
            .await;
        let entry = json!({
            "mediaType": MANIFEST, "digest": found, "size": referrer.len(), "artifactType": BUNDLE,
        });
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] })
    }

    /// Notes the referrers of a manifest under a tag.
    pub async fn note(&self, repository: &str, manifest: &str, referrers: &Value) {
        let tag = manifest.replace(':', "-");
        let path = format!("/v2/{repository}/manifests/{tag}");
        let headers = [("Content-Type", INDEX)];
        let text = referrers.to_string();
        self.send("PUT", &path, &headers, text.as_bytes(), 201)
            .await;
    }

    async fn blob(&self, repository: &str, bytes: &[u8]) -> Value {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let location = self.send("POST", &path, &[], b"", 202).await;
        let location = location.expect("a registry says where to upload to");
        let start = location.find("/v2/").expect("a path of the registry");
        let found = digest(bytes);
        let path = format!("{}&digest={found}", &location[start..]);
        let headers = [("Content-Type", "application/octet-stream")];
        self.send("PUT", &path, &headers, bytes, 201).await;
        json!({ "digest": found, "size": bytes.len(), "mediaType": "application/octet-stream" })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        expected: u16,
    ) -> Option<String> {
        let account = format!(
            "Basic {}",
            BASE64.encode(format!("{}:{}", ACCOUNT.0, ACCOUNT.1))
        );
        let mut headers = headers.to_vec();
        if self.has_password {
            headers.push(("Authorization", &account));
        }
        let asked = ask(self.address(), (method, path), &headers, body, "Location").await;
        let (status, location, text) = asked.expect("ask the registry");
        let text = String::from_utf8_lossy(&text);
        assert_eq!(status, expected, "{method} {path}: {text}");
        location
    }
}

/// Starts the program over the artifacts in a folder.
async fn serve(folder: &Path, name: &str, http: Value, auth: Value) -> Program {
    let path = |end: &str| folder.join(format!("{name}.{end}"));
    let log = path("log");
    let program = Program::start("registry", &log, |command, address| {
        let mut http = http.clone();
        http["addr"] = json!(address);
        let mut config = json!({
            "version": "0.1",
            "log": { "level": "warn" },
            "storage": { "filesystem": { "rootdirectory": folder.join("data") } },
            "http": http,
        });
        if auth != json!({}) {
            config["auth"] = auth.clone();
        }
        std::fs::write(path("yml"), config.to_string()).expect("write the configuration");
        command
            .arg("serve")
            .arg(path("yml"))
            .env("OTEL_TRACES_EXPORTER", "none");
    });
    program.await
}

/// A bundle with a signed statement on a manifest.
fn bundle(manifest: &str, predicate: &str, key: &CosignKey) -> Vec<u8> {
    const PAYLOAD: &str = "application/vnd.in-toto+json";
    let hex = manifest.trim_start_matches("sha256:");
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": hex }, "annotations": {} }],
        "predicateType": predicate,
        "predicate": {},
    })
    .to_string();
    let length = statement.len();
    let signed = format!("DSSEv1 {} {PAYLOAD} {length} {statement}", PAYLOAD.len());
    let signature = key.0.sign(signed.as_bytes()).expect("sign");
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "a-hint" } },
        "dsseEnvelope": {
            "payload": BASE64.encode(&statement),
            "payloadType": PAYLOAD,
            "signatures": [{ "sig": BASE64.encode(signature) }],
        },
    });
    bundle.to_string().into_bytes()
}

/// A pair of keys of cosign.
pub struct CosignKey(KeyPair);

impl CosignKey {
    /// Makes one.
    pub fn generate() -> CosignKey {
        CosignKey(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("make a key"))
    }

    /// The public key, as `cosign.pub` holds it.
    pub fn public(&self) -> String {
        self.0.public_key_pem()
    }
}

/// Files as a gzipped tar file.
pub fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("create a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        let above = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(above).expect("create folders");
        std::fs::File::create(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("write a file");
    }
    let made = Command::new("tar")
        .args(["-czf", "-", "."])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("run tar");
    assert!(made.status.success(), "tar failed");
    made.stdout
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}
