//! Submodules: repositories of their own, whose commits a tree names by path, fetched into the same cache and put in their
//! places.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gix::objs::Kind;
use gix::objs::tree::EntryKind;
use overlay::EntryKind as NodeKind;

use super::access::Access;
use super::cache::Generation;
use super::error::SourceError;
use super::fetch::fetch;
use super::git_tree::{GitTree, hash};
use super::graft::graft;
use super::refresh::{Fetched, Repositories};
use super::remote::{Remote, RemoteUrl};
use super::server::Server;

/// The file that says where submodules come from.
const FILE: &str = ".gitmodules";

/// The ref under which a submodule's commit is fetched.
const FETCHED: &str = "refs/weir/submodule";

/// How deep submodules may lie in each other; deeper ones stay away, as with Flux.
const DEPTH: usize = 10;

/// As many submodules as one revision may have.
const COUNT: usize = 200;

/// The same revision, with its submodules in their places. Those in the cache cost nothing.
pub async fn with_submodules(
    repositories: &Arc<Repositories>,
    owner: &str,
    remote: &Remote,
    fetched: Fetched,
) -> Result<Fetched, SourceError> {
    let (repositories, owner, remote) = (repositories.clone(), owner.to_owned(), remote.clone());
    let work = tokio::task::spawn_blocking(move || {
        let address = remote.url.to_string();
        // Held meanwhile, so that nobody retires what is fetched into.
        let cache = repositories.cache(&owner, &address);
        let _held = super::refresh::lock(&cache);
        let Some(generation) = fetched.tree.generation() else {
            return Ok(fetched);
        };
        let mut visit = Visit {
            repositories: &repositories,
            repository: generation.repository()?,
            generation,
            remote: &remote,
            left: COUNT,
        };
        let root = visit.resolved(fetched.tree.root(), &address, DEPTH)?;
        let tree = GitTree::cached(generation.clone(), hash(&root));
        Ok(Fetched { tree, ..fetched })
    });
    work.await
        .unwrap_or_else(|error| Err(SourceError::cache("fetching submodules", error)))
}

/// What is needed on the way through the submodules of one revision.
struct Visit<'a> {
    repositories: &'a Repositories,
    repository: gix::Repository,
    generation: &'a Arc<Generation>,
    remote: &'a Remote,
    left: usize,
}

/// A line of `.gitmodules`.
struct Module {
    path: String,
    url: String,
}

impl Visit<'_> {
    /// A tree with its submodules in their places; `address` is that of the repository that it belongs to.
    fn resolved(
        &mut self,
        root: gix::ObjectId,
        address: &str,
        depth: usize,
    ) -> Result<gix::ObjectId, SourceError> {
        let tree = GitTree::cached(self.generation.clone(), hash(&root));
        let mut root = root;
        for module in modules(&tree)? {
            let node = tree
                .node(&module.path)
                .map_err(|error| SourceError::Git(error.to_string()))?;
            let Some(node) = node.filter(|node| node.kind == NodeKind::Submodule) else {
                continue;
            };
            let failed = |problem: String| {
                SourceError::Git(format!("submodule '{}': {problem}", module.path))
            };
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| failed(format!("there are more than {COUNT}")))?;
            let address = absolute(address, &module.url);
            let (inner, address) = self
                .commit(node.id, &address)
                .map_err(|error| failed(error.to_string()))?;
            let inner = match depth {
                0 => inner,
                depth => self.resolved(inner, &address, depth - 1)?,
            };
            let entry = (EntryKind::Tree, inner);
            root = graft(&self.repository, root, &module.path, entry)
                .map_err(|error| failed(error.to_string()))?;
        }
        Ok(root)
    }

    /// The tree of a submodule's commit, fetched if need be, and the address that it came from.
    fn commit(
        &self,
        id: gix::ObjectId,
        address: &str,
    ) -> Result<(gix::ObjectId, String), SourceError> {
        let (url, _) = RemoteUrl::parse(address)?;
        if !self.repository.has_object(id) {
            let remote = Remote {
                access: self.access(&url),
                url: url.clone(),
                timeout: self.remote.timeout,
            };
            let (RemoteUrl::Http(plain) | RemoteUrl::Ssh(plain)) = &remote.url;
            let server = Server {
                url: plain,
                way: self.repositories.way(&remote)?,
                runtime: tokio::runtime::Handle::current(),
                timeout: remote.timeout,
            };
            let interrupt = AtomicBool::new(false);
            fetch(
                &self.repository,
                &server,
                (&id.to_string(), FETCHED),
                &interrupt,
            )
            .map_err(super::fetch::Trouble::into_error)?;
        }
        let commit = self.generation.objects.commit(id)?;
        Ok((gix::ObjectId::Sha1(commit.tree.0), url.to_string()))
    }

    /// The way in is for the host that it was given for, and for no other.
    fn access(&self, url: &RemoteUrl) -> Access {
        match same_host(url, &self.remote.url) {
            true => self.remote.access.clone(),
            false => Access {
                proxy: self.remote.access.proxy.clone(),
                ..Access::default()
            },
        }
    }
}

/// Scheme, host and port.
fn same_host(a: &RemoteUrl, b: &RemoteUrl) -> bool {
    let parts = |url: &RemoteUrl| {
        let url = reqwest::Url::parse(&url.to_string()).ok()?;
        let host = url.host_str()?.to_ascii_lowercase();
        Some((url.scheme().to_owned(), host, url.port_or_known_default()))
    };
    parts(a).is_some() && parts(a) == parts(b)
}

fn modules(tree: &GitTree) -> Result<Vec<Module>, SourceError> {
    let failed = |problem: String| SourceError::Git(format!("reading {FILE}: {problem}"));
    let node = tree.node(FILE).map_err(|error| failed(error.to_string()))?;
    let Some(node) = node.filter(|node| node.kind == NodeKind::File) else {
        return Ok(Vec::new());
    };
    let bytes = tree.objects().read(&node.id, Kind::Blob).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    // Nothing that the file includes is read.
    let file = gix::config::File::try_from(&*text).map_err(|error| failed(error.to_string()))?;
    let sections = file.sections_by_name("submodule").into_iter().flatten();
    Ok(sections
        .filter_map(|section| {
            let value = |name| section.value(name).map(|value| value.to_string());
            Some(Module {
                path: value("path")?.trim_matches('/').to_owned(),
                url: value("url")?,
            })
        })
        .collect())
}

/// The address that a submodule's URL stands for: relative to its parent's, in the short form of SSH, or as it is.
fn absolute(parent: &str, url: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return match short_ssh(url) {
            Some(full) => full,
            None => url.to_owned(),
        };
    }
    let (mut base, mut rest) = (parent.trim_end_matches('/'), url);
    loop {
        if let Some(after) = rest.strip_prefix("../") {
            base = base.rsplit_once('/').map_or("", |(above, _)| above);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else {
            return format!("{base}/{rest}");
        }
    }
}

/// `git@host:owner/repository` as an address.
fn short_ssh(url: &str) -> Option<String> {
    let (login, path) = url.split_once(':')?;
    let (user, host) = login.split_once('@')?;
    (is_name(user) && is_name(host) && !path.starts_with("//"))
        .then(|| format!("ssh://{user}@{host}/{}", path.trim_start_matches('/')))
}

/// A name as hosts and users have it: dashes inside only.
fn is_name(text: &str) -> bool {
    let within = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_to_the_parent() {
        let parent = "https://host/team/fleet.git";
        for (url, expected) in [
            ("../base.git", "https://host/team/base.git"),
            ("../../other/base", "https://host/other/base"),
            ("./inner.git", "https://host/team/fleet.git/inner.git"),
            ("https://else/where.git", "https://else/where.git"),
            (
                "git@git.example.org:team/base.git",
                "ssh://git@git.example.org/team/base.git",
            ),
            ("-oProxyCommand=x@host:a", "-oProxyCommand=x@host:a"),
            ("/etc", "/etc"),
        ] {
            assert_eq!(absolute(parent, url), expected, "{url}");
        }
        for url in [
            "../../../../../etc",
            "/etc",
            "-oProxyCommand=x@host:a",
            "file:///etc",
        ] {
            let address = absolute(parent, url);
            assert!(RemoteUrl::parse(&address).is_err(), "{url}: {address}");
        }
    }

    #[test]
    fn the_way_in_is_for_one_host() {
        let url = |text| RemoteUrl::parse(text).expect("valid").0;
        let parent = url("https://host/a");
        for (other, same) in [
            ("https://host/b", true),
            ("https://host:443/b", true),
            ("https://HOST/b", true),
            ("http://host/b", false),
            ("https://host:8443/b", false),
            ("https://host.example/b", false),
            ("ssh://host/b", false),
        ] {
            assert_eq!(same_host(&url(other), &parent), same, "{other}");
        }
    }
}
