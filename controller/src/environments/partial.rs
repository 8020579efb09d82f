//! The part of two graphs that a change can reach, when what was remembered of the first one still tells which that is:
//! as long as files change their content, and none comes, goes, or takes in other folders than before.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::Arc;

use overlay::path::base;
use overlay::{Tree, TreeError};

use super::apart;
use super::entries::Entry;
use super::folders::{KUSTOMIZATION_FILES, SYNC_FILE, is_alike};
use super::index::{Index, Reached};
use super::name::included;
use super::spec::is_source;
use super::twins::{self, Degree, Group, Like, Twin};
use super::walk::{Walked, walk};
use super::{
    Changed, Composer, Earlier, Environment, Folders, Graph, Leaf, SHARED, Settings, Shared, Site,
    changed, parallel, siblings,
};

/// Name and path of an environment.
pub type Called = (String, String);

/// Parts of two graphs, and what is known of the rest.
pub struct Partial {
    /// Of the tree before.
    pub before: Graph,
    /// Of the tree after.
    pub after: Graph,
    /// What differs.
    pub changed: Changed,
    /// Environments that no change reaches.
    pub untouched: usize,
    /// The stages of those Kustomizations that were left out of environments, as no change reaches them.
    pub stages: BTreeMap<Called, Vec<String>>,
    /// Environments in which the very same happens as in one that was built.
    pub twins: Vec<Twin>,
}

impl Partial {
    /// All of two graphs.
    pub fn whole(before: Graph, after: Graph, changed: Changed) -> Self {
        Self {
            before,
            after,
            changed,
            untouched: 0,
            stages: BTreeMap::new(),
            twins: Vec::new(),
        }
    }
}

/// Two trees, and what is remembered of the first.
struct Trees<'t> {
    from: &'t dyn Tree,
    to: &'t dyn Tree,
    settings: &'t Settings,
    changed: &'t Changed,
}

/// What builds of a tree have made for those that come after them.
struct Kept {
    shared: Shared,
    composer: Composer,
}

impl Kept {
    fn of(site: Site<'_>) -> Self {
        let Site {
            shared, composer, ..
        } = site;
        Self { shared, composer }
    }

    /// The part of it that holds for a later tree.
    fn untouched(&self, changed: &Changed) -> Self {
        Self {
            shared: self
                .shared
                .of_later_tree(&|path| !changed.paths.contains(path)),
            composer: self.composer.untouched(changed),
        }
    }
}

/// Some environments of both trees.
#[derive(Default)]
struct Sides {
    before: Vec<Environment>,
    after: Vec<Environment>,
}

impl Sides {
    fn extend(&mut self, more: Self) {
        self.before.extend(more.before);
        self.after.extend(more.after);
    }
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
    if !keeps_form(from, to, &changed)? {
        return Ok(None);
    }
    let trees = Trees {
        from,
        to,
        settings,
        changed: &changed,
    };
    let reached = index.reached(&changed);
    let Some((sides, twins)) = trees.sides(index, &reached) else {
        return Ok(None);
    };
    Ok(Some(Partial {
        untouched: index
            .environments
            .saturating_sub(sides.before.len() + twins.len()),
        stages: stages(index, &reached),
        before: graph_of(sides.before),
        after: graph_of(sides.after),
        changed,
        twins,
    }))
}

/// Whether the later tree has the same files and folders, and the same ones take in the same.
fn keeps_form(from: &dyn Tree, to: &dyn Tree, changed: &Changed) -> Result<bool, TreeError> {
    for path in &changed.paths {
        let is_kustomization = KUSTOMIZATION_FILES.contains(&base(path));
        if from.kind(path)? != to.kind(path)?
            || base(path) == SYNC_FILE
            || (is_kustomization && !is_alike(from, to, path)?)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is left out of each environment extends these stages.
fn stages(index: &Index, reached: &[Reached<'_>]) -> BTreeMap<Called, Vec<String>> {
    let environments = reached
        .iter()
        .flat_map(|it| it.row.environments.iter().map(move |named| (it, named)));
    let stages = environments.map(|(Reached { row, needed, .. }, named)| {
        let left_out = named.parts.iter().filter(|part| !needed[**part]);
        let stages = index.stages(left_out.map(|part| &row.parts[*part]));
        ((named.name.clone(), row.path.clone()), stages)
    });
    stages.collect()
}

fn graph_of(mut environments: Vec<Environment>) -> Graph {
    environments.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    Graph {
        environments,
        folders: Folders::default(),
        warnings: Vec::new(),
        composer: Composer::default(),
    }
}

impl Trees<'_> {
    /// The environments of some entries, and those apart in which the same happens; nothing when their form changes.
    fn sides(&self, index: &Index, reached: &[Reached<'_>]) -> Option<(Sides, Vec<Twin>)> {
        let (mut sides, mut twins) = (Sides::default(), Vec::new());
        let mut kept = Kept {
            shared: Shared::new(SHARED),
            composer: Composer::default(),
        };
        let mut rest: Vec<&Reached<'_>> = reached.iter().collect();
        for degree in [Degree::Siblings, Degree::Twins] {
            let groups = twins::groups(&rest, self.changed, degree);
            let first: Vec<&Reached<'_>> = groups.iter().map(|group| group.first).collect();
            let built;
            (built, kept) = self.build(&first, kept)?;
            let is_untouched;
            (is_untouched, kept) = self.are_untouched(index, &groups, &built, kept);
            rest.clear();
            for (group, is_untouched) in groups.iter().zip(is_untouched) {
                match is_untouched && twins::are_alike(group, &built.before, &built.after) {
                    true => twins.extend(twins::twins(index, group, &built.after)),
                    false => rest.extend(&group.others),
                }
            }
            sides.extend(built);
        }
        let (built, _) = self.build(&rest, kept)?;
        sides.extend(built);
        Some((sides, twins))
    }

    /// Whether what siblings have of their own has no part in what changes, for each group.
    fn are_untouched(
        &self,
        index: &Index,
        groups: &[Group<'_, '_>],
        built: &Sides,
        kept: Kept,
    ) -> (Vec<bool>, Kept) {
        let later = kept.untouched(self.changed);
        let sites = [
            self.site(self.from, kept, None),
            self.site(self.to, later, None),
        ];
        let is_untouched = parallel::each(groups, |group| {
            let leaves = twins::leaves(group.first, &built.before);
            let touched = group.first.touched.len();
            let mut alike = group.alike.iter().flatten().zip(&leaves);
            group.others.is_empty()
                || leaves.len() == touched
                    && alike.all(|((like, _), leaf)| match like {
                        Like::Twin(_) => true,
                        Like::Sibling(number) => {
                            let layer = &index.layers[*number as usize];
                            siblings::is_untouched(layer, leaf, &sites, self.changed)
                        }
                    })
        });
        let [from, _] = sites;
        (is_untouched, Kept::of(from))
    }

    fn build(&self, rows: &[&Reached<'_>], kept: Kept) -> Option<(Sides, Kept)> {
        let (mut old, kept) = self.walked(self.from, rows, kept, None)?;
        let before = environments(rows, &old);
        let earlier = Earlier::new(&before, self.changed);
        let untouched = kept.untouched(self.changed);
        let (mut new, _) = self.walked(self.to, rows, untouched, Some(earlier))?;
        let keeps = |(reached, (old, new)): (&&Reached<'_>, (&Walked, &Walked))| {
            reached.is_whole(old) && is_same_form(old, new)
        };
        let mut pairs = rows.iter().zip(old.iter().zip(&new));
        if !pairs.all(keeps) || !apart::put_in(rows, &mut old, &mut new) {
            return None;
        }
        let (before, after) = (environments(rows, &old), environments(rows, &new));
        Some((Sides { before, after }, kept))
    }

    /// What is needed of some entries, built in one of the trees.
    fn walked(
        &self,
        tree: &dyn Tree,
        rows: &[&Reached<'_>],
        kept: Kept,
        earlier: Option<Earlier<'_>>,
    ) -> Option<(Vec<Walked>, Kept)> {
        let site = self.site(tree, kept, earlier);
        let walked = parallel::each(rows, |reached| {
            let entry = entry(&site, reached)?;
            Some(walk(&site, &entry, &reached.instead()))
        });
        let walked: Option<Vec<Walked>> = walked.into_iter().collect();
        Some((walked?, Kept::of(site)))
    }

    fn site<'s>(
        &'s self,
        tree: &'s dyn Tree,
        kept: Kept,
        earlier: Option<Earlier<'s>>,
    ) -> Site<'s> {
        Site {
            tree,
            shared: kept.shared,
            settings: self.settings,
            composer: kept.composer,
            earlier,
        }
    }
}

/// The entry of a row; one that a file holds is read from there.
fn entry(site: &Site<'_>, reached: &Reached<'_>) -> Option<Entry> {
    let row = reached.row;
    match &row.written {
        Some(written) => Entry::of_written(site, written, &row.path),
        None => Some(Entry::of_folder(row.kind, &row.path)),
    }
}

/// The environments of some entries, of what was built of them.
fn environments(rows: &[&Reached<'_>], walked: &[Walked]) -> Vec<Environment> {
    let mut environments = Vec::new();
    for (Reached { row, .. }, walked) in rows.iter().zip(walked) {
        for named in &row.environments {
            let is_its = |leaf: &&Arc<Leaf>| {
                let mut parts = named.parts.iter();
                parts.any(|part| row.parts[*part].name == leaf.name)
            };
            environments.push(Environment {
                name: named.name.clone(),
                kind: row.kind,
                path: row.path.clone(),
                leaves: walked.leaves.iter().filter(is_its).cloned().collect(),
            });
        }
    }
    environments
}

/// Whether the same Kustomizations with the same folders come of both trees, and nothing that others would go by is new.
fn is_same_form(before: &Walked, after: &Walked) -> bool {
    let is_alike = |(old, new): (&Arc<Leaf>, &Arc<Leaf>)| {
        Arc::ptr_eq(old, new)
            || (old.name == new.name
                && (&old.path, &old.parent) == (&new.path, &new.parent)
                && discriminant(&old.outcome) == discriminant(&new.outcome)
                && included(old) == included(new)
                && !new.objects().iter().any(|object| is_source(&object.id)))
    };
    !before.is_moved
        && !after.is_moved
        && before.leaves.len() == after.leaves.len()
        && before.leaves.iter().zip(&after.leaves).all(is_alike)
}

#[cfg(test)]
mod tests {
    use super::super::graph;
    use super::*;
    use overlay::MemTree;

    fn fleet() -> MemTree {
        let mut tree = MemTree::new();
        for name in ["eu", "us", "ap"] {
            let apps = kustomization("apps", &format!("./envs/{name}"), "force: false");
            tree.insert(&format!("clusters/{name}/apps.yaml"), apps);
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

    fn kustomization(name: &str, path: &str, rest: &str) -> Vec<u8> {
        format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, namespace: flux-system}}\n\
             spec: {{interval: 1m, prune: true, path: {path}, sourceRef: {{kind: GitRepository, name: fleet}}, {rest}}}\n"
        )
        .into_bytes()
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
        let graph = graph(&from, &settings).expect("readable");
        let index = Index::of(&graph, &from, &settings.marker).expect("an index");
        let written = index.written().expect("written");
        let read = Index::read(&written).expect("an index");
        assert_eq!(read, index);
        let parts = partial(&from, &to, &settings, &read).expect("readable")?;
        let told = parts.after.environments.len() + parts.twins.len();
        assert_eq!(parts.untouched + told, 3);
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
            names(&["ap"]),
            "the others have the same files in folders of their own"
        );
        assert_eq!(
            built(&[
                ("stages/prod/map.yaml", map("map", "2")),
                ("envs/us/own.yaml", map("own", "2")),
            ]),
            names(&["ap", "us"])
        );
        let list = b"resources: [../../stages/prod, own.yaml]\nnamePrefix: x-\n";
        assert_eq!(
            built(&[("envs/eu/kustomization.yaml", list.to_vec())]),
            names(&["eu"])
        );
    }

    /// The fleet with two Kustomizations that all clusters have, of one value each.
    fn sharing(plain: &str, host: &str) -> MemTree {
        let mut tree = fleet();
        tree.insert("shared/plain/map.yaml", map("plain", plain));
        tree.insert("shared/host/map.yaml", map("host", host));
        for cluster in ["eu", "us", "ap"] {
            for name in ["plain", "host"] {
                let variables = "postBuild: {substituteFrom: [{kind: ConfigMap, name: facts}]}";
                let text = kustomization(name, &format!("./shared/{name}"), variables);
                tree.insert(&format!("clusters/{cluster}/{name}.yaml"), text);
            }
            let facts = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: facts, namespace: flux-system}}\ndata: {{host: {cluster}}}\n"
            );
            tree.insert(
                &format!("clusters/{cluster}/facts.yaml"),
                facts.into_bytes(),
            );
        }
        tree
    }

    #[test]
    fn what_many_share_is_built_once_unless_variables_have_a_part_in_it() {
        let from = sharing("1", "${host}");
        let settings = Settings::default();
        let graph = graph(&from, &settings).expect("readable");
        let index = Index::of(&graph, &from, &settings.marker).expect("an index");
        for (plain, host, expected) in [
            ("1", "${host}", (0, 0)),
            ("2", "${host}", (1, 2)),
            ("1", "a.${host}", (3, 0)),
            ("1", "${host}', b: '1", (1, 2)),
            ("1", "${host}', b: '${host}", (3, 0)),
            ("${host}", "${host}", (3, 0)),
        ] {
            let parts = partial(&from, &sharing(plain, host), &settings, &index);
            let parts = parts.expect("readable").expect("of the same form");
            let seen = (parts.after.environments.len(), parts.twins.len());
            assert_eq!(seen, expected, "{plain} {host}");
        }
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
