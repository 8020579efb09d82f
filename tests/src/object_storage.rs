//! An object storage (`versitygw`) that speaks S3: objects are put there as any client of S3 does it.

use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::http_client::ask;
use crate::program::Program;

/// The key of the storage's owner: its id and its secret.
pub const KEY: (&str, &str) = ("weir-tests", "a secret of the storage");

const REGION: &str = "us-east-1";

/// A storage with its buckets in a temporary folder.
#[derive(Debug)]
pub struct ObjectStorage {
    program: Program,
    _folder: TempDir,
}

impl ObjectStorage {
    /// Starts a storage without buckets.
    pub async fn start() -> ObjectStorage {
        let folder = tempfile::tempdir().expect("create a folder for a storage");
        let (data, side) = (folder.path().join("data"), folder.path().join("side"));
        for path in [&data, &side] {
            std::fs::create_dir(path).expect("create a folder for a storage");
        }
        let log = folder.path().join("log");
        let program = Program::start("versitygw", &log, |command, address| {
            command
                .args([
                    "--quiet", "--access", KEY.0, "--secret", KEY.1, "--port", address,
                ])
                .args(["posix", "--sidecar"])
                .args([&side, &data]);
        });
        ObjectStorage {
            program: program.await,
            _folder: folder,
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.program.address
    }

    /// Makes a bucket.
    pub async fn create(&self, bucket: &str) {
        self.send("PUT", &format!("/{bucket}"), b"").await;
    }

    /// Puts an object there, or another in its place. The name is one that needs no encoding.
    pub async fn put(&self, bucket: &str, name: &str, text: &str) {
        self.send("PUT", &format!("/{bucket}/{name}"), text.as_bytes())
            .await;
    }

    /// Takes an object away.
    pub async fn delete(&self, bucket: &str, name: &str) {
        self.send("DELETE", &format!("/{bucket}/{name}"), b"").await;
    }

    async fn send(&self, method: &str, path: &str, body: &[u8]) {
        let now = SystemTime::now();
        let time = k8s_openapi::jiff::Timestamp::try_from(now).expect("a time");
        let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let hash = hex(&Sha256::digest(body));
        let canonical = format!(
            "{method}\n{path}\n\nhost:{}\nx-amz-content-sha256:{hash}\nx-amz-date:{time}\n\n\
             host;x-amz-content-sha256;x-amz-date\n{hash}",
            self.address()
        );
        let place = format!("{}/{REGION}/s3/aws4_request", &time[..8]);
        let hashed = hex(&Sha256::digest(canonical));
        let message = format!("AWS4-HMAC-SHA256\n{time}\n{place}\n{hashed}");
        let secret = format!("AWS4{}", KEY.1).into_bytes();
        let parts = [&time[..8], REGION, "s3", "aws4_request", &message];
        let signature = hex(&parts.iter().fold(secret, |key, part| mac(&key, part)));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{place}, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}",
            KEY.0
        );
        let headers = [
            ("x-amz-date", time.as_str()),
            ("x-amz-content-sha256", &hash),
            ("authorization", &authorization),
        ];
        let asked = ask(self.address(), (method, path), &headers, body, "ETag").await;
        let (status, _, text) = asked.expect("ask the storage");
        let text = String::from_utf8_lossy(&text);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {text}"
        );
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
