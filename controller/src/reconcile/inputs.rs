//! What a build takes from the cluster: variables and keys. They are read with Weir's own account in the
//! Kustomization's namespace, and watched (metadata only, one watch a kind and namespace in use).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ObjectMeta};
use overlay::vars::Variables;
use sops::{Answers, Asked, Opener};
use zeroize::Zeroizing;

use super::context::Context;
use super::input_watches::InputWatches;
use super::keys::{self, Decrypting, Keys};
use super::schedule::{Key, Topic};
use crate::api::kustomization::{KustomizationSpec, PostBuild, SubstituteReference, reason};
use crate::report::failure::{Again, Failure};

/// `kind` of a reference to a Secret.
pub const SECRET: &str = "Secret";

/// `kind` of a reference to a ConfigMap.
pub const CONFIG_MAP: &str = "ConfigMap";

/// The strategy that substitutes without any variable too.
pub const ALWAYS: &str = "Always";

/// Who sets the variables of a spec itself.
pub const INLINE: &str = "inline";

/// What a build takes from the cluster.
#[derive(Default)]
pub struct Inputs {
    /// Variables to substitute; none when nothing is to be substituted.
    pub variables: Option<Variables>,
    /// Whether a variable without a value is empty in place of an error.
    pub lenient: bool,
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
pub type Data = BTreeMap<String, Zeroizing<Vec<u8>>>;

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
    if let Some(reference) = &spec.kube_config {
        if let Some(secret) = &reference.secret_ref {
            add(SECRET, &secret.name);
        }
        if let Some(map) = &reference.config_map_ref {
            add(CONFIG_MAP, &map.name);
        }
    }
    let decryption = spec.decryption.as_ref();
    topics.extend(
        decryption
            .into_iter()
            .flat_map(|it| keys::topics(it, namespace, decrypting)),
    );
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
    let reader = Reader {
        client: &context.client,
        watches: Some(&context.input_watches),
    };
    let inputs = gather(reader, &key.namespace, spec, &context.decrypting).await?;
    let lenient = !context.settings.strict_substitution;
    Ok(Inputs { lenient, ..inputs })
}

/// Reads inputs: where they are watched, what was read a moment ago need not be read again.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Speaks as whoever may read them.
    pub client: &'a kube::Client,
    /// The watches that show whether what was read still holds; none outside the controller.
    pub watches: Option<&'a InputWatches>,
}

impl Reader<'_> {
    /// The values of a ConfigMap or Secret; `None` when it is missing.
    pub async fn data(
        self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> kube::Result<Option<Arc<Data>>> {
        match self.watches {
            Some(watches) => watches.data(self.client, kind, namespace, name).await,
            None => {
                let read = fetch(self.client, kind, namespace, name).await?;
                Ok(read.map(|(_, data)| Arc::new(data)))
            }
        }
    }
}

/// Reads all that the spec names, once.
pub async fn gather(
    reader: Reader<'_>,
    namespace: &str,
    spec: &KustomizationSpec,
    decrypting: &Decrypting,
) -> Result<Inputs, Failure> {
    let variables = match &spec.post_build {
        Some(post_build) => variables(reader, namespace, post_build).await?,
        None => None,
    };
    let keys = match &spec.decryption {
        Some(decryption) => Some(keys::read(reader, namespace, decryption, decrypting).await?),
        None => None,
    };
    Ok(Inputs {
        variables,
        keys,
        lenient: false,
        answers: Answers::default(),
        decrypting: decrypting.clone(),
    })
}

async fn variables(
    reader: Reader<'_>,
    namespace: &str,
    post_build: &PostBuild,
) -> Result<Option<Variables>, Failure> {
    let mut variables = Variables::default();
    for reference in &post_build.substitute_from {
        let source = format!("{}/{}", reference.kind, reference.name);
        let Some(data) = referenced(reader, namespace, reference, &source).await? else {
            continue;
        };
        for (name, value) in data.iter() {
            let text = String::from_utf8_lossy(value);
            variables.set(name, &text, reference.kind == SECRET, &source);
        }
    }
    for (name, value) in post_build.substitute.iter().flatten() {
        variables.set(name, value, false, INLINE);
    }
    let always = post_build.substitute_strategy.as_deref() == Some(ALWAYS);
    Ok((always || !variables.is_empty()).then_some(variables))
}

/// The values of a reference; `None` when it is missing and may be.
async fn referenced(
    reader: Reader<'_>,
    namespace: &str,
    reference: &SubstituteReference,
    source: &str,
) -> Result<Option<Arc<Data>>, Failure> {
    let failed = |message: String, again| {
        let message = format!("substitute from '{source}' error: {message}");
        Err(Failure::new(reason::BUILD_FAILED, message).again(again))
    };
    match reader
        .data(&reference.kind, namespace, &reference.name)
        .await
    {
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
    let read = fetch(client, kind, namespace, name).await?;
    Ok(read.map(|(_, data)| data))
}

/// One state of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// Its unique id.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
}

impl From<ObjectMeta> for Version {
    fn from(metadata: ObjectMeta) -> Self {
        Self {
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
        }
    }
}

/// The state and the values of a ConfigMap or Secret.
pub async fn fetch(
    client: &kube::Client,
    kind: &str,
    namespace: &str,
    name: &str,
) -> kube::Result<Option<(Version, Data)>> {
    if kind == SECRET {
        let api = Api::<Secret>::namespaced(client.clone(), namespace);
        let secret = api.get_opt(name).await?;
        return Ok(secret.map(|secret| {
            let data = secret.data.unwrap_or_default().into_iter();
            let data = data.map(|(key, value)| (key, value.0.into())).collect();
            (secret.metadata.into(), data)
        }));
    }
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let map = api.get_opt(name).await?;
    Ok(map.map(|map| {
        let data = map.data.unwrap_or_default().into_iter();
        let data = data
            .map(|(key, value)| (key, value.into_bytes().into()))
            .collect();
        (map.metadata.into(), data)
    }))
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
