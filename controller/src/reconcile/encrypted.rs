//! What is left of encryption after a build: values that are encrypted files are opened, and what stays closed is never
//! applied.

use overlay::Object;
use overlay::yaml::Node;
use sops::Opener;

use crate::api::kustomization::reason;
use crate::report::failure::Failure;

/// How many recipients a refusal names.
const NAMED: usize = 3;

/// Opens the values of Secrets that are encrypted files themselves.
pub fn open_values(opener: &Opener<'_>, objects: &mut [Object]) -> Result<(), Failure> {
    for object in objects {
        let file = object.origin.place.file.clone();
        opener
            .open_secret_values(&mut object.node, &file)
            .map_err(|error| {
                Failure::new(reason::BUILD_FAILED, format!("{}: {error}", object.id))
            })?;
    }
    Ok(())
}

/// Refuses what is still encrypted: a workload would take ciphertext for its password. `decrypting` says whether the
/// spec asks for decryption.
pub fn refuse(objects: &[Object], decrypting: bool) -> Result<(), Failure> {
    let Some((object, what)) = objects
        .iter()
        .find_map(|object| Some((object, still_encrypted(object)?)))
    else {
        return Ok(());
    };
    let id = &object.id;
    let problem = match (what, decrypting) {
        (Closed::Object, false) => format!(
            "{id} is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
        ),
        (Closed::Value(field), false) => format!(
            "{id}: {field} is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
        ),
        (Closed::Object, true) => format!("{id} is still SOPS encrypted after the build"),
        (Closed::Value(field), true) => {
            format!("{id}: {field} is still SOPS encrypted after the build")
        }
    };
    let message = format!("{problem}{}", about(object));
    Err(Failure::new(reason::RECONCILIATION_FAILED, message))
}

/// What of an object is still encrypted.
enum Closed {
    /// It carries SOPS's metadata.
    Object,
    /// The value of a Secret in this field.
    Value(String),
}

fn still_encrypted(object: &Object) -> Option<Closed> {
    let node = &object.node;
    let is_secret = object.id.kind == "Secret" && object.id.group.is_empty();
    let left_closed = sops::is_left_closed(node);
    let carries = match is_secret {
        true => node.get("sops").is_some(),
        // Other kinds may be meant for an operator in the cluster that decrypts them.
        false => !left_closed && is_metadata(node),
    };
    if carries {
        return Some(Closed::Object);
    }
    (is_secret && !left_closed)
        .then(|| sops::sealed_value(node))?
        .map(Closed::Value)
}

fn is_metadata(node: &Node) -> bool {
    ["mac", "lastmodified"]
        .iter()
        .any(|field| node.find(&["sops", field]).is_some())
}

/// Where it was written and whose key is needed, as far as that is known.
fn about(object: &Object) -> String {
    let entries = object.node.find(&["sops", "age"]);
    let entries = entries.and_then(Node::as_sequence).unwrap_or_default();
    let mut names: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.find_str(&["recipient"]))
        .take(NAMED)
        .map(|name| name.chars().filter(|c| !c.is_control()).take(80).collect())
        .collect();
    if entries.len() > names.len() {
        names.push(format!("{} more", entries.len() - names.len()));
    }
    let file = &object.origin.place.file;
    match (file.is_empty(), names.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(" ({file})"),
        (true, false) => format!(" (recipients: {})", names.join(", ")),
        (false, false) => format!(" ({file}; recipients: {})", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use overlay::yaml::{Dialect, read_documents};
    use overlay::{ObjectId, Origin, Place};

    fn refused(text: &str, decrypting: bool) -> Option<String> {
        let mut nodes = read_documents(text.as_bytes(), 0, Dialect::Kustomize).expect("YAML");
        let node = nodes.remove(0);
        let object = Object {
            id: ObjectId::of(&node).expect("an object"),
            node,
            origin: Origin {
                place: Place {
                    file: "envs/s.yaml".into(),
                    ..Place::default()
                },
                generator: None,
            },
        };
        let refusal = refuse(&[object], decrypting).err()?;
        assert_eq!(refusal.reason, reason::RECONCILIATION_FAILED);
        Some(refusal.message)
    }

    const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: n}\n";

    #[test]
    fn what_carries_metadata_is_refused_with_object_and_file() {
        let sealed = format!(
            "{SECRET}sops: {{mac: 'ENC[x]', age: [{{recipient: age1a}}, {{recipient: age1b}}]}}\n"
        );
        assert_eq!(
            refused(&sealed, false).as_deref(),
            Some(
                "Secret/n/s is SOPS encrypted, configuring decryption is required for this secret to be \
                 reconciled (envs/s.yaml; recipients: age1a, age1b)"
            )
        );
        assert_eq!(
            refused(&sealed.replace("Secret", "Thing"), true).as_deref(),
            Some(
                "Thing/n/s is still SOPS encrypted after the build (envs/s.yaml; recipients: age1a, age1b)"
            )
        );
        assert_eq!(refused(SECRET, false), None);
        // A field of that name is no metadata yet.
        assert_eq!(
            refused(
                "apiVersion: v1\nkind: Thing\nmetadata: {name: s}\nsops: {enabled: true}\n",
                true
            ),
            None
        );
    }

    #[test]
    fn ciphertext_in_a_secret_is_refused_even_without_its_metadata() {
        for (values, field) in [
            ("stringData: {a: 'ENC[AES256_GCM,data:x]'}", "stringData.a"),
            ("data: {b: 'ENC[AES256_GCM,data:x]'}", "data.b"),
            ("data: {c: RU5DW0FFUzI1Nl9HQ00sZGF0YTp4XQ==}", "data.c"),
        ] {
            let message = refused(&format!("{SECRET}{values}\n"), true).expect(field);
            assert!(
                message.contains("Secret/n/s: ") && message.contains(field),
                "{message}"
            );
            assert!(
                message.contains("envs/s.yaml") && !message.contains("ENC["),
                "{message}"
            );
        }
        let told = "stringData: {a: 'begins with ENC[AES256_GCM, they say'}";
        assert_eq!(refused(&format!("{SECRET}{told}\n"), true), None);
    }

    #[test]
    fn who_asks_to_stay_closed_is_let_through_save_a_secret_that_cannot_work() {
        let annotated = |kind: &str, rest: &str| {
            format!(
                "apiVersion: v1\nkind: {kind}\nmetadata:\n  name: s\n  annotations: \
                 {{kustomize.toolkit.fluxcd.io/decrypt: disabled}}\n{rest}\n"
            )
        };
        let metadata = "sops: {mac: 'ENC[x]'}";
        assert_eq!(refused(&annotated("SopsSecret", metadata), true), None);
        assert!(refused(&annotated("Secret", metadata), true).is_some());
        let value = "stringData: {a: 'ENC[AES256_GCM,data:x]'}";
        assert_eq!(refused(&annotated("Secret", value), true), None);
    }
}
