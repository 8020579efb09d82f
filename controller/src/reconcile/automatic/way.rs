//! The ways to the repository: the source's own to read, and one that nothing else uses to write.

use super::Settings;
use crate::reconcile::context::Context;
use crate::reconcile::repository_access::{Secrets, remote, secret};
use crate::source::remote::UserInfo;
use crate::source::signing::SigningKey;
use crate::source::{Access, Reference, Remote};

/// The key of the Secret that holds the private key to sign with.
const SIGNING_KEY: &str = "signing-key";

/// How the repository is reached.
pub(super) struct Way {
    /// To read.
    pub(super) read: Remote,
    /// To write.
    pub(super) write: Remote,
    /// The default branch.
    pub(super) branch: String,
    /// What is signed with.
    pub(super) key: SigningKey,
}

/// Finds the ways, by the GitRepository and the Secret as they are now.
pub(super) async fn way(
    context: &Context,
    settings: &Settings,
    secrets: &mut Secrets,
) -> Result<Way, String> {
    let source = &settings.source;
    let name = settings.secret.as_ref();
    let name = name.ok_or("--promotion-secret names no Secret to push with")?;
    let object = context
        .git_repository(source)
        .ok_or_else(|| format!("{source} does not exist"))?;
    let Reference::Branch(branch) = Reference::from_spec(object.spec.reference.as_ref()) else {
        return Err(format!("{source} does not follow a branch"));
    };
    let read = remote(context, source, secrets, &object).await;
    let read = read.map_err(|error| error.to_string())?;
    let data = secret(context, source, secrets, name).await;
    let data = data.map_err(|error| error.to_string())?;
    let key = data
        .get(SIGNING_KEY)
        .ok_or_else(|| format!("Secret {name} has no {SIGNING_KEY}"))?;
    let key = SigningKey::read(key).map_err(|error| error.to_string())?;
    let mut access = Access::from_secret(&read.url, &UserInfo::default(), Some(&data))
        .map_err(|error| format!("Secret {name}: {error}"))?;
    // Whom to trust and the way around are no credentials.
    access.authorities = access.authorities.or(read.access.authorities.clone());
    access.proxy = read.access.proxy.clone();
    let write = Remote {
        access,
        ..read.clone()
    };
    Ok(Way {
        read,
        write,
        branch,
        key,
    })
}
