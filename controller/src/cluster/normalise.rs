//! An object as it is sent: what Flux adds and takes away before it applies, so that both own the same fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use overlay::yaml::{Node, Secret, Style, Tag, Value};
use overlay::{Object, ObjectId};

use super::discovery::Resource;
use super::owner::{NAME_LABEL, NAMESPACE_LABEL, Owner};

/// Groups whose kinds Flux reads into Go types, which drops nulls.
pub(super) const BUILT_IN: [&str; 17] = [
    "",
    "admissionregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Where kinds keep their pod templates.
const POD_SPECS: [(&str, &[&str]); 8] = [
    ("Pod", &["spec"]),
    ("Deployment", &["spec", "template", "spec"]),
    ("StatefulSet", &["spec", "template", "spec"]),
    ("DaemonSet", &["spec", "template", "spec"]),
    ("ReplicaSet", &["spec", "template", "spec"]),
    ("ReplicationController", &["spec", "template", "spec"]),
    ("Job", &["spec", "template", "spec"]),
    (
        "CronJob",
        &["spec", "jobTemplate", "spec", "template", "spec"],
    ),
];

/// Brings an object into the form in which it is sent.
pub(super) fn normalise(object: &mut Object, resource: Option<&Resource>, owner: &Owner) {
    if resource.is_some_and(|resource| !resource.namespaced) {
        object.id.namespace.clear();
        remove(&mut object.node, &["metadata"], "namespace");
    }
    set_owner(&mut object.node, owner);
    let (id, node) = (&object.id, &mut object.node);
    if id.kind != "CustomResourceDefinition" {
        remove(node, &[], "status");
    }
    if BUILT_IN.contains(&id.group.as_str()) {
        drop_nulls(node);
        default_protocols(id, node);
    }
    remove_null(node, &["metadata"], "creationTimestamp");
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "Secret") => encode_string_data(node),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => drop_broken_ca_bundle(node),
        _ => {}
    }
}

fn set_owner(node: &mut Node, owner: &Owner) {
    let Some(root) = node.as_mapping_mut() else {
        return;
    };
    let metadata = root.get_or_insert_with("metadata", Node::mapping);
    let Some(metadata) = metadata.as_mapping_mut() else {
        return;
    };
    let labels = metadata.get_or_insert_with("labels", Node::mapping);
    if labels.is_null() {
        *labels = Node::mapping();
    }
    if let Some(labels) = labels.as_mapping_mut() {
        labels.insert(NAME_LABEL, Node::string(owner.name.as_str()));
        labels.insert(NAMESPACE_LABEL, Node::string(owner.namespace.as_str()));
    }
}

fn at<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
    // Looked up first, so that a path that is not there does not unshare what is.
    node.find(path)?;
    path.iter().try_fold(node, |node, key| node.get_mut(key))
}

fn remove(node: &mut Node, path: &[&str], key: &str) {
    if node
        .find(path)
        .is_some_and(|parent| parent.get(key).is_some())
        && let Some(mapping) = at(node, path).and_then(Node::as_mapping_mut)
    {
        mapping.remove(key);
    }
}

fn remove_null(node: &mut Node, path: &[&str], key: &str) {
    let value = node.find(path).and_then(|parent| parent.get(key));
    if value.is_some_and(Node::is_null) {
        remove(node, path, key);
    }
}

fn holds_null(node: &Node) -> bool {
    match &node.value {
        Value::Mapping(mapping) => mapping
            .iter()
            .any(|(_, value)| value.is_null() || holds_null(value)),
        Value::Sequence(items) => items.iter().any(holds_null),
        _ => false,
    }
}

fn drop_nulls(node: &mut Node) {
    if !holds_null(node) {
        return;
    }
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(drop_nulls);
    } else if let Some(mapping) = node.as_mapping_mut() {
        mapping.retain(|_, value| !value.is_null());
        mapping.iter_mut().for_each(|(_, value)| drop_nulls(value));
    }
}

/// Port lists are merged by port and protocol, so an entry without a protocol may not be found again once the API
/// server has given it one; Flux states the default for that reason, and owns the field.
fn default_protocols(id: &ObjectId, node: &mut Node) {
    if id.kind == "Service" {
        default_protocol(at(node, &["spec", "ports"]));
    }
    let Some((_, path)) = POD_SPECS.iter().find(|(kind, _)| *kind == id.kind) else {
        return;
    };
    for list in ["initContainers", "containers"] {
        let Some(containers) = at(node, path).and_then(|spec| at(spec, &[list])) else {
            continue;
        };
        for container in containers.as_sequence_mut().into_iter().flatten() {
            default_protocol(at(container, &["ports"]));
        }
    }
}

fn default_protocol(ports: Option<&mut Node>) {
    let Some(ports) = ports else { return };
    let complete = |port: &Node| port.get("protocol").is_some();
    if ports
        .as_sequence()
        .is_none_or(|ports| ports.iter().all(complete))
    {
        return;
    }
    for port in ports.as_sequence_mut().into_iter().flatten() {
        if let Some(port) = port.as_mapping_mut()
            && !port.contains("protocol")
        {
            port.insert("protocol", Node::string("TCP"));
        }
    }
}

/// Moves `stringData` into `data`: the API server does so on writing, but the field manager would own the name
/// that is not stored. What is not text stays, for the API server to refuse.
fn encode_string_data(node: &mut Node) {
    let Some(plain) = node.get("stringData").and_then(Node::as_mapping).cloned() else {
        return;
    };
    if plain.iter().any(|(_, value)| value.tag() != Some(Tag::Str)) {
        return;
    }
    let Some(root) = node.as_mapping_mut() else {
        return;
    };
    let data = root.get_or_insert_with("data", Node::mapping);
    if data.is_null() {
        *data = Node::mapping();
    }
    let Some(data) = data.as_mapping_mut() else {
        return;
    };
    for (key, value) in plain.iter() {
        data.insert(key.clone(), encoded(value));
    }
    root.remove("stringData");
}

fn encoded(value: &Node) -> Node {
    match &value.value {
        Value::Secret(secret) => {
            let text = BASE64.encode(secret.expose());
            Node::from(Value::Secret(Secret::new(text, Tag::Str, Style::Plain))).at(value.mark)
        }
        _ => Node::string(BASE64.encode(value.as_str().unwrap_or_default())).at(value.mark),
    }
}

/// Definitions are often written with a placeholder that a CA injector is to fill; the API server refuses it.
fn drop_broken_ca_bundle(node: &mut Node) {
    let path = ["spec", "conversion", "webhook", "clientConfig"];
    let Some(bundle) = node.find(&path).and_then(|config| config.get("caBundle")) else {
        return;
    };
    let decoded = bundle.as_str().and_then(|text| BASE64.decode(text).ok());
    let is_certificate = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .is_some_and(|text| text.contains("-----BEGIN CERTIFICATE-----"));
    if !is_certificate {
        remove(node, &path, "caBundle");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Dialect, Secrets, read_documents, to_json};
    use serde_json::json;

    fn sent(group: &str, kind: &str, yaml: &str) -> serde_json::Value {
        let node = read_documents(yaml.as_bytes(), 0, Dialect::Kustomize)
            .expect("valid")
            .remove(0);
        let id = ObjectId {
            group: group.into(),
            kind: kind.into(),
            ..ObjectId::default()
        };
        let mut object = Object {
            id,
            node,
            origin: overlay::Origin::default(),
        };
        let owner = Owner {
            name: "apps".into(),
            namespace: "flux-system".into(),
        };
        normalise(&mut object, None, &owner);
        let mut json = to_json(&object.node, Secrets::Revealed);
        let labels = json["metadata"]["labels"].as_object_mut().expect("labels");
        assert_eq!(labels.remove(NAME_LABEL), Some("apps".into()));
        assert_eq!(labels.remove(NAMESPACE_LABEL), Some("flux-system".into()));
        json
    }

    #[test]
    fn string_data_becomes_data() {
        let json = sent(
            "",
            "Secret",
            "metadata: {name: s}\nstringData: {a: new, b: x}\ndata: {a: b2xk}\n",
        );
        assert_eq!(json["data"], json!({"a": "bmV3", "b": "eA=="}));
        assert_eq!(json.get("stringData"), None);
    }

    #[test]
    fn string_data_that_is_not_text_is_left_to_the_server() {
        let json = sent("", "Secret", "metadata: {name: s}\nstringData: {a: 1}\n");
        assert_eq!(json["stringData"], json!({"a": 1}));
    }

    #[test]
    fn nulls_status_and_missing_protocols() {
        let yaml = "metadata: {name: d, creationTimestamp: null, labels: null}\n\
                    spec:\n  template:\n    metadata: {creationTimestamp: null}\n    spec:\n      containers:\n\
                    \x20     - name: c\n        ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]\n\
                    status: {replicas: 1}\n";
        assert_eq!(
            sent("apps", "Deployment", yaml),
            json!({
                "metadata": {"name": "d", "labels": {}},
                "spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "c", "ports": [
                    {"containerPort": 80, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]}]}}},
            })
        );
    }

    #[test]
    fn nulls_of_custom_resources_stay() {
        let json = sent(
            "example.org",
            "Thing",
            "metadata: {name: t}\nspec: {a: null}\n",
        );
        assert_eq!(json["spec"], json!({"a": null}));
    }

    #[test]
    fn a_placeholder_ca_bundle_goes() {
        let yaml = |bundle: &str| {
            format!(
                "metadata: {{name: c}}\nspec: {{conversion: {{webhook: {{clientConfig: {{caBundle: {bundle}}}}}}}}}\n"
            )
        };
        let bundle = |yaml: &str| {
            let json = sent("apiextensions.k8s.io", "CustomResourceDefinition", yaml);
            json.pointer("/spec/conversion/webhook/clientConfig/caBundle")
                .cloned()
        };
        assert_eq!(bundle(&yaml("Cg==")), None);
        let valid = BASE64.encode("-----BEGIN CERTIFICATE-----\n");
        assert_eq!(bundle(&yaml(&valid)), Some(valid.into()));
    }
}
