//! A Bucket: who may read it, and which of its objects become the files.

use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use super::context::Context;
use super::oci_repository::access;
use super::package::{Desk, Looked, Package, Pulled, refused, trouble};
use super::repository_access::secret;
use super::schedule::Key;
use crate::api::bucket::{Bucket, BucketSpec, BucketStatus};
use crate::api::meta::SourceStatus;
use crate::report::source::Trouble;
use crate::source::bucket::{self as s3, BucketError, Place, Taken};

impl Package for Bucket {
    const SHELF: &'static str = "bucket";
    /// What was downloaded last: objects that are the same are not downloaded again.
    type Memory = Option<Taken>;

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
        let named = [
            &spec.secret_ref,
            &spec.cert_secret_ref,
            &spec.proxy_secret_ref,
        ];
        let named = named.into_iter().flatten();
        named.map(|reference| reference.name.as_str()).collect()
    }

    fn source(status: &BucketStatus) -> &SourceStatus {
        &status.source
    }

    fn source_mut(status: &mut BucketStatus) -> &mut SourceStatus {
        &mut status.source
    }

    fn observe(&self, _: &mut BucketStatus) {}

    fn is_observed(&self, status: &BucketStatus) -> bool {
        status.source.observed_ignore == self.spec.ignore
    }

    fn find(context: &Context, key: &Key) -> Option<Arc<Self>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        context.buckets.get(&reference)
    }

    async fn look<'a>(
        &'a self,
        mut desk: Desk<'a>,
        memory: &'a mut Option<Taken>,
        known: Option<&'a str>,
    ) -> Result<Looked, Trouble> {
        unsupported(&self.spec)?;
        let bucket = bucket(&mut desk, &self.spec).await?;
        let set = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        let index = bucket
            .index(set(&self.spec.prefix), self.spec.ignore.as_deref())
            .await;
        let index = index.map_err(failed)?;
        let revision = s3::revision(&index);
        if known == Some(revision.as_str()) {
            return Ok(self.looked(revision, None, index.len()));
        }
        let taken = bucket.fetch(index, memory.as_ref()).await.map_err(failed)?;
        // An object may have changed while the others were read.
        let revision = s3::revision(&taken.index);
        let pulled = Pulled {
            file: revision.trim_start_matches("sha256:").to_owned(),
            files: Some(taken.files.clone()),
            archive: None,
            metadata: Default::default(),
        };
        let count = taken.index.len();
        *memory = Some(taken);
        Ok(self.looked(revision, Some(pulled), count))
    }
}

impl Bucket {
    fn looked(&self, revision: String, pulled: Option<Pulled>, count: usize) -> Looked {
        let name = &self.spec.bucket_name;
        Looked {
            message: format!("stored artifact: revision '{revision}'"),
            news: format!("stored artifact with {count} fetched files from '{name}' bucket"),
            verified: None,
            revision,
            pulled,
        }
    }
}

fn failed(error: BucketError) -> Trouble {
    match error {
        BucketError::Endpoint(_) => trouble("URLInvalid", &error, true),
        BucketError::Secret(_) => trouble("AuthenticationFailed", &error, false),
        _ => trouble("BucketOperationFailed", &error, false),
    }
}

/// Fields that this version does not carry out are refused by name.
fn unsupported(spec: &BucketSpec) -> Result<(), Trouble> {
    let field = match spec.provider.as_str() {
        "" | "generic" if spec.sts.is_some() => "sts".to_owned(),
        "" | "generic" => return Ok(()),
        provider => format!("provider: {provider}"),
    };
    let message = format!("spec.{field} is not supported");
    Err(trouble("FeatureGateDisabled", message, true))
}

async fn bucket(desk: &mut Desk<'_>, spec: &BucketSpec) -> Result<s3::Bucket, Trouble> {
    let credentials = match &spec.secret_ref {
        None => None,
        Some(reference) => {
            let data = secret(desk.context, desk.key, desk.secrets, &reference.name).await;
            let data = data.map_err(refused)?;
            Some(s3::key(&reference.name, &data).map_err(failed)?)
        }
    };
    let tls = spec
        .cert_secret_ref
        .as_ref()
        .map(|reference| reference.name.as_str());
    let proxy = spec
        .proxy_secret_ref
        .as_ref()
        .map(|reference| reference.name.as_str());
    let access = access(desk, tls, proxy).await.map_err(refused)?;
    let place = Place {
        endpoint: &spec.endpoint,
        insecure: spec.insecure,
        name: &spec.bucket_name,
        region: spec.region.as_deref().filter(|region| !region.is_empty()),
    };
    let opened = s3::Bucket::new(&desk.context.repositories, &place, &access, credentials);
    opened.map_err(refused)?.map_err(failed)
}
