//! What an account that may only read is told is what one that may write is told: the same objects, the same leaves.

use serde_json::{Value, json};
use weir_tests::objects::{kustomization_file, kustomization_kind};
use weir_tests::{ControlPlane, Scene};

use crate::plans::{reader, said, weir};

/// An object of a name that is edited: what stands beside `metadata` before, and after.
struct Edit {
    name: &'static str,
    kind: (&'static str, &'static str),
    before: Value,
    after: Value,
}

const DEPLOYMENT: (&str, &str) = ("apps/v1", "Deployment");
const SERVICE: (&str, &str) = ("v1", "Service");
const CONFIG_MAP: (&str, &str) = ("v1", "ConfigMap");
const SECRET: (&str, &str) = ("v1", "Secret");
const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn edit(
    name: &'static str,
    kind: (&'static str, &'static str),
    before: Value,
    after: Value,
) -> Edit {
    Edit {
        name,
        kind,
        before,
        after,
    }
}

/// The fields of a Deployment: those of its pods' spec, and of its own, besides what it must have.
fn pods(pod: Value, own: Value) -> Value {
    let mut spec = json!({
        "selector": { "matchLabels": { "app": "web" } },
        "template": {
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "web", "image": "web:1" }] },
        },
    });
    let over = |base: &mut Value, fields: Value| {
        let fields = fields.as_object().unwrap().clone();
        base.as_object_mut().unwrap().extend(fields);
    };
    over(&mut spec["template"]["spec"], pod);
    over(&mut spec, own);
    json!({ "spec": spec })
}

/// One container's fields.
fn web(fields: Value) -> Value {
    let mut container = json!({ "name": "web", "image": "web:1" });
    let fields = fields.as_object().unwrap().clone();
    container.as_object_mut().unwrap().extend(fields);
    pods(json!({ "containers": [container] }), json!({}))
}

/// Edits of pods.
fn of_pods() -> Vec<Edit> {
    let of_web = |name, before, after| edit(name, DEPLOYMENT, web(before), web(after));
    let of_pod = |name, before, after| {
        let [before, after] = [before, after].map(|pod| pods(pod, json!({})));
        edit(name, DEPLOYMENT, before, after)
    };
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let token = |path: &str| json!({ "serviceAccountToken": { "path": path } });
    let projected = |sources: Value| json!({ "volumes": [{ "name": "all", "projected": { "sources": sources } }] });
    let taint = |more: Value| {
        let mut taint = json!({ "key": "a", "operator": "Exists", "value": "" });
        taint
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "tolerations": [taint] })
    };
    let limits = |cpu: Value, memory: &str| json!({ "resources": { "limits": { "cpu": cpu, "memory": memory } } });
    let port = |port: u16, protocol: Option<&str>| match protocol {
        Some(protocol) => json!({ "containerPort": port, "protocol": protocol }),
        None => json!({ "containerPort": port }),
    };
    vec![
        of_web("image", json!({}), json!({ "image": "web:2" })),
        of_web(
            "probe-gone",
            json!({ "livenessProbe": { "httpGet": { "port": 80 }, "periodSeconds": 5 } }),
            json!({}),
        ),
        of_web(
            "probe-new",
            json!({}),
            json!({ "livenessProbe": { "httpGet": { "port": 80 }, "periodSeconds": 5 } }),
        ),
        of_web(
            "fields",
            json!({ "env": [field("A", "metadata.name"), { "name": "B", "value": "" }] }),
            json!({ "env": [field("A", "metadata.namespace"), field("C", "metadata.name")] }),
        ),
        of_web(
            "quantities",
            limits(json!("1000m"), "1024Mi"),
            limits(json!("0.5"), "1Gi"),
        ),
        of_web(
            "quantities-same",
            limits(json!(1), "1024Mi"),
            limits(json!("1000m"), "1Gi"),
        ),
        of_web(
            "ports",
            json!({ "ports": [port(53, None), port(80, None)] }),
            json!({ "ports": [port(53, Some("UDP")), port(53, None), port(81, None)] }),
        ),
        of_pod(
            "container-new",
            json!({}),
            json!({ "containers": [{ "name": "side", "image": "side" }, { "name": "web", "image": "web:1" }] }),
        ),
        of_pod(
            "container-gone",
            json!({ "containers": [{ "name": "side", "image": "side" }, { "name": "web", "image": "web:1" }] }),
            json!({}),
        ),
        of_pod(
            "projected",
            projected(json!([token("a"), { "configMap": { "name": "x" } }])),
            projected(json!([token("b"), { "configMap": { "name": "x" } }, token("c")])),
        ),
        of_pod(
            "projected-same",
            projected(json!([token("a")])),
            projected(json!([token("a")])),
        ),
        of_pod(
            "toleration",
            taint(json!({ "effect": "NoSchedule" })),
            taint(json!({})),
        ),
        of_pod(
            "nothing-written",
            json!({ "hostNetwork": false }),
            json!({ "hostNetwork": false, "terminationGracePeriodSeconds": 5 }),
        ),
        of_pod(
            "volume-new",
            json!({}),
            json!({ "volumes": [{ "name": "x", "configMap": { "name": "x" } }, { "name": "y", "emptyDir": {} }] }),
        ),
        of_pod(
            "account",
            json!({ "serviceAccountName": "one" }),
            json!({ "serviceAccountName": "two" }),
        ),
    ]
}

/// Edits of workloads around their pods.
fn of_workloads() -> Vec<Edit> {
    let own = |name, before, after| {
        let [before, after] = [before, after].map(|own| pods(json!({}), own));
        edit(name, DEPLOYMENT, before, after)
    };
    let labels = json!({ "app": "web", "tier": "one" });
    let template = json!({
        "metadata": { "labels": labels },
        "spec": { "containers": [{ "name": "web", "image": "web:1" }] },
    });
    let job = |more: Value| {
        let pod = json!({ "restartPolicy": "Never", "containers": [{ "name": "web", "image": "web:1" }] });
        let mut spec = json!({ "schedule": "0 0 * * *", "jobTemplate": { "spec": { "template": { "spec": pod } } } });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "spec": spec })
    };
    let scaler = |more: Value| {
        let mut spec = json!({
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "none" }, "maxReplicas": 5,
        });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "spec": spec })
    };
    let set = |storage: &str| {
        let mut fields = pods(json!({}), json!({ "serviceName": "web" }));
        fields["spec"]["volumeClaimTemplates"] = json!([{
            "metadata": { "name": "data" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": storage } } },
        }]);
        fields
    };
    vec![
        own(
            "strategy-gone",
            json!({ "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 3 } } }),
            json!({}),
        ),
        own("replicas-gone", json!({ "replicas": 3 }), json!({})),
        own(
            "paused",
            json!({ "paused": false }),
            json!({ "paused": true }),
        ),
        // The selector is held as a whole, and nothing of it can change.
        own(
            "selector-less",
            json!({ "selector": { "matchLabels": labels }, "template": template }),
            json!({ "selector": { "matchLabels": { "app": "web" } }, "template": template }),
        ),
        edit("claims", ("apps/v1", "StatefulSet"), set("1Gi"), set("2Gi")),
        edit(
            "policy-gone",
            ("batch/v1", "CronJob"),
            job(json!({ "concurrencyPolicy": "Forbid", "suspend": true })),
            job(json!({})),
        ),
        edit(
            "least-gone",
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            scaler(json!({ "minReplicas": 2 })),
            scaler(json!({})),
        ),
    ]
}

/// Edits of all else that Kubernetes has.
fn of_others() -> Vec<Edit> {
    let ports = |ports: Value| json!({ "spec": { "selector": { "app": "web" }, "ports": ports } });
    let selected =
        |selector: Value| json!({ "spec": { "selector": selector, "ports": [{ "port": 80 }] } });
    let policy = |labels: Value, ports: Value| json!({ "spec": { "podSelector": { "matchLabels": labels }, "ingress": [{ "ports": ports }] } });
    let binding = |role: &str, subjects: Value| json!({ "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role }, "subjects": subjects });
    let ada = json!({ "kind": "User", "name": "ada" });
    let robot = json!({ "kind": "ServiceAccount", "name": "robot", "namespace": "default" });
    let ingress = |path: &str| {
        let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
        json!({ "spec": { "rules": [{ "http": { "paths": [{ "path": path, "pathType": "Prefix", "backend": backend }] } }] } })
    };
    let pulls = |names: &[&str]| {
        let names: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({ "imagePullSecrets": names })
    };
    let key =
        |value: &str, kind: &str| json!({ "type": kind, "stringData": { "password": value } });
    vec![
        edit(
            "selector",
            SERVICE,
            selected(json!({ "app": "web", "tier": "one" })),
            selected(json!({ "app": "web" })),
        ),
        edit(
            "service-ports",
            SERVICE,
            ports(json!([{ "name": "http", "port": 80, "targetPort": 8080 }])),
            ports(json!([{ "name": "http", "port": 80 }, { "name": "more", "port": 81 }])),
        ),
        edit(
            "network",
            ("networking.k8s.io/v1", "NetworkPolicy"),
            policy(
                json!({ "app": "web", "tier": "one" }),
                json!([{ "port": 80 }]),
            ),
            policy(
                json!({ "app": "web" }),
                json!([{ "port": 80 }, { "port": 81 }]),
            ),
        ),
        edit(
            "subjects",
            (RBAC, "RoleBinding"),
            binding("one", json!([ada])),
            binding("one", json!([robot, ada])),
        ),
        edit(
            "role",
            (RBAC, "RoleBinding"),
            binding("one", json!([ada])),
            binding("two", json!([ada])),
        ),
        edit(
            "path",
            ("networking.k8s.io/v1", "Ingress"),
            ingress("/a"),
            ingress("/b"),
        ),
        edit(
            "pulls",
            ("v1", "ServiceAccount"),
            pulls(&["a", "b"]),
            pulls(&["c", "b"]),
        ),
        edit(
            "key-gone",
            CONFIG_MAP,
            json!({ "data": { "a": "1", "b": "" } }),
            json!({ "data": { "b": "" } }),
        ),
        edit(
            "data-gone",
            CONFIG_MAP,
            json!({ "data": { "a": "1" } }),
            json!({}),
        ),
        edit(
            "locked",
            CONFIG_MAP,
            json!({ "immutable": true, "data": { "a": "1" } }),
            json!({ "immutable": true, "data": { "a": "2" } }),
        ),
        edit(
            "locked-now",
            CONFIG_MAP,
            json!({ "data": { "a": "1" } }),
            json!({ "immutable": true, "data": { "a": "2" } }),
        ),
        edit(
            "password",
            SECRET,
            key("hunter2-one", "Opaque"),
            key("hunter2-two", "Opaque"),
        ),
        edit(
            "type",
            SECRET,
            key("hunter2-one", "Opaque"),
            key("hunter2-one", "example.com/password"),
        ),
    ]
}

/// A kind with every way to merge a list and a map, and defaults everywhere.
fn definition(group: &str) -> Value {
    let text = json!({ "type": "string" });
    let item = json!({ "type": "object", "required": ["name"], "properties": {
        "name": text,
        "zone": { "type": "string", "default": "a" },
        "level": { "type": "integer", "default": 1 },
    } });
    let keys = json!(["name", "zone"]);
    let texts = json!({ "type": "object", "additionalProperties": text });
    let with = |schema: &Value, name: &str, value: &str| {
        let mut schema = schema.clone();
        schema[name] = json!(value);
        schema
    };
    let list = json!({ "type": "array", "items": item });
    let mut map = with(&list, "x-kubernetes-list-type", "map");
    map["x-kubernetes-list-map-keys"] = keys;
    let spec = json!({ "type": "object", "properties": {
        "items": map,
        "words": with(&json!({ "type": "array", "items": text }), "x-kubernetes-list-type", "set"),
        "whole": with(&list, "x-kubernetes-list-type", "atomic"),
        "plain": list,
        "texts": texts,
        "selector": with(&texts, "x-kubernetes-map-type", "atomic"),
        "fixed": with(&item, "x-kubernetes-map-type", "atomic"),
        "nested": { "type": "object", "default": {}, "properties": { "size": { "type": "integer", "default": 3 }, "name": text } },
        "limits": { "type": "object", "additionalProperties": { "x-kubernetes-int-or-string": true } },
        "open": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("gadgets.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "kind": "Gadget", "plural": "gadgets", "singular": "gadget", "listKind": "GadgetList" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "properties": { "spec": spec },
            } } }],
        },
    })
}

/// Edits of objects of that kind.
fn of_gadgets() -> Vec<Edit> {
    const GADGET: (&str, &str) = ("", "Gadget");
    let of = |name, before: Value, after: Value| {
        edit(
            name,
            GADGET,
            json!({ "spec": before }),
            json!({ "spec": after }),
        )
    };
    let named = |name: &str| json!({ "name": name });
    let zoned = |name: &str, zone: &str| json!({ "name": name, "zone": zone });
    let level = |name: &str, level: u32| json!({ "name": name, "level": level });
    vec![
        of(
            "items",
            json!({ "items": [named("x"), zoned("x", "b"), level("y", 2)] }),
            json!({ "items": [zoned("x", "b"), named("z"), named("y")] }),
        ),
        of(
            "items-zone",
            json!({ "items": [zoned("x", "b")] }),
            json!({ "items": [named("x")] }),
        ),
        of(
            "items-same",
            json!({ "items": [named("x")] }),
            json!({ "items": [zoned("x", "a")] }),
        ),
        of(
            "words",
            json!({ "words": ["a", "b"] }),
            json!({ "words": ["c", "b"] }),
        ),
        of(
            "whole",
            json!({ "whole": [level("x", 5), named("y")] }),
            json!({ "whole": [named("x"), named("y"), named("z")] }),
        ),
        of(
            "whole-same",
            json!({ "whole": [named("x")] }),
            json!({ "whole": [named("x")] }),
        ),
        of(
            "plain",
            json!({ "plain": [level("x", 5), named("y")] }),
            json!({ "plain": [named("y")] }),
        ),
        of(
            "texts",
            json!({ "texts": { "a": "1", "b": "" } }),
            json!({ "texts": { "b": "", "c": "" } }),
        ),
        of(
            "chosen",
            json!({ "selector": { "a": "1", "b": "2" } }),
            json!({ "selector": { "b": "2" } }),
        ),
        of(
            "fixed",
            json!({ "fixed": zoned("x", "b") }),
            json!({ "fixed": named("x") }),
        ),
        of(
            "nested-gone",
            json!({ "nested": { "size": 5, "name": "x" } }),
            json!({ "texts": {} }),
        ),
        of(
            "size-gone",
            json!({ "nested": { "size": 5, "name": "x" } }),
            json!({ "nested": { "name": "x" } }),
        ),
        of(
            "limits",
            json!({ "limits": { "cpu": "1000m" } }),
            json!({ "limits": { "cpu": "1" } }),
        ),
        of(
            "open",
            json!({ "open": { "a": { "b": 1, "c": 2 }, "list": [1, 2] } }),
            json!({ "open": { "a": { "b": 1 }, "list": [2] } }),
        ),
    ]
}

/// What stays as it is, although it is written in another way or with what the server fills in.
const UNCHANGED: [&str; 4] = [
    "quantities-same",
    "projected-same",
    "items-same",
    "whole-same",
];

fn write(scene: &Scene, edits: &[Edit], group: &str, side: fn(&Edit) -> &Value) {
    let folder = format!("apps/{}", scene.namespace);
    let mut files = vec!["definition.yaml".to_owned()];
    let text = definition(group).to_string();
    scene
        .repository
        .write(&format!("{folder}/definition.yaml"), text);
    for edit in edits {
        let (version, kind) = edit.kind;
        let own = format!("{group}/v1");
        let mut object = side(edit).clone();
        object["apiVersion"] = json!(if version.is_empty() { &own } else { version });
        object["kind"] = json!(kind);
        object["metadata"] = json!({ "name": edit.name });
        let file = format!("{}.yaml", edit.name);
        scene
            .repository
            .write(&format!("{folder}/{file}"), object.to_string());
        files.push(file);
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    scene.repository.write(
        &format!("{folder}/kustomization.yaml"),
        kustomization_file(&files),
    );
}

#[tokio::test]
async fn an_account_that_may_only_read_is_told_the_same_of_every_kind_of_edit() {
    let scene = Scene::start("plan-alike").await;
    let namespace = scene.namespace.clone();
    let group = format!("{namespace}.example.com");
    let edits: Vec<Edit> = [of_pods(), of_workloads(), of_others(), of_gadgets()]
        .into_iter()
        .flatten()
        .collect();
    write(&scene, &edits, &group, |edit| &edit.before);
    let commit = scene.repository.publish("first");
    scene.source(json!({})).await;
    scene
        .sync("app", &format!("apps/{namespace}"), json!({}))
        .await;
    scene.ready("app", &commit).await;
    let suspended = json!({ "spec": { "suspend": true } });
    scene.merge(&kustomization_kind(), "app", suspended).await;
    write(&scene, &edits, &group, |edit| &edit.after);

    let (_folder, kubeconfig) = reader(&scene, &["*"]).await;
    let own = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let arguments = ["plan", "app", "-n", &namespace];
    let told = |kubeconfig| said(&weir(scene.repository.path(), kubeconfig, &arguments)).0;
    let (full, text) = (told(own), told(&kubeconfig));
    let of = |text: &str, edit: &Edit| {
        told_of(text, &format!("{} {namespace}/{}", edit.kind.1, edit.name))
    };
    let mut others = Vec::new();
    for edit in &edits {
        let (full, text) = (of(&full, edit), of(&text, edit));
        if full != text {
            others.push(format!("tried:\n{full}\ntold:\n{text}"));
        }
        assert_eq!(
            full.is_empty(),
            UNCHANGED.contains(&edit.name),
            "{}: {full}",
            edit.name
        );
    }
    assert!(others.is_empty(), "{}", others.join("\n\n"));
    assert!(
        !text.contains("hunter2") && !text.contains("aHVudGVy"),
        "{text}"
    );
}

/// What is told of one object, but for what says that nobody tried. Where a field is new, only the server knows its
/// place among its neighbours.
fn told_of(text: &str, object: &str) -> String {
    let is_head = |line: &str| line.starts_with("    ") && !line.starts_with("        ");
    let is_it = |line: &&str| is_head(line) && line.split("  (").next().unwrap().ends_with(object);
    let mut lines = text.lines().skip_while(|line| !is_it(line));
    let head = lines.next().unwrap_or_default();
    let head = head
        .replace("; approximate)", ")")
        .replace("  (approximate)", "");
    let below = lines.take_while(|line| line.starts_with("        "));
    let mut below: Vec<&str> = below.collect();
    below.sort_unstable();
    let all: Vec<&str> = std::iter::once(&*head).chain(below).collect();
    all.join("\n").trim_end().to_owned()
}
