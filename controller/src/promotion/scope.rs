//! What is promoted where: the folders that two names stand for, the apps in them, and which file meets which.

use std::collections::{BTreeMap, BTreeSet};

use overlay::path::{base, join};
use overlay::{EntryKind, Tree, TreeError};

use super::policy::{Policy, StageGlob};
use crate::environments::Folders;

/// Where stages and environments lie, the first that has a name wins.
const LAYERS: [&str; 2] = ["stages", "envs"];

/// Folders may lie this deep.
const DEPTH: usize = 64;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The last part of its folder; what records are called by.
    pub name: String,
    /// Its folder; where each app has a folder of its own for the stage, the folder above the apps.
    pub folder: String,
    /// Each app has a folder of its own for the stage: `<root>/<app>/<stage>`.
    pub is_per_app: bool,
}

/// An app, and its files on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its files, by their paths in the target, with their paths in the source.
    pub files: BTreeMap<String, String>,
    /// Its folders in the source and in the target, where it has such.
    pub folders: Option<[String; 2]>,
}

impl Stage {
    /// All folders that it has: its own, or one in each app.
    pub fn folders(&self, tree: &dyn Tree) -> Result<Vec<String>, TreeError> {
        if !self.is_per_app {
            return Ok(vec![self.folder.clone()]);
        }
        let apps = apps_with(tree, &self.folder, &self.name)?;
        Ok(apps.iter().map(|app| join(app, &self.name)).collect())
    }
}

/// Two stages and what is promoted between them.
#[derive(Clone, Debug)]
pub struct Scope {
    /// From here.
    pub from: Stage,
    /// To there.
    pub to: Stage,
    /// The apps.
    pub apps: Vec<App>,
}

impl Scope {
    /// The folder of an app in the source; that of the stage for an app without one.
    pub fn source_folder(&self, app: &App) -> String {
        match &app.folders {
            Some([from, _]) => from.clone(),
            None => self.from.folder.clone(),
        }
    }

    /// The same in the target.
    pub fn target_folder(&self, app: &App) -> String {
        match &app.folders {
            Some([_, to]) => to.clone(),
            None => self.to.folder.clone(),
        }
    }
}

/// Why nothing can be promoted between two names.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A name stands for nothing.
    #[error("there is no stage or environment `{name}`")]
    UnknownStage {
        /// The name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// An app is not known.
    #[error("there is no app `{name}` in {stage}")]
    UnknownApp {
        /// The name.
        name: String,
        /// The stage's folder.
        stage: String,
        /// What there is.
        known: Vec<String>,
    },
    /// An environment takes its apps from a stage.
    #[error("{environment} extends {stage}, and apps are promoted from stage to stage")]
    ExtendsStage {
        /// The environment's folder.
        environment: String,
        /// The stage's folder.
        stage: String,
    },
    /// The two have not the same shape.
    #[error("{from} and {to} are not laid out alike")]
    Shapes {
        /// From here.
        from: String,
        /// To there.
        to: String,
    },
    /// Both names are one folder.
    #[error("{0} would be promoted into itself")]
    Same(String),
}

/// Finds what two names stand for, and the apps that are named, or all.
pub fn scope(
    tree: &dyn Tree,
    folders: &Folders,
    policy: &Policy,
    [from, to]: [&str; 2],
    wanted: &[String],
) -> Result<Scope, ScopeError> {
    let (from, to) = (stage(tree, from)?, stage(tree, to)?);
    if from.is_per_app != to.is_per_app {
        let (from, to) = (from.folder, to.folder);
        return Err(ScopeError::Shapes { from, to });
    }
    if from == to {
        return Err(ScopeError::Same(from.folder));
    }
    for side in [&from, &to].into_iter().filter(|side| !side.is_per_app) {
        refuse_extending(folders, &side.folder)?;
    }
    let known = apps(tree, policy, &from, &to)?;
    let apps = match wanted {
        [] => known,
        names => names
            .iter()
            .map(|name| {
                let found = known.iter().find(|app| app.name == *name);
                found.cloned().ok_or_else(|| ScopeError::UnknownApp {
                    name: name.clone(),
                    stage: from.folder.clone(),
                    known: known.iter().map(|app| app.name.clone()).collect(),
                })
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(Scope { from, to, apps })
}

/// The stage that a name or path stands for.
pub fn stage(tree: &dyn Tree, name: &str) -> Result<Stage, ScopeError> {
    let name = name.trim_start_matches("./").trim_matches('/');
    let below = LAYERS.iter().map(|layer| format!("{layer}/{name}"));
    for folder in std::iter::once(name.to_owned()).chain(below) {
        if !name.is_empty() && tree.kind(&folder)? == Some(EntryKind::Folder) {
            return Ok(Stage {
                name: base(&folder).to_owned(),
                folder,
                is_per_app: false,
            });
        }
    }
    for root in folders_in(tree, "")? {
        if !apps_with(tree, &root, name)?.is_empty() {
            return Ok(Stage {
                name: name.to_owned(),
                folder: root,
                is_per_app: true,
            });
        }
    }
    let mut known = Vec::new();
    for layer in LAYERS {
        known.extend(folders_in(tree, layer)?);
    }
    Err(ScopeError::UnknownStage {
        name: name.to_owned(),
        known,
    })
}

/// The folder of a stage of this name, and those of the apps in it.
pub fn stage_and_apps(tree: &dyn Tree, name: &str) -> Result<Vec<String>, TreeError> {
    let stage = join(LAYERS[0], name);
    let mut folders = folders_in(tree, &stage)?;
    folders.push(stage);
    Ok(folders)
}

/// The folders directly below a root that have a folder of this name.
fn apps_with(tree: &dyn Tree, root: &str, stage: &str) -> Result<Vec<String>, TreeError> {
    let mut found = Vec::new();
    for app in folders_in(tree, root)? {
        if tree.kind(&format!("{app}/{stage}"))? == Some(EntryKind::Folder) {
            found.push(app);
        }
    }
    Ok(found)
}

/// An environment that extends a stage, or one app of it, has no apps of its own.
fn refuse_extending(folders: &Folders, folder: &str) -> Result<(), ScopeError> {
    if stage_of(folder).is_some() {
        return Ok(());
    }
    let closure = folders.closure(folder);
    match closure.iter().find_map(|path| stage_of(path)) {
        Some(stage) => Err(ScopeError::ExtendsStage {
            environment: folder.to_owned(),
            stage: stage.to_owned(),
        }),
        None => Ok(()),
    }
}

/// The stage that a path lies in: `stages/prod` of `stages/prod/shop`.
fn stage_of(path: &str) -> Option<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let mut folders = ends.chain([path.len()]).map(|end| &path[..end]);
    folders.find(|folder| folder.rsplit('/').nth(1) == Some(LAYERS[0]))
}

fn apps(tree: &dyn Tree, policy: &Policy, from: &Stage, to: &Stage) -> Result<Vec<App>, TreeError> {
    let mut found = declared(tree, policy, from, to)?;
    match from.is_per_app {
        true => found.extend(per_app(tree, from, to)?),
        false => found.extend(below(tree, from, to)?),
    }
    // A file is the first app's that names it: no two records tell of it.
    let (mut seen, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for app in &mut found {
        app.files.retain(|target, _| taken.insert(target.clone()));
    }
    found.retain(|app| !app.files.is_empty() && seen.insert(app.name.clone()));
    Ok(found)
}

/// Apps that `weir.yaml` names, by globs with `{stage}` in the place of a folder.
fn declared(
    tree: &dyn Tree,
    policy: &Policy,
    from: &Stage,
    to: &Stage,
) -> Result<Vec<App>, TreeError> {
    let mut apps = Vec::new();
    if policy.apps.is_empty() {
        return Ok(apps);
    }
    let all = files_below(tree, "")?;
    for (name, globs) in &policy.apps {
        let mut files = BTreeMap::new();
        for glob in globs {
            for (path, other) in counterparts(&all, glob, from, to) {
                files.insert(other, path);
            }
            for (path, other) in counterparts(&all, glob, to, from) {
                files.insert(path, other);
            }
        }
        apps.push(App {
            name: name.clone(),
            files,
            folders: None,
        });
    }
    Ok(apps)
}

/// The files that a glob names for one stage, with their paths in another.
fn counterparts(all: &[String], glob: &str, one: &Stage, other: &Stage) -> Vec<(String, String)> {
    let Some(glob) = StageGlob::new(glob, &one.name) else {
        return Vec::new();
    };
    let renamed = |path: &String| Some((path.clone(), glob.renamed(path, &other.name)?));
    all.iter().filter_map(renamed).collect()
}

/// `<root>/<app>/<stage>` for every app that has either.
fn per_app(tree: &dyn Tree, from: &Stage, to: &Stage) -> Result<Vec<App>, TreeError> {
    let mut apps = BTreeSet::new();
    for stage in [from, to] {
        apps.extend(apps_with(tree, &from.folder, &stage.name)?);
    }
    apps.iter()
        .map(|app| {
            let folders = [from, to].map(|stage| format!("{app}/{}", stage.name));
            Ok(App {
                name: base(app).to_owned(),
                files: pairs(tree, &folders)?,
                folders: Some(folders),
            })
        })
        .collect()
}

/// The folders directly below both stages, and what lies in the stages themselves.
fn below(tree: &dyn Tree, from: &Stage, to: &Stage) -> Result<Vec<App>, TreeError> {
    let mut names = BTreeSet::new();
    for stage in [from, to] {
        let folders = folders_in(tree, &stage.folder)?;
        names.extend(folders.iter().map(|folder| base(folder).to_owned()));
    }
    let mut apps = Vec::new();
    for name in &names {
        let folders = [from, to].map(|stage| format!("{}/{name}", stage.folder));
        apps.push(App {
            name: name.clone(),
            files: pairs(tree, &folders)?,
            folders: Some(folders),
        });
    }
    let whole = pairs(tree, &[from.folder.clone(), to.folder.clone()])?;
    let prefix = format!("{}/", to.folder);
    let is_own = |path: &String| !path[prefix.len()..].contains('/');
    apps.push(App {
        name: to.name.clone(),
        files: whole.into_iter().filter(|(path, _)| is_own(path)).collect(),
        folders: Some([from.folder.clone(), to.folder.clone()]),
    });
    Ok(apps)
}

/// The files of two folders, by their paths in the second, with their paths in the first.
fn pairs(tree: &dyn Tree, folders: &[String; 2]) -> Result<BTreeMap<String, String>, TreeError> {
    let [from, to] = folders;
    let mut pairs = BTreeMap::new();
    for folder in folders {
        for path in files_below(tree, folder)? {
            let rest = &path[folder.len()..];
            pairs.insert(format!("{to}{rest}"), format!("{from}{rest}"));
        }
    }
    Ok(pairs)
}

/// All files, links and submodules below a folder.
pub fn files_below(tree: &dyn Tree, folder: &str) -> Result<Vec<String>, TreeError> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        if depth > DEPTH || tree.kind(&folder)? != Some(EntryKind::Folder) {
            continue;
        }
        for entry in tree.list(&folder)? {
            let path = join(&folder, &entry.name);
            match entry.kind {
                EntryKind::Folder => open.push((path, depth + 1)),
                _ => found.push(path),
            }
        }
    }
    found.sort();
    Ok(found)
}

fn folders_in(tree: &dyn Tree, folder: &str) -> Result<Vec<String>, TreeError> {
    if tree.kind(folder)? != Some(EntryKind::Folder) {
        return Ok(Vec::new());
    }
    let entries = tree.list(folder)?;
    let folders = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Folder);
    let visible = folders.filter(|entry| !entry.name.starts_with('.'));
    Ok(visible.map(|entry| join(folder, &entry.name)).collect())
}

impl ScopeError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownStage { name, known } => Some(known_or_near(name, known)),
            Self::UnknownApp { name, known, .. } => Some(known_or_near(name, known)),
            Self::ExtendsStage { stage, .. } => {
                Some(format!("promote into `{}` instead", base(stage)))
            }
            _ => None,
        }
    }
}

fn known_or_near(name: &str, known: &[String]) -> String {
    let names: Vec<&str> = known.iter().map(|name| base(name)).collect();
    let list = names.join(", ");
    match overlay::suggest::nearest(name, &names) {
        Some(near) => format!("did you mean `{near}`? There are: {list}"),
        None => format!("there are: {list}"),
    }
}
