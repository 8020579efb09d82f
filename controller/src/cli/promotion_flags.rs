//! The flags of `weir run` for promotion that nobody starts.

use std::path::Path;
use std::time::Duration;

use super::flags::go_duration;
use crate::reconcile::automatic::Settings;
use crate::reconcile::schedule::Key;

/// Folder of the mirror in the storage.
const MIRROR: &str = "promotion";

#[derive(clap::Args)]
#[command(next_help_heading = "Automatic promotion")]
pub(super) struct PromotionFlags {
    /// The environment that this cluster is, as `weir envs` calls it: what it runs is published, the edges that it drives
    /// in `weir.yaml` are promoted over, and it waits for its turn in stages with waves.
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// The GitRepository that holds the environments and `weir.yaml`.
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "flux-system/flux-system", value_parser = key)]
    promotion_source: Key,
    /// The Secret, in the namespace of that GitRepository, with what is needed to push (`username` and `password`, or
    /// `bearerToken`; for `ssh://` addresses `identity`, `known_hosts` and, where the key has a passphrase, `password`) and the
    /// `signing-key` of the environment. Without it automatic promotion is off.
    #[arg(long, value_name = "NAME")]
    promotion_secret: Option<String>,
    /// How often the repository is looked at.
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = go_duration)]
    promotion_interval: Duration,
}

fn key(text: &str) -> Result<Key, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(Key::git_repository(namespace, name))
        }
        _ => Err("NAMESPACE/NAME is needed".to_owned()),
    }
}

impl PromotionFlags {
    /// What they say; none for a cluster that is no environment.
    pub(super) fn settings(&self, storage: &Path) -> Option<Settings> {
        Some(Settings {
            environment: self.environment.clone()?,
            source: self.promotion_source.clone(),
            secret: self.promotion_secret.clone(),
            every: self.promotion_interval,
            mirror: storage.join(MIRROR),
        })
    }
}
