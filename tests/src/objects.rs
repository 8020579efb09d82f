//! The objects that tests create: Flux's own resources and a few of Kubernetes, as plain JSON, so that
//! the tests see the API as a user does and not as Weir's types have it.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

/// `GitRepository`, as Flux 2.9 serves it.
pub fn git_repository_kind() -> ApiResource {
    kind("source.toolkit.fluxcd.io", "v1", "GitRepository")
}

/// `Kustomization`, as Flux 2.9 serves it.
pub fn kustomization_kind() -> ApiResource {
    kind("kustomize.toolkit.fluxcd.io", "v1", "Kustomization")
}

/// A kind by its group, version and name; the plural is guessed.
pub fn kind(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// An object of any kind. `fields` holds what stands beside `metadata`, usually `spec`.
pub fn object(resource: &ApiResource, name: &str, fields: Value) -> DynamicObject {
    DynamicObject::new(name, resource).data(fields)
}

/// The API of a kind in a namespace.
pub fn api(client: &Client, namespace: &str, resource: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, resource)
}

/// A GitRepository on branch `main`. `spec` may hold more fields, and other values for these.
pub fn git_repository(name: &str, url: &str, spec: Value) -> DynamicObject {
    let standard = json!({ "url": url, "interval": "1h", "ref": { "branch": "main" } });
    object(
        &git_repository_kind(),
        name,
        json!({ "spec": over(standard, spec) }),
    )
}

/// A Kustomization of a folder of the GitRepository `source`, with pruning. `spec` may hold more
/// fields, and other values for these.
pub fn kustomization(name: &str, source: &str, path: &str, spec: Value) -> DynamicObject {
    let standard = json!({
        "interval": "1h",
        "path": path,
        "prune": true,
        "sourceRef": { "kind": "GitRepository", "name": source },
    });
    object(
        &kustomization_kind(),
        name,
        json!({ "spec": over(standard, spec) }),
    )
}

/// The text of a Deployment with one container.
pub fn deployment(name: &str, image: &str, replicas: u32) -> String {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": name, "image": image }] },
            },
        },
    })
    .to_string()
}

/// The text of a ConfigMap with one key.
pub fn config_map(name: &str, key: &str, value: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name },
        "data": { key: value },
    })
    .to_string()
}

/// The text of the definition of a namespaced kind, version `v1`, whose spec and status hold what they like.
pub fn definition(group: &str, kind: &str) -> String {
    let singular = kind.to_lowercase();
    let plural = match singular.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{singular}s"),
    };
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "names": { "kind": kind, "plural": plural, "singular": singular, "listKind": format!("{kind}List") },
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": open, "status": open },
                } },
            }],
        },
    })
    .to_string()
}

/// The text of a kustomization file that lists resources.
pub fn kustomization_file(resources: &[&str]) -> String {
    json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    })
    .to_string()
}

/// Writes one object's fields over another's; `null` takes a field away.
fn over(mut base: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else {
        return base;
    };
    for (name, value) in fields {
        match value {
            Value::Null => base.as_object_mut().and_then(|base| base.remove(&name)),
            value => base
                .as_object_mut()
                .and_then(|base| base.insert(name, value)),
        };
    }
    base
}
