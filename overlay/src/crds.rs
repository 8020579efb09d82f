//! `crds`: OpenAPI definitions that say which fields of custom kinds are labels, annotations, names or references.

use ecow::EcoString;

use crate::budget::Steps;
use crate::configuration::{Configuration, NameReference, merge_specs};
use crate::decode::Text;
use crate::error::{Error, Errors};
use crate::fieldspec::FieldSpec;
use crate::load::{Folder, Session};
use crate::yaml::{Dialect, Node};

/// How deep definitions may refer to one another.
const DEPTH: usize = 64;

/// Reads a file of definitions.
pub(crate) fn read(
    folder: &Folder,
    entry: &Text,
    session: &mut Session<'_>,
) -> Result<Configuration, Errors> {
    let documents = session.plain_documents(folder, entry, Dialect::Kubernetes)?;
    let mut configuration = Configuration::default();
    let Some(definitions) = documents.first().and_then(Node::as_mapping) else {
        return Ok(configuration);
    };
    for (name, definition) in definitions.iter() {
        let properties = properties(definition);
        if !["kind", "apiVersion", "metadata"]
            .iter()
            .all(|field| properties.is_some_and(|p| p.get(field).is_some()))
        {
            continue;
        }
        let kind = name.text.rsplit('.').next().unwrap_or_default();
        let mut walk = Walk {
            steps: &mut session.steps,
            kind: kind.into(),
            definitions: &documents[0],
            configuration: &mut configuration,
        };
        walk.definition(&name.text, &mut Vec::new())?;
    }
    Ok(configuration)
}

/// The properties of a definition. As in JSON read by Go, the case of `Schema` does not count.
fn properties(definition: &Node) -> Option<&Node> {
    let mapping = definition.as_mapping()?;
    let (_, schema) = mapping
        .iter()
        .find(|(key, _)| key.text.eq_ignore_ascii_case("schema"))?;
    schema.get("properties")
}

struct Walk<'w> {
    steps: &'w mut Steps,
    kind: EcoString,
    definitions: &'w Node,
    configuration: &'w mut Configuration,
}

impl Walk<'_> {
    fn definition(&mut self, name: &str, path: &mut Vec<EcoString>) -> Result<(), Error> {
        if path.len() > DEPTH {
            return Err(Error::new(format!(
                "definitions refer to one another more than {DEPTH} deep"
            )));
        }
        let Some(properties) = self
            .definitions
            .get(name)
            .and_then(properties)
            .and_then(Node::as_mapping)
        else {
            return Ok(());
        };
        for (key, property) in properties.iter() {
            self.steps.take(1 + path.len() / 4)?;
            path.push(key.text.clone());
            self.property(property, path)?;
            if let Some(reference) = property.find_str(&["$ref"]) {
                self.definition(reference, path)?;
            }
            path.pop();
        }
        Ok(())
    }

    fn property(&mut self, property: &Node, path: &[EcoString]) -> Result<(), Error> {
        let has = |extension: &str| {
            property
                .get(extension)
                .is_some_and(|node| node.as_str().is_some())
        };
        let kind = &self.kind;
        let configuration = &mut *self.configuration;
        for (extension, specs) in [
            (
                "x-kubernetes-annotation",
                &mut configuration.common_annotations,
            ),
            (
                "x-kubernetes-label-selector",
                &mut configuration.common_labels,
            ),
            ("x-kubernetes-identity", &mut configuration.name_prefix),
        ] {
            if has(extension) {
                self.steps.take_small(specs.len())?;
                merge_specs(specs, &[spec(kind, path)])?;
            }
        }
        self.reference(property, path)
    }

    fn reference(&mut self, property: &Node, path: &[EcoString]) -> Result<(), Error> {
        let text = |extension: &str| property.find_str(&[extension]);
        let version = text("x-kubernetes-object-ref-api-version");
        let (Some(version), Some(kind)) = (version, text("x-kubernetes-object-ref-kind")) else {
            return Ok(());
        };
        let known: usize = self
            .configuration
            .name_reference
            .iter()
            .map(|reference| 1 + reference.fields.len())
            .sum();
        self.steps.take_small(known)?;
        let mut path = path.to_vec();
        path.push(
            text("x-kubernetes-object-ref-name-key")
                .unwrap_or("name")
                .into(),
        );
        self.configuration.merge_reference(&NameReference {
            version: version.into(),
            kind: kind.into(),
            fields: vec![spec(&self.kind, &path)],
            ..NameReference::default()
        })
    }
}

fn spec(kind: &EcoString, path: &[EcoString]) -> FieldSpec {
    FieldSpec {
        kind: kind.clone(),
        path: path.join("/").into(),
        ..FieldSpec::default()
    }
}
