//! The keys of encrypted files: those that a Kustomization names, else those of the whole cluster. There are no others:
//! the controller's environment, home and PATH are not looked at, but for identities that a flag lends out.

use std::sync::Arc;

use sops::{Cache, Error, Keyring, MacPolicy};
use zeroize::Zeroizing;

use super::inputs::{CONFIG_MAP, Reader, SECRET};
use super::key_identity::{Lookup, Rules};
use super::schedule::Topic;
use crate::api::kustomization::{Decryption, reason};
use crate::report::failure::{Again, Failure};
use crate::unwrap::Services;
use crate::unwrap::credentials::Credentials;

/// What holds for the decryption of all Kustomizations.
#[derive(Clone, Default)]
pub struct Decrypting {
    /// Namespace and name of the Secret with age keys for Kustomizations that name none.
    pub age_secret: Option<(String, String)>,
    /// What a wrong MAC leads to.
    pub mac: MacPolicy,
    /// Files that were opened before.
    pub cache: Option<Arc<Cache>>,
    /// The way to key services; without it none is asked.
    pub services: Option<Arc<Services>>,
    /// Who may be somebody to them without a Secret.
    pub rules: Rules,
}

/// What a Kustomization opens files with.
#[derive(Default)]
pub struct Keys {
    /// Keys at hand.
    pub keyring: Keyring,
    /// Who it is to key services, by its Secret.
    pub credentials: Credentials,
    /// Who it is to them besides.
    pub lookup: Option<Lookup>,
}

/// Reads one kind of key.
type Add = fn(&mut Keyring, &str) -> Result<(), Error>;

/// The end of an entry's name, and how the entry is read.
type Ending = (&'static str, Add);

/// The ends of the names of a Secret's entries that hold keys, as in Flux, and how each is read.
const KINDS: [Ending; 2] = [(".agekey", Keyring::add_age), (".asc", Keyring::add_pgp)];

/// The Secret with the keys for a Kustomization of a namespace, and the kinds of keys that it may hold.
fn named(
    decryption: &Decryption,
    namespace: &str,
    decrypting: &Decrypting,
) -> Option<(String, String, &'static [Ending])> {
    if let Some(reference) = &decryption.secret_ref {
        return Some((namespace.to_owned(), reference.name.clone(), &KINDS));
    }
    let (namespace, name) = decrypting.age_secret.clone()?;
    Some((namespace, name, &KINDS[..1]))
}

/// The Secret with the keys, and the ConfigMap with servers of Vault, as topics.
pub fn topics(
    decryption: &Decryption,
    namespace: &str,
    decrypting: &Decrypting,
) -> impl Iterator<Item = Topic> {
    let secret = named(decryption, namespace, decrypting);
    let secret = secret.map(|(namespace, name, _)| Topic::Input(SECRET, namespace, name));
    let map = decrypting.rules.vault_config_map.clone();
    let map = map.map(|(namespace, name)| Topic::Input(CONFIG_MAP, namespace, name));
    secret.into_iter().chain(map)
}

/// The keys for a Kustomization of a namespace.
pub async fn read(
    reader: Reader<'_>,
    namespace: &str,
    decryption: &Decryption,
    decrypting: &Decrypting,
) -> Result<Keys, Failure> {
    let lookup = Lookup::new(reader.client, namespace, decryption, &decrypting.rules)?;
    let mut keys = Keys {
        lookup: Some(lookup),
        ..Keys::default()
    };
    let Some((namespace, name, kinds)) = named(decryption, namespace, decrypting) else {
        return Ok(keys);
    };
    let failed = |message: String, again| {
        let message = format!("decryption secret '{namespace}/{name}': {message}");
        Failure::new(reason::BUILD_FAILED, message).again(again)
    };
    let data = reader
        .data(SECRET, &namespace, &name)
        .await
        .map_err(|error| failed(error.to_string(), Again::Backoff))?
        .ok_or_else(|| failed("not found".to_owned(), Again::RetryInterval))?;
    for (entry, value) in data.iter() {
        let Some((_, add)) = kinds.iter().find(|(end, _)| entry.ends_with(end)) else {
            continue;
        };
        let refused =
            |problem: String| failed(format!("key {entry}: {problem}"), Again::RetryInterval);
        let text = std::str::from_utf8(value).map_err(|_| refused("not a text".to_owned()))?;
        add(&mut keys.keyring, &Zeroizing::new(text.to_owned()))
            .map_err(|error| refused(error.to_string()))?;
    }
    if decryption.secret_ref.is_some() {
        keys.credentials = Credentials::of_secret(&data)
            .map_err(|problem| failed(problem, Again::RetryInterval))?;
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::meta::LocalReference;

    fn named_by(reference: Option<&str>, cluster: bool) -> Vec<Topic> {
        let decryption = Decryption {
            secret_ref: reference.map(|name| LocalReference {
                name: name.to_owned(),
            }),
            ..Decryption::default()
        };
        let decrypting = Decrypting {
            age_secret: cluster.then(|| ("weir".to_owned(), "sops-age".to_owned())),
            ..Decrypting::default()
        };
        topics(&decryption, "apps", &decrypting).collect()
    }

    #[test]
    fn the_keys_of_the_cluster_serve_those_who_name_none() {
        let input =
            |namespace: &str, name: &str| Topic::Input(SECRET, namespace.into(), name.into());
        assert_eq!(named_by(Some("own"), true), [input("apps", "own")]);
        assert_eq!(named_by(Some("own"), false), [input("apps", "own")]);
        assert_eq!(named_by(None, true), [input("weir", "sops-age")]);
        assert_eq!(named_by(None, false), []);
    }
}
