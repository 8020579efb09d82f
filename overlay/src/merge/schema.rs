//! What is known of an object's fields: which lists merge, and by which keys.
//!
//! kustomize's own API description, compact in [`super::kinds`], or the file that `openapi:` names. As in
//! kustomize, `crds:` adds nothing here: its files are about name references.

use std::collections::HashMap;

use crate::error::Error;
use crate::yaml::Node;

use super::kinds::{self, PLAIN, Type};

/// The API descriptions in force.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    built_in: bool,
    definitions: Node,
    /// Definition by API version and kind.
    kinds: HashMap<(String, String), String>,
}

impl Default for Schema {
    fn default() -> Self {
        Self {
            built_in: true,
            definitions: Node::null(),
            kinds: HashMap::new(),
        }
    }
}

const GROUP_VERSION_KIND: &str = "x-kubernetes-group-version-kind";
const PATCH_STRATEGY: &str = "x-kubernetes-patch-strategy";
const PATCH_MERGE_KEY: &str = "x-kubernetes-patch-merge-key";
const LIST_MAP_KEYS: &str = "x-kubernetes-list-map-keys";

impl Schema {
    /// The description of an OpenAPI document, in place of the built-in one, or beside it.
    pub(crate) fn from_document(document: &Node, keep_built_in: bool) -> Result<Self, Error> {
        if document.as_mapping().is_none() {
            return Err(Error::new("an OpenAPI document is a mapping"));
        }
        let definitions = document
            .get("definitions")
            .cloned()
            .unwrap_or_else(Node::mapping);
        let mut kinds = HashMap::new();
        for (name, definition) in definitions.as_mapping().into_iter().flat_map(|m| m.iter()) {
            for kind in kinds_of(definition) {
                kinds.insert(kind, name.text.to_string());
            }
        }
        Ok(Self {
            built_in: keep_built_in,
            definitions,
            kinds,
        })
    }

    /// What is known of a kind.
    pub(super) fn of_kind(&self, api_version: &str, kind: &str) -> Option<Shape<'_>> {
        if !self.kinds.is_empty() {
            let key = (api_version.to_owned(), kind.to_owned());
            let described = self.kinds.get(&key);
            if let Some(definition) = described.and_then(|name| self.definitions.get(name)) {
                return Some(Shape::Described(self, definition));
            }
        }
        // kustomize's description of its own files is always there.
        if self.built_in || api_version == "kustomize.config.k8s.io/v1beta1" {
            let keys = None;
            return kinds::type_of(api_version, kind).map(|inner| Shape::BuiltIn { inner, keys });
        }
        None
    }

    /// True when the fields of an object's kind are known.
    pub(crate) fn knows(&self, node: &Node) -> bool {
        self.of_object(node).is_some()
    }

    /// What is known of an object, by its own word.
    pub(super) fn of_object(&self, node: &Node) -> Option<Shape<'_>> {
        let text = |field: &str| node.get(field)?.as_str();
        self.of_kind(text("apiVersion")?, text("kind")?)
    }

    /// Follows `$ref` within the document, and from there to the built-in definitions where they hold too.
    fn resolve<'s>(&'s self, mut described: &'s Node) -> Option<Shape<'s>> {
        for _ in 0..LONGEST_CHAIN {
            let Some(reference) = described.get("$ref") else {
                return Some(Shape::Described(self, described));
            };
            let name = reference.as_str()?.strip_prefix("#/definitions/")?;
            let name = name.replace("~1", "/").replace("~0", "~");
            match self.definitions.get(&name) {
                Some(definition) => described = definition,
                None if self.built_in => {
                    let inner = kinds::definition(&name)?;
                    return Some(Shape::BuiltIn { inner, keys: None });
                }
                None => return None,
            }
        }
        None
    }
}

/// True for the kinds of Kubernetes that kustomize carries.
pub(crate) fn is_built_in(api_version: &str, kind: &str) -> bool {
    kinds::type_of(api_version, kind).is_some()
}

/// References that lead to references, at most so many.
const LONGEST_CHAIN: usize = 64;

/// API versions and kinds that a definition says it describes.
fn kinds_of(definition: &Node) -> Vec<(String, String)> {
    let said = definition
        .get(GROUP_VERSION_KIND)
        .and_then(Node::as_sequence);
    said.unwrap_or_default()
        .iter()
        .filter_map(|said| {
            let version = said.find_str(&["version"])?;
            let kind = said.find_str(&["kind"])?;
            let api_version = match said.find_str(&["group"]) {
                Some(group) if !group.is_empty() => format!("{group}/{version}"),
                _ => version.to_owned(),
            };
            Some((api_version, kind.to_owned()))
        })
        .collect()
}

/// What is known of one place in an object.
#[derive(Clone, Copy)]
pub(super) enum Shape<'s> {
    /// By the table.
    BuiltIn {
        /// The type of the value, or of its elements.
        inner: &'static Type,
        /// The keys of a list that merges.
        keys: Option<&'static [&'static str]>,
    },
    /// By a definition of a document.
    Described(&'s Schema, &'s Node),
}

impl<'s> Shape<'s> {
    /// What is known of a field of a mapping.
    pub(super) fn field(self, name: &str) -> Option<Shape<'s>> {
        match self {
            Shape::BuiltIn { inner, .. } => {
                let field = inner.fields.iter().find(|field| field.name == name);
                Some(match field {
                    Some(field) => Shape::BuiltIn {
                        inner: field.inner,
                        keys: field.keys,
                    },
                    None => Shape::BuiltIn {
                        inner: &PLAIN,
                        keys: None,
                    },
                })
            }
            Shape::Described(schema, definition) => {
                let named = definition.find(&["properties", name]);
                let any = || {
                    definition
                        .get("additionalProperties")
                        .filter(|any| any.as_mapping().is_some())
                };
                schema.resolve(named.or_else(any)?)
            }
        }
    }

    /// What is known of the elements of a list.
    pub(super) fn elements(self) -> Option<Shape<'s>> {
        match self {
            Shape::BuiltIn { inner, .. } => Some(Shape::BuiltIn { inner, keys: None }),
            Shape::Described(schema, definition) => {
                if definition.find_str(&["type"]) != Some("array") {
                    return None;
                }
                schema.resolve(definition.get("items")?)
            }
        }
    }

    /// The keys by which the elements of a list merge: none when the list is replaced as a whole; no keys when
    /// the values themselves are compared.
    pub(super) fn merge_keys(self) -> Option<Vec<&'s str>> {
        match self {
            Shape::BuiltIn { keys, .. } => keys.map(<[&str]>::to_vec),
            Shape::Described(_, definition) => {
                let strategy = definition.find_str(&[PATCH_STRATEGY])?;
                if !strategy.split(',').any(|word| word == "merge") {
                    return None;
                }
                let several = definition.get(LIST_MAP_KEYS).and_then(Node::as_sequence);
                let single = definition.find_str(&[PATCH_MERGE_KEY]);
                Some(match several {
                    Some(keys) => keys.iter().filter_map(Node::as_str).collect(),
                    None => single.into_iter().collect(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Dialect, read_documents};

    const DOCUMENT: &str = "
definitions:
  v1.Thing:
    properties:
      spec: {$ref: '#/definitions/v1.Spec'}
    x-kubernetes-group-version-kind:
    - {group: example.org, version: v1, kind: Thing}
  v1.Spec:
    properties:
      parts:
        type: array
        items: {$ref: '#/definitions/v1.Part'}
        x-kubernetes-patch-merge-key: name
        x-kubernetes-patch-strategy: merge
      ports:
        type: array
        items: {type: object}
        x-kubernetes-list-map-keys: [port, protocol]
        x-kubernetes-patch-strategy: merge,retainKeys
      by_name:
        type: object
        additionalProperties: {$ref: '#/definitions/v1.Spec'}
      loop: {$ref: '#/definitions/v1.Loop'}
      template: {$ref: '#/definitions/io.k8s.api.core.v1.PodTemplateSpec'}
  v1.Part:
    properties:
      sub: {type: array, items: {type: string}, x-kubernetes-patch-strategy: merge}
  v1.Loop: {$ref: '#/definitions/v1.Loop'}
";

    fn keys<'s>(schema: &'s Schema, path: &str) -> Option<Vec<&'s str>> {
        let mut shape = schema.of_kind("example.org/v1", "Thing")?;
        for name in path.split('.') {
            shape = match name {
                "[]" => shape.elements()?,
                name => shape.field(name)?,
            };
        }
        shape.merge_keys()
    }

    #[test]
    fn documents_describe_lists() {
        let document = read_documents(DOCUMENT.as_bytes(), 0, Dialect::Kustomize)
            .expect("the test's YAML is right")
            .remove(0);
        let schema = Schema::from_document(&document, false).expect("a schema");
        assert_eq!(keys(&schema, "spec.parts"), Some(vec!["name"]));
        assert_eq!(keys(&schema, "spec.parts.[].sub"), Some(vec![]));
        assert_eq!(keys(&schema, "spec.ports"), Some(vec!["port", "protocol"]));
        assert_eq!(keys(&schema, "spec.by_name.x.parts"), Some(vec!["name"]));
        assert_eq!(keys(&schema, "spec.loop"), None);
        assert_eq!(keys(&schema, "spec.other"), None);
        assert!(schema.of_kind("apps/v1", "Deployment").is_none());
        assert_eq!(keys(&schema, "spec.template.spec.containers"), None);
        let both = Schema::from_document(&document, true).expect("a schema");
        assert_eq!(
            keys(&both, "spec.template.spec.containers"),
            Some(vec!["name"])
        );
        assert!(Schema::from_document(&Node::null(), false).is_err());
    }
}
