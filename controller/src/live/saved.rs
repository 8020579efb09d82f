//! A plan in a file: what was planned of which commit for which cluster, so that exactly that can be carried out later.
//!
//! It holds no value of a secret and no hash of one: what is secret in it is masked, and bound by the ids of ciphertexts
//! and by the resource versions of what variables came from. Names that end in a hash of a secret stand in it without
//! that, and what has such a name is bound by its unique id.

use std::collections::BTreeMap;

use overlay::Tree;
use overlay::build::{Read, Reads};
use serde::{Deserialize, Serialize};
use sops::{Format, is_encrypted};

use super::planned::Planned;
use super::told;
use super::{Ground, Live, PlacePlan, Source};
use crate::cluster::ObjectKey;
use crate::comparison::{Action, EnvironmentChange, LeafChange, ObjectChange, conceal, show, text};

/// What this form of the file is called.
pub const SCHEMA: &str = "weir.saved-plan/v1";

/// A saved plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    /// The form.
    pub schema: String,
    /// The commit whose files were planned, and its tree.
    pub commit: String,
    /// The tree.
    pub tree: String,
    /// What was to be planned of it, as the user said.
    pub target: Option<String>,
    /// The namespace that the target was looked for in.
    pub namespace: String,
    /// Whether no keys were read.
    pub without_keys: bool,
    /// The unique id of the namespace `kube-system`, which tells clusters apart.
    pub cluster: String,
    /// What variables were read from.
    pub sources: Vec<Source>,
    /// The encrypted files that were read, by path, with the ids of their ciphertexts.
    pub encrypted: BTreeMap<String, String>,
    /// What is to be done, by Kustomization.
    pub kustomizations: Vec<SavedKustomization>,
}

/// What is to be done for one Kustomization.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedKustomization {
    /// `namespace/name`.
    pub name: String,
    /// The folder that it builds.
    pub path: String,
    /// All that its build looked at, with the ids.
    pub reads: BTreeMap<String, String>,
    /// Its objects that do not stay as they are.
    pub objects: Vec<SavedObject>,
}

/// What is to be done with one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedObject {
    /// `Kind/namespace/name`, with the group.
    pub id: String,
    /// The unique id of what is there; where a generator names it anew, of what was there under the name before.
    pub uid: Option<String>,
    /// The action, with what is said behind the name.
    pub action: String,
    /// The leaves that change, and fields that are taken back from others.
    pub lines: Vec<String>,
}

/// What a plan was made of.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The commit.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// What was to be planned.
    pub target: Option<String>,
    /// Where the target was looked for.
    pub namespace: String,
    /// Whether no keys were read.
    pub without_keys: bool,
    /// Which cluster.
    pub cluster: String,
}

/// A plan as it is saved.
pub fn saved(ground: &Ground<'_>, live: &Live, header: Header) -> Saved {
    let mut saved = Saved {
        schema: SCHEMA.to_owned(),
        commit: header.commit,
        tree: header.tree,
        target: header.target,
        namespace: header.namespace,
        without_keys: header.without_keys,
        cluster: header.cluster,
        sources: live.sources.clone(),
        encrypted: BTreeMap::new(),
        kustomizations: Vec::new(),
    };
    for place in &live.places {
        let mut change = told::environment(ground, place);
        let uids = uids(place);
        // Each by the name that it has, before the ends of names go.
        let uids: Vec<Vec<Option<String>>> = change
            .leaves
            .iter()
            .map(|leaf| leaf.objects.iter().map(|it| uid(it, &uids)).collect())
            .collect();
        conceal(&mut change, &super::secret_names(ground, place));
        for (leaf, uids) in change.leaves.iter().zip(uids) {
            let reads = reads(place, leaf);
            saved.encrypted.extend(encrypted(ground.tree, reads));
            saved.kustomizations.push(kustomization(leaf, reads, uids));
        }
    }
    saved
}

fn uid(object: &ObjectChange, uids: &BTreeMap<ObjectKey, String>) -> Option<String> {
    uids.get(&ObjectKey::from(&object.id)).cloned()
}

/// Whether anything of a plan was told from what is there, or could not be planned: such a plan is not carried out.
pub fn is_whole(change: &EnvironmentChange) -> bool {
    let is_exact = |object: &ObjectChange| {
        !object.is_approximate && !matches!(object.action, Action::Refuse(_) | Action::MayChange)
    };
    let mut leaves = change.leaves.iter();
    leaves.all(|leaf| leaf.problem.is_none() && leaf.objects.iter().all(is_exact))
}

/// In which lines what is planned now differs from what was saved.
pub fn differences(saved: &Saved, now: &Saved) -> Vec<String> {
    let mut lines = Vec::new();
    if saved.cluster != now.cluster {
        lines.push("it was made for another cluster".to_owned());
    }
    if saved.tree != now.tree {
        lines.push(format!("the tree was {}, and is {}", saved.tree, now.tree));
    }
    let (before, after) = (sources(saved), sources(now));
    lines.extend(changed(&before, &after));
    let (before, after) = (planned(saved), planned(now));
    lines.extend(changed(&before, &after));
    lines
}

/// Lines, and how often each is there.
type Lines = BTreeMap<String, usize>;

fn counted(lines: impl IntoIterator<Item = String>) -> Lines {
    let mut counted = Lines::new();
    for line in lines {
        *counted.entry(line).or_default() += 1;
    }
    counted
}

fn changed(before: &Lines, after: &Lines) -> Vec<String> {
    let more = |one: &Lines, other: &Lines, sign: char| -> Vec<String> {
        let rest = one.iter().flat_map(|(line, count)| {
            let number = count.saturating_sub(other.get(line).copied().unwrap_or_default());
            std::iter::repeat_n(format!("{sign} {line}"), number)
        });
        rest.collect()
    };
    [more(before, after, '-'), more(after, before, '+')].concat()
}

fn sources(saved: &Saved) -> Lines {
    let line = |source: &Source| {
        let version = match (&source.uid, &source.resource_version) {
            (Some(uid), Some(version)) => format!("{uid} at version {version}"),
            _ => "absent".to_owned(),
        };
        let Source {
            kind,
            namespace,
            name,
            ..
        } = source;
        format!("variables of {kind} {namespace}/{name}: {version}")
    };
    counted(saved.sources.iter().map(line))
}

fn planned(saved: &Saved) -> Lines {
    let mut lines = Vec::new();
    for leaf in &saved.kustomizations {
        for object in &leaf.objects {
            let uid = object.uid.as_deref().unwrap_or("not there");
            let head = format!("{}: {} {}", leaf.name, object.action, object.id);
            lines.push(format!("{head} ({uid})"));
            lines.extend(object.lines.iter().map(|line| format!("{head}: {line}")));
        }
    }
    counted(lines)
}

/// The unique ids of all live objects that were looked at, those that go among them.
fn uids(place: &PlacePlan) -> BTreeMap<ObjectKey, String> {
    let own = place.leaves.iter().flat_map(|leaf| &leaf.lost);
    let lost = own.chain(place.gone.iter().flat_map(|gone| &gone.objects));
    let lost = lost.filter_map(|lost| Some((ObjectKey::from(&lost.id), lost.uid.clone()?)));
    let steps = place.leaves.iter().filter_map(|leaf| leaf.plan.as_ref());
    let steps = steps.flat_map(|plan| &plan.steps);
    let of_step = steps.filter_map(|step| {
        let live = step.live.as_ref()?;
        Some((ObjectKey::from(&step.id), live.uid.clone()))
    });
    let renamed = place.leaves.iter().flat_map(|leaf| &leaf.renamed);
    let of_renamed = renamed.filter_map(|it| Some((it.new.clone(), it.uid.clone()?)));
    lost.chain(of_step).chain(of_renamed).collect()
}

fn reads<'a>(place: &'a PlacePlan, leaf: &LeafChange) -> Option<&'a Reads> {
    let is_it = |planned: &&Planned| planned.grown.name == leaf.name;
    let found = place.leaves.iter().find(is_it)?;
    found.grown.reads()
}

fn kustomization(
    leaf: &LeafChange,
    reads: Option<&Reads>,
    uids: Vec<Option<String>>,
) -> SavedKustomization {
    let read = |(path, read): (&String, &Read)| {
        let id = match read {
            Read::File(id) => format!("blob {id}"),
            Read::Folder(id) => format!("tree {id}"),
            Read::Link(id) => format!("link {id}"),
            Read::Absent => "absent".to_owned(),
        };
        (path.clone(), id)
    };
    let reads = reads.into_iter().flat_map(|reads| &reads.paths);
    SavedKustomization {
        name: leaf.name.to_string(),
        path: leaf.path.clone(),
        reads: reads.map(read).collect(),
        objects: leaf
            .objects
            .iter()
            .zip(uids)
            .map(|(it, uid)| object(it, uid))
            .collect(),
    }
}

fn object(object: &ObjectChange, uid: Option<String>) -> SavedObject {
    let line = |line: &crate::comparison::Line| {
        let (before, after) = (line.before.as_ref(), line.after.as_ref());
        let told = show::tell(&line.path, before, after, &line.unknown)?;
        let below = told.below.join("\n");
        Some(
            format!("{} {}\n{below}", told.sign, told.text)
                .trim_end()
                .to_owned(),
        )
    };
    let mut lines: Vec<String> = object.lines.iter().filter_map(line).collect();
    lines.extend(text::conflicts(object));
    let word = match &object.action {
        Action::Create => "create",
        Action::Change => "change",
        Action::MayChange => "may change",
        Action::Replace { .. } => "replace",
        Action::Prune { .. } => "prune",
        Action::Leave(_) => "leave",
        Action::Refuse(_) => "refuse",
        Action::Skip(_) => "skip",
    };
    let remarks = text::remarks(object);
    let group = match object.id.group.as_str() {
        "" => String::new(),
        group => format!("{group}/"),
    };
    SavedObject {
        id: format!("{group}{}", object.id),
        uid,
        action: match remarks.is_empty() {
            true => word.to_owned(),
            false => format!("{word} ({})", remarks.join("; ")),
        },
        lines,
    }
}

fn encrypted(tree: &dyn Tree, reads: Option<&Reads>) -> BTreeMap<String, String> {
    let paths = reads.into_iter().flat_map(|reads| &reads.paths);
    let sealed = paths.filter_map(|(path, read)| match read {
        Read::File(id) if is_sealed(tree, path) => Some((path.clone(), id.to_string())),
        _ => None,
    });
    sealed.collect()
}

fn is_sealed(tree: &dyn Tree, path: &str) -> bool {
    let Ok(bytes) = tree.read(path) else {
        return false;
    };
    match Format::of_name(path) {
        Some(format) => is_encrypted(&bytes, format),
        None => Format::of_content(&bytes).is_some(),
    }
}
