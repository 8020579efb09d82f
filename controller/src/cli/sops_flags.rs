//! The flags of decryption, for the controller and for those who want to see what it would do.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use sops::{Cache, MacPolicy};

use super::Failure;
use super::key_services::KeyServices;
use crate::reconcile::key_identity::Rules;
use crate::reconcile::keys::Decrypting;
use crate::unwrap::credentials::{Credentials, Token};
use crate::unwrap::vault::Login;

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
    /// The ConfigMap in Weir's own namespace with the servers of Vault that files may name any key of, and where they
    /// take tokens of service accounts: `config.yaml` with `instances`, each an `address` and a `loginPath`.
    #[arg(long, value_name = "NAME")]
    sops_vault_configmap: Option<String>,
    /// The service account that stands for Kustomizations with `spec.decryption` that name none.
    #[arg(long, value_name = "NAME")]
    default_decryption_service_account: Option<String>,
    #[command(flatten)]
    services: KeyServices,
    /// Log in to Vault with this role for Kustomizations that bring no token.
    #[arg(long, value_name = "ROLE", requires = "sops_vault_jwt_file")]
    sops_vault_role: Option<String>,
    /// The token to log in to Vault with: a projected one whose audience is Vault alone.
    #[arg(long, value_name = "FILE", requires = "sops_vault_role")]
    sops_vault_jwt_file: Option<PathBuf>,
    /// Where Vault takes the token.
    #[arg(long, value_name = "PATH", default_value = "auth/kubernetes/login")]
    sops_vault_login_path: String,
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
    /// What holds for all Kustomizations; the Secret and the ConfigMap are in this namespace. Whether a spec may name a
    /// service account is for the caller to say.
    pub(super) fn decrypting(
        &self,
        namespace: &str,
        accounts: bool,
    ) -> Result<Decrypting, Failure> {
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let here = |name| (namespace.to_owned(), name);
        let ambient = Credentials {
            vault: self.vault_login(),
            ..self.services.lent()?
        };
        Ok(Decrypting {
            age_secret: named(&self.sops_age_secret).map(here),
            mac: self.sops_mac.into(),
            cache: Some(Arc::new(Cache::new(CACHE))),
            services: Some(Arc::new(self.services.services(ambient)?)),
            rules: Rules {
                accounts,
                default_account: named(&self.default_decryption_service_account),
                vault_config_map: named(&self.sops_vault_configmap).map(here),
            },
        })
    }

    fn vault_login(&self) -> Option<Login> {
        let (role, file) = (
            self.sops_vault_role.as_ref()?,
            self.sops_vault_jwt_file.as_ref()?,
        );
        Some(Login::Jwt {
            path: self.sops_vault_login_path.clone(),
            role: role.clone(),
            token: Token::File(file.clone()),
        })
    }
}
