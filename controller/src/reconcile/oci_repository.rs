//! An OCIRepository: who may pull, whose signature is asked for, and which layer becomes the files.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::runtime::reflector::ObjectRef;

use super::context::Context;
use super::package::{Desk, Looked, Package, Pulled, refused, trouble};
use super::repository_access::secret;
use super::schedule::Key;
use crate::api::git_repository::condition::SOURCE_VERIFIED;
use crate::api::meta::SourceStatus;
use crate::api::oci_repository::{OCIRepository, OCIRepositorySpec, OCIRepositoryStatus};
use crate::report::source::Trouble;
use crate::source::oci::{self, Address, Found, Logins, OciError, Registry, Wanted, cosign};
use crate::source::unpacked::{Budget, Unpacked};
use crate::source::{Access, Proxy, SourceError};

/// Takes the layer as it is.
const COPY: &str = "copy";

impl Package for OCIRepository {
    const SHELF: &'static str = "ocirepository";
    type Memory = ();

    fn interval(&self) -> &str {
        &self.spec.interval
    }

    fn timeout(&self) -> &str {
        &self.spec.timeout
    }

    fn is_suspended(&self) -> bool {
        self.spec.suspend
    }

    fn ignore(&self) -> Option<&str> {
        self.spec.ignore.as_deref()
    }

    fn secrets(&self) -> Vec<&str> {
        let spec = &self.spec;
        let keys = spec
            .verify
            .as_ref()
            .and_then(|verify| verify.secret_ref.as_ref());
        let named = [
            &spec.secret_ref,
            &spec.cert_secret_ref,
            &spec.proxy_secret_ref,
        ];
        let named = named.into_iter().flatten().chain(keys);
        named.map(|reference| reference.name.as_str()).collect()
    }

    fn source(status: &OCIRepositoryStatus) -> &SourceStatus {
        &status.source
    }

    fn source_mut(status: &mut OCIRepositoryStatus) -> &mut SourceStatus {
        &mut status.source
    }

    fn observe(&self, status: &mut OCIRepositoryStatus) {
        status.observed_layer_selector = self.spec.layer_selector.clone();
    }

    fn is_observed(&self, status: &OCIRepositoryStatus) -> bool {
        status.observed_layer_selector == self.spec.layer_selector
            && status.source.observed_ignore == self.spec.ignore
    }

    fn find(context: &Context, key: &Key) -> Option<Arc<Self>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        context.oci_repositories.get(&reference)
    }

    async fn look<'a>(
        &'a self,
        mut desk: Desk<'a>,
        _: &'a mut (),
        known: Option<&'a str>,
    ) -> Result<Looked, Trouble> {
        unsupported(&self.spec)?;
        let registry = registry(&mut desk, &self.spec).await?;
        let found = oci::resolve(&registry, &wanted(&self.spec))
            .await
            .map_err(failed)?;
        let is_known = known == Some(found.revision.as_str());
        if !is_known {
            verify(&mut desk, &self.spec, &registry, &found).await?;
        }
        let pulled = match is_known {
            true => None,
            false => Some(pull(&self.spec, &registry, &found).await.map_err(failed)?),
        };
        let asked = self.spec.verify.as_ref();
        let verified = asked.map(|_| format!("verified signature of revision {}", found.revision));
        Ok(Looked {
            message: format!("stored artifact for digest '{}'", found.revision),
            news: format!(
                "stored artifact with revision '{}' from '{}'",
                found.revision, self.spec.url
            ),
            revision: found.revision,
            verified,
            pulled,
        })
    }
}

fn failed(error: OciError) -> Trouble {
    trouble(error.reason(), &error, error.stalls())
}

/// Fields that this version does not carry out are refused by name.
fn unsupported(spec: &OCIRepositorySpec) -> Result<(), Trouble> {
    let refuse = |field: &str| {
        let message = format!("spec.{field} is not supported");
        Err(trouble("FeatureGateDisabled", message, true))
    };
    match spec.provider.as_str() {
        "" | "generic" => {}
        provider => return refuse(&format!("provider: {provider}")),
    }
    match &spec.verify {
        Some(verify) if verify.provider != "cosign" => {
            refuse(&format!("verify.provider: {}", verify.provider))
        }
        Some(verify) if verify.secret_ref.is_none() => refuse("verify without verify.secretRef"),
        _ => Ok(()),
    }
}

fn wanted(spec: &OCIRepositorySpec) -> Wanted {
    let reference = spec.reference.clone().unwrap_or_default();
    Wanted::of(
        reference.digest.as_deref(),
        reference.semver.as_deref(),
        reference.semver_filter.as_deref(),
        reference.tag.as_deref(),
    )
}

/// The way to the registry, and who asks there.
async fn registry(desk: &mut Desk<'_>, spec: &OCIRepositorySpec) -> Result<Registry, Trouble> {
    let address = Address::parse(&spec.url, spec.insecure).map_err(failed)?;
    let mut logins = Logins::default();
    for name in pull_secrets(desk, spec).await? {
        let data = secret(desk.context, desk.key, desk.secrets, &name)
            .await
            .map_err(refused)?;
        logins.add(&data).map_err(|problem| {
            let full = format!("{}/{name}", desk.key.namespace);
            let message = format!("failed to get credential: secret '{full}': {problem}");
            trouble("AuthenticationFailed", message, false)
        })?;
    }
    let tls = spec
        .cert_secret_ref
        .as_ref()
        .map(|reference| reference.name.as_str());
    let proxy = spec
        .proxy_secret_ref
        .as_ref()
        .map(|reference| reference.name.as_str());
    let access = access(desk, tls, proxy).await.map_err(refused)?;
    Registry::new(&desk.context.repositories, address, &access, logins).map_err(refused)
}

/// The names of the Secrets with logins: the spec's own, then those of the ServiceAccount.
async fn pull_secrets(desk: &Desk<'_>, spec: &OCIRepositorySpec) -> Result<Vec<String>, Trouble> {
    let own = spec
        .secret_ref
        .iter()
        .map(|reference| reference.name.clone());
    let mut names: Vec<String> = own.collect();
    if let Some(account) = spec
        .service_account_name
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        let namespace = &desk.key.namespace;
        let api = Api::<ServiceAccount>::namespaced(desk.context.client.clone(), namespace);
        let read = api.get(account).await.map_err(|error| {
            let message = format!("failed to get service account '{namespace}/{account}': {error}");
            trouble("AuthenticationFailed", message, false)
        })?;
        names.extend(
            read.image_pull_secrets
                .into_iter()
                .flatten()
                .map(|secret| secret.name),
        );
    }
    Ok(names)
}

/// How TLS and proxies go, as these Secrets say.
pub async fn access(
    desk: &mut Desk<'_>,
    tls: Option<&str>,
    proxy: Option<&str>,
) -> Result<Access, SourceError> {
    let mut access = Access::default();
    if let Some(name) = tls {
        let data = secret(desk.context, desk.key, desk.secrets, name).await?;
        access = Access::tls(&data);
    }
    if let Some(name) = proxy {
        let data = secret(desk.context, desk.key, desk.secrets, name).await?;
        access.proxy = Some(Proxy::from_secret(
            &format!("{}/{name}", desk.key.namespace),
            &data,
        )?);
    }
    Ok(access)
}

/// Checks the signature, where the spec asks for one.
async fn verify(
    desk: &mut Desk<'_>,
    spec: &OCIRepositorySpec,
    registry: &Registry,
    found: &Found,
) -> Result<(), Trouble> {
    let reference = spec
        .verify
        .as_ref()
        .and_then(|verify| verify.secret_ref.as_ref());
    let Some(reference) = reference else {
        return Ok(());
    };
    let refuse = |problem: String| Trouble {
        condition: SOURCE_VERIFIED,
        ..trouble(
            "VerificationError",
            format!("failed to verify the signature using provider 'cosign': {problem}"),
            false,
        )
    };
    let data = secret(desk.context, desk.key, desk.secrets, &reference.name).await;
    let data = data.map_err(|error| refuse(error.to_string()))?;
    let keys = cosign::Keys::from_secret(&data)
        .map_err(|problem| refuse(format!("secret '{}': {problem}", reference.name)))?;
    let signed = cosign::verify(registry, &found.digest, &keys).await;
    signed.map_err(refuse)
}

async fn pull(
    spec: &OCIRepositorySpec,
    registry: &Registry,
    found: &Found,
) -> Result<Pulled, OciError> {
    let manifest = oci::manifest(registry, &found.digest).await?;
    let selector = spec.layer_selector.clone().unwrap_or_default();
    let media_type = selector
        .media_type
        .as_deref()
        .filter(|text| !text.is_empty());
    let bytes = oci::layer(registry, &manifest, media_type).await?;
    let copies = selector.operation.as_deref() == Some(COPY);
    let (bytes, files) = unpacked(bytes, copies, spec.ignore.clone()).await?;
    Ok(Pulled {
        file: found.digest.clone(),
        files,
        archive: copies.then_some(bytes),
        metadata: manifest.annotations,
    })
}

/// The files of a layer. One that is kept as it is need not be an archive of any.
async fn unpacked(
    bytes: Vec<u8>,
    copies: bool,
    ignore: Option<String>,
) -> Result<(Vec<u8>, Option<Arc<Unpacked>>), OciError> {
    let work = tokio::task::spawn_blocking(move || {
        let files = Unpacked::read(bytes.as_slice(), Budget::default());
        let files = match copies {
            true => Ok(files.ok()),
            false => files
                .and_then(|files| files.filtered(ignore.as_deref()))
                .map(Some),
        };
        (bytes, files)
    });
    let failed = |problem: String| {
        OciError::Layer(format!(
            "failed to extract layer contents from artifact: {problem}"
        ))
    };
    let (bytes, files) = work.await.map_err(|error| failed(error.to_string()))?;
    let files = files.map_err(|error| failed(error.to_string()))?;
    Ok((bytes, files.map(Arc::new)))
}
