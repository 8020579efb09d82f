//! Archives of other controllers: downloaded as `status.artifact` says, and taken only with the digest that it gives.

use std::time::Duration;

use reqwest::StatusCode;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::client::innermost;
use super::unpacked::{ArchiveError, Budget, Unpacked};
use crate::api::meta::Artifact;

/// As many bytes as an archive may have.
const LIMIT: usize = 256 * 1024 * 1024;

/// How long a download may take.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The storage does not have it: it is not there yet, or no longer.
    #[error("artifact not found")]
    NotFound,
    /// The server could not be reached, or answered with something else.
    #[error("failed to download artifact from '{url}': {problem}")]
    Download {
        /// Where it was said to be.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The bytes are not those that the source speaks of.
    #[error(
        "failed to verify artifact: computed checksum '{found}' does not match the digest '{wanted}'"
    )]
    Digest {
        /// What the bytes make.
        found: String,
        /// What the source says.
        wanted: String,
    },
    /// The digest is of a kind that is not known.
    #[error("failed to verify artifact: the digest '{0}' is not one of sha256, sha384 and sha512")]
    Algorithm(String),
    /// The archive cannot be read.
    #[error("failed to extract archive: {0}")]
    Archive(#[from] ArchiveError),
}

/// The client of all downloads. It follows no redirects.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    // Without this the first handshake panics; an earlier call, of main for instance, wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .timeout(PATIENCE)
        .build()
}

/// Downloads an artifact and reads its files.
pub async fn download(
    client: &reqwest::Client,
    artifact: &Artifact,
) -> Result<Unpacked, ArtifactError> {
    let bytes = bytes(client, &artifact.url).await?;
    let wanted = artifact.digest.clone();
    let work = tokio::task::spawn_blocking(move || {
        verify(&bytes, &wanted)?;
        Ok(Unpacked::read(bytes.as_slice(), Budget::default())?)
    });
    work.await.unwrap_or_else(|error| {
        let problem = std::io::Error::other(error);
        Err(ArchiveError::Malformed(problem).into())
    })
}

async fn bytes(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, ArtifactError> {
    let failed = |problem: String| ArtifactError::Download {
        url: url.to_owned(),
        problem,
    };
    let network = |error: reqwest::Error| failed(innermost(&error));
    let mut response = client.get(url).send().await.map_err(network)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(ArtifactError::NotFound),
        status => return Err(failed(format!("unexpected status {}", status.as_u16()))),
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(network)? {
        if bytes.len() + chunk.len() > LIMIT {
            return Err(failed(format!("it has more than {LIMIT} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn verify(bytes: &[u8], wanted: &str) -> Result<(), ArtifactError> {
    let found = match wanted.split_once(':').map(|(algorithm, _)| algorithm) {
        Some("sha256") => format!("sha256:{:x}", Sha256::digest(bytes)),
        Some("sha384") => format!("sha384:{:x}", Sha384::digest(bytes)),
        Some("sha512") => format!("sha512:{:x}", Sha512::digest(bytes)),
        _ => return Err(ArtifactError::Algorithm(wanted.to_owned())),
    };
    match found == wanted {
        true => Ok(()),
        false => Err(ArtifactError::Digest {
            found,
            wanted: wanted.to_owned(),
        }),
    }
}
