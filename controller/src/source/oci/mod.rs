//! Artifacts in container registries: found by digest, range or tag, pulled with every byte checked against its digest.
//!
//! ```text
//! Address + Wanted ──resolve──▶ Found ──manifest──▶ Manifest ──blob──▶ the bytes of a layer
//!                                  └──cosign──▶ signed by somebody trusted, or not
//! ```

mod address;
mod bundle;
mod challenge;
pub mod cosign;
mod login;
mod registry;

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

pub use address::Address;
pub use login::Logins;
pub use registry::Registry;

use super::version::{Range, of_tag};

/// The tag that is taken when none is named.
const LATEST: &str = "latest";

/// The platform that is taken of an artifact for several.
const PLATFORM: (&str, &str) = ("linux", "amd64");

/// As many bytes as a layer may have.
const LAYER_LIMIT: usize = 256 << 20;

/// Why an artifact could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OciError {
    /// The address is none; only another spec can help.
    #[error("URL validation failed for '{url}': {problem}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No tag fits.
    #[error("failed to determine the artifact tag for '{url}': {problem}")]
    Tag {
        /// The address.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// The tag's digest could not be had.
    #[error("failed to determine artifact digest: {0}")]
    Digest(String),
    /// The artifact could not be had.
    #[error("failed to pull artifact from '{url}': {problem}")]
    Pull {
        /// The address.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// The artifact does not have the layer, or that cannot be taken.
    #[error("{0}")]
    Layer(String),
}

impl OciError {
    /// The reason of the condition FetchFailed.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Address { .. } => "URLInvalid",
            Self::Tag { .. } => "ReadOperationFailed",
            Self::Digest(_) | Self::Pull { .. } => "OCIArtifactPullFailed",
            Self::Layer(_) => "OCIArtifactLayerOperationFailed",
        }
    }

    /// True when trying again is of no use before the spec changes.
    pub fn stalls(&self) -> bool {
        matches!(self, Self::Address { .. })
    }
}

/// Which version is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The manifest of this digest.
    Digest(String),
    /// The newest version in a range, of the tags that match the filter.
    Range {
        /// The range.
        range: String,
        /// A regular expression.
        filter: Option<String>,
    },
    /// A tag.
    Tag(String),
}

impl Wanted {
    /// The first of the fields that is set, in this order; else the tag `latest`.
    pub fn of(
        digest: Option<&str>,
        range: Option<&str>,
        filter: Option<&str>,
        tag: Option<&str>,
    ) -> Self {
        let set = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(digest) = set(digest) {
            Self::Digest(digest)
        } else if let Some(range) = set(range) {
            let filter = set(filter);
            Self::Range { range, filter }
        } else {
            Self::Tag(set(tag).unwrap_or_else(|| LATEST.to_owned()))
        }
    }
}

/// A version that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `tag@sha256:…`, or the digest alone where that was asked for.
    pub revision: String,
    /// The digest of the manifest.
    pub digest: String,
}

/// Finds the version that is wanted.
pub async fn resolve(registry: &Registry, wanted: &Wanted) -> Result<Found, OciError> {
    let tag = match wanted {
        Wanted::Digest(digest) => {
            if !is_digest(digest) {
                return Err(OciError::Digest(format!("{digest:?} is not sha256:<hex>")));
            }
            return Ok(Found {
                revision: digest.clone(),
                digest: digest.clone(),
            });
        }
        Wanted::Range { range, filter } => newest(registry, range, filter.as_deref()).await?,
        Wanted::Tag(tag) => tag.clone(),
    };
    if !is_tag(&tag) {
        return Err(OciError::Digest(format!("{tag:?} is no tag")));
    }
    let digest = registry.digest(&tag).await.map_err(OciError::Digest)?;
    Ok(Found {
        revision: format!("{tag}@{digest}"),
        digest,
    })
}

/// The tag with the newest version in a range.
async fn newest(
    registry: &Registry,
    range: &str,
    filter: Option<&str>,
) -> Result<String, OciError> {
    let refused = |problem: String| OciError::Tag {
        url: registry.url(),
        problem,
    };
    let wanted = Range::parse(range)
        .map_err(|problem| refused(format!("semver '{range}' parse error: {problem}")))?;
    let filter = filter.map(Regex::new).transpose();
    let filter = filter.map_err(|error| refused(format!("semverFilter: {error}")))?;
    let tags = registry.tags().await.map_err(refused)?;
    let passes = |tag: &&String| filter.as_ref().is_none_or(|filter| filter.is_match(tag));
    let versions = tags.iter().filter(passes).filter_map(|tag| {
        let version = of_tag(tag).filter(|version| wanted.holds(version))?;
        Some((version, tag))
    });
    let newest = versions.max_by(|(one, _), (other, _)| one.cmp_precedence(other));
    newest
        .map(|(_, tag)| tag.clone())
        .ok_or_else(|| refused(format!("no match found for semver: {range}")))
}

/// Tags go into addresses as they are.
fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= 128
        && text.bytes().all(plain)
        && !text.starts_with(['.', '-'])
        && !text.is_empty()
}

fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64
        && hex
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What an artifact is made of.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Manifest {
    /// Its layers.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// The manifests of an artifact for several platforms.
    #[serde(default)]
    manifests: Vec<Descriptor>,
    /// What its maker says about it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// One part of an artifact.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of bytes it is.
    #[serde(default)]
    pub media_type: String,
    /// Their digest.
    pub digest: String,
    /// What its maker says about it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact it is.
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

/// Reads the manifest of a digest; of an artifact for several platforms that for Linux on x86-64.
pub async fn manifest(registry: &Registry, digest: &str) -> Result<Manifest, OciError> {
    let failed = |problem: String| OciError::Pull {
        url: registry.url(),
        problem,
    };
    let outer = registry.manifest(digest).await.map_err(failed)?;
    if outer.manifests.is_empty() {
        return Ok(outer);
    }
    let is_ours = |one: &&Descriptor| {
        let platform = one.platform.as_ref();
        platform.is_some_and(|one| (one.os.as_str(), one.architecture.as_str()) == PLATFORM)
    };
    let inner = outer.manifests.iter().find(is_ours);
    let inner = inner.ok_or_else(|| failed("it has no manifest for linux/amd64".to_owned()))?;
    registry.manifest(&inner.digest).await.map_err(failed)
}

/// Downloads the first layer, or the first of a media type.
pub async fn layer(
    registry: &Registry,
    manifest: &Manifest,
    media_type: Option<&str>,
) -> Result<Vec<u8>, OciError> {
    let refused = |problem: String| OciError::Layer(problem);
    if manifest.layers.is_empty() {
        return Err(refused("no layers found in artifact".to_owned()));
    }
    let is_wanted =
        |layer: &&Descriptor| media_type.is_none_or(|wanted| layer.media_type == wanted);
    let found = manifest.layers.iter().find(is_wanted).ok_or_else(|| {
        let wanted = media_type.unwrap_or_default();
        refused(format!(
            "failed to find layer with media type '{wanted}' in artifact"
        ))
    })?;
    let blob = registry.blob(&found.digest, LAYER_LIMIT).await;
    blob.map_err(|problem| {
        refused(format!(
            "failed to extract layer contents from artifact: {problem}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_is_set_counts() {
        let digest = "sha256:1";
        assert_eq!(
            Wanted::of(Some(digest), Some("1.x"), None, Some("t")),
            Wanted::Digest(digest.to_owned())
        );
        let range = Wanted::Range {
            range: "1.x".to_owned(),
            filter: None,
        };
        assert_eq!(Wanted::of(Some(""), Some("1.x"), None, Some("t")), range);
        assert_eq!(
            Wanted::of(None, None, None, Some("t")),
            Wanted::Tag("t".to_owned())
        );
        assert_eq!(
            Wanted::of(None, None, Some("x"), None),
            Wanted::Tag("latest".to_owned())
        );
    }

    #[test]
    fn tags_lead_nowhere_else() {
        assert!(is_tag("v1.2.3-rc_1"));
        for wrong in ["", "..", "../x", "a/b", "a?b", "a%2fb", &"a".repeat(129)] {
            assert!(!is_tag(wrong), "{wrong}");
        }
    }

    #[test]
    fn digests_are_those_of_sha_256() {
        assert!(is_digest(&format!("sha256:{}", "0a".repeat(32))));
        for wrong in [
            "",
            "sha256:0a",
            "sha512:00",
            &format!("sha256:{}", "0A".repeat(32)),
        ] {
            assert!(!is_digest(wrong), "{wrong}");
        }
    }
}
