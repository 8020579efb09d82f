//! Rule: an image without a tag or digest, or with the tag `latest`: what runs is decided at each pull.

use overlay::yaml::{Node, Value};
use overlay::{Object, TreeError};

use super::{Finding, Site};

/// Where pods keep their containers.
const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Looks at the images as they come out of the builds.
pub(super) fn find(site: &Site<'_>) -> Result<Vec<Finding>, TreeError> {
    let mut found = Vec::new();
    for (environment, object) in site.objects() {
        let mut images = Vec::new();
        collect(&object.node, &mut images);
        let open = images.into_iter().filter(|image| !site.is_open(image));
        for image in open.filter(|image| image.as_str().is_some_and(is_unpinned)) {
            found.push(finding(site, object, image).seen_in(&environment.name));
        }
    }
    Ok(found)
}

fn finding(site: &Site<'_>, object: &Object, image: &Node) -> Finding {
    let text = image.as_str().unwrap_or_default();
    let message = format!("{}: the image {text} has no fixed version", object.id);
    Finding::new(site.place(image.mark, object), message)
        .hint("name a tag other than latest, or a digest")
}

/// The images of all containers, wherever a kind keeps its pods.
fn collect<'a>(node: &'a Node, images: &mut Vec<&'a Node>) {
    match &node.value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping.iter() {
                let containers = value
                    .as_sequence()
                    .filter(|_| LISTS.contains(&key.text.as_str()));
                match containers {
                    Some(items) => images.extend(items.iter().filter_map(|item| item.get("image"))),
                    None => collect(value, images),
                }
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| collect(item, images)),
        Value::Scalar(_) | Value::Secret(_) => {}
    }
}

fn is_unpinned(image: &str) -> bool {
    if image.is_empty() || image.contains('@') {
        return false;
    }
    let tag = overlay::path::base(image).split_once(':');
    tag.is_none_or(|(_, tag)| tag == "latest")
}

#[cfg(test)]
mod tests {
    use super::is_unpinned;

    #[test]
    fn a_version_is_a_tag_or_a_digest() {
        for (image, want) in [
            ("shop", true),
            ("registry:5000/shop", true),
            ("registry:5000/shop:latest", true),
            ("shop:1.2", false),
            ("shop@sha256:00", false),
            ("registry:5000/shop:latest@sha256:00", false),
        ] {
            assert_eq!(is_unpinned(image), want, "{image}");
        }
    }
}
