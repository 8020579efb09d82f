//! What an apply would make of a live object, told without asking the server to try: by the fields that its managers
//! hold and by what the server publishes of its kind, for accounts that may only read and for objects with values that
//! are not known.
//!
//! As the server does, what we hold, want no more and nobody else holds is taken out, what is wanted is put in, and where
//! either left a gap, defaults fill it. What stands in the live object besides, defaults and what admission has
//! added, stays.

pub(super) mod defaults;
mod fill_in;
mod items;
mod put_in;
mod quantity;
mod take_out;
mod united;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use self::fill_in::fill_in;
use self::put_in::PutIn;
use self::take_out::Gone;
use super::managed_fields::{all_fields, own_fields};
use super::published::Shape;

/// The live object as it would be, with what the server publishes of its kind where that is at hand.
pub(super) fn merged(live: &Value, wanted: &Value, document: Option<&Value>) -> Value {
    let wanted = without_string_data(wanted);
    let shape = document.and_then(|document| Shape::of(document, live));
    let own = own_fields(live).and_then(|own| serde_json::from_str(&own).ok());
    let mut result = live.clone();
    if let Some(own) = own {
        let gone = Gone { live };
        gone.take_out(&mut result, &own, Some(&wanted), shape, &mut Vec::new());
    }
    let put = PutIn {
        is_published: shape.is_some(),
    };
    put.put_in(&mut result, &wanted, &all_fields(live), shape);
    if let Some(shape) = shape {
        fill_in(&mut result, Some(live), shape);
    }
    result
}

/// A Secret as the server stores it.
fn without_string_data(wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    let Some(root) = wanted
        .as_object_mut()
        .filter(|root| root.get("kind") == Some(&"Secret".into()))
    else {
        return wanted;
    };
    if let Some(Value::Object(texts)) = root.remove("stringData") {
        let data = root
            .entry("data")
            .or_insert_with(|| Value::Object(Map::new()));
        for (key, text) in texts {
            data[key] = BASE64.encode(text.as_str().unwrap_or_default()).into();
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What a server publishes, as far as these tests go.
    fn document() -> Value {
        let of = |name: &str| json!({ "allOf": [{ "$ref": format!("#/components/schemas/io.k8s.{name}") }], "default": {} });
        let map = |items: Value, keys: &[&str]| json!({ "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys });
        let properties = |fields: Value| json!({ "properties": fields });
        let limits = properties(
            json!({ "limits": { "additionalProperties": of("apimachinery.pkg.api.resource.Quantity") } }),
        );
        let port = json!({ "containerPort": {}, "name": {}, "protocol": { "default": "TCP" } });
        json!({ "components": { "schemas": {
            "io.k8s.api.apps.v1.Deployment": {
                "x-kubernetes-group-version-kind": [{ "group": "apps", "version": "v1", "kind": "Deployment" }],
                "properties": { "metadata": {}, "spec": of("api.apps.v1.DeploymentSpec") } },
            "io.k8s.api.apps.v1.DeploymentSpec": properties(json!({ "replicas": {}, "paused": {}, "selector": of("Selector"),
                "strategy": of("api.apps.v1.DeploymentStrategy"), "template": properties(json!({ "spec": of("api.core.v1.PodSpec") })) })),
            "io.k8s.api.apps.v1.DeploymentStrategy": properties(json!({ "type": {}, "rollingUpdate": of("api.apps.v1.RollingUpdateDeployment") })),
            "io.k8s.api.apps.v1.RollingUpdateDeployment": properties(json!({ "maxSurge": {}, "maxUnavailable": {} })),
            "io.k8s.api.core.v1.PodSpec": properties(json!({ "containers": map(of("api.core.v1.Container"), &["name"]), "hostNetwork": {} })),
            "io.k8s.api.core.v1.Container": properties(json!({ "name": {}, "image": {}, "args": {}, "imagePullPolicy": {},
                "resources": of("api.core.v1.ResourceRequirements"),
                "ports": map(of("api.core.v1.ContainerPort"), &["containerPort", "protocol"]) })),
            "io.k8s.api.core.v1.ResourceRequirements": limits,
            "io.k8s.api.core.v1.ContainerPort": properties(port),
            "io.k8s.Selector": { "properties": { "matchLabels": { "additionalProperties": {} } }, "x-kubernetes-map-type": "atomic" },
            "io.k8s.apimachinery.pkg.api.resource.Quantity": { "type": "string" },
        } } })
    }

    /// A Deployment as a server keeps it, with what others hold.
    fn live() -> Value {
        let own = json!({
            "f:metadata": { "f:labels": { "f:app": {}, "f:old": {} } },
            "f:spec": { "f:replicas": {}, "f:paused": {}, "f:selector": {}, "f:strategy": { "f:type": {} },
                "f:template": { "f:spec": { "f:hostNetwork": {}, "f:containers": {
                "k:{\"name\":\"api\"}": { ".": {}, "f:name": {}, "f:image": {}, "f:args": {},
                    "f:resources": { "f:limits": { "f:cpu": {} } },
                    "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } } },
                "k:{\"name\":\"side\"}": { ".": {}, "f:name": {}, "f:image": {} } } } } },
        });
        let theirs = json!({ "f:spec": { "f:paused": {} } });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "shop", "labels": { "app": "shop", "old": "1", "theirs": "1" }, "managedFields": [
                { "manager": "kustomize-controller", "operation": "Apply", "fieldsV1": own },
                { "manager": "somebody", "operation": "Update", "fieldsV1": theirs } ] },
            "spec": { "replicas": 2, "paused": true, "selector": { "matchLabels": { "app": "shop", "old": "1" } },
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 3, "maxUnavailable": 1 } },
                "template": { "spec": { "containers": [
                    { "name": "api", "image": "a:1", "args": ["-v"], "imagePullPolicy": "Always",
                      "resources": { "limits": { "cpu": "500m" } },
                      "ports": [{ "containerPort": 80, "protocol": "TCP" }] },
                    { "name": "side", "image": "s:1", "imagePullPolicy": "Always" } ] } } },
        })
    }

    fn wanted() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "shop", "labels": { "app": "shop", "old": "1" } },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "shop", "old": "1" } }, "strategy": { "type": "RollingUpdate" },
                "template": { "spec": { "hostNetwork": false, "containers": [
                    { "name": "api", "image": "a:1", "args": ["-v"], "resources": { "limits": { "cpu": 0.5 } },
                      "ports": [{ "containerPort": 80 }] },
                    { "name": "side", "image": "s:1" } ] } } },
        })
    }

    fn told(wanted: &Value) -> Value {
        merged(&live(), wanted, Some(&document()))
    }

    #[test]
    fn what_is_there_as_it_is_wanted_stays() {
        assert_eq!(told(&wanted()), live());
    }

    #[test]
    fn what_is_wanted_no_more_goes_unless_somebody_else_holds_it() {
        let mut wanted = wanted();
        wanted["metadata"]["labels"] = json!({ "app": "shop" });
        let spec = wanted["spec"].as_object_mut().expect("a map");
        spec.remove("strategy");
        spec.remove("replicas");
        let selector = &mut wanted["spec"]["selector"]["matchLabels"];
        *selector = json!({ "app": "shop" });
        let containers = &mut wanted["spec"]["template"]["spec"]["containers"];
        containers.as_array_mut().expect("a list").pop();

        let mut expected = live();
        let labels = &mut expected["metadata"]["labels"];
        *labels = json!({ "app": "shop", "theirs": "1" });
        // What is filled in again is what Kubernetes fills in, and not what was there.
        expected["spec"]["replicas"] = json!(1);
        let rolling = json!({ "maxSurge": "25%", "maxUnavailable": "25%" });
        expected["spec"]["strategy"] = json!({ "type": "RollingUpdate", "rollingUpdate": rolling });
        expected["spec"]["selector"] = json!({ "matchLabels": { "app": "shop" } });
        let containers = &mut expected["spec"]["template"]["spec"]["containers"];
        containers.as_array_mut().expect("a list").pop();
        assert_eq!(told(&wanted), expected);
    }

    #[test]
    fn what_is_wanted_is_put_in_where_it_belongs() {
        let mut wanted = wanted();
        wanted["spec"]["replicas"] = json!(3);
        let containers = &mut wanted["spec"]["template"]["spec"]["containers"];
        containers[0]["args"] = json!(["-v", "-x"]);
        containers[0]["resources"]["limits"]["cpu"] = json!("1000m");
        containers[0]["ports"] =
            json!([{ "containerPort": 81 }, { "containerPort": 80, "name": "http" }]);
        containers[1] = json!({ "name": "new", "image": "n" });
        let result = told(&wanted);
        let containers = &result["spec"]["template"]["spec"]["containers"];
        assert_eq!(result["spec"]["replicas"], 3);
        assert_eq!(containers[0]["args"], json!(["-v", "-x"]));
        assert_eq!(containers[0]["resources"]["limits"]["cpu"], "1");
        assert_eq!(
            containers[0]["ports"],
            json!([{ "containerPort": 81, "protocol": "TCP" }, { "containerPort": 80, "protocol": "TCP", "name": "http" }])
        );
        assert_eq!(containers[0]["imagePullPolicy"], "Always");
        let new =
            json!({ "name": "new", "image": "n", "imagePullPolicy": "Always", "resources": {} });
        assert_eq!(containers[1], new);
    }

    /// A kind of which lists, maps and defaults are published: with them, and without.
    #[test]
    fn custom_kinds_are_merged_as_they_are_published() {
        let list = |kind: Value| {
            json!({ "allOf": [{ "$ref": "#/components/schemas/list" }], "x-kubernetes-list-type": kind,
            "x-kubernetes-list-map-keys": ["name", "zone"] })
        };
        let item = json!({ "zone": { "default": "a" }, "level": { "default": 1 }, "inner": { "x-kubernetes-list-type": "set" } });
        let document = json!({ "components": { "schemas": {
            "thing": {
                "x-kubernetes-group-version-kind": [{ "group": "example.com", "version": "v1", "kind": "Thing" }],
                "properties": { "map": list(json!("map")), "set": list(json!("set")), "whole": list(json!("atomic")) } },
            "list": { "items": { "properties": item } },
        } } });
        let thing = |map: Value, set: Value, whole: Value| json!({ "apiVersion": "example.com/v1", "kind": "Thing", "map": map, "set": set, "whole": whole });
        let live = thing(
            json!([{ "name": "x", "zone": "a", "level": 1, "inner": [1] }, { "name": "x", "zone": "b", "level": 2 }]),
            json!([1]),
            json!([{ "name": "y", "zone": "a", "level": 3 }]),
        );
        let wanted = thing(
            json!([{ "name": "x", "inner": [2] }]),
            json!([2]),
            json!([{ "name": "y" }]),
        );
        assert_eq!(merged(&live, &wanted, None)["map"], wanted["map"]);
        let expected = thing(
            json!([{ "name": "x", "zone": "a", "level": 1, "inner": [1, 2] }, { "name": "x", "zone": "b", "level": 2 }]),
            json!([1, 2]),
            json!([{ "name": "y", "zone": "a", "level": 1 }]),
        );
        assert_eq!(merged(&live, &wanted, Some(&document)), expected);
    }

    #[test]
    fn a_secret_is_compared_as_it_is_stored() {
        let live = json!({ "kind": "Secret", "data": { "a": "aHVudGVyMg==" } });
        let same = json!({ "kind": "Secret", "stringData": { "a": "hunter2" } });
        let other = json!({ "kind": "Secret", "stringData": { "a": "hunter3" } });
        assert_eq!(merged(&live, &same, None), live);
        assert_eq!(
            merged(&live, &other, None)["data"]["a"],
            BASE64.encode("hunter3")
        );
    }
}
