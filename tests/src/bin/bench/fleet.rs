//! The repository of the benchmark: many small applications, each of four objects.

use serde_json::{Value, json};
use weir_tests::Repository;
use weir_tests::objects::kustomization_file;

/// The files of a bare folder each hold this many objects.
const PER_FILE: usize = 100;

/// What the names of all applications begin with.
pub(crate) const PREFIX: &str = "app-";

/// The name of an application.
pub(crate) fn name(number: usize) -> String {
    format!("{PREFIX}{number:04}")
}

/// The four objects of an application. The version is what the Kustomization's substitution puts in.
pub(crate) fn application(number: usize, version: &str, note: &str) -> [Value; 4] {
    let name = name(number);
    let labels = json!({ "app": name });
    [
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": name, "labels": labels },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "labels": labels },
            "spec": { "selector": labels, "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }] },
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": name, "labels": labels, "annotations": { "example.org/note": note } },
            "spec": {
                "replicas": 0,
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": {
                        "serviceAccountName": name,
                        "containers": [{
                            "name": "app",
                            "image": format!("registry.example.org/app:{version}"),
                            "ports": [{ "containerPort": 8080 }],
                        }],
                    },
                },
            },
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": { "name": name, "labels": labels },
            "spec": { "rules": [{
                "host": format!("{name}.example.org"),
                "http": { "paths": [{
                    "path": "/", "pathType": "Prefix",
                    "backend": { "service": { "name": name, "port": { "name": "http" } } },
                }] },
            }] },
        }),
    ]
}

/// Writes an application into a folder of its own.
pub(crate) fn write_application(repository: &Repository, number: usize, note: &str) {
    let folder = format!("apps/{}", name(number));
    let objects = application(number, "${version}", note);
    repository.write(
        &format!("{folder}/kustomization.yaml"),
        kustomization_file(&["objects.yaml"]),
    );
    repository.write(&format!("{folder}/objects.yaml"), documents(&objects));
}

/// A ConfigMap among many.
pub(crate) fn config_map(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": format!("settings-{number:05}") },
        "data": { "number": number.to_string(), "greeting": "hello" },
    })
}

/// Writes many ConfigMaps into one folder.
pub(crate) fn write_config_maps(repository: &Repository, folder: &str, count: usize) {
    for first in (0..count).step_by(PER_FILE) {
        let objects: Vec<Value> = (first..count.min(first + PER_FILE))
            .map(config_map)
            .collect();
        repository.write(
            &format!("{folder}/settings-{first:05}.yaml"),
            documents(&objects),
        );
    }
}

fn documents(objects: &[Value]) -> String {
    let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
    texts.join("\n---\n")
}
