//! The versions that an environment runs: tags of images, and versions of charts.

use std::collections::{BTreeMap, BTreeSet};

use overlay::Object;
use overlay::unknown::Marker;
use overlay::yaml::{Mapping, Node, Value};

use super::Environment;

/// The group of Flux's Helm releases.
const HELM: &str = "helm.toolkit.fluxcd.io";

/// Digits of a digest that tell one from another.
const DIGEST_DIGITS: usize = 12;

/// App → its versions: for each workload and Helm release of an environment what it runs, by name.
pub fn versions(environment: &Environment, marker: &Marker) -> BTreeMap<String, String> {
    let mut apps: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let objects = environment.leaves.iter().flat_map(|leaf| leaf.objects());
    for object in objects {
        let versions = of_object(object);
        if !versions.is_empty() {
            apps.entry(object.id.name.clone())
                .or_default()
                .extend(versions);
        }
    }
    let joined = |versions: BTreeSet<String>| {
        let text = versions.into_iter().collect::<Vec<_>>().join(", ");
        marker.shown(&text, |unknown| format!("({})", unknown.reason))
    };
    let apps = apps.into_iter();
    apps.map(|(app, versions)| (app, joined(versions)))
        .collect()
}

fn of_object(object: &Object) -> BTreeSet<String> {
    let mut images = BTreeSet::new();
    if object.id.group == HELM {
        let chart = ["spec", "chart", "spec", "version"];
        let version = object.node.find_str(&chart).unwrap_or("latest");
        images.insert(format!("chart {version}"));
        return images;
    }
    collect(&object.node, &mut images);
    let only_one = images.len() == 1;
    let shown = |image: &String| match (only_one, version_of(image)) {
        (true, (_, version)) => version.to_owned(),
        (false, (name, version)) => format!("{name}:{version}"),
    };
    images.iter().map(shown).collect()
}

/// The images of all containers, wherever a kind keeps its pods.
fn collect(node: &Node, images: &mut BTreeSet<String>) {
    match &node.value {
        Value::Mapping(mapping) => {
            mapping
                .iter()
                .for_each(|(key, value)| match key.text.as_str() {
                    "containers" | "initContainers" => images.extend(images_of(value)),
                    _ => collect(value, images),
                })
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, images)),
        Value::Scalar(_) | Value::Secret(_) => {}
    }
}

fn images_of(containers: &Node) -> impl Iterator<Item = String> + '_ {
    let items = containers.as_sequence().unwrap_or_default().iter();
    let mappings = items.filter_map(Node::as_mapping);
    let image = |mapping: &Mapping| mapping.get("image")?.as_str().map(str::to_owned);
    mappings.filter_map(image)
}

/// The last part of an image's name, and its tag or the beginning of its digest.
fn version_of(image: &str) -> (&str, &str) {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let last = rest.rsplit('/').next().unwrap_or(rest);
    let (name, tag) = match last.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (last, None),
    };
    let short = digest.map(|digest| {
        let end = digest.find(':').map_or(0, |at| at + 1) + DIGEST_DIGITS;
        digest.get(..end).unwrap_or(digest)
    });
    (name, tag.or(short).unwrap_or("latest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_called_by_its_last_part_and_its_tag() {
        for (image, name, version) in [
            ("shop", "shop", "latest"),
            ("registry:5000/team/shop:1.2", "shop", "1.2"),
            (
                "shop@sha256:0123456789abcdef",
                "shop",
                "sha256:0123456789ab",
            ),
            ("r/shop:1.2@sha256:0123456789abcdef", "shop", "1.2"),
        ] {
            assert_eq!(version_of(image), (name, version), "{image}");
        }
    }
}
