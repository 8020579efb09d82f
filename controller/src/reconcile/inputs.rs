//! What a build takes from the cluster: variables and keys. They are read with Weir's own account in the
//! Kustomization's namespace, and watched (metadata only, one watch a kind and namespace in use).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Resource, ResourceExt};
use overlay::vars::Variables;
use serde::de::DeserializeOwned;
use sops::{Answers, Asked, Opener};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::context::Context;
use super::keys::{self, Decrypting, Keys};
use super::schedule::{Key, Schedule, Topic, Wake};
use crate::api::kustomization::{KustomizationSpec, PostBuild, SubstituteReference, reason};
use crate::report::failure::{Again, Failure};

/// `kind` of a reference to a Secret.
pub const SECRET: &str = "Secret";

/// `kind` of a reference to a ConfigMap.
pub const CONFIG_MAP: &str = "ConfigMap";

/// The strategy that substitutes without any variable too.
const ALWAYS: &str = "Always";

/// How long a run waits for the first sight of a watch; without it a change in between could go unseen.
const FIRST_SIGHT: Duration = Duration::from_secs(10);

/// What a build takes from the cluster.
#[derive(Default)]
pub struct Inputs {
    /// Variables to substitute; none when nothing is to be substituted.
    pub variables: Option<Variables>,
    /// Keys for encrypted files; none when the spec says nothing of decryption.
    pub keys: Option<Keys>,
    /// What key services answered.
    pub answers: Answers,
    /// What holds for all.
    pub decrypting: Decrypting,
}

impl Inputs {
    /// Opens encrypted files, and notes what key services must be asked for.
    pub fn opener<'a>(&'a self, asked: &'a Asked) -> Option<Opener<'a>> {
        let keys = self.keys.as_ref()?;
        let mut opener = Opener::new(&keys.keyring, &self.answers, self.decrypting.mac);
        if let Some(cache) = &self.decrypting.cache {
            opener = opener.with_cache(cache);
        }
        if self.decrypting.services.is_some() {
            opener = opener.asking(asked);
        }
        Some(opener)
    }
}

/// The values of a ConfigMap or Secret.
type Data = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// The ConfigMaps and Secrets that a spec names, as topics.
pub fn topics(
    spec: &KustomizationSpec,
    namespace: &str,
    decrypting: &Decrypting,
) -> BTreeSet<Topic> {
    let mut topics = BTreeSet::new();
    let mut add = |kind: &'static str, name: &str| {
        topics.insert(Topic::Input(kind, namespace.to_owned(), name.to_owned()));
    };
    for reference in spec
        .post_build
        .iter()
        .flat_map(|post_build| &post_build.substitute_from)
    {
        add(
            if reference.kind == SECRET {
                SECRET
            } else {
                CONFIG_MAP
            },
            &reference.name,
        );
    }
    let decryption = spec.decryption.as_ref();
    topics.extend(decryption.and_then(|it| keys::topic(it, namespace, decrypting)));
    topics
}

/// Reads all that the spec names, and watches it.
pub async fn read(
    context: &Context,
    key: &Key,
    spec: &KustomizationSpec,
) -> Result<Inputs, Failure> {
    for topic in topics(spec, &key.namespace, &context.decrypting) {
        if let Topic::Input(kind, namespace, _) = topic {
            context
                .input_watches
                .ensure(context, kind, &namespace)
                .await;
        }
    }
    gather(&context.client, &key.namespace, spec, &context.decrypting).await
}

/// Reads all that the spec names, once.
pub async fn gather(
    client: &kube::Client,
    namespace: &str,
    spec: &KustomizationSpec,
    decrypting: &Decrypting,
) -> Result<Inputs, Failure> {
    let variables = match &spec.post_build {
        Some(post_build) => variables(client, namespace, post_build).await?,
        None => None,
    };
    let keys = match &spec.decryption {
        Some(decryption) => Some(keys::read(client, namespace, decryption, decrypting).await?),
        None => None,
    };
    Ok(Inputs {
        variables,
        keys,
        answers: Answers::default(),
        decrypting: decrypting.clone(),
    })
}

async fn variables(
    client: &kube::Client,
    namespace: &str,
    post_build: &PostBuild,
) -> Result<Option<Variables>, Failure> {
    let mut variables = Variables::default();
    for reference in &post_build.substitute_from {
        let source = format!("{}/{}", reference.kind, reference.name);
        let Some(data) = referenced(client, namespace, reference, &source).await? else {
            continue;
        };
        for (name, value) in &data {
            let text = String::from_utf8_lossy(value);
            variables.set(name, &text, reference.kind == SECRET, &source);
        }
    }
    for (name, value) in post_build.substitute.iter().flatten() {
        variables.set(name, value, false, "inline");
    }
    let always = post_build.substitute_strategy.as_deref() == Some(ALWAYS);
    Ok((always || !variables.is_empty()).then_some(variables))
}

/// The values of a reference; `None` when it is missing and may be.
async fn referenced(
    client: &kube::Client,
    namespace: &str,
    reference: &SubstituteReference,
    source: &str,
) -> Result<Option<Data>, Failure> {
    let failed = |message: String, again| {
        let message = format!("substitute from '{source}' error: {message}");
        Err(Failure::new(reason::BUILD_FAILED, message).again(again))
    };
    match data(client, &reference.kind, namespace, &reference.name).await {
        Ok(Some(data)) => Ok(Some(data)),
        Ok(None) if reference.optional => Ok(None),
        Ok(None) => failed("not found".to_owned(), Again::RetryInterval),
        Err(error) => failed(error.to_string(), Again::Backoff),
    }
}

/// The values of a ConfigMap or Secret; `None` when it is missing.
pub async fn data(
    client: &kube::Client,
    kind: &str,
    namespace: &str,
    name: &str,
) -> kube::Result<Option<Data>> {
    if kind == SECRET {
        let secret = Api::<Secret>::namespaced(client.clone(), namespace)
            .get_opt(name)
            .await?;
        let data = secret.map(|secret| secret.data.unwrap_or_default());
        return Ok(data.map(|data| {
            data.into_iter()
                .map(|(key, value)| (key, value.0.into()))
                .collect()
        }));
    }
    let map = Api::<ConfigMap>::namespaced(client.clone(), namespace)
        .get_opt(name)
        .await?;
    let data = map.map(|map| map.data.unwrap_or_default());
    Ok(data.map(|data| {
        data.into_iter()
            .map(|(key, value)| (key, value.into_bytes().into()))
            .collect()
    }))
}

/// The watches of ConfigMaps and Secrets, by kind and namespace; each says when it has seen all.
#[derive(Default)]
pub struct InputWatches(Mutex<HashMap<(&'static str, String), watch::Receiver<bool>>>);

impl InputWatches {
    /// Makes sure that the kind is watched in the namespace, and waits until all was seen once.
    pub async fn ensure(&self, context: &Context, kind: &'static str, namespace: &str) {
        let mut complete = self.start(context, kind, namespace);
        let seen = tokio::time::timeout(FIRST_SIGHT, complete.wait_for(|complete| *complete)).await;
        if seen.is_err() {
            tracing::warn!(
                kind,
                namespace,
                "the watch of inputs is not in place: changes are seen at the interval"
            );
        }
    }

    fn start(
        &self,
        context: &Context,
        kind: &'static str,
        namespace: &str,
    ) -> watch::Receiver<bool> {
        let mut started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, namespace.to_owned());
        if let Some(complete) = started.get(&key) {
            return complete.clone();
        }
        let (sender, complete) = watch::channel(false);
        let (schedule, client) = (context.schedule.clone(), context.client.clone());
        let watched = Watched {
            kind,
            namespace: namespace.to_owned(),
            schedule,
            complete: sender,
            known: HashMap::new(),
            seen: false,
        };
        if kind == SECRET {
            tokio::spawn(watched.follow::<Secret>(client));
        } else {
            tokio::spawn(watched.follow::<ConfigMap>(client));
        }
        started.insert(key, complete.clone());
        complete
    }

    /// Whether changes of all the inputs of a spec are seen by a watch.
    pub fn cover(&self, topics: &BTreeSet<Topic>) -> bool {
        let started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let covered = |topic: &Topic| match topic {
            Topic::Input(kind, namespace, _) => started
                .get(&(*kind, namespace.clone()))
                .is_some_and(|complete| *complete.borrow()),
            Topic::Source(_) | Topic::Ready(_) => true,
        };
        topics.iter().all(covered)
    }
}

/// One watch, and the resource versions that it has seen, by name.
struct Watched {
    kind: &'static str,
    namespace: String,
    schedule: Arc<Schedule>,
    complete: watch::Sender<bool>,
    known: HashMap<String, String>,
    /// Whether all have been seen once: until then nobody has read anything.
    seen: bool,
}

impl Watched {
    async fn follow<K>(mut self, client: kube::Client)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + 'static,
    {
        let api: Api<PartialObjectMeta<K>> = Api::namespaced(client, &self.namespace);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        pin_mut!(events);
        let mut listed = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed = HashMap::new(),
                Ok(watcher::Event::InitApply(object)) => {
                    listed.extend(version(&object.metadata));
                }
                Ok(watcher::Event::InitDone) => self.replace(std::mem::take(&mut listed)),
                Ok(watcher::Event::Apply(object)) => {
                    if let Some((name, version)) = version(&object.metadata) {
                        self.known.insert(name.clone(), version);
                        self.tell(&name);
                    }
                }
                Ok(watcher::Event::Delete(object)) => {
                    self.known.remove(&object.name_any());
                    self.tell(&object.name_any());
                }
                Err(error) => {
                    self.complete.send_replace(false);
                    tracing::debug!(%error, kind = self.kind, namespace = self.namespace, "watch of inputs");
                }
            }
        }
    }

    /// Tells of all that differs from what was known before, unless this is the first sight.
    fn replace(&mut self, listed: HashMap<String, String>) {
        let before = std::mem::replace(&mut self.known, listed);
        if self.seen {
            let names: BTreeSet<&String> = before.keys().chain(self.known.keys()).collect();
            for name in names {
                if before.get(name) != self.known.get(name) {
                    self.tell(name);
                }
            }
        }
        self.seen = true;
        self.complete.send_replace(true);
    }

    fn tell(&self, name: &str) {
        let topic = Topic::Input(self.kind, self.namespace.clone(), name.to_owned());
        self.schedule.publish(&topic, &Wake::input());
    }
}

fn version(metadata: &ObjectMeta) -> Option<(String, String)> {
    Some((metadata.name.clone()?, metadata.resource_version.clone()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kustomization::Decryption;
    use crate::api::meta::LocalReference;

    #[test]
    fn topics_name_all_references() {
        let reference = |kind: &str| SubstituteReference {
            kind: kind.to_owned(),
            name: "settings".to_owned(),
            optional: true,
        };
        let spec = KustomizationSpec {
            post_build: Some(PostBuild {
                substitute_from: vec![reference(CONFIG_MAP), reference(SECRET)],
                ..PostBuild::default()
            }),
            decryption: Some(Decryption {
                secret_ref: Some(LocalReference {
                    name: "sops-age".to_owned(),
                }),
                ..Decryption::default()
            }),
            ..KustomizationSpec::default()
        };
        let input = |kind, name: &str| Topic::Input(kind, "ns".to_owned(), name.to_owned());
        let expected = [
            input(CONFIG_MAP, "settings"),
            input(SECRET, "settings"),
            input(SECRET, "sops-age"),
        ];
        assert_eq!(topics(&spec, "ns", &Decrypting::default()), expected.into());
    }
}
