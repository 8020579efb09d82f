//! What a cluster follows: its GitRepository and its first Kustomization, as the repository has them, else new ones.

use std::path::Path;

use overlay::path::join;
use overlay::yaml::{Secrets, from_json, to_json, write_documents};
use overlay::{EntryKind, Object, Tree};
use serde_json::{Value, json};

use crate::api::kustomization::KustomizationSpec;
use crate::cli::Failure;
use crate::cli::fleet::unreadable;
use crate::cli::promote::git::Git;
use crate::environments::is_kustomization;
use crate::promotion::overlaid::Changes;
use crate::reconcile::render;

/// The folder in which `flux bootstrap` writes what a cluster follows, and the name of it all.
const NAME: &str = "flux-system";

/// The file in it.
const FILE: &str = "gotk-sync.yaml";

/// What the user says of it.
pub(super) struct Wanted<'a> {
    pub(super) path: &'a str,
    pub(super) url: Option<&'a str>,
    pub(super) branch: Option<&'a str>,
    pub(super) namespace: &'a str,
    /// The way in needs a password or a key.
    pub(super) is_locked: bool,
}

/// What a cluster follows.
pub(super) struct Sync {
    pub(super) source: Value,
    pub(super) kustomization: Value,
    /// Files that the repository lacks to say the same.
    pub(super) files: Changes,
}

impl Sync {
    /// Namespace and name of the Kustomization.
    pub(super) fn name(&self) -> String {
        let text = |field: &str| {
            self.kustomization["metadata"][field]
                .as_str()
                .unwrap_or_default()
        };
        format!("{}/{}", text("namespace"), text("name"))
    }

    /// Where the repository is fetched.
    pub(super) fn url(&self) -> &str {
        self.source["spec"]["url"].as_str().unwrap_or_default()
    }

    /// Whether it is fetched over SSH.
    pub(super) fn is_ssh(&self) -> bool {
        self.url().starts_with("ssh://")
    }

    /// The Secret with the way in.
    pub(super) fn secret(&self) -> Option<&str> {
        self.source["spec"]["secretRef"]["name"].as_str()
    }

    /// The source's namespace.
    pub(super) fn namespace(&self) -> &str {
        self.source["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }
}

/// Reads it from the cluster's folder, else makes it.
pub(super) fn of(tree: &dyn Tree, folder: &Path, wanted: &Wanted<'_>) -> Result<Sync, Failure> {
    if tree.kind(wanted.path).map_err(unreadable)? != Some(EntryKind::Folder) {
        return Err(Failure::with_hint(
            format!("{}: no such folder in the repository", wanted.path),
            "`weir init` and `weir env create` make one",
        ));
    }
    for place in [join(wanted.path, NAME), wanted.path.to_owned()] {
        if let Some(sync) = written(tree, &place, wanted)? {
            return Ok(sync);
        }
    }
    new(tree, folder, wanted)
}

/// The pair that the build of a folder gives for the cluster's path.
fn written(tree: &dyn Tree, place: &str, wanted: &Wanted<'_>) -> Result<Option<Sync>, Failure> {
    if tree.kind(place).map_err(unreadable)? != Some(EntryKind::Folder) {
        return Ok(None);
    }
    let spec = KustomizationSpec {
        path: Some(place.to_owned()),
        ..KustomizationSpec::default()
    };
    let Ok(build) = render::compose(&spec, tree, None, None) else {
        return Ok(None);
    };
    let value = |object: &Object| to_json(&object.node, Secrets::Masked);
    let follows = |object: &&Object| {
        let path = object.node.find_str(&["spec", "path"]).unwrap_or_default();
        is_kustomization(&object.id) && overlay::path::inside(path) == wanted.path
    };
    let Some(kustomization) = build.objects.iter().find(follows).map(value) else {
        return Ok(None);
    };
    let reference = &kustomization["spec"]["sourceRef"];
    let is_source = |object: &&Object| {
        object.id.kind == "GitRepository" && reference["name"] == *object.id.name
    };
    let Some(source) = build.objects.iter().find(is_source).map(value) else {
        return Ok(None);
    };
    let sync = Sync {
        source,
        kustomization,
        files: Changes::new(),
    };
    match wanted.url {
        Some(url) if url != sync.url() => Err(Failure::new(format!(
            "{place} says that the repository is at {}, not at {url}",
            sync.url()
        ))),
        _ => Ok(Some(sync)),
    }
}

/// A new pair, and the files that say so.
fn new(tree: &dyn Tree, folder: &Path, wanted: &Wanted<'_>) -> Result<Sync, Failure> {
    let git = Git::at(folder);
    let url = match wanted.url {
        Some(url) => url.to_owned(),
        None => git
            .run(&["remote", "get-url", "origin"])
            .map(|url| full(&url))
            .map_err(|_| {
                Failure::with_hint(
                    "the repository has no remote `origin`",
                    "--url says where the cluster fetches it",
                )
            })?,
    };
    let branch = match wanted.branch {
        Some(branch) => branch.to_owned(),
        None => git.run(&["symbolic-ref", "--short", "HEAD"])?,
    };
    let metadata = json!({ "name": NAME, "namespace": wanted.namespace });
    let mut source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": metadata,
        "spec": { "interval": "1m", "ref": { "branch": branch }, "url": url },
    });
    if wanted.is_locked || url.starts_with("ssh://") {
        source["spec"]["secretRef"] = json!({ "name": NAME });
    }
    let mut kustomization = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": metadata,
        "spec": {
            "interval": "10m",
            "retryInterval": "1m",
            "path": format!("./{}", wanted.path),
            "prune": true,
            "sourceRef": { "kind": "GitRepository", "name": NAME },
        },
    });
    if tree.kind(sops::RULES_FILE).map_err(unreadable)?.is_some() {
        kustomization["spec"]["decryption"] =
            json!({ "provider": "sops", "secretRef": { "name": "sops-age" } });
    }
    let nodes = [from_json(source.clone()), from_json(kustomization.clone())];
    let text = write_documents(&nodes.iter().collect::<Vec<_>>());
    let list = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - {FILE}\n"
    );
    let path = |name: &str| join(&join(wanted.path, NAME), name);
    let files = [
        (path(FILE), Some(text.into_bytes())),
        (path("kustomization.yaml"), Some(list.into_bytes())),
    ];
    Ok(Sync {
        source,
        kustomization,
        files: files.into(),
    })
}

/// `git@host:path`, which people write, as the address that a GitRepository takes.
fn full(url: &str) -> String {
    match url.split_once(':') {
        Some((host, path)) if !url.contains("://") && host.contains('@') => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::full;

    #[test]
    fn short_addresses_become_full_ones() {
        for (url, want) in [
            (
                "git@github.com:acme/fleet.git",
                "ssh://git@github.com/acme/fleet.git",
            ),
            (
                "https://github.com/acme/fleet.git",
                "https://github.com/acme/fleet.git",
            ),
            ("ssh://git@host:22/x", "ssh://git@host:22/x"),
        ] {
            assert_eq!(full(url), want);
        }
    }
}
