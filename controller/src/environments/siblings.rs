//! What an environment's own files say matters to a change elsewhere only by whose objects they write: environments that
//! are the same but for that are siblings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use overlay::path::{clean, is_within};
use overlay::yaml::{Dialect, Node, read_documents};
use overlay::{Object, ObjectId, Tree};
use serde::{Deserialize, Serialize};

use super::apart::unlike;
use super::entries::spec_of_folder;
use super::leaf::composed;
use super::{Changed, Composed, Folder, Folders, Leaf, Outcome, Site};
use crate::api::kustomization::KustomizationSpec;

/// The fields of a kustomization that take nothing from one object into another but its name.
const PLAIN: [&str; 17] = [
    "apiVersion",
    "kind",
    "metadata",
    "resources",
    "bases",
    "components",
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "namespace",
    "namePrefix",
    "nameSuffix",
    "labels",
    "commonLabels",
    "commonAnnotations",
    "images",
    "replicas",
];

/// Texts by which a manifest tells the composer more than whose object it is.
const TOLD: [&str; 3] = ["$patch", "config.k8s.io", "config.kubernetes.io"];

/// Kind and name as an own file writes them.
pub(super) type Written = BTreeSet<(String, String)>;

/// What lies in a folder, on top of what it takes from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    /// Whose objects its files write or patch by name, all but those that its siblings have as well.
    written: Written,
    /// The folders of others on which it lies.
    bases: BTreeSet<String>,
    /// The files and folders of others that it takes in besides.
    besides: BTreeSet<String>,
}

/// The own files of which only counts whose objects they write.
pub(super) type OwnFiles = BTreeMap<String, Written>;

/// The layer of a folder, and its own files; nothing when an object of it may get into others what it holds.
pub(super) fn layer(tree: &dyn Tree, folders: &Folders, path: &str) -> Option<(Layer, OwnFiles)> {
    let all = folders.closure(path);
    let (mut layer, mut files, mut others) = (Layer::default(), Vec::new(), BTreeSet::new());
    let mut components = BTreeSet::new();
    for own in all.iter().filter(|other| is_within(other, path)) {
        let folder = folders.by_path.get(*own)?;
        let mentioned = Mentioned::read(tree, own, folder)?;
        files.extend(mentioned.by_name);
        others.extend(mentioned.otherwise);
        let foreign = |other: &&String| !is_within(other, path);
        layer
            .bases
            .extend(folder.bases.iter().filter(foreign).cloned());
        let foreign = folder.components.iter().filter(foreign);
        components.extend(foreign.flat_map(|component| folders.closure(component)));
    }
    for component in components {
        let folder = folders.by_path.get(component)?;
        if folder.is_component {
            let mentioned = Mentioned::read(tree, component, folder)?;
            others.extend(mentioned.by_name);
            others.extend(mentioned.otherwise);
        }
        layer.besides.insert(component.to_owned());
    }
    let is_own = |file: &String| is_within(file, path) && !others.contains(file);
    let own = files.iter().filter(|file| is_own(file));
    let own: OwnFiles = own
        .filter_map(|file| Some((file.clone(), written(tree, file)?)))
        .collect();
    let besides = files.into_iter().chain(others);
    let besides = besides.filter(|file| !is_within(file, path) && !layer.bases.contains(file));
    layer.besides.extend(besides);
    layer.written = own.values().flatten().cloned().collect();
    Some((layer, own))
}

/// The paths in a kustomization.
#[derive(Default)]
struct Mentioned {
    /// Manifests, and patches of the objects that they name.
    by_name: Vec<String>,
    otherwise: Vec<String>,
}

impl Mentioned {
    fn read(tree: &dyn Tree, path: &str, folder: &Folder) -> Option<Self> {
        let bytes = tree.read(&folder.file).ok()?;
        let documents = read_documents(&bytes, 0, Dialect::Kustomize).ok()?;
        let [node] = documents.as_slice() else {
            return None;
        };
        let mut fields = node.as_mapping()?.iter();
        if !fields.all(|(key, _)| PLAIN.contains(&&*key.text)) {
            return None;
        }
        let items = |field: &str| node.get(field).and_then(Node::as_sequence).into_iter();
        let resolved = |item: &Node| clean(path, item.as_str()?);
        let listed = ["resources", "patchesStrategicMerge"];
        let listed = listed.into_iter().flat_map(items).flatten();
        let mut mentioned = Self::default();
        mentioned.by_name.extend(listed.filter_map(resolved));
        let patches = ["patches", "patchesJson6902"].into_iter().flat_map(items);
        for patch in patches.flatten() {
            let Some(file) = patch.get("path").and_then(resolved) else {
                continue;
            };
            let is_by_name = patch.as_mapping()?.len() == 1;
            let list = match is_by_name {
                true => &mut mentioned.by_name,
                false => &mut mentioned.otherwise,
            };
            list.push(file);
        }
        Some(mentioned)
    }
}

/// Whose objects a file writes, when it says nothing else.
fn written(tree: &dyn Tree, file: &str) -> Option<Written> {
    let bytes = tree.read(file).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    if TOLD.iter().any(|told| text.contains(told)) {
        return None;
    }
    let documents = read_documents(&bytes, 0, Dialect::Kustomize).ok()?;
    let whose = |node: &Node| {
        let [kind, name] = [&["kind"][..], &["metadata", "name"]].map(|path| node.find_str(path));
        Some((kind?.to_owned(), name?.to_owned()))
    };
    documents.iter().map(whose).collect()
}

/// Whether a change reaches a Kustomization through the bases of its layer alone, and there only objects of which its
/// own files say nothing. The sites are those of both trees.
pub(super) fn is_untouched(
    layer: &Layer,
    leaf: &Leaf,
    sites: &[Site<'_>; 2],
    changed: &Changed,
) -> bool {
    let Some(sides) = layer.sides(leaf, sites) else {
        return false;
    };
    let is_besides = |file: &str| layer.besides.iter().any(|other| is_within(file, other));
    let is_of_base = |file: &str| {
        let mut composed = sides.iter().flatten();
        composed.any(|composed| composed.reads.paths.contains_key(file))
    };
    let reads = leaf.built().map(|built| &built.composed.reads);
    let mut files = reads.into_iter().flat_map(|reads| changed.among(reads));
    files.all(|path| !changed.files.contains(path) || (is_of_base(path) && !is_besides(path)))
        && sides.iter().all(|sides| layer.leaves_alone(sides))
}

impl Layer {
    /// What each base was made into and is.
    fn sides(&self, leaf: &Leaf, sites: &[Site<'_>; 2]) -> Option<Vec<[Arc<Composed>; 2]>> {
        let side = |site: &Site<'_>, spec: &KustomizationSpec| match composed(site, spec) {
            Outcome::Built(built) => Some(built.composed),
            Outcome::External(_) | Outcome::Failed(_) => None,
        };
        let sides = self.bases.iter().map(|base| {
            let spec = KustomizationSpec {
                decryption: leaf.spec.decryption.clone(),
                ..spec_of_folder(base)
            };
            let [from, to] = sites;
            Some([side(from, &spec)?, side(to, &spec)?])
        });
        sides.collect()
    }

    /// Whether the own files say nothing of the objects in which two sides of a base differ.
    fn leaves_alone(&self, sides: &[Arc<Composed>; 2]) -> bool {
        let [old, new] = [&sides[0], &sides[1]].map(|composed| &composed.build.objects);
        let (was, is) = (unlike(old, new), unlike(new, old));
        let ids = |objects: &[Object]| -> BTreeSet<ObjectId> {
            objects.iter().map(|object| object.id.clone()).collect()
        };
        let is_written = |object: &Object| {
            let id = &object.id;
            let mut written = self.written.iter();
            // A base may have put something before the name or after it.
            written.any(|(kind, name)| *kind == id.kind && id.name.contains(name))
        };
        // With a name that comes or goes changes what refers to it, and the own files may.
        ids(&was) == ids(&is) && !was.iter().any(is_written)
    }
}

#[cfg(test)]
mod tests {
    use overlay::MemTree;

    use super::super::{Index, Settings, graph, partial};

    const NAMES: [&str; 3] = ["ap", "eu", "us"];

    /// Environments of a stage, each with a patch and an object of its own.
    fn fleet(kustomization: &str) -> MemTree {
        let mut tree = MemTree::new();
        for name in NAMES {
            let folder = format!("envs/{name}");
            let apps = format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: apps, namespace: flux-system}}\n\
                 spec: {{interval: 1m, prune: true, path: ./{folder}, sourceRef: {{kind: GitRepository, name: fleet}}}}\n"
            );
            let files = [
                (format!("clusters/{name}/apps.yaml"), apps),
                (format!("{folder}/own.yaml"), map("own", name)),
                (format!("{folder}/patch.yaml"), map("patched", name)),
                (format!("{folder}/values.txt"), "a".to_owned()),
                (
                    format!("{folder}/kustomization.yaml"),
                    format!("resources: [../../stages/prod, own.yaml]\n{kustomization}"),
                ),
            ];
            files
                .iter()
                .for_each(|(path, text)| tree.insert(path, text.as_bytes()));
        }
        for (path, text) in [
            (
                "stages/prod/kustomization.yaml",
                "resources: [plain.yaml, patched.yaml]\npatches: [{path: stage.yaml}]\n".to_owned(),
            ),
            ("stages/prod/plain.yaml", map("plain", "1")),
            ("stages/prod/patched.yaml", map("patched", "1")),
            ("stages/prod/stage.yaml", map("patched", "2")),
            ("option/kustomization.yaml", OPTION.to_owned()),
            ("option/patch.yaml", map("plain", "option")),
        ] {
            tree.insert(path, text.as_bytes());
        }
        tree
    }

    const OPTION: &str = "kind: Component\npatches: [{path: patch.yaml}]\n";

    const PATCH: &str = "patches: [{path: patch.yaml}]\n";

    fn map(name: &str, value: &str) -> String {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: '{value}'}}\n"
        )
    }

    /// How many environments are built for a change of one file.
    fn built(kustomization: &str, path: &str, text: &str) -> usize {
        let (from, mut to) = (fleet(kustomization), fleet(kustomization));
        to.insert(path, text.as_bytes());
        let settings = Settings::default();
        let graph = graph(&from, &settings).expect("readable");
        let index = Index::of(&graph, &from, &settings.marker).expect("an index");
        let parts = partial(&from, &to, &settings, &index).expect("readable");
        let parts = parts.expect("of the same form");
        let built = parts.after.environments.len();
        assert_eq!(parts.untouched + built + parts.twins.len(), 3);
        built
    }

    #[test]
    fn what_own_files_say_of_other_objects_does_not_count() {
        let plain = map("plain", "2");
        let (patched, own) = (map("patched", "3"), map("own", "3"));
        let optional = format!("{PATCH}components: [../../option]\n");
        let prefixed = format!("{PATCH}namePrefix: x-\nnamespace: shop\n");
        let targeted = "patches: [{path: patch.yaml, target: {kind: ConfigMap}}]\n";
        let generated = format!("{PATCH}configMapGenerator: [{{name: x, files: [values.txt]}}]\n");
        let replaced = format!("{PATCH}replacements: []\n");
        let optional_patch = map("plain", "other");
        let list = "resources: [plain.yaml, patched.yaml]\npatches: [{path: stage.yaml}]\nlabels: []\ncommonLabels: {a: b}\n";
        for (kustomization, path, text, expected) in [
            (PATCH, "stages/prod/plain.yaml", &*plain, 1),
            (&prefixed, "stages/prod/plain.yaml", &plain, 1),
            (&optional, "stages/prod/plain.yaml", &plain, 1),
            (PATCH, "stages/prod/patched.yaml", &patched, 1),
            (PATCH, "stages/prod/stage.yaml", &patched, 3),
            (PATCH, "stages/prod/kustomization.yaml", list, 3),
            (&optional, "option/patch.yaml", &optional_patch, 3),
            (targeted, "stages/prod/plain.yaml", &plain, 3),
            (&generated, "stages/prod/plain.yaml", &plain, 3),
            (&replaced, "stages/prod/plain.yaml", &plain, 3),
            (PATCH, "envs/eu/own.yaml", &own, 1),
        ] {
            let seen = built(kustomization, path, text);
            assert_eq!(seen, expected, "{kustomization} {path}");
        }
    }
}
