//! What Weir consists of in a cluster: the files of `deploy/`, which this binary carries, built as `weir build` does.

use overlay::build::{Additions, Options};
use overlay::yaml::{Node, Secrets, to_json};
use overlay::{MemTree, Object};
use serde_json::Value;

use crate::cli::Failure;

/// The files of a folder of `deploy/`.
macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../../../../deploy/", $path)))),*]
    };
}

/// All files that the kustomization of `deploy/` is made of.
const FILES: [(&str, &str); 11] = files![
    "kustomization.yaml",
    "namespace.yaml",
    "rbac.yaml",
    "deployment.yaml",
    "service.yaml",
    "crds/kustomization.yaml",
    "crds/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    "crds/notification.toolkit.fluxcd.io_receivers.yaml",
    "crds/source.toolkit.fluxcd.io_buckets.yaml",
    "crds/source.toolkit.fluxcd.io_gitrepositories.yaml",
    "crds/source.toolkit.fluxcd.io_ocirepositories.yaml",
];

/// The image's name in the Deployment.
const IMAGE: &str = "ghcr.io/weir/weir";

/// The objects for a namespace, with another image where one is named.
pub(super) fn parts(namespace: &str, image: Option<&str>) -> Result<Vec<Value>, Failure> {
    let mut tree = MemTree::new();
    for (path, text) in FILES {
        tree.insert(path, text.as_bytes());
    }
    let options = Options {
        flux: true,
        additions: Additions {
            target_namespace: Some(namespace.to_owned()),
            images: image.map(replaced).into_iter().collect(),
            ..Additions::default()
        },
        ..Options::default()
    };
    let built =
        overlay::build(&tree, "", &options).map_err(|errors| Failure::new(errors.to_string()))?;
    let value = |object: &Object| to_json(&object.node, Secrets::Masked);
    Ok(built.objects.iter().map(value).collect())
}

/// An entry of `images` that puts another image in the place of Weir's own.
fn replaced(image: &str) -> Node {
    let (name, digest) = image
        .split_once('@')
        .map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match name[last..].find(':') {
        Some(at) => (&name[..last + at], Some(&name[last + at + 1..])),
        None => (name, None),
    };
    let mut node = Node::mapping();
    if let Some(mapping) = node.as_mapping_mut() {
        mapping.insert("name", Node::string(IMAGE));
        mapping.insert("newName", Node::string(name));
        let version = [
            ("newTag", tag.filter(|_| digest.is_none())),
            ("digest", digest),
        ];
        for (key, text) in version {
            if let Some(text) = text {
                mapping.insert(key, Node::string(text));
            }
        }
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(parts: &'a [Value], kind: &str) -> &'a Value {
        parts.iter().find(|part| part["kind"] == kind).expect(kind)
    }

    #[test]
    fn the_binary_carries_all_of_deploy() {
        let parts =
            parts("weir-system", Some("registry:5000/team/weir:v2")).expect("deploy/ builds");
        let definitions = parts
            .iter()
            .filter(|part| part["kind"] == "CustomResourceDefinition");
        assert_eq!(definitions.count(), 4);
        let deployment = find(&parts, "Deployment");
        assert_eq!(deployment["metadata"]["namespace"], "weir-system");
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, "registry:5000/team/weir:v2");
        let binding = find(&parts, "ClusterRoleBinding");
        assert_eq!(binding["subjects"][0]["namespace"], "weir-system");
        assert_eq!(find(&parts, "Namespace")["metadata"]["name"], "weir-system");
    }
}
