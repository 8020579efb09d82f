//! The one call: where a reference points now, fetched if that is new, ready to be read.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use overlay::ObjectHash;
use russh::keys::PrivateKey;
use sha2::{Digest, Sha256};

use super::access::{self, Access, Credentials, SshIdentity};
use super::advertisement::Advertisements;
use super::cache::{Cache, clear, folder};
use super::client;
use super::client::EnvironmentProxies;
use super::error::SourceError;
use super::git_tree::{GitTree, hash};
use super::github_app::Issued;
use super::listing::Listing;
use super::lookup::look_up;
use super::reference::Reference;
use super::remote::{Remote, RemoteUrl, SshAddress};
use super::server::{Http, Server, Way};
use super::snapshot::Commit;
use super::ssh::{SshServer, private_key};

/// Clients with a TLS or a proxy of their own that are kept; each holds a pool of connections.
const CLIENTS: usize = 256;

/// Opened private keys that are kept.
const KEYS: usize = 256;

/// What outlives one look at a repository: caches on disk, connections, what servers said of themselves.
pub struct Repositories {
    storage: PathBuf,
    /// One for each owner.
    caches: Mutex<HashMap<String, Known>>,
    /// How many bytes each took when it was last used: whoever asks does not wait for a fetch.
    sizes: Mutex<HashMap<String, u64>>,
    clients: Mutex<HashMap<[u8; 32], reqwest::Client>>,
    /// Private keys that were encrypted, opened.
    keys: Mutex<HashMap<[u8; 32], Arc<PrivateKey>>>,
    advertisements: Arc<Advertisements>,
    tokens: Mutex<HashMap<[u8; 32], Issued>>,
    environment: Option<EnvironmentProxies>,
}

/// An owner's cache, opened when it is first used.
struct Known {
    url: String,
    cache: Arc<Mutex<Option<Cache>>>,
}

fn close(known: &Known) {
    if let Some(cache) = lock(&known.cache).take() {
        cache.close();
    }
}

/// A revision that was found, and its files.
#[derive(Clone)]
pub struct Fetched {
    /// The revision as conditions show it.
    pub revision: String,
    /// Its commit.
    pub commit: Commit,
    /// The annotated tag that led to it.
    pub tag: Option<ObjectHash>,
    /// The name of the tag that was asked for or chosen, light or annotated.
    pub tag_name: Option<String>,
    /// All files of the commit.
    pub tree: GitTree,
    /// Whether the commit was in the cache before.
    pub known: bool,
}

impl Repositories {
    /// Caches live below the storage folder.
    pub fn new(storage: PathBuf) -> Self {
        Self {
            storage,
            caches: Mutex::default(),
            sizes: Mutex::default(),
            clients: Mutex::default(),
            keys: Mutex::default(),
            advertisements: Arc::default(),
            tokens: Mutex::default(),
            environment: None,
        }
    }

    /// The same, with proxies for all repositories that name none.
    #[must_use]
    pub fn through(mut self, environment: EnvironmentProxies) -> Self {
        self.environment = Some(environment);
        self
    }

    /// The tokens of GitHub Apps.
    pub(super) fn tokens(&self) -> MutexGuard<'_, HashMap<[u8; 32], Issued>> {
        lock(&self.tokens)
    }

    /// How many repositories are kept on the disk, and how many bytes they take there.
    pub fn size(&self) -> (usize, u64) {
        let sizes = lock(&self.sizes);
        (sizes.len(), sizes.values().sum())
    }

    fn measure(&self, owner: &str, cache: &Cache) {
        lock(&self.sizes).insert(owner.to_owned(), cache.size());
    }

    /// Lets go of what an owner that is gone had; what is still being read goes with its last reader.
    pub fn forget(&self, owner: &str) {
        lock(&self.sizes).remove(owner);
        let known = lock(&self.caches).remove(owner);
        match known {
            Some(known) => close(&known),
            None => clear(&self.storage, owner, None),
        }
    }

    /// The owner's cache of the address; that of another address goes, with its last reader.
    pub(super) fn cache(&self, owner: &str, url: &str) -> Arc<Mutex<Option<Cache>>> {
        let mut caches = lock(&self.caches);
        if let Some(known) = caches.get(owner).filter(|known| known.url == url) {
            return known.cache.clone();
        }
        let cache = Arc::default();
        let fresh = Known {
            url: url.to_owned(),
            cache: Arc::clone(&cache),
        };
        let before = caches.insert(owner.to_owned(), fresh);
        drop(caches);
        match before {
            Some(before) => close(&before),
            None => clear(&self.storage, owner, Some(url)),
        }
        cache
    }

    pub(super) fn way(&self, remote: &Remote) -> Result<Way, SourceError> {
        match (&remote.url, &remote.access.credentials) {
            (RemoteUrl::Ssh(url), Credentials::Ssh(identity)) => {
                let (address, proxy) = (SshAddress::of(url)?, remote.access.proxy.as_ref());
                let (hosts, key) = (&identity.known_hosts, self.key(identity)?);
                Ok(Way::Ssh(SshServer::new(address, hosts, key, proxy)?))
            }
            (RemoteUrl::Ssh(_), _) => Err(access::missing("identity")),
            (RemoteUrl::Http(_), credentials) => Ok(Way::Http(Http {
                client: self.client(&remote.access)?,
                authorization: client::authorization(credentials)?,
                advertisements: self.advertisements.clone(),
                listing: Listing::default(),
            })),
        }
    }

    /// The key of an identity. To open one that is encrypted is work by design, and is done once.
    fn key(&self, identity: &SshIdentity) -> Result<Arc<PrivateKey>, SourceError> {
        let Some(passphrase) = &identity.passphrase else {
            return private_key(identity).map(Arc::new);
        };
        let parts = [identity.private_key.as_bytes(), passphrase.as_bytes()];
        let name = digest(parts.into_iter());
        if let Some(key) = lock(&self.keys).get(&name) {
            return Ok(key.clone());
        }
        let key = Arc::new(private_key(identity)?);
        let mut keys = lock(&self.keys);
        if keys.len() >= KEYS {
            keys.clear();
        }
        Ok(keys.entry(name).or_insert(key).clone())
    }

    pub(super) fn client(&self, access: &Access) -> Result<reqwest::Client, SourceError> {
        let key = client_key(access);
        if let Some(client) = lock(&self.clients).get(&key) {
            return Ok(client.clone());
        }
        let client = client::client(access, self.environment.as_ref())?;
        let mut clients = lock(&self.clients);
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        Ok(clients.entry(key).or_insert(client).clone())
    }
}

fn client_key(access: &Access) -> [u8; 32] {
    let (certificate, key) = access.client_certificate.clone().unwrap_or_default();
    let proxy = access.proxy.clone();
    let (address, account) = proxy
        .map(|proxy| (proxy.address, proxy.account))
        .unwrap_or_default();
    let (user, password) = account.unwrap_or_default();
    let parts = [
        access.authorities.clone().unwrap_or_default(),
        certificate,
        key,
        address.into_bytes(),
        user.into_bytes(),
        password.into_bytes(),
    ];
    digest(parts.iter().map(Vec::as_slice))
}

/// What tells texts apart, wherever one ends and the next begins.
fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a blocking fetch to end when nobody waits for it any more.
struct Interrupt(Arc<AtomicBool>);

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where the reference points now. One request when the commit is known; the owner (an object's namespace and name)
/// keeps caches apart.
pub async fn refresh(
    repositories: &Arc<Repositories>,
    owner: &str,
    remote: &Remote,
    reference: &Reference,
) -> Result<Fetched, SourceError> {
    let flag = Arc::new(AtomicBool::new(false));
    let guard = Interrupt(flag.clone());
    let repositories = repositories.clone();
    let (owner, remote, reference) = (owner.to_owned(), remote.clone(), reference.clone());
    let work = tokio::task::spawn_blocking(move || {
        blocking(&repositories, &owner, &remote, &reference, &flag)
    });
    let fetched = work
        .await
        .map_err(|error| SourceError::cache("fetching", error))?;
    drop(guard);
    fetched
}

/// The commit, if the cache of its repository holds it: for when the server cannot be asked.
pub async fn recall(
    repositories: &Arc<Repositories>,
    owner: &str,
    url: &RemoteUrl,
    revision: &str,
) -> Option<Fetched> {
    let (owner, url, revision) = (owner.to_owned(), url.to_string(), revision.to_owned());
    let repositories = repositories.clone();
    let work = tokio::task::spawn_blocking(move || {
        let folder = folder(&repositories.storage, &owner, &url);
        let cache = repositories.cache(&owner, &url);
        let mut cache = lock(&cache);
        let cache = cache.get_or_insert_with(|| Cache::open(folder));
        repositories.measure(&owner, cache);
        let (generation, held) = cache.held()?;
        let commit = generation.objects.commit(held.commit).ok()?;
        let is_it = revision.ends_with(&format!(":{}", held.commit));
        is_it.then(|| Fetched {
            tag_name: held.tag.and_then(|_| name_before_id(&revision)),
            tag: held.tag.as_deref().map(hash),
            revision,
            tree: GitTree::cached(generation, commit.tree),
            commit,
            known: true,
        })
    });
    work.await.ok().flatten()
}

/// What a revision calls its tag: `v1.0@sha1:…`, or `refs/tags/v1.0@sha1:…` when it was asked for by its full name.
fn name_before_id(revision: &str) -> Option<String> {
    let (name, _) = revision.rsplit_once('@')?;
    Some(name.trim_start_matches("refs/tags/").to_owned())
}

fn blocking(
    repositories: &Repositories,
    owner: &str,
    remote: &Remote,
    reference: &Reference,
    interrupt: &AtomicBool,
) -> Result<Fetched, SourceError> {
    let (RemoteUrl::Http(url) | RemoteUrl::Ssh(url)) = &remote.url;
    let server = Server {
        url,
        way: repositories.way(remote)?,
        runtime: tokio::runtime::Handle::current(),
        timeout: remote.timeout,
    };
    let begun = Instant::now();
    let mut head = look_up(&server, reference)?;
    let looked_up = begun.elapsed();
    let folder = folder(&repositories.storage, owner, url);
    let cache = repositories.cache(owner, url);
    let mut cache = lock(&cache);
    let cache = cache.get_or_insert_with(|| Cache::open(folder));
    let known = cache
        .held()
        .is_some_and(|(_, held)| held.commit == head.commit);
    let (generation, held) = cache.bring(&server, &head, interrupt)?;
    repositories.measure(owner, cache);
    tracing::debug!(owner, revision = head.revision, known, ?looked_up, took = ?begun.elapsed(), "looked at the repository");
    head.moved_to(held);
    let commit = generation.objects.commit(held.commit)?;
    Ok(Fetched {
        tag: head.tag.as_deref().map(hash),
        tag_name: head.tag_name().map(str::to_owned),
        revision: head.revision,
        tree: GitTree::cached(generation, commit.tree),
        commit,
        known,
    })
}
