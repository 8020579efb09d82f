//! Where a new environment lies: beside its model, in the same form.

use overlay::path::{base, is_within, join};
use overlay::{Tree, TreeError};

use super::DraftError;
use super::platform::{self, Platform, others_on};
use crate::environments::{Environment, Graph, Kind};

/// Where environments lie.
const ENVIRONMENTS: &str = "envs";

/// The folders of the model and those of the new environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Model's folder, new folder.
    pub pairs: Vec<(String, String)>,
    /// The folder that the new cluster pulls; none where there are no clusters, or where the new environment comes to
    /// the model's.
    pub cluster: Option<String>,
    /// The cluster that brings several environments, the model among them.
    pub platform: Option<Platform>,
}

impl Places {
    /// The cluster that the new environment shares with its model and others; none when it gets one of its own.
    pub fn shared_cluster(&self) -> Option<&Platform> {
        self.platform.as_ref().filter(|_| self.cluster.is_none())
    }
}

/// Finds the folders of a model, and those of an environment of another name; `cluster` is where its cluster's folder
/// goes when that cannot be told from the name. Where the model shares its cluster with others, so does the new one
/// unless a folder is named.
pub fn places(
    tree: &dyn Tree,
    graph: &Graph,
    model: &Environment,
    name: &str,
    cluster: Option<&str>,
) -> Result<Places, DraftError> {
    let mut places = Places {
        pairs: Vec::new(),
        cluster: None,
        platform: platform(graph, model, cluster)?,
    };
    if model.kind == Kind::Cluster && (places.platform.is_none() || cluster.is_some()) {
        let new = cluster.map_or_else(|| beside(&model.path, &model.name, name), str::to_owned);
        places.cluster = Some(new.clone());
        places.pairs.push((model.path.clone(), new));
    }
    let own = own_folder(model);
    let is_copied = |own: &String| places.pairs.iter().any(|(from, _)| is_within(own, from));
    if let Some(own) = own.filter(|own| !is_copied(own)) {
        let new = beside(&own, &model.name, name);
        places.pairs.push((own, new));
    }
    for (from, to) in &places.pairs {
        refuse_taken(tree, from, to)?;
    }
    Ok(places)
}

/// The model's cluster, when it brings others besides.
fn platform(
    graph: &Graph,
    model: &Environment,
    cluster: Option<&str>,
) -> Result<Option<Platform>, DraftError> {
    let others = match model.kind {
        Kind::Cluster => others_on(graph, model),
        Kind::Folder | Kind::Unreached => Vec::new(),
    };
    match (others.is_empty(), cluster) {
        (true, _) => Ok(None),
        (false, None) => platform::shared(model, &others).map(Some),
        (false, Some(_)) => platform::copied(model, &others).map(Some),
    }
}

/// The folder under `envs/` that the model builds, or the one that it is.
fn own_folder(model: &Environment) -> Option<String> {
    if model.kind != Kind::Cluster {
        return Some(model.path.clone());
    }
    let within = |path: &&str| is_within(path, ENVIRONMENTS) && *path != ENVIRONMENTS;
    let mut paths: Vec<&str> = model
        .leaves
        .iter()
        .map(|leaf| leaf.path.as_str())
        .filter(within)
        .collect();
    paths.sort_unstable();
    paths.first().map(|path| (*path).to_owned())
}

/// A path like the model's for the new name: `envs/prod-eu` gives `envs/prod-ap`, `clusters/prod/eu` gives
/// `clusters/prod/ap`.
fn beside(path: &str, model: &str, name: &str) -> String {
    let above = |last: &str| {
        path.strip_suffix(last)
            .filter(|above| above.is_empty() || above.ends_with('/'))
    };
    if let Some(above) = above(model) {
        return format!("{above}{name}");
    }
    let last = base(path);
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let stem = model
        .strip_suffix(last)
        .filter(|stem| stem.ends_with(['-', '/', '.']));
    let rest = stem
        .and_then(|stem| name.strip_prefix(stem))
        .filter(|rest| !rest.is_empty());
    join(folder, rest.unwrap_or(name))
}

fn refuse_taken(tree: &dyn Tree, from: &str, to: &str) -> Result<(), DraftError> {
    let is_inside = to
        .split('/')
        .all(|part| !part.is_empty() && part != "." && part != ".." && !part.starts_with('.'));
    if from.is_empty() || !is_inside {
        return Err(DraftError::Form(format!(
            "`{to}` is no folder of its own for an environment"
        )));
    }
    match kind(tree, to)? {
        true => Err(DraftError::Form(format!("{to} is there already"))),
        false => Ok(()),
    }
}

fn kind(tree: &dyn Tree, path: &str) -> Result<bool, TreeError> {
    Ok(tree.kind(path)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn a_new_folder_lies_beside_its_model_in_the_same_form() {
        for (path, want) in [
            ("envs/prod-eu", "envs/prod-ap"),
            ("clusters/prod-eu", "clusters/prod-ap"),
            ("clusters/prod/eu", "clusters/prod/ap"),
            ("clusters/home", "clusters/prod-ap"),
            ("prod-eu", "prod-ap"),
        ] {
            assert_eq!(beside(path, "prod-eu", "prod-ap"), want, "{path}");
        }
        assert_eq!(
            beside("envs/shop/prod", "shop/prod", "shop/staging"),
            "envs/shop/staging"
        );
        assert_eq!(
            beside("clusters/prod/eu", "prod-eu", "staging"),
            "clusters/prod/staging"
        );
    }
}
