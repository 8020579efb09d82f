//! Where a cluster begins: what `flux bootstrap` wrote, else each folder under `clusters/` that nothing includes.

use std::collections::{BTreeMap, BTreeSet};

use overlay::build::Read;
use overlay::path::join;
use overlay::yaml::{Dialect, Node, read_documents};
use overlay::{EntryKind, Object, ObjectId, Origin, Place};
use serde::{Deserialize, Serialize};

use super::folders::{Folders, is_below, is_manifest};
use super::leaf;
use super::spec::{is_kustomization, is_source, spec_of};
use super::walk::Walked;
use super::{Kind, LeafName, Outcome, Site, parallel};
use crate::api::kustomization::{Decryption, GROUP, KustomizationSpec, SourceReference};
use crate::reconcile::render::folder;

/// Where clusters lie.
pub(super) const CLUSTERS: &str = "clusters";

/// Where environments and what they extend lie.
pub(super) const LAYERS: [&str; 2] = ["envs", "stages"];

/// The source of a repository that Flux was bootstrapped from.
const SOURCE_KIND: &str = "GitRepository";

/// The first Kustomization of a cluster, or a folder that is built as it lies.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) name: LeafName,
    pub(super) path: String,
    pub(super) spec: KustomizationSpec,
    pub(super) place: Option<Place>,
    /// The source that this repository is, as far as the cluster says.
    pub(super) home: Option<Home>,
}

/// Where an entry is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    /// The file of `flux bootstrap`.
    pub(super) file: String,
    /// The folders whose builds may change what is in it; none when it stays as written.
    pub(super) builders: Vec<String>,
}

/// The source that an entry's files come from.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// The source itself, when it is rendered beside.
    pub(super) object: Option<Object>,
}

impl Entry {
    /// A folder that is built as it lies, or as a cluster without a Kustomization of its own would.
    pub(super) fn of_folder(kind: Kind, path: &str) -> Self {
        Self {
            kind,
            name: LeafName {
                namespace: String::new(),
                name: path.to_owned(),
            },
            path: path.to_owned(),
            spec: spec_of_folder(path),
            place: None,
            home: None,
        }
    }

    /// The entry of a path, from where it is known to be written.
    pub(super) fn of_written(site: &Site<'_>, written: &Written, path: &str) -> Option<Self> {
        let sets: Vec<Vec<Object>> = match written.builders.as_slice() {
            [] => vec![self::written(site, &written.file)],
            builders => builders
                .iter()
                .map(|folder| rendered(site, folder))
                .collect(),
        };
        let entries = sets.iter().flat_map(|objects| {
            let from_there = |object: &&Object| *object.origin.place.file == *written.file;
            let found = objects.iter().filter(from_there);
            let found = found.filter(|object| is_kustomization(&object.id));
            found.filter_map(|object| entry_of(object, objects))
        });
        let mut entries = entries.filter(|entry| entry.path == path);
        entries.find(|entry| leads_somewhere(site, entry))
    }
}

/// The spec of a folder that no Kustomization builds.
pub(super) fn spec_of_folder(path: &str) -> KustomizationSpec {
    KustomizationSpec {
        path: Some(path.to_owned()),
        prune: true,
        decryption: Some(Decryption::default()),
        ..KustomizationSpec::default()
    }
}

/// All entries of a tree, by path.
pub(super) fn entries(site: &Site<'_>, folders: &Folders) -> Vec<Entry> {
    let mut entries = bootstrapped(site, folders);
    for path in cluster_folders(folders) {
        let is_apart = |entry: &Entry| {
            !is_below(&entry.path, path) && !is_below(path, &entry.path) && entry.path != path
        };
        if entries.iter().all(is_apart) {
            entries.push(Entry::of_folder(Kind::Cluster, path));
        }
    }
    if entries.is_empty() {
        let paths = without_clusters(site, folders).into_iter();
        entries.extend(paths.map(|path| Entry::of_folder(Kind::Folder, path)));
    }
    entries.sort_by(|a, b| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    entries
}

/// The Kustomizations of the sync files, patched as they are in the end.
fn bootstrapped(site: &Site<'_>, folders: &Folders) -> Vec<Entry> {
    let (mut builders, mut plain) = (BTreeSet::new(), Vec::new());
    for file in &folders.sync_files {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        match folders.stays_as_written(folder) {
            true => plain.push(file.as_str()),
            false => builders.extend(folders.tops(folder)),
        }
    }
    let builders: Vec<&str> = builders.into_iter().collect();
    let mut sets = parallel::each(&plain, |file| written(site, file));
    sets.extend(parallel::each(&builders, |folder| rendered(site, folder)));
    let files: BTreeSet<&str> = folders.sync_files.iter().map(String::as_str).collect();
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for objects in &sets {
        let from_sync = |object: &&Object| files.contains(&*object.origin.place.file);
        let first = |object: &&Object| is_kustomization(&object.id);
        for object in objects.iter().filter(from_sync).filter(first) {
            let entry = entry_of(object, objects);
            if let Some(entry) = entry.filter(|entry| leads_somewhere(site, entry)) {
                entries.entry(entry.path.clone()).or_insert(entry);
            }
        }
    }
    entries.into_values().collect()
}

/// The objects of a file as they are written there. What Flux itself consists of lies beside it, and is long: where
/// nothing changes the file, that need not be read.
fn written(site: &Site<'_>, file: &str) -> Vec<Object> {
    let bytes = site.tree.read(file).unwrap_or_default();
    let documents = read_documents(&bytes, 0, Dialect::Kubernetes).unwrap_or_default();
    let object = |node: Node| {
        let place = Place {
            file: file.into(),
            line: node.mark.line,
            column: node.mark.column.into(),
        };
        Some(Object {
            id: ObjectId::of(&node)?,
            node,
            origin: Origin {
                place,
                generator: None,
            },
        })
    };
    documents.into_iter().filter_map(object).collect()
}

/// The objects that a folder's build gives.
fn rendered(site: &Site<'_>, folder: &str) -> Vec<Object> {
    match leaf::build(site, &spec_of_folder(folder), None) {
        Outcome::Built(built) => built.objects,
        Outcome::External(_) | Outcome::Failed(_) => Vec::new(),
    }
}

fn leads_somewhere(site: &Site<'_>, entry: &Entry) -> bool {
    matches!(site.tree.kind(&entry.path), Ok(Some(_)))
}

fn entry_of(object: &Object, beside: &[Object]) -> Option<Entry> {
    let spec = spec_of(object).ok()?;
    let name = LeafName {
        namespace: object.id.namespace.clone(),
        name: object.id.name.clone(),
    };
    Some(Entry {
        kind: Kind::Cluster,
        path: folder(&spec),
        place: Some(object.origin.place.clone()),
        home: Some(home(&spec.source_ref, &name.namespace, beside)),
        spec,
        name,
    })
}

fn home(reference: &SourceReference, namespace: &str, beside: &[Object]) -> Home {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    let (kind, name) = (&reference.kind, &reference.name);
    Home {
        object: source(kind, namespace, name, beside.iter()).cloned(),
        kind: kind.clone(),
        namespace: namespace.to_owned(),
        name: name.clone(),
    }
}

fn source<'a>(
    kind: &str,
    namespace: &str,
    name: &str,
    mut objects: impl Iterator<Item = &'a Object>,
) -> Option<&'a Object> {
    objects.find(|object| {
        let id = &object.id;
        is_source(id) && id.kind == kind && id.namespace == namespace && id.name == name
    })
}

/// The folders under `clusters/` that nothing includes, the topmost ones.
fn cluster_folders(folders: &Folders) -> Vec<&str> {
    let bare = folders.bare.iter().map(String::as_str);
    let mut paths: Vec<&str> = folders
        .roots()
        .chain(bare)
        .filter(|path| is_below(CLUSTERS, path))
        .collect();
    paths.sort_unstable();
    topmost(paths)
}

/// Without those that lie in another one; sorted before.
pub(super) fn topmost(sorted: Vec<&str>) -> Vec<&str> {
    let mut top: BTreeSet<&str> = BTreeSet::new();
    for path in sorted {
        let mut above = path.match_indices('/').map(|(end, _)| &path[..end]);
        if !top.contains("") && !above.any(|above| top.contains(above)) {
            top.insert(path);
        }
    }
    top.into_iter().collect()
}

/// The folders that may be environments where there are no clusters: what lies under `envs/` or `stages/` or includes
/// something there; without these every folder that nothing includes, and bare ones that hold Kustomizations of Flux.
fn without_clusters<'a>(site: &Site<'_>, folders: &'a Folders) -> Vec<&'a str> {
    let in_layers = |path: &str| LAYERS.iter().any(|layer| is_below(layer, path));
    let reaches = |root: &&str| folders.closure(root).iter().any(|path| in_layers(path));
    let layered: Vec<&str> = folders.roots().filter(reaches).collect();
    if !layered.is_empty() {
        return layered;
    }
    let bare = folders.bare.iter().map(String::as_str);
    let bring = bare.filter(|folder| brings_kustomizations(site, folder));
    folders.roots().chain(bring).collect()
}

/// Whether a file of a bare folder speaks of Kustomizations of Flux.
fn brings_kustomizations(site: &Site<'_>, folder: &str) -> bool {
    let entries = site.tree.list(folder).unwrap_or_default().into_iter();
    let files = entries.filter(|entry| entry.kind == EntryKind::File && is_manifest(&entry.name));
    let mut texts = files.filter_map(|file| site.tree.read(&join(folder, &file.name)).ok());
    texts.any(|bytes| String::from_utf8_lossy(&bytes).contains(&format!("{GROUP}/")))
}

/// Leaves out folders that another one brings: the environment is where that begins.
pub(super) fn without_brought(
    entries: Vec<Entry>,
    walked: Vec<Walked>,
    folders: &Folders,
) -> (Vec<Entry>, Vec<Walked>) {
    let mut all: Vec<(Entry, Walked)> = entries.into_iter().zip(walked).collect();
    all.sort_by_key(|(_, walked)| std::cmp::Reverse(walked.leaves.len()));
    let mut kept: Vec<(Entry, Walked)> = Vec::new();
    for (entry, walked) in all {
        let is_brought = entry.kind == Kind::Folder
            && kept
                .iter()
                .any(|(_, other)| reads_folder(other, &entry.path, folders));
        if !is_brought {
            kept.push((entry, walked));
        }
    }
    kept.sort_by(|(a, _), (b, _)| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    kept.into_iter().unzip()
}

/// Whether a folder's kustomization file, or of a bare folder any file, went into what was walked.
fn reads_folder(walked: &Walked, folder: &str, folders: &Folders) -> bool {
    let built = walked.leaves.iter().filter_map(|leaf| leaf.built());
    let mut reads = built.map(|built| &built.composed.reads.paths);
    let is_file = |read: &Read| matches!(read, Read::File(_));
    match folders.by_path.get(folder) {
        Some(own) => reads.any(|reads| reads.get(&own.file).is_some_and(is_file)),
        None => reads.any(|reads| {
            let from = reads.range(join(folder, "")..);
            let mut within = from.take_while(|(path, _)| is_below(folder, path));
            within.any(|(path, read)| {
                is_file(read)
                    && path
                        .rsplit_once('/')
                        .is_some_and(|(above, _)| above == folder)
            })
        }),
    }
}

/// The repository that a Kustomization's files lie in, when it is another than this one.
pub(super) fn external<'a>(
    site: &Site<'_>,
    entry: &Entry,
    namespace: &str,
    spec: &KustomizationSpec,
    rendered: impl Iterator<Item = &'a Object>,
) -> Option<String> {
    let reference = &spec.source_ref;
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    let (kind, name) = (&reference.kind, &reference.name);
    if let Some(home) = &entry.home
        && is_named(home, kind, namespace, name)
    {
        return None;
    }
    let found = source(kind, namespace, name, rendered);
    let is_home = match (&entry.home, found) {
        (Some(home), Some(object)) => {
            let home = home.object.as_ref();
            home.is_some_and(|home| is_same(home, object))
        }
        (Some(_), None) => false,
        // No cluster says which source this repository is. What it has a folder for is its own; the root is in every
        // repository, and says nothing where the source is another one's to be fetched.
        (None, None) => has_folder(site, spec),
        (None, Some(_)) => kind == SOURCE_KIND && has_folder(site, spec) && !builds_root(spec),
    };
    let url = found.and_then(|object| object.node.find_str(&["spec", "url"]));
    let shown = || url.map_or_else(|| format!("{kind}/{namespace}/{name}"), str::to_owned);
    (!is_home).then(shown)
}

fn builds_root(spec: &KustomizationSpec) -> bool {
    folder(spec).is_empty()
}

fn has_folder(site: &Site<'_>, spec: &KustomizationSpec) -> bool {
    let path = folder(spec);
    matches!(site.tree.kind(&path), Ok(Some(_)))
}

fn is_named(home: &Home, kind: &str, namespace: &str, name: &str) -> bool {
    home.kind == kind && home.namespace == namespace && home.name == name
}

/// Two sources of the same files.
fn is_same(one: &Object, other: &Object) -> bool {
    let part = |object: &Object, key: &str| object.node.find(&["spec", key]).cloned();
    ["url", "ref"]
        .iter()
        .all(|key| part(one, key) == part(other, key))
}
