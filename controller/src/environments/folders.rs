//! The folders of a tree that hold manifests, and which kustomization includes which.

use std::collections::{BTreeMap, BTreeSet};

use super::changed::Changed;
use overlay::path::{clean, join};
use overlay::yaml::{Dialect, Mapping, Node, read_documents};
use overlay::{EntryKind, ObjectHash, Tree, TreeError};

/// The names that a kustomization file may have.
pub(super) const KUSTOMIZATION_FILES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Where `flux bootstrap` writes what a cluster pulls.
pub(super) const SYNC_FILE: &str = "gotk-sync.yaml";

/// Folders may lie this deep.
const DEPTH: usize = 64;

/// A folder with a kustomization file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The kustomization file's path.
    pub file: String,
    /// The file's blob.
    pub id: ObjectHash,
    /// It is an option that others add (`kind: Component`).
    pub is_component: bool,
    /// It says nothing but which files and folders it takes in, and changes none of them.
    pub is_list: bool,
    /// The folders that it includes as resources, in order.
    pub bases: Vec<String>,
    /// The folders that it includes as components, in order.
    pub components: Vec<String>,
}

/// What holds manifests in a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// The folders with a kustomization file, by path.
    pub by_path: BTreeMap<String, Folder>,
    /// The folders with manifests and no kustomization file.
    pub bare: BTreeSet<String>,
    /// The folders that a kustomization of another folder includes.
    pub included: BTreeSet<String>,
    /// The files in which `flux bootstrap` wrote what a cluster pulls.
    pub sync_files: Vec<String>,
}

impl Folder {
    /// Whether it takes in the same folders in the same way.
    fn is_like(&self, other: &Self) -> bool {
        let id = other.id;
        Self { id, ..self.clone() } == *other
    }
}

/// Whether a kustomization file takes in the same folders in the same way in two trees that have the same folders.
pub(super) fn is_alike(from: &dyn Tree, to: &dyn Tree, file: &str) -> Result<bool, TreeError> {
    let path = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let read = |tree: &dyn Tree| -> Result<Option<Folder>, TreeError> {
        let mut read = folder(tree, path, file)?;
        if let Some(folder) = &mut read {
            folder.bases = folders_among(tree, &folder.bases)?;
            folder.components = folders_among(tree, &folder.components)?;
        }
        Ok(read)
    };
    Ok(match (read(from)?, read(to)?) {
        (Some(old), Some(new)) => new.is_like(&old),
        (old, new) => old.is_none() && new.is_none(),
    })
}

fn folders_among(tree: &dyn Tree, paths: &[String]) -> Result<Vec<String>, TreeError> {
    let mut folders = Vec::new();
    for path in paths {
        if tree.kind(path)? == Some(EntryKind::Folder) {
            folders.push(path.clone());
        }
    }
    Ok(folders)
}

impl Folders {
    /// The folders that nothing includes and that are no components: where a build may begin.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.by_path
            .iter()
            .filter(|(path, folder)| !folder.is_component && !self.included.contains(*path))
            .map(|(path, _)| path.as_str())
    }

    /// Whether no kustomization changes what lies in a folder, as far as its own and those that include it say.
    pub fn stays_as_written(&self, path: &str) -> bool {
        let own = self.by_path.get(path);
        own.is_none_or(|own| own.is_list) && !self.included.contains(path)
    }

    /// All folders that a folder includes, however far down, itself first, in the order in which they are met.
    pub fn closure<'a>(&'a self, path: &'a str) -> Vec<&'a str> {
        let mut met = Vec::new();
        self.follow(path, &mut met, &mut BTreeSet::new());
        met
    }

    fn follow<'a>(&'a self, path: &'a str, met: &mut Vec<&'a str>, seen: &mut BTreeSet<&'a str>) {
        let Some(folder) = self.by_path.get(path) else {
            return;
        };
        if !seen.insert(path) {
            return;
        }
        met.push(path);
        for included in folder.bases.iter().chain(&folder.components) {
            self.follow(included, met, seen);
        }
    }

    /// The folders from which a folder is included, however far up, that nothing includes in turn; itself when nothing
    /// includes it.
    pub fn tops<'a>(&'a self, path: &'a str) -> Vec<&'a str> {
        if !self.included.contains(path) {
            return vec![path];
        }
        let holds = |root: &&str| self.closure(root).contains(&path);
        self.roots().filter(holds).collect()
    }
}

/// Reads the folders of a tree; what an earlier tree holds unchanged is taken over.
pub(super) fn folders(
    tree: &dyn Tree,
    earlier: Option<(&Folders, &Changed)>,
) -> Result<Folders, TreeError> {
    let mut folders = Folders::default();
    search(tree, "", 0, earlier, &mut folders)?;
    let all: BTreeSet<String> = folders.by_path.keys().cloned().collect();
    for (path, folder) in &mut folders.by_path {
        for list in [&mut folder.bases, &mut folder.components] {
            list.retain(|included| included != path && all.contains(included));
            folders.included.extend(list.iter().cloned());
        }
    }
    Ok(folders)
}

fn search(
    tree: &dyn Tree,
    path: &str,
    depth: usize,
    earlier: Option<(&Folders, &Changed)>,
    found: &mut Folders,
) -> Result<(), TreeError> {
    if depth > DEPTH {
        return Ok(());
    }
    if let Some((folders, changed)) = earlier
        && !changed.paths.contains(path)
    {
        take_over(folders, path, found);
        return Ok(());
    }
    let entries = tree.list(path)?;
    let files = || entries.iter().filter(|entry| entry.kind == EntryKind::File);
    let is_kustomization = |name: &str| KUSTOMIZATION_FILES.contains(&name);
    if let Some(file) = files().find(|entry| is_kustomization(&entry.name)) {
        let file = join(path, &file.name);
        if let Some(folder) = folder(tree, path, &file)? {
            found.by_path.insert(path.to_owned(), folder);
        }
    } else if files().any(|entry| is_manifest(&entry.name)) {
        found.bare.insert(path.to_owned());
    }
    if files().any(|entry| entry.name == SYNC_FILE) {
        found.sync_files.push(join(path, SYNC_FILE));
    }
    for entry in entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Folder)
    {
        if !entry.name.starts_with('.') {
            search(tree, &join(path, &entry.name), depth + 1, earlier, found)?;
        }
    }
    Ok(())
}

/// A folder below which nothing has changed.
fn take_over(earlier: &Folders, path: &str, found: &mut Folders) {
    let below = |other: &str| path.is_empty() || other == path || is_below(path, other);
    for (other, folder) in earlier.by_path.range(path.to_owned()..) {
        if !other.starts_with(path) {
            break;
        }
        if below(other) {
            found.by_path.insert(other.clone(), folder.clone());
        }
    }
    let bare = earlier.bare.range(path.to_owned()..);
    let bare = bare.take_while(|other| other.starts_with(path));
    found
        .bare
        .extend(bare.filter(|other| below(other)).cloned());
    let files = earlier.sync_files.iter().filter(|file| below(file));
    found.sync_files.extend(files.cloned());
}

/// Whether a path lies below a folder.
pub(super) fn is_below(folder: &str, path: &str) -> bool {
    let rest = path.strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Whether a bare folder's build takes a file of this name in.
pub(super) fn is_manifest(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// What a kustomization file includes; nothing when it cannot be read, which its build tells.
fn folder(tree: &dyn Tree, path: &str, file: &str) -> Result<Option<Folder>, TreeError> {
    let bytes = tree.read(file)?;
    let id = tree
        .id(file)?
        .unwrap_or_else(|| ObjectHash::of_blob(&bytes));
    let documents = read_documents(&bytes, 0, Dialect::Kustomize).unwrap_or_default();
    let Some(node) = documents.first() else {
        return Ok(None);
    };
    let lists = |fields: &[&str]| -> Vec<String> {
        let entries = fields
            .iter()
            .filter_map(|field| node.get(field)?.as_sequence());
        let texts = entries.flatten().filter_map(Node::as_str);
        texts.filter_map(|text| resolved(path, text)).collect()
    };
    Ok(Some(Folder {
        file: file.to_owned(),
        id,
        is_component: node.find_str(&["kind"]) == Some("Component"),
        is_list: is_list(node),
        bases: lists(&["resources", "bases"]),
        components: lists(&["components"]),
    }))
}

fn is_list(node: &Node) -> bool {
    const FIELDS: [&str; 3] = ["apiVersion", "kind", "resources"];
    let is_known = |mapping: &Mapping| mapping.iter().all(|(key, _)| FIELDS.contains(&&*key.text));
    node.as_mapping().is_some_and(is_known)
}

/// A relative path as seen from a folder, `None` when it leads out of the tree or is no path.
fn resolved(folder: &str, text: &str) -> Option<String> {
    if text.contains("://") || text.starts_with('/') {
        return None;
    }
    clean(folder, text)
}

#[cfg(test)]
mod tests {
    use super::super::changed::changed;
    use super::*;
    use overlay::MemTree;

    fn tree() -> MemTree {
        let mut tree = MemTree::new();
        for (path, text) in [
            (
                "app/base/kustomization.yaml",
                "resources: [a.yaml, ../../https/x]\n",
            ),
            (
                "app/prod/kustomization.yml",
                "bases: [../base]\ncomponents: [../option]\n",
            ),
            ("app/option/kustomization.yaml", "kind: Component\n"),
            ("app/broken/kustomization.yaml", "a: [\n"),
            ("clusters/one/apps.yaml", "a: 1\n"),
            ("clusters/one/flux-system/gotk-sync.yaml", "a: 1\n"),
            (".github/workflow.yaml", "a: 1\n"),
        ] {
            tree.insert(path, text.as_bytes());
        }
        tree
    }

    fn names(folders: &Folders) -> Vec<&str> {
        folders.roots().collect()
    }

    #[test]
    fn roots_are_what_nothing_includes() {
        let folders = folders(&tree(), None).expect("a tree in memory can be read");
        assert_eq!(names(&folders), ["app/prod"]);
        assert_eq!(
            folders.closure("app/prod"),
            ["app/prod", "app/base", "app/option"]
        );
        assert_eq!(folders.tops("app/base"), ["app/prod"]);
        assert_eq!(folders.tops("app/prod"), ["app/prod"]);
        assert_eq!(
            folders.sync_files,
            ["clusters/one/flux-system/gotk-sync.yaml"]
        );
        let bare: Vec<&str> = folders.bare.iter().map(String::as_str).collect();
        assert_eq!(bare, ["clusters/one", "clusters/one/flux-system"]);
    }

    #[test]
    fn a_later_tree_takes_over_what_did_not_change() {
        let (from, mut to) = (tree(), tree());
        to.insert("app/prod/kustomization.yml", *b"resources: [../other]\n");
        to.insert("app/other/kustomization.yaml", *b"resources: []\n");
        let before = folders(&from, None).expect("readable");
        let changed = changed(&from, &to).expect("readable");
        let after = folders(&to, Some((&before, &changed))).expect("readable");
        let fresh = folders(&to, None).expect("readable");
        assert_eq!(after.by_path, fresh.by_path);
        assert_eq!(
            (after.bare, after.sync_files),
            (fresh.bare, fresh.sync_files)
        );
        assert_eq!(after.included, fresh.included);
    }
}
