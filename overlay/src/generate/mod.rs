//! Generators: objects that no file holds, made from files and literals.

mod config_map;
mod data;
mod iam_policy;
mod secret;

use std::collections::BTreeMap;

use base64::Engine as _;
use ecow::EcoString;

use crate::decode::{Rules, decode};
use crate::error::{Error, Errors};
use crate::history::Asker;
use crate::kustomization::{
    GeneratorEntry, GeneratorMetadata, GeneratorOptions, Kustomization, Pairs,
};
use crate::load::{Folder, Session};
use crate::object::Origin;
use crate::provenance;
use crate::resource::{Behavior, Resource};
use crate::yaml::{Mapping, Node, Tag};

/// Makes the object of an entry.
type Generate = fn(&GeneratorEntry, &Folder, &mut Session<'_>) -> Result<Resource, Errors>;

/// A generated object.
pub(crate) struct Generated {
    /// The name of its generator.
    pub generator: &'static str,
    /// The entry that asks for it.
    pub asker: Asker,
    /// The object.
    pub resource: Resource,
}

/// What the generator fields of a kustomization make.
pub(crate) fn from_fields(
    kustomization: &Kustomization,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Vec<Generated>, Errors> {
    let lists: [(&'static str, &'static str, &[GeneratorEntry], Generate); 2] = [
        (
            "ConfigMapGenerator",
            "configMapGenerator",
            &kustomization.config_map_generator,
            config_map::generate,
        ),
        (
            "SecretGenerator",
            "secretGenerator",
            &kustomization.secret_generator,
            secret::generate,
        ),
    ];
    let (mut made, mut errors) = (Vec::new(), Vec::new());
    for (generator, field, entries, generate) in lists {
        for (index, entry) in entries.iter().enumerate() {
            let entry = with_options(entry, kustomization.generator_options.as_ref());
            match generate(&entry, folder, session) {
                Ok(resource) => made.push(Generated {
                    generator,
                    asker: Asker::entry(field, index, entry.mark),
                    resource,
                }),
                Err(Errors(more)) => errors.extend(more.into_iter().map(|error| {
                    error
                        .at_mark(entry.mark)
                        .during(format!("{field}[{index}]"))
                })),
            }
        }
    }
    if errors.is_empty() {
        Ok(made)
    } else {
        Err(Errors(errors))
    }
}

/// What an object under `generators` makes.
pub(crate) fn from_object(
    kind: &str,
    node: &Node,
    folder: &Folder,
    session: &mut Session<'_>,
) -> Result<Resource, Errors> {
    let generate: Generate = match kind {
        "ConfigMapGenerator" => config_map::generate,
        "SecretGenerator" => secret::generate,
        "IAMPolicyGenerator" => return iam_policy::generate(node, session),
        "HelmChartInflationGenerator" => {
            return Err(Error::new(NO_CHARTS).at_mark(node.mark).into());
        }
        _ => {
            return Err(Error::new(format!("there is no built-in generator {kind}"))
                .at_mark(node.mark)
                .into());
        }
    };
    let mut entry: GeneratorEntry = decode(node, Rules::Object)?;
    if let Some(metadata) = node.get("metadata") {
        let metadata: GeneratorMetadata = decode(metadata, Rules::Object)?;
        if entry.name.is_empty() {
            entry.name = metadata.name;
        }
        if entry.namespace.is_empty() {
            entry.namespace = metadata.namespace;
        }
    }
    let generated = generate(&entry, folder, session);
    generated.map_err(|errors| errors.map(|error| error.at_mark(node.mark)))
}

/// Why charts are refused.
pub(crate) const NO_CHARTS: &str = "Helm charts are not rendered here";

/// An entry with what `generatorOptions` add; a true value there cannot be taken back.
fn with_options(entry: &GeneratorEntry, general: Option<&GeneratorOptions>) -> GeneratorEntry {
    let mut entry = entry.clone();
    let Some(general) = general else { return entry };
    let options = entry.options.get_or_insert_default();
    for (mine, theirs) in [
        (&mut options.labels, &general.labels),
        (&mut options.annotations, &general.annotations),
    ] {
        for (key, value) in theirs {
            mine.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    options.disable_name_suffix_hash |= general.disable_name_suffix_hash;
    options.immutable |= general.immutable;
    entry
}

/// The object without its data.
fn base(kind: &str, entry: &GeneratorEntry) -> Result<Node, Error> {
    if entry.name.is_empty() {
        return Err(Error::new("a generator needs a name").at_mark(entry.mark));
    }
    let mut metadata = Mapping::default();
    metadata.insert("name", entry.name.node());
    if !entry.namespace.is_empty() {
        metadata.insert("namespace", entry.namespace.node());
    }
    let mut object = Mapping::default();
    object.insert("apiVersion", Node::string("v1"));
    object.insert("kind", Node::string(kind));
    object.insert("metadata", Node::from(metadata).at(entry.mark));
    Ok(Node::from(object).at(entry.mark))
}

/// Adds labels, annotations and `immutable`, and says what is to become of the object.
fn finish(
    mut node: Node,
    entry: &GeneratorEntry,
    generator: &str,
    session: &Session<'_>,
) -> Resource {
    let options = entry.options.clone().unwrap_or_default();
    set_pairs(&mut node, "labels", &options.labels);
    set_pairs(&mut node, "annotations", &options.annotations);
    if let Some(mapping) = node.as_mapping_mut().filter(|_| options.immutable) {
        mapping.insert(
            "immutable",
            Node::scalar("true", Tag::Bool).at(options.mark),
        );
    }
    let origin = Origin {
        place: session.files.place(entry.mark),
        generator: Some(generator.into()),
    };
    let mut resource = Resource::new(node, origin);
    resource.needs_hash = !options.disable_name_suffix_hash;
    resource.behavior = match &*entry.behavior {
        "create" => Behavior::Create,
        "replace" => Behavior::Replace,
        "merge" => Behavior::Merge,
        _ => Behavior::Unspecified,
    };
    resource
}

fn set_pairs(node: &mut Node, field: &str, pairs: &Pairs) {
    let Some(metadata) = node.get_mut("metadata").and_then(Node::as_mapping_mut) else {
        return;
    };
    if pairs.is_empty() {
        return;
    }
    let mut mapping = Mapping::default();
    for (key, value) in pairs {
        mapping.push(key.as_str().into(), value.node());
    }
    metadata.insert(field, mapping.into());
}

/// Base64 in lines of 70; a single line, shorter than that, has no line end.
fn wrapped_base64(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    if encoded.len() < LINE {
        return encoded;
    }
    let mut wrapped = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        wrapped.push_str(line);
        wrapped.push('\n');
        rest = after;
    }
    wrapped
}

/// Takes over what an object has that a generated one of its name replaces or merges into: name, namespace,
/// labels and annotations that the new one does not set, its history, and for a merge its data.
pub(crate) fn adopt(new: &mut Resource, old: &Resource) {
    if new.behavior == Behavior::Merge {
        for field in ["data", "binaryData"] {
            inherit(&mut new.node, &old.node, &[field]);
        }
    }
    for field in ["labels", "annotations"] {
        inherit(&mut new.node, &old.node, &["metadata", field]);
    }
    if new.behavior == Behavior::Merge {
        provenance::keep_origin(new, old);
    }
    for field in ["name", "namespace"] {
        let value = old.node.find(&["metadata", field]).cloned();
        if let Some(metadata) = new.node.get_mut("metadata").and_then(Node::as_mapping_mut) {
            match value {
                Some(value) => drop(metadata.insert(field, value)),
                None => drop(metadata.remove(field)),
            }
        }
    }
    new.needs_hash &= old.needs_hash;
    new.behavior = old.behavior;
    new.previous.clone_from(&old.previous);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.variables.clone_from(&old.variables);
}

/// Adds to a mapping of texts those of the old object that it lacks; an empty mapping goes away.
fn inherit(new: &mut Node, old: &Node, path: &[&str]) {
    let Some((field, parents)) = path.split_last() else {
        return;
    };
    let mut values: BTreeMap<EcoString, Node> = BTreeMap::new();
    for source in [old.find(path), new.find(path)].into_iter().flatten() {
        for (key, value) in source.as_mapping().into_iter().flat_map(Mapping::iter) {
            values.insert(key.text.clone(), text_of(value));
        }
    }
    let parent = parents
        .iter()
        .try_fold(new, |node, key| node.get_mut(key))
        .and_then(Node::as_mapping_mut);
    let Some(parent) = parent else { return };
    if values.is_empty() {
        parent.remove(field);
        return;
    }
    let mut mapping = Mapping::default();
    for (key, value) in values {
        mapping.push(key.as_str().into(), value);
    }
    parent.insert(*field, mapping.into());
}

/// A scalar as text, whatever it was; a secret stays one.
pub(crate) fn text_of(node: &Node) -> Node {
    use crate::yaml::{Secret, Style, Tag, Value};
    let value = match &node.value {
        Value::Scalar(scalar) => return Node::string(scalar.text.clone()).at(node.mark),
        Value::Secret(secret) => Value::Secret(Secret::new(
            secret.expose().to_owned(),
            Tag::Str,
            Style::Plain,
        )),
        Value::Sequence(_) | Value::Mapping(_) => return Node::string("").at(node.mark),
    };
    Node::from(value).at(node.mark)
}
