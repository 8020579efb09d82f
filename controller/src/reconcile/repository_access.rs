//! How a GitRepository is reached: its address, the Secrets that it names, and who gives the credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::context::Context;
use super::inputs::{self, SECRET};
use super::schedule::{Key, Topic};
use crate::api::duration;
use crate::api::git_repository::{GitRepository, GitRepositorySpec};
use crate::api::meta::LocalReference;
use crate::source::access::SecretData;
use crate::source::github_app::{self, App};
use crate::source::{Access, Proxy, Remote, RemoteUrl, SourceError};

/// A spec whose timeout no one can read gets this.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The Secrets that the last look used, as long as a watch says that they are the same.
#[derive(Default)]
pub struct Secrets(BTreeMap<String, SecretData>);

impl Secrets {
    /// Has them read again.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

/// The Secrets that the object reads.
pub fn secret_references(spec: &GitRepositorySpec) -> impl Iterator<Item = &LocalReference> {
    let trusted = spec.verify.iter().map(|verify| &verify.secret_ref);
    spec.secret_ref
        .iter()
        .chain(&spec.proxy_secret_ref)
        .chain(trusted)
}

/// Fields that this version does not carry out are refused by name.
pub fn unsupported(spec: &GitRepositorySpec) -> Result<(), SourceError> {
    if spec.service_account_name.is_some() {
        return Err(SourceError::ServiceAccount);
    }
    let fields = [
        ("provider: azure", provider(spec) == "azure"),
        ("provider: aws", provider(spec) == "aws"),
    ];
    match fields.into_iter().find(|(_, set)| *set) {
        Some((field, _)) => Err(SourceError::Unsupported { field }),
        None => Ok(()),
    }
}

/// The address and the way in. Nothing is asked of the API server while the Secrets are the same.
pub async fn remote(
    context: &Context,
    key: &Key,
    secrets: &mut Secrets,
    object: &GitRepository,
) -> Result<Remote, SourceError> {
    let spec = &object.spec;
    let (url, info) = RemoteUrl::parse(&spec.url)?;
    let secret = match &spec.secret_ref {
        Some(reference) => Some(secret(context, key, secrets, &reference.name).await?),
        None => None,
    };
    let app = app(key, spec, secret.as_ref())?;
    let mut access = Access::from_secret(&url, &info, secret.as_ref())?;
    if let Some(reference) = &spec.proxy_secret_ref {
        let data = self::secret(context, key, secrets, &reference.name).await?;
        let name = format!("{}/{}", key.namespace, reference.name);
        access.proxy = Some(Proxy::from_secret(&name, &data)?);
    }
    let timeout = duration::parse(&spec.timeout).unwrap_or(TIMEOUT);
    if let Some(app) = app {
        access.credentials =
            github_app::credentials(&context.repositories, &app, &access, timeout).await?;
    }
    Ok(Remote {
        access,
        url,
        timeout,
    })
}

fn provider(spec: &GitRepositorySpec) -> &str {
    spec.provider.as_deref().unwrap_or("generic")
}

/// The GitHub App of the Secret, where the spec says that there is one.
fn app(
    key: &Key,
    spec: &GitRepositorySpec,
    secret: Option<&SecretData>,
) -> Result<Option<App>, SourceError> {
    let named = spec
        .secret_ref
        .as_ref()
        .map(|reference| reference.name.as_str());
    let found = secret.map(App::from_secret).transpose();
    match provider(spec) {
        "github" if named.is_none() => Err(SourceError::NoProviderSecret),
        "github" => match found?.flatten() {
            None => Err(SourceError::Provider(
                SourceError::NoProviderSecret.to_string(),
            )),
            app => Ok(app),
        },
        _ if secret.is_some_and(|secret| secret.contains_key("githubAppID")) => {
            Err(SourceError::Provider(format!(
                "secretRef '{}/{}' has github app data but provider is not set to github",
                key.namespace,
                named.unwrap_or_default()
            )))
        }
        _ => Ok(None),
    }
}

/// A Secret of the object's namespace; read again only when its watch has seen it change.
pub async fn secret(
    context: &Context,
    key: &Key,
    secrets: &mut Secrets,
    name: &str,
) -> Result<SecretData, SourceError> {
    let topic = Topic::Input(SECRET, key.namespace.clone(), name.to_owned());
    let covered = context.input_watches.cover(&BTreeSet::from([topic]));
    if let Some(known) = secrets.0.get(name).filter(|_| covered) {
        return Ok(known.clone());
    }
    context
        .input_watches
        .ensure(context, SECRET, &key.namespace)
        .await;
    let failed = |problem: &str| {
        let full = format!("{}/{name}", key.namespace);
        SourceError::Authentication(format!("failed to get secret '{full}': {problem}"))
    };
    let data = inputs::data(&context.client, SECRET, &key.namespace, name)
        .await
        .map_err(|error| failed(&error.to_string()))?
        .ok_or_else(|| failed(&format!("secrets \"{name}\" not found")))?;
    let data: SecretData = data
        .iter()
        .map(|(key, value)| (key.clone(), value.to_vec()))
        .collect();
    secrets.0.insert(name.to_owned(), data.clone());
    Ok(data)
}
