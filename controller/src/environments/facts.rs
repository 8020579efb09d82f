//! What is said of an environment in a list: its stages, what it extends, its options, its encrypted files.

use std::collections::BTreeSet;

use overlay::build::{Read, Reads};
use overlay::path::join;

use super::folders::{Folders, is_below};
use super::{Environment, Leaf, Outcome};

/// Where stages lie.
const STAGES: &str = "stages";

/// What the files and outcomes of an environment say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The stages that it extends.
    pub stages: Vec<String>,
    /// The folders that its own part is made of, from the one that is built to the last that it extends.
    pub bases: Vec<String>,
    /// The options that were added anywhere in it.
    pub components: Vec<String>,
    /// Its encrypted files.
    pub encrypted: Vec<String>,
    /// How many Kustomizations it has, those of other repositories included.
    pub kustomizations: usize,
    /// How many objects it has.
    pub objects: usize,
    /// Kustomizations that lie in other repositories, with these.
    pub external: Vec<(String, String)>,
    /// Kustomizations that do not build, and why.
    pub failures: Vec<(String, String)>,
}

/// Gathers what can be said of an environment.
pub fn facts(environment: &Environment, folders: &Folders) -> Facts {
    let mut facts = Facts {
        kustomizations: environment.leaves.len(),
        ..Facts::default()
    };
    let (mut stages, mut components, mut encrypted) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for leaf in &environment.leaves {
        match &leaf.outcome {
            Outcome::Built(built) => {
                facts.objects += built.objects.len();
                encrypted.extend(built.composed.encrypted.iter().cloned());
                stages.extend(stages_of(&built.composed.reads));
                let used = entered(leaf, folders);
                let options = used
                    .into_iter()
                    .filter(|path| folders.by_path[*path].is_component);
                components.extend(options.map(str::to_owned));
            }
            Outcome::External(repository) => {
                facts
                    .external
                    .push((leaf.name.to_string(), repository.clone()));
            }
            Outcome::Failed(problem) => {
                facts
                    .failures
                    .push((leaf.name.to_string(), problem.clone()));
            }
        }
    }
    facts.bases = bases(environment, folders);
    facts.stages = stages.into_iter().collect();
    facts.components = components.into_iter().collect();
    facts.encrypted = encrypted.into_iter().collect();
    facts
}

/// The stages that an environment extends, of what it was and is; what it was made of counts where it is gone, or where
/// something of it does not build.
pub fn stages([old, new]: [Option<&Environment>; 2]) -> BTreeSet<String> {
    let old = old.filter(|_| new.is_none_or(Environment::fails));
    let leaves = [old, new].into_iter().flatten().flat_map(|it| &it.leaves);
    let built = leaves.filter_map(|leaf| leaf.built());
    built
        .flat_map(|built| stages_of(&built.composed.reads))
        .collect()
}

/// The stages whose files a build looked at.
pub(super) fn stages_of(reads: &Reads) -> Vec<String> {
    let below = reads.paths.range(join(STAGES, "")..);
    let below = below.take_while(|(path, _)| is_below(STAGES, path));
    let files = below.filter(|(_, read)| matches!(read, Read::File(_)));
    let mut stages: Vec<&str> = files
        .filter_map(|(path, _)| path.split('/').nth(1))
        .collect();
    stages.dedup();
    stages.into_iter().map(str::to_owned).collect()
}

/// The stage that a folder is, or lies in.
pub(super) fn stage_of(folder: &str) -> Option<&str> {
    is_below(STAGES, folder).then(|| folder.split('/').nth(1))?
}

/// The folders with a kustomization file that a leaf's build entered.
fn entered<'a>(leaf: &'a Leaf, folders: &Folders) -> Vec<&'a str> {
    let reads = leaf.built().map(|built| &built.composed.reads.paths);
    let files = reads.into_iter().flatten();
    files
        .filter(|(_, read)| matches!(read, Read::File(_)))
        .map(|(path, _)| (path, path.rsplit_once('/').map_or("", |(folder, _)| folder)))
        .filter(|(path, folder)| {
            let folder = folders.by_path.get(*folder);
            folder.is_some_and(|folder| folder.file == **path)
        })
        .map(|(_, folder)| folder)
        .collect()
}

/// The chain of folders of the environment's own part: the leaf under `envs/`, else the entry.
fn bases(environment: &Environment, folders: &Folders) -> Vec<String> {
    let own = |leaf: &&std::sync::Arc<Leaf>| is_below("envs", &leaf.path);
    let leaf = environment.leaves.iter().find(own);
    let path = leaf.map_or(environment.path.as_str(), |leaf| leaf.path.as_str());
    let met = folders.closure(path).into_iter();
    let plain = met.filter(|path| !folders.by_path[*path].is_component);
    plain.map(str::to_owned).collect()
}
