//! Parts of Flux whose work Weir does. A repository that Flux was bootstrapped from brings them along
//! (`gotk-components.yaml`): to apply them would start a second controller beside Weir, and take its definitions
//! from it.

use overlay::Object;

/// The label that Flux puts on all of its own parts.
const PART_OF: [&str; 3] = ["metadata", "labels", "app.kubernetes.io/part-of"];

/// The controller that Weir runs beside when it is told to leave sources alone.
const SOURCES: (&str, &str, &str) = ("apps", "Deployment", "source-controller");

/// The parts by group, kind and name; Flux's other controllers and definitions are applied.
const PARTS: [(&str, &str, &str); 6] = [
    ("apps", "Deployment", "kustomize-controller"),
    SOURCES,
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "kustomizations.kustomize.toolkit.fluxcd.io",
    ),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "gitrepositories.source.toolkit.fluxcd.io",
    ),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "ocirepositories.source.toolkit.fluxcd.io",
    ),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "buckets.source.toolkit.fluxcd.io",
    ),
];

/// Whether Weir does the work of an object.
pub(super) fn is_replaced(object: &Object, leaves_sources: bool) -> bool {
    let id = &object.id;
    let part = (id.group.as_str(), id.kind.as_str(), id.name.as_str());
    let is_one = PARTS.contains(&part) && !(leaves_sources && part == SOURCES);
    is_one && object.node.find_str(&PART_OF) == Some("flux")
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Dialect, read_documents};
    use overlay::{ObjectId, Origin};

    fn object(kind: &str, group: &str, name: &str, part_of: &str) -> Object {
        let yaml =
            format!("metadata: {{name: {name}, labels: {{app.kubernetes.io/part-of: {part_of}}}}}");
        let node = read_documents(yaml.as_bytes(), 0, Dialect::Kubernetes)
            .expect("valid")
            .remove(0);
        let [kind, group, name] = [kind, group, name].map(str::to_owned);
        let id = ObjectId {
            kind,
            group,
            name,
            ..ObjectId::default()
        };
        Object {
            id,
            node,
            origin: Origin::default(),
        }
    }

    #[test]
    fn only_the_halves_that_weir_has_are_left_out() {
        for (object, expected) in [
            (
                object("Deployment", "apps", "source-controller", "flux"),
                true,
            ),
            (
                object("Deployment", "apps", "source-controller", "shop"),
                false,
            ),
            (
                object("Deployment", "apps", "helm-controller", "flux"),
                false,
            ),
            (object("Service", "", "source-controller", "flux"), false),
            (
                object(
                    "CustomResourceDefinition",
                    "apiextensions.k8s.io",
                    "gitrepositories.source.toolkit.fluxcd.io",
                    "flux",
                ),
                true,
            ),
            (
                object(
                    "CustomResourceDefinition",
                    "apiextensions.k8s.io",
                    "helmreleases.helm.toolkit.fluxcd.io",
                    "flux",
                ),
                false,
            ),
        ] {
            assert_eq!(is_replaced(&object, false), expected, "{}", object.id);
        }
        let half = object("Deployment", "apps", "source-controller", "flux");
        assert!(!is_replaced(&half, true));
    }
}
