//! `patches`, and the older `patchesStrategicMerge` and `patchesJson6902`.

use super::patch_content::{Content, parse_inline, read_file, read_inline, read_path_or_inline};
use super::{Asked, Setting, Transformer};
use crate::decode::{Rules, Text, decode, fields};
use crate::error::{Error, Errors, Mistakes};
use crate::field_path;
use crate::history::Asker;
use crate::kustomization::{Kustomization, Patch, PatchOptions};
use crate::load::Session;
use crate::manifest::manifests;
use crate::merge::json6902::{self, Operation};
use crate::merge::schema::Schema;
use crate::merge::strategic::{DIRECTIVE, merge};
use crate::merge::through_json::through_json;
use crate::resource::{Behavior, Id, Resource};
use crate::resources::Resources;
use crate::select::Selector;
use crate::yaml::{Dialect, Mapping, Mark, Node, Style, Tag, Value};

/// A patch and what it is applied to.
struct PatchTransformer {
    mark: Mark,
    content: Content,
    target: Option<Selector>,
    options: PatchOptions,
    /// The old fields: each patch finds its target by itself, and takes on the target's API version.
    legacy: bool,
}

/// A `PatchStrategicMergeTransformer` object.
#[derive(Clone, Debug, Default)]
struct StrategicObject {
    mark: Mark,
    paths: Vec<Text>,
    patches: Text,
}

fields!(StrategicObject { "paths" => paths, "patches" => patches });

/// A `PatchJson6902Transformer` object.
#[derive(Clone, Debug, Default)]
struct Json6902Object {
    mark: Mark,
    target: Option<Selector>,
    path: Text,
    json_op: Text,
}

fields!(Json6902Object { "target" => target, "path" => path, "jsonOp" => json_op });

type Made = Result<Vec<Asked>, Errors>;

/// `patches`
pub(super) fn from_fields(kustomization: &Kustomization, setting: &mut Setting<'_, '_>) -> Made {
    each(&kustomization.patches, "patches", |patch| {
        make_patch(patch, setting)
    })
}

/// `patchesStrategicMerge`
pub(super) fn strategic_from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Made {
    each(
        &kustomization.patches_strategic_merge,
        "patchesStrategicMerge",
        |text| {
            make_strategic(text, setting)
                .map_err(|errors| errors.map(|error| error.at_mark(text.mark)))
        },
    )
}

/// `patchesJson6902`
pub(super) fn json6902_from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Made {
    each(
        &kustomization.patches_json6902,
        "patchesJson6902",
        |patch| {
            let object = Json6902Object {
                mark: patch.mark,
                target: patch.target.clone(),
                path: patch.path.clone(),
                json_op: patch.patch.clone(),
            };
            make_json6902(&object, setting)
        },
    )
}

/// Makes a transformer of each entry of a field; all mistakes are told.
fn each<T>(
    entries: &[T],
    field: &'static str,
    mut make: impl FnMut(&T) -> Result<PatchTransformer, Errors>,
) -> Made {
    let mut made = Vec::with_capacity(entries.len());
    let mut mistakes = Mistakes::default();
    for (index, entry) in entries.iter().enumerate() {
        match make(entry) {
            Ok(patch) => made.push(Asked::new(Asker::entry(field, index, patch.mark), patch)),
            Err(errors) => {
                let tell = |error: Error| error.during(format!("{field}[{index}]"));
                mistakes.of::<()>(Err(errors.map(tell)));
            }
        }
    }
    mistakes.or(made)
}

/// `PatchTransformer`
pub(super) fn from_object(
    node: &Node,
    setting: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let patch: Patch = decode(node, Rules::Object)?;
    Ok(Box::new(make_patch(&patch, setting)?))
}

/// `PatchStrategicMergeTransformer`
pub(super) fn strategic_from_object(
    node: &Node,
    setting: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let object: StrategicObject = decode(node, Rules::Object)?;
    let mut patches = Vec::new();
    for text in &object.paths {
        patches.extend(read_path_or_inline(text, setting)?);
    }
    if !object.patches.is_empty() {
        let documents = parse_inline(&object.patches, Dialect::Kustomize, setting.session)?;
        patches.extend(manifests(&documents, &setting.session.files)?);
    }
    Ok(Box::new(strategic(object.mark, patches)?))
}

/// `PatchJson6902Transformer`
pub(super) fn json6902_from_object(
    node: &Node,
    setting: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let object: Json6902Object = decode(node, Rules::Object)?;
    Ok(Box::new(make_json6902(&object, setting)?))
}

fn make_patch(patch: &Patch, setting: &mut Setting<'_, '_>) -> Result<PatchTransformer, Errors> {
    let inline = !patch.patch.trim().is_empty();
    let content = match (inline, patch.path.is_empty()) {
        (true, true) => read_inline(&patch.patch, setting.session),
        (false, false) => read_file(&patch.path, setting),
        (true, false) => Err(Error::new("`path` and `patch` exclude each other").into()),
        (false, true) => Err(Error::new("a patch needs `path` or `patch`").into()),
    };
    let content = content.map_err(|errors| errors.map(|error| error.at_mark(patch.mark)))?;
    if let (Content::Json(_), None) = (&content, &patch.target) {
        return Err(Error::new("a JSON patch needs a `target`")
            .at_mark(patch.mark)
            .into());
    }
    Ok(PatchTransformer {
        mark: patch.mark,
        content,
        target: patch.target.clone(),
        options: patch.options.unwrap_or_default(),
        legacy: false,
    })
}

fn make_strategic(text: &Text, setting: &mut Setting<'_, '_>) -> Result<PatchTransformer, Errors> {
    strategic(text.mark, read_path_or_inline(text, setting)?)
}

fn strategic(mark: Mark, patches: Vec<Resource>) -> Result<PatchTransformer, Errors> {
    if patches.is_empty() {
        return Err(Error::new("the patch is empty").at_mark(mark).into());
    }
    Ok(PatchTransformer {
        mark,
        content: Content::Merge(patches),
        target: None,
        options: PatchOptions::default(),
        legacy: true,
    })
}

fn make_json6902(
    object: &Json6902Object,
    setting: &mut Setting<'_, '_>,
) -> Result<PatchTransformer, Errors> {
    let wrong = |what: &str| Err(Error::new(what).at_mark(object.mark).into());
    let named = object
        .target
        .as_ref()
        .is_some_and(|target| !target.name.is_empty());
    if !named {
        return wrong("a JSON patch needs a `target` with a `name`");
    }
    let content = match (object.path.is_empty(), object.json_op.is_empty()) {
        (false, false) => return wrong("`path` and `patch` exclude each other"),
        (true, true) => return wrong("a JSON patch needs `path` or `patch`"),
        (false, true) => read_file(&object.path, setting),
        (true, false) => read_inline(&object.json_op, setting.session),
    };
    match content.map_err(|errors| errors.map(|error| error.at_mark(object.mark)))? {
        content if may_hold_operations(&content, setting.session) => Ok(PatchTransformer {
            mark: object.mark,
            content,
            target: object.target.clone(),
            options: PatchOptions::default(),
            legacy: true,
        }),
        _ => wrong("the JSON patch is no list of operations"),
    }
}

/// Whether there are operations, or what stands for them where they cannot be read.
fn may_hold_operations(content: &Content, session: &Session<'_>) -> bool {
    match content {
        Content::Json(operations) => !operations.is_empty(),
        Content::Merge(patches) => patches.iter().any(|patch| session.is_unread(&patch.node)),
    }
}

impl Transformer for PatchTransformer {
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        let done = match &self.content {
            Content::Json(operations) => self.apply_json(operations, resources, session),
            Content::Merge(patches) => match &self.target {
                Some(target) => self.merge_into_targets(patches, target, resources, session),
                None => self.merge_by_id(patches, resources, session),
            },
        };
        done.map_err(|errors| errors.map(|error| error.at_mark(self.mark)))
    }
}

impl PatchTransformer {
    fn apply_json(
        &self,
        operations: &[Operation],
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        let Some(target) = &self.target else {
            return Ok(());
        };
        let positions = resources.select(target, &mut session.steps)?;
        session.count_patched(positions.len())?;
        let mut mistakes = Mistakes::default();
        for position in positions {
            let resource = &mut resources.list[position];
            if resource.broken {
                continue;
            }
            // The object is printed and read again, after which no two fields share a value.
            resource.shared.clear();
            if !self.legacy {
                resource.remember_id();
            }
            resource.untyped.clear();
            resource.untyped_name = false;
            let id = resource.id();
            let annotated = is_annotated(resource);
            let mut node = std::mem::replace(&mut resource.node, Node::null());
            let metadata = node.get_mut("metadata").and_then(Node::as_mapping_mut);
            if let Some(metadata) = metadata.filter(|_| annotated) {
                metadata.get_or_insert_with("annotations", Node::mapping);
            }
            let patched = json6902::apply(node, operations, &mut session.steps)
                .map_err(|error| error.during(id.to_string()));
            let Some(patched) = mistakes.of(patched) else {
                resource.break_off(&id);
                continue;
            };
            resource.node = patched;
            through_json(&mut resource.node);
            textualize(&mut resource.node, "annotations");
        }
        mistakes.or(())
    }

    /// One patch for everything that a selector accepts.
    fn merge_into_targets(
        &self,
        patches: &[Resource],
        target: &Selector,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        let patch = match patches {
            [] => return Ok(()),
            [patch] => patch,
            _ => {
                return Err(Error::new("a `target` is for one patch, and here are more")
                    .hint("split them into entries of their own")
                    .into());
            }
        };
        let positions = resources.select(target, &mut session.steps)?;
        session.count_patched(positions.len())?;
        let mut mistakes = Mistakes::default();
        for position in positions {
            let resource = &mut resources.list[position];
            let node = adapted(&patch.node, resource);
            mistakes.of(self.merge_one(node, resource, session));
        }
        resources.drop_gone();
        mistakes.of(resources.check_unique());
        mistakes.or(())
    }

    /// Each patch for the one object that is or was what the patch says.
    fn merge_by_id(
        &self,
        patches: &[Resource],
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        session.count_patched(patches.len())?;
        let mut mistakes = Mistakes::default();
        for patch in patches {
            if session.is_unread(&patch.node) {
                mistakes.of(self.merge_into_all(patch, resources, session));
                continue;
            }
            let id = patch.id();
            session.steps.take(resources.list.len())?;
            let position = resources.position_of(&id).map_err(|error| {
                let error = Error {
                    message: format!("the patch has no target: {}", error.message),
                    ..error
                };
                advise(error, &id, resources).at_mark(patch.node.mark)
            });
            let Some(position) = mistakes.of(position) else {
                continue;
            };
            let resource = &mut resources.list[position];
            let mut node = if self.legacy {
                adapted(&patch.node, resource)
            } else {
                patch.node.clone()
            };
            if self.options.allow_name_change || self.options.allow_kind_change {
                // kustomize notes that in the patch's annotations, which makes text of all of them.
                textualize(&mut node, "annotations");
            }
            mistakes.of(self.merge_one(node, resource, session));
        }
        if self.legacy {
            resources.drop_gone();
            mistakes.of(resources.check_unique());
        }
        mistakes.or(())
    }

    /// A patch of which nothing can be read may be for any object.
    fn merge_into_all(
        &self,
        patch: &Resource,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        session.count_patched(resources.list.len())?;
        let mut mistakes = Mistakes::default();
        for resource in &mut resources.list {
            let node = adapted(&patch.node, resource);
            mistakes.of(self.merge_one(node, resource, session));
        }
        mistakes.or(())
    }

    /// Kind and name stay unless the patch may change them; the namespace always stays.
    fn merge_one(
        &self,
        patch: Node,
        resource: &mut Resource,
        session: &mut Session<'_>,
    ) -> Result<(), Error> {
        if resource.broken {
            return Ok(());
        }
        let PatchOptions {
            allow_name_change,
            allow_kind_change,
            ..
        } = match session.is_unread(&patch) {
            true => PatchOptions::default(),
            false => self.options,
        };
        if allow_name_change || allow_kind_change {
            resource.remember_id();
        }
        let id = resource.id();
        let field = |path: &[&str]| {
            resource
                .node
                .find(path)
                .filter(|node| !node.is_null())
                .cloned()
        };
        let kind = field(&["kind"]).filter(|_| !allow_kind_change);
        let name = field(&["metadata", "name"]).filter(|_| !allow_name_change);
        let namespace = field(&["metadata", "namespace"]);
        if replaces_annotations(&patch) {
            resource.forget();
        }
        let target = std::mem::replace(&mut resource.node, Node::null());
        let merged = merge(target, patch, &session.schema, &mut session.steps);
        let merged = merged.map_err(|error| {
            resource.break_off(&id);
            error.during(id.to_string())
        })?;
        for loss in &merged.losses {
            session.warn(loss.mark, lost(&loss.field));
        }
        resource.node = merged.node.unwrap_or_else(Node::null);
        type_as_text(resource, &session.schema);
        if let Some(mapping) = resource.node.as_mapping_mut()
            && !mapping.is_empty()
        {
            put_back(mapping, "kind", kind);
            let metadata = mapping.get_or_insert_with("metadata", Node::mapping);
            if let Some(metadata) = metadata.as_mapping_mut() {
                put_back(metadata, "name", name);
                metadata.remove("namespace");
                put_back(metadata, "namespace", namespace);
            }
        }
        Ok(())
    }
}

/// True when a patch takes the place of all annotations, with whatever kustomize has noted there.
fn replaces_annotations(patch: &Node) -> bool {
    let replaced = |path: &[&str]| matches!(patch.find_str(path), Some("replace" | "delete"));
    replaced(&["metadata", "annotations", DIRECTIVE])
        || replaced(&["metadata", DIRECTIVE])
        || patch
            .find(&["metadata", "annotations"])
            .is_some_and(Node::is_null)
}

/// What a replacement made has no type until a merge passes it, which makes text of it, whatever it looks like.
/// Lists without merge keys are not entered.
fn type_as_text(resource: &mut Resource, schema: &Schema) {
    let enters_lists = schema.knows(&resource.node);
    for (path, mark) in std::mem::take(&mut resource.untyped) {
        let in_list = path.iter().any(|part| field_path::is_list_part(part));
        if in_list && !enters_lists {
            resource.untyped.push((path, mark));
            continue;
        }
        // A path that leads nowhere any more is no mistake here.
        let _ = field_path::each(&mut resource.node, &path, None, &mut |field, _| {
            if let Value::Scalar(scalar) = &mut field.value
                && field.mark == mark
                && scalar.style == Style::Plain
            {
                scalar.tag = Tag::Str;
            }
            Ok(())
        });
    }
}

/// True when kustomize would keep notes on the object in annotations: an operation on annotations then finds
/// them, even where the manifest has none.
fn is_annotated(resource: &Resource) -> bool {
    !resource.previous.is_empty()
        || !resource.prefixes.is_empty()
        || !resource.suffixes.is_empty()
        || resource.needs_hash
        || resource.behavior != Behavior::Unspecified
        || resource.origin.generator.is_some()
}

fn lost(field: &str) -> String {
    format!(
        "this entry of {field} gets lost, as in kustomize: the target's entry does not say the key that tells \
         them apart (for ports, `protocol`); say it there"
    )
}

fn put_back(mapping: &mut Mapping, field: &str, value: Option<Node>) {
    if let Some(value) = value {
        mapping.insert(field, value);
    }
}

/// A patch that a selector, or an old field, leads to an object: it takes on the object's API version, and its
/// labels and annotations become text, nulls too.
fn adapted(patch: &Node, resource: &Resource) -> Node {
    let mut node = patch.clone();
    if let Some(mapping) = node.as_mapping_mut()
        && let Some(version) = resource.node.get("apiVersion")
    {
        mapping.insert("apiVersion", version.clone());
    }
    textualize(&mut node, "labels");
    textualize(&mut node, "annotations");
    node
}

/// Makes text of the scalars of a mapping in `metadata`; an empty mapping, or what is none, goes.
fn textualize(node: &mut Node, field: &str) {
    let Some(metadata) = node.get_mut("metadata").and_then(Node::as_mapping_mut) else {
        return;
    };
    let Some(entries) = metadata.get_mut(field) else {
        return;
    };
    if let Some(entries) = entries.as_mapping_mut() {
        for (_, value) in entries.iter_mut() {
            *value = crate::generate::text_of(value);
        }
    }
    if entries.as_mapping().is_none_or(Mapping::is_empty) {
        metadata.remove(field);
    }
}

/// What the patch's author may have meant.
fn advise(error: Error, id: &Id, resources: &Resources) -> Error {
    let same_name = |resource: &&Resource| resource.name() == id.name;
    let same_kind = |resource: &&Resource| resource.kind() == id.gvk.kind;
    let all = || resources.list.iter();
    if let Some(resource) = all().filter(same_name).find(same_kind) {
        let version = resource.gvk().api_version();
        return error.hint(format!("there is {} of {version}", resource.id()));
    }
    let names: Vec<&str> = all().filter(same_kind).map(Resource::name).collect();
    match crate::suggest::nearest(&id.name, &names) {
        Some(name) => error.hint(format!("did you mean {} {name}?", id.gvk.kind)),
        None => error,
    }
}
