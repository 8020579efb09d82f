//! What is developed: the Kustomizations of the cluster that build a folder or what is below it, else the one that the
//! repository has for the folder, else the folder as it lies.

use kube::api::ListParams;
use kube::{Api, ResourceExt};
use overlay::build::{Read, Reads};
use overlay::path::{inside, is_within};
use overlay::vars::Variables;
use overlay::{Tree, path};

use super::super::Failure;
use crate::api::kustomization::{Kustomization, KustomizationSpec};
use crate::cluster::{Inventory, Owner, Proofs};
use crate::environments::{self, Environment, Leaf, Settings};
use crate::reconcile::run;

/// One of them, and what is known of it so far.
pub(super) struct Target {
    /// Whose labels the objects carry.
    pub(super) owner: Owner,
    /// How it is built.
    pub(super) spec: KustomizationSpec,
    /// The Kustomization as last read, where the cluster has one.
    pub(super) kustomization: Option<Kustomization>,
    /// What the repository puts in for its variables, where the cluster has no Kustomization.
    pub(super) variables: Option<Variables>,
    /// What it has applied.
    pub(super) inventory: Inventory,
    /// What the last plan wanted; none before the first.
    pub(super) planned: Option<Inventory>,
    /// What shows that objects are as they are wanted.
    pub(super) proofs: Proofs,
    /// What the last build looked at; none when there was none, or it failed.
    pub(super) reads: Option<Reads>,
}

impl Target {
    /// `namespace/name` of the Kustomization, or the folder.
    pub(super) fn title(&self) -> String {
        match &self.kustomization {
            Some(_) => format!("{}/{}", self.owner.namespace, self.owner.name),
            None => inside(self.spec.path.as_deref().unwrap_or_default()),
        }
    }

    /// Whether what was saved may make another build of it: `""` stands for anything.
    pub(super) fn is_touched(&self, saved: &crate::source::saved::Saved) -> bool {
        match &self.reads {
            Some(reads) => saved
                .iter()
                .any(|path| path.is_empty() || touches(reads, path)),
            None => true,
        }
    }

    /// Whether its last build read a path, or missed it.
    pub(super) fn has_read(&self, path: &str) -> bool {
        let reads = self.reads.as_ref();
        reads.is_some_and(|reads| reads.paths.contains_key(path))
    }

    fn of(kustomization: Kustomization) -> Result<Self, Failure> {
        let inventory = run::applied(&kustomization);
        let inventory = inventory.map_err(|failure| Failure::new(failure.message))?;
        Ok(Self {
            owner: Owner {
                name: kustomization.name_any().into(),
                namespace: kustomization.namespace().unwrap_or_default().into(),
            },
            spec: kustomization.spec.clone(),
            kustomization: Some(kustomization),
            inventory,
            ..Self::bare(Owner::default(), KustomizationSpec::default())
        })
    }

    fn bare(owner: Owner, spec: KustomizationSpec) -> Self {
        Self {
            owner,
            spec,
            kustomization: None,
            variables: None,
            inventory: Inventory::default(),
            planned: None,
            proofs: Proofs::default(),
            reads: None,
        }
    }
}

/// Whether a file was looked at, a folder that holds it was listed, or something was missing where it is.
fn touches(reads: &Reads, saved: &str) -> bool {
    let is_read = |path: &str| reads.paths.contains_key(path);
    let is = |path: &str, wanted: fn(&Read) -> bool| reads.paths.get(path).is_some_and(wanted);
    let folder = saved.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut above = saved.match_indices('/').map(|(end, _)| &saved[..end]);
    is_read(saved)
        || is(folder, |read| matches!(read, Read::Folder(_)))
        || above.any(|path| is(path, |read| *read == Read::Absent))
}

/// All that is developed in a folder.
pub(super) async fn find(
    client: &kube::Client,
    namespace: &str,
    tree: &dyn Tree,
    folder: &str,
    settings: &Settings,
) -> Result<Vec<Target>, Failure> {
    let found = in_cluster(client, namespace, folder).await?;
    if !found.is_empty() {
        return found.into_iter().map(Target::of).collect();
    }
    in_repository(tree, folder, settings).map(|target| vec![target])
}

/// The Kustomizations that build the folder, else those that build folders below it.
async fn in_cluster(
    client: &kube::Client,
    namespace: &str,
    folder: &str,
) -> Result<Vec<Kustomization>, Failure> {
    let parameters = ListParams::default();
    let mut listed = Api::<Kustomization>::all(client.clone())
        .list(&parameters)
        .await;
    if is_code(&listed, 403) {
        let api = Api::<Kustomization>::namespaced(client.clone(), namespace);
        listed = api.list(&parameters).await;
    }
    // A cluster without controllers has no definitions of theirs.
    let all = match is_code(&listed, 404) {
        true => Vec::new(),
        false => {
            listed
                .map_err(|error| Failure::new(format!("listing Kustomizations: {error}")))?
                .items
        }
    };
    let path = |one: &Kustomization| inside(one.spec.path.as_deref().unwrap_or_default());
    let (exact, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| path(one) == folder);
    let below = |one: &Kustomization| is_within(&path(one), folder);
    let found = match exact.is_empty() {
        true => others.into_iter().filter(below).collect(),
        false => exact,
    };
    if let Some(remote) = found.iter().find(|one| one.spec.kube_config.is_some()) {
        let message = format!("{} applies to another cluster", remote.name_any());
        let hint = "develop in the folder of a Kustomization without spec.kubeConfig";
        return Err(Failure::with_hint(message, hint));
    }
    Ok(found)
}

fn is_code<T>(result: &kube::Result<T>, code: u16) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.code == code)
}

/// The folder as the repository's own Kustomization for it has it; where there is none, as it lies.
fn in_repository(tree: &dyn Tree, folder: &str, settings: &Settings) -> Result<Target, Failure> {
    let graph = environments::graph(tree, settings);
    let graph = graph.map_err(|error| Failure::new(error.to_string()))?;
    let leaves = graph.environments.iter().flat_map(leaves_of);
    let mut leaves: Vec<&Leaf> = leaves.filter(|leaf| leaf.path == folder).collect();
    leaves.dedup_by(|one, other| one.spec == other.spec && one.name == other.name);
    match leaves.as_slice() {
        [leaf] => Ok(of_leaf(leaf)),
        [] => Ok(as_it_lies(folder)),
        [_, ..] => {
            let names: Vec<String> = leaves.iter().map(|leaf| leaf.name.to_string()).collect();
            let message = format!(
                "several Kustomizations build {folder}: {}",
                names.join(", ")
            );
            Err(Failure::with_hint(
                message,
                "name the folder of one environment",
            ))
        }
    }
}

/// Folders that no Kustomization builds are none's.
fn leaves_of(environment: &Environment) -> impl Iterator<Item = &Leaf> {
    let leaves = environment.leaves.iter().map(AsRef::as_ref);
    leaves.filter(|leaf: &&Leaf| !leaf.name.namespace.is_empty())
}

fn of_leaf(leaf: &Leaf) -> Target {
    let owner = Owner {
        name: leaf.name.name.as_str().into(),
        namespace: leaf.name.namespace.as_str().into(),
    };
    Target {
        variables: leaf.variables.clone(),
        ..Target::bare(owner, leaf.spec.clone())
    }
}

fn as_it_lies(folder: &str) -> Target {
    let name = match path::base(folder) {
        "" => "root",
        name => name,
    };
    let owner = Owner {
        name: name.into(),
        namespace: super::OWNERLESS.into(),
    };
    let spec = KustomizationSpec {
        path: Some(folder.to_owned()),
        prune: true,
        ..KustomizationSpec::default()
    };
    Target::bare(owner, spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::ObjectHash;

    #[test]
    fn a_save_touches_what_was_read_listed_or_missed() {
        let hash = ObjectHash::of_blob(b"");
        let paths = [
            ("apps/a.yaml", Read::File(hash)),
            ("bare", Read::Folder(hash)),
            ("base", Read::Absent),
        ];
        let paths = paths.map(|(path, read)| (path.to_owned(), read)).into();
        let reads = Reads {
            paths,
            ..Reads::default()
        };
        for (saved, touched) in [
            ("apps/a.yaml", true),
            ("apps/b.yaml", false),
            ("bare/new.yaml", true),
            ("bare/deep/new.yaml", false),
            ("base", true),
            ("base/deep/a.yaml", true),
            ("other", false),
        ] {
            assert_eq!(touches(&reads, saved), touched, "{saved}");
        }
    }
}
