//! The part of two graphs that a change can reach, when what was remembered of the first one still tells which that is:
//! as long as files change their content, and none comes, goes, or takes in other folders than before.

use overlay::{Tree, TreeError};

use super::entries::{self, Entry};
use super::folders::{self, Folders};
use super::index::{Index, Row};
use super::{
    Changed, Composer, Environment, Graph, LeafName, SHARED, Settings, Shared, Site, changed, name,
    parallel, walk,
};

/// Parts of two graphs, and how many environments of both are in neither.
pub struct Partial {
    /// Of the tree before.
    pub before: Graph,
    /// Of the tree after.
    pub after: Graph,
    /// What differs.
    pub changed: Changed,
    /// Environments that no change reaches.
    pub untouched: usize,
}

/// Builds the environments that a change can reach, of both trees; nothing when that cannot be told, and all must be
/// built.
pub fn partial(
    from: &dyn Tree,
    to: &dyn Tree,
    settings: &Settings,
    index: &Index,
) -> Result<Option<Partial>, TreeError> {
    let changed = changed(from, to)?;
    let Some(folders) = same_folders(from, to, index, &changed)? else {
        return Ok(None);
    };
    let touched = index.touched(&changed);
    let before = part(from, settings, &index.folders, &touched, None);
    let after = part(to, settings, &folders, &touched, Some((&before, &changed)));
    if shape(&before) != shape(&after) {
        return Ok(None);
    }
    Ok(Some(Partial {
        untouched: index.environments.saturating_sub(before.environments.len()),
        before,
        after,
        changed,
    }))
}

/// The folders of the later tree, when it has the same as the earlier one.
fn same_folders(
    from: &dyn Tree,
    to: &dyn Tree,
    index: &Index,
    changed: &Changed,
) -> Result<Option<Folders>, TreeError> {
    let mut folders = index.folders.clone();
    for path in &changed.paths {
        if from.kind(path)? != to.kind(path)? || folders.sync_files.contains(path) {
            return Ok(None);
        }
        let Some(old) = index.folder_of(path) else {
            continue;
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let new = folders::taken_in(to, folder, path, &index.folders)?;
        match new {
            Some(new) if new.is_like(old) => drop(folders.by_path.insert(folder.to_owned(), new)),
            _ => return Ok(None),
        }
    }
    Ok(Some(folders))
}

/// A graph of some entries alone.
fn part(
    tree: &dyn Tree,
    settings: &Settings,
    folders: &Folders,
    rows: &[&Row],
    earlier: Option<(&Graph, &Changed)>,
) -> Graph {
    let composer = match earlier {
        Some((graph, changed)) => graph.composer.untouched(changed),
        None => Composer::default(),
    };
    let site = Site {
        tree,
        shared: Shared::new(SHARED),
        settings,
        composer,
        earlier,
    };
    let entries = entries_of(&site, folders, rows);
    let walked = parallel::each(&entries, |entry| walk::walk(&site, entry));
    let environments = entries.iter().zip(&walked);
    let environments =
        environments.flat_map(|(entry, walked)| name::of_entry(entry, &walked.leaves));
    let mut environments: Vec<Environment> = environments.collect();
    environments.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    Graph {
        environments,
        folders: folders.clone(),
        warnings: Vec::new(),
        composer: site.composer,
    }
}

/// The entries of some rows; those that files hold are read from there.
fn entries_of(site: &Site<'_>, folders: &Folders, rows: &[&Row]) -> Vec<Entry> {
    let written = match rows.iter().any(|row| row.is_written) {
        true => entries::entries(site, folders),
        false => Vec::new(),
    };
    let entry = |row: &&Row| match row.is_written {
        true => written.iter().find(|entry| entry.path == row.path).cloned(),
        false => Some(Entry::of_folder(row.kind, &row.path)),
    };
    rows.iter().filter_map(entry).collect()
}

/// An environment's name and path, and its Kustomizations with their folders.
type Shape<'g> = (&'g str, &'g str, Vec<(&'g LeafName, &'g str)>);

/// Which environments there are, and which Kustomizations with which folders they have.
fn shape(graph: &Graph) -> Vec<Shape<'_>> {
    let environments = graph.environments.iter();
    environments
        .map(|it| {
            let leaves = it
                .leaves
                .iter()
                .map(|leaf| (&leaf.name, leaf.path.as_str()));
            (it.name.as_str(), it.path.as_str(), leaves.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Index, graph};
    use super::*;
    use overlay::MemTree;

    fn fleet() -> MemTree {
        let mut tree = MemTree::new();
        for name in ["eu", "us", "ap"] {
            let apps = format!(
                "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: apps, namespace: flux-system}}\n\
                 spec: {{interval: 1m, prune: true, path: ./envs/{name}, sourceRef: {{kind: GitRepository, name: fleet}}}}\n"
            );
            tree.insert(&format!("clusters/{name}/apps.yaml"), apps.into_bytes());
            let list = "resources: [../../stages/prod, own.yaml]\nnameSuffix: -x\n";
            tree.insert(&format!("envs/{name}/kustomization.yaml"), list.as_bytes());
            tree.insert(&format!("envs/{name}/own.yaml"), map("own", "1"));
        }
        tree.insert(
            "stages/prod/kustomization.yaml",
            *b"resources: [map.yaml]\n",
        );
        tree.insert("stages/prod/map.yaml", map("map", "1"));
        tree
    }

    fn map(name: &str, value: &str) -> Vec<u8> {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: '{value}'}}\n"
        )
        .into_bytes()
    }

    /// The environments that are built for a change of some files, when it can be told which these are.
    fn built(changes: &[(&str, Vec<u8>)]) -> Option<Vec<String>> {
        let (from, mut to) = (fleet(), fleet());
        for (path, bytes) in changes {
            to.insert(path, bytes.clone());
        }
        let settings = Settings::default();
        let index = Index::of(&graph(&from, &settings).expect("readable")).expect("an index");
        let written = serde_json::to_vec(&index).expect("JSON");
        let read: Index = serde_json::from_slice(&written).expect("an index");
        assert_eq!(read, index);
        let parts = partial(&from, &to, &settings, &read).expect("readable")?;
        assert_eq!(parts.untouched + parts.after.environments.len(), 3);
        let names = parts.after.environments.iter().map(|it| it.name.clone());
        Some(names.collect())
    }

    #[test]
    fn only_what_a_change_of_content_reaches_is_built() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(
            built(&[("envs/us/own.yaml", map("own", "2"))]),
            names(&["us"])
        );
        assert_eq!(
            built(&[("stages/prod/map.yaml", map("map", "2"))]),
            names(&["ap", "eu", "us"])
        );
        let list = b"resources: [../../stages/prod, own.yaml]\nnamePrefix: x-\n";
        assert_eq!(
            built(&[("envs/eu/kustomization.yaml", list.to_vec())]),
            names(&["eu"])
        );
    }

    #[test]
    fn a_change_of_form_is_looked_at_as_a_whole() {
        let list = b"resources: [own.yaml]\n".to_vec();
        assert_eq!(built(&[("envs/eu/kustomization.yaml", list)]), None);
        assert_eq!(built(&[("envs/eu/new.yaml", map("new", "1"))]), None);
        let apps = String::from_utf8(
            fleet()
                .read("clusters/eu/apps.yaml")
                .expect("there")
                .to_vec(),
        );
        let moved = apps
            .expect("text")
            .replace("./envs/eu", "./envs/us")
            .into_bytes();
        assert_eq!(built(&[("clusters/eu/apps.yaml", moved)]), None);
    }
}
