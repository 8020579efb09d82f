//! The custom resource definitions, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSON, JSONSchemaProps,
    JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::bucket::Bucket;
use super::git_repository::GitRepository;
use super::kustomization::Kustomization;
use super::oci_repository::OCIRepository;
use super::receiver::Receiver;

/// The pattern of condition types: a word, or a word below a domain.
const CONDITION_TYPE: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";

/// All definitions. `v1` is stored; `v1beta2` of four of them, which old repositories still name, is served with the same
/// schema.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        finish(with_older(GitRepository::crd())),
        finish(with_older(Kustomization::crd())),
        finish(Receiver::crd()),
        finish(with_older(OCIRepository::crd())),
        finish(with_older(Bucket::crd())),
    ]
}

/// The definitions as files: name and content.
pub fn files() -> Vec<(String, String)> {
    crds()
        .iter()
        .filter_map(|crd| {
            let node = overlay::yaml::from_json(serde_json::to_value(crd).ok()?);
            let (group, plural) = (&crd.spec.group, &crd.spec.names.plural);
            Some((
                format!("{group}_{plural}.yaml"),
                overlay::yaml::write_documents(&[&node]),
            ))
        })
        .collect()
}

/// The definition with an older version, too.
fn with_older(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut older = crd.spec.versions.clone();
    for version in &mut older {
        version.name = "v1beta2".to_owned();
        version.storage = false;
    }
    crd.spec.versions.extend(older);
    crd
}

/// What the derived definition lacks: the default status, the limits of conditions, and null taken out of the types (an absent field is how the kinds say "not set").
fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(status) = status_schema(version) {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
            limit_conditions(status);
        }
    }
    without_null(crd)
}

fn status_schema(version: &mut CustomResourceDefinitionVersion) -> Option<&mut JSONSchemaProps> {
    let schema = version.schema.as_mut()?.open_api_v3_schema.as_mut()?;
    schema.properties.as_mut()?.get_mut("status")
}

/// Sets the patterns and limits of Kubernetes' own `Condition`, which its Rust type does not carry.
fn limit_conditions(status: &mut JSONSchemaProps) -> Option<()> {
    let conditions = status.properties.as_mut()?.get_mut("conditions")?;
    let Some(JSONSchemaPropsOrArray::Schema(condition)) = conditions.items.as_mut() else {
        return None;
    };
    let fields = condition.properties.as_mut()?;
    let type_ = fields.get_mut("type")?;
    type_.max_length = Some(316);
    type_.pattern = Some(CONDITION_TYPE.to_owned());
    let reason = fields.get_mut("reason")?;
    (reason.min_length, reason.max_length) = (Some(1), Some(1024));
    reason.pattern = Some("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$".to_owned());
    fields.get_mut("message")?.max_length = Some(32768);
    fields.get_mut("observedGeneration")?.minimum = Some(0.0);
    fields.get_mut("status")?.enum_ = Some(
        ["True", "False", "Unknown"]
            .map(|text| JSON(json!(text)))
            .into(),
    );
    Some(())
}

fn without_null(crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let Ok(mut value) = serde_json::to_value(&crd) else {
        return crd;
    };
    drop_nullable(&mut value);
    serde_json::from_value(value).unwrap_or(crd)
}

fn drop_nullable(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, field| !(key == "nullable" && field.is_boolean()));
            fields.values_mut().for_each(drop_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nullable),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(version: usize, pointer: &str) -> Value {
        let crd = serde_json::to_value(&crds()[0]).expect("valid");
        let path = format!("/spec/versions/{version}/schema/openAPIV3Schema{pointer}");
        crd.pointer(&path).cloned().expect(&path)
    }

    #[test]
    fn v1_is_stored_and_v1beta2_served_beside_it_with_the_same_schema() {
        let crd = &crds()[0];
        let versions: Vec<_> = crd
            .spec
            .versions
            .iter()
            .map(|version| (version.name.as_str(), version.served, version.storage))
            .collect();
        assert_eq!(versions, [("v1", true, true), ("v1beta2", true, false)]);
        assert_eq!(schema(0, ""), schema(1, ""));
    }

    #[test]
    fn defaults_patterns_and_rules_of_the_git_repository() {
        assert_eq!(
            schema(0, "/properties/status/default"),
            json!({ "observedGeneration": -1 })
        );
        assert_eq!(
            schema(0, "/properties/spec/required"),
            json!(["interval", "url"])
        );
        assert_eq!(
            schema(0, "/properties/spec/properties/timeout/default"),
            json!("60s")
        );
        assert_eq!(
            schema(0, "/properties/spec/properties/url/pattern"),
            json!("^(http|https|ssh)://.*$")
        );
        assert_eq!(
            schema(0, "/properties/spec/properties/verify/properties/mode"),
            json!({
                "type": "string", "default": "HEAD", "enum": ["head", "HEAD", "Tag", "TagAndHEAD"],
                "description": "Which Git objects are verified; `head` and `HEAD` mean the same."
            })
        );
        assert_eq!(
            schema(0, "/properties/status/properties/artifact/required"),
            json!(["digest", "lastUpdateTime", "path", "revision", "url"])
        );
        let reason = schema(
            0,
            "/properties/status/properties/conditions/items/properties/reason",
        );
        assert_eq!(reason["maxLength"], json!(1024));
        let rule = schema(0, "/properties/spec/x-kubernetes-validations/0/rule");
        assert!(
            rule.as_str()
                .expect("valid")
                .starts_with("!has(self.serviceAccountName)")
        );
    }

    #[test]
    fn the_files_in_deploy_are_those_of_the_types() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/crds");
        for (name, text) in files() {
            let stored = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
            assert!(
                stored == text,
                "{name} is out of date: cargo run -p weir --example crds"
            );
        }
    }

    #[test]
    fn nothing_may_be_null() {
        let text = serde_json::to_string(&crds()).expect("valid");
        assert!(!text.contains("nullable"), "{text}");
    }
}
