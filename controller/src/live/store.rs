//! What a cluster lends to builds: ConfigMaps and Secrets with variables, and keys. Each is read once, and noted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use overlay::yaml::{Secret, Style, Tag};
use serde::{Deserialize, Serialize};

use crate::api::kustomization::{Decryption, KustomizationSpec, reason};
use crate::environments::Lent;
use crate::reconcile::inputs::{Data, Reader, SECRET, Version, fetch};
use crate::reconcile::keys::{self, Decrypting, Keys};
use crate::report::failure::Failure;

/// A ConfigMap or Secret that a build took variables from, in the state that it had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// `ConfigMap` or `Secret`.
    pub kind: String,
    /// Where it is.
    pub namespace: String,
    /// What it is called.
    pub name: String,
    /// Its unique id; none when it is not there.
    pub uid: Option<String>,
    /// Its resource version.
    pub resource_version: Option<String>,
}

/// What was read.
#[derive(Clone)]
enum Read {
    Found(Version, Arc<Data>),
    Absent,
    /// This account may not read it.
    Closed,
}

type Place = (String, String, String);

/// Reads each once.
pub struct Store<'a> {
    client: kube::Client,
    decrypting: Option<&'a Decrypting>,
    read: Mutex<BTreeMap<Place, Read>>,
}

impl<'a> Store<'a> {
    /// Nothing is read yet.
    pub fn new(client: kube::Client, decrypting: Option<&'a Decrypting>) -> Self {
        Self {
            client,
            decrypting,
            read: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the cluster has of the ConfigMaps and Secrets that a spec names; none when one of them may not be read.
    pub(super) async fn lent(
        &self,
        spec: &KustomizationSpec,
        namespace: &str,
    ) -> Result<Lent, Failure> {
        let mut lent = Lent::new();
        let references = spec.post_build.iter().flat_map(|it| &it.substitute_from);
        for reference in references {
            let (kind, name) = (&reference.kind, &reference.name);
            if let Read::Found(_, data) = self.one(kind, namespace, name).await? {
                lent.insert((kind.clone(), name.clone()), data);
            }
        }
        Ok(lent)
    }

    async fn one(&self, kind: &str, namespace: &str, name: &str) -> Result<Read, Failure> {
        let place = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(read) = self.lock().get(&place).cloned() {
            return Ok(read);
        }
        let read = match fetch(&self.client, kind, namespace, name).await {
            Ok(Some((version, data))) => Read::Found(version, Arc::new(data)),
            Ok(None) => Read::Absent,
            Err(kube::Error::Api(status)) if status.code == 403 => Read::Closed,
            Err(error) => {
                let message = format!("reading {kind} {namespace}/{name}: {error}");
                return Err(Failure::new(reason::BUILD_FAILED, message));
            }
        };
        self.lock().insert(place, read.clone());
        Ok(read)
    }

    /// The keys for a Kustomization of a namespace; none where this account may not read them.
    pub(super) async fn keys(
        &self,
        decryption: &Decryption,
        namespace: &str,
    ) -> Option<(Keys, Decrypting)> {
        let decrypting = self.decrypting?;
        let reader = Reader {
            client: &self.client,
            watches: None,
        };
        let keys = keys::read(reader, namespace, decryption, decrypting).await;
        Some((keys.ok()?, decrypting.clone()))
    }

    /// What is secret of all that was read.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let read = self.lock();
        let secrets = read.iter().filter(|((kind, ..), _)| kind == SECRET);
        let found = secrets.filter_map(|(_, read)| match read {
            Read::Found(_, data) => Some(data.values()),
            Read::Absent | Read::Closed => None,
        });
        let texts = found
            .flatten()
            .filter_map(|value| std::str::from_utf8(value).ok());
        texts
            .map(|text| Secret::new(text.to_owned(), Tag::Str, Style::Plain))
            .collect()
    }

    /// All that was read, in order.
    pub(super) fn sources(&self) -> Vec<Source> {
        let read = self.lock();
        let source = |((kind, namespace, name), read): (&Place, &Read)| {
            let version = match read {
                Read::Found(version, _) => Some(version.clone()),
                Read::Absent | Read::Closed => None,
            };
            Source {
                kind: kind.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
                uid: version.as_ref().map(|version| version.uid.clone()),
                resource_version: version.map(|version| version.resource_version),
            }
        };
        read.iter().map(source).collect()
    }
}
