//! The flags of decryption, for the controller and for those who want to see what it would do.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use sops::{Cache, MacPolicy};

use crate::reconcile::keys::Decrypting;

/// How much memory opened files may take.
const CACHE: usize = 64 << 20;

#[derive(Args)]
#[command(next_help_heading = "Decryption")]
pub(super) struct SopsFlags {
    /// The Secret in Weir's own namespace with age keys (`*.agekey`) for Kustomizations whose `spec.decryption` names
    /// no Secret.
    #[arg(long, value_name = "NAME")]
    sops_age_secret: Option<String>,
    /// What a wrong or missing MAC of an encrypted file leads to.
    #[arg(long, value_enum, default_value_t = Mac::Error)]
    sops_mac: Mac,
}

/// What a wrong or missing MAC leads to.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Mac {
    /// The file is refused.
    Error,
    /// The file is opened, with a warning: for old files whose MAC is known to be wrong.
    Warn,
}

impl From<Mac> for MacPolicy {
    fn from(mac: Mac) -> Self {
        match mac {
            Mac::Error => Self::Error,
            Mac::Warn => Self::Warn,
        }
    }
}

impl SopsFlags {
    /// What holds for all Kustomizations; the Secret is in this namespace.
    pub(super) fn decrypting(&self, namespace: &str) -> Decrypting {
        let name = self.sops_age_secret.clone();
        Decrypting {
            age_secret: name
                .filter(|name| !name.is_empty())
                .map(|name| (namespace.to_owned(), name)),
            mac: self.sops_mac.into(),
            cache: Some(Arc::new(Cache::new(CACHE))),
        }
    }
}
