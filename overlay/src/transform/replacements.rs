//! `replacements`: the value of a field of one object goes into fields of others.

use super::{Asked, Setting, Transformer, embedded};
use crate::decode::{Rules, Text, decode, fields};
use crate::error::{Error, Errors, Mistakes};
use crate::field_path::{self, Fresh, Leaf};
use crate::generate::text_of;
use crate::history::{self, Asker};
use crate::kustomization::{
    FieldOptions, Kustomization, Replacement, ReplacementSource, ReplacementTarget,
};
use crate::load::Session;
use crate::resource::{Gvk, Id, Resource};
use crate::resources::Resources;
use crate::scalar;
use crate::select::{Matcher, Selector};
use crate::yaml::{Dialect, Node, Style, Value, resolve};

/// All replacements of one kustomization, in order, each with the number of its entry.
struct ReplacementTransformer {
    replacements: Vec<(usize, Replacement)>,
}

/// A `ReplacementTransformer` object.
#[derive(Clone, Debug, Default)]
struct Configured {
    replacements: Vec<Replacement>,
}

fields!(Configured unmarked { "replacements" => replacements });

/// The field of the kustomization.
const FIELD: &str = "replacements";

/// The field that is read or written when none is named.
const NAME: &str = "metadata.name";

pub(super) fn from_fields(
    kustomization: &Kustomization,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Asked>, Errors> {
    if kustomization.replacements.is_empty() {
        return Ok(Vec::new());
    }
    let transformer = ReplacementTransformer {
        replacements: with_files(&kustomization.replacements, setting)?,
    };
    let asker = Asker::field(FIELD, kustomization.replacements[0].mark);
    Ok(vec![Asked::new(asker, transformer)])
}

pub(super) fn from_object(
    node: &Node,
    setting: &mut Setting<'_, '_>,
) -> Result<Box<dyn Transformer>, Errors> {
    let configured: Configured = decode(node, Rules::Object)?;
    Ok(Box::new(ReplacementTransformer {
        replacements: with_files(&configured.replacements, setting)?,
    }))
}

/// The replacements, those that stand in files read. Every mistake is told.
fn with_files(
    entries: &[Replacement],
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<(usize, Replacement)>, Errors> {
    let mut all = Vec::with_capacity(entries.len());
    let mut errors = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let tell = |error: Error| {
            error
                .at_mark(entry.mark)
                .during(format!("{FIELD}[{index}]"))
        };
        match read_entry(entry, setting) {
            Ok(found) => all.extend(found.into_iter().map(|found| (index, found))),
            Err(Errors(more)) => errors.extend(more.into_iter().map(tell)),
        }
    }
    if errors.is_empty() {
        Ok(all)
    } else {
        Err(Errors(errors))
    }
}

fn read_entry(
    entry: &Replacement,
    setting: &mut Setting<'_, '_>,
) -> Result<Vec<Replacement>, Errors> {
    if entry.path.is_empty() {
        return Ok(vec![entry.clone()]);
    }
    if entry.source.is_some() || entry.targets.as_ref().is_some_and(|all| !all.is_empty()) {
        return Err(Error::new("`path` excludes `source` and `targets`").into());
    }
    let documents =
        setting
            .session
            .plain_documents(setting.folder, &entry.path, Dialect::Kubernetes)?;
    match documents.first() {
        Some(document) if document.as_sequence().is_some() => decode(document, Rules::Object),
        Some(document) if document.as_mapping().is_some() => {
            Ok(vec![decode(document, Rules::Object)?])
        }
        _ => Err(Error::new("a file of replacements holds one or a list of them").into()),
    }
}

impl Transformer for ReplacementTransformer {
    fn transform(
        &self,
        resources: &mut Resources,
        session: &mut Session<'_>,
    ) -> Result<(), Errors> {
        let mut mistakes = Mistakes::default();
        for (index, replacement) in &self.replacements {
            if session.steps.are_spent() {
                break;
            }
            let applied = apply(replacement, resources, session).map_err(|error| {
                break_targets(replacement, resources);
                let entry = format!("{FIELD}[{index}]");
                error.at_mark(replacement.mark).during(entry)
            });
            mistakes.of(applied);
            let asker = Asker::entry(FIELD, *index, replacement.mark);
            history::note(resources, asker, session.options);
        }
        mistakes.or(())
    }
}

/// What a replacement that failed would have changed cannot be judged any more.
fn break_targets(replacement: &Replacement, resources: &mut Resources) {
    for target in replacement.targets.iter().flatten() {
        let select = target.select.as_ref();
        let chosen = select.map(|select| Chosen::new(select, &target.reject));
        if let Some(Ok(chosen)) = chosen {
            for resource in &mut resources.list {
                resource.broken |= chosen.has(resource);
            }
        }
    }
}

fn apply(
    replacement: &Replacement,
    resources: &mut Resources,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    let Some(targets) = &replacement.targets else {
        return Err(Error::new("a replacement needs `targets`"));
    };
    let value = match (&replacement.source, &replacement.source_value) {
        (Some(_), Some(_)) => Err(Error::new("`source` and `sourceValue` exclude each other")),
        (None, None) => Err(Error::new("a replacement needs a `source`")),
        (None, Some(text)) => Ok(Some(untyped(text))),
        (Some(source), None) => {
            // All names that an object ever had are compared.
            session.steps.take(5 * resources.list.len())?;
            read_source(source, resources)
        }
    }?;
    let Some(value) = value else {
        break_targets(replacement, resources);
        return Ok(());
    };
    for target in targets {
        write_target(&value, target, resources, session)?;
    }
    Ok(())
}

/// A scalar that means what its text looks like.
fn untyped(text: &Text) -> Node {
    Node::scalar(text.text.clone(), resolve(text, Dialect::Kustomize)).at(text.mark)
}

/// The value; none when its object is broken.
fn read_source(source: &ReplacementSource, resources: &Resources) -> Result<Option<Node>, Error> {
    let resource = find_source(source, resources)?;
    if resource.broken {
        return Ok(None);
    }
    let path = non_empty(&source.field_path);
    let found = field_path::find(&resource.node, &field_path::split(path))
        .map_err(|error| resource.blame(error))?;
    let Some(value) = found.filter(|value| !is_empty(value)) else {
        return Err(
            Error::new(format!("{} has no field `{path}`", resource.id())).at_mark(source.mark),
        );
    };
    match &source.options {
        Some(options) if !options.delimiter.is_empty() => part_of(value, options).map(Some),
        _ => Ok(Some(value.clone())),
    }
}

fn non_empty(path: &str) -> &str {
    if path.is_empty() { NAME } else { path }
}

/// Null, or a collection of nothing.
fn is_empty(node: &Node) -> bool {
    node.is_null()
        || node.as_mapping().is_some_and(|mapping| mapping.is_empty())
        || node.as_sequence().is_some_and(<[Node]>::is_empty)
}

/// The one object that is, or was, what the source says.
fn find_source<'r>(
    source: &ReplacementSource,
    resources: &'r Resources,
) -> Result<&'r Resource, Error> {
    let wanted = Gvk {
        group: source.group.clone(),
        version: source.version.clone(),
        kind: source.kind.clone(),
    };
    let accepts_name = |name: &str| source.name.is_empty() || source.name == name;
    let accepts = |id: Id| {
        accepts_name(&id.name)
            && (source.namespace.is_empty() || same_namespace(&source.namespace, &id.namespace))
            && id.gvk.is_selected_by(&wanted)
    };
    let mut found = resources
        .list
        .iter()
        // Names tell most objects apart, and need no id to be made.
        .filter(|resource| resource.was_called(accepts_name) && resource.all_ids().any(accepts));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Error::new("no object is what `source` says").at_mark(source.mark)),
        (Some(first), Some(second)) => Err(Error::new(format!(
            "`source` says more than one object: {} and {}",
            first.id(),
            second.id()
        ))
        .at_mark(source.mark)
        .hint("say more of its kind, name and namespace")),
    }
}

/// No namespace is the default namespace, for cluster-wide objects too.
fn same_namespace(wanted: &str, have: &str) -> bool {
    let effective = |namespace: &'_ str| namespace.is_empty() || namespace == "default";
    wanted == have || (effective(wanted) && effective(have))
}

fn part_of(value: &Node, options: &FieldOptions) -> Result<Node, Error> {
    let Some(text) = scalar_text(value) else {
        return Err(no_scalar(options));
    };
    let parts: Vec<&str> = text.split(options.delimiter.as_str()).collect();
    let index = usize::try_from(options.index).ok();
    match index.and_then(|index| parts.get(index)) {
        Some(part) => Ok(scalar::with_text(value, part, false)),
        None => Err(Error::new(format!(
            "there is no part {} in a value of {}",
            options.index,
            parts.len()
        ))
        .at_mark(options.mark)),
    }
}

fn no_scalar(options: &FieldOptions) -> Error {
    Error::new("a delimiter is for single values, and here is a list or mapping")
        .at_mark(options.mark)
}

/// The text of a scalar; none for collections.
fn scalar_text(node: &Node) -> Option<&str> {
    node.exposed()
}

fn write_target(
    value: &Node,
    target: &ReplacementTarget,
    resources: &mut Resources,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    let Some(select) = &target.select else {
        return Err(Error::new("a target needs `select`").at_mark(target.mark));
    };
    let chosen = Chosen::new(select, &target.reject)?;
    session.steps.take(chosen.steps(&resources.list))?;
    let name = Text::from(NAME);
    let paths = match &target.field_paths[..] {
        [] => std::slice::from_ref(&name),
        paths => paths,
    };
    let expressions = |path: &Text| field_path::steps(&field_path::split(path));
    let to_make: usize = paths.iter().map(expressions).sum();
    for resource in &mut resources.list {
        if resource.broken || !chosen.has(resource) {
            continue;
        }
        session.steps.take(to_make)?;
        let id = resource.id();
        for path in paths {
            write_path(value, path, target, resource, session)
                .map_err(|error| error.at_mark(target.mark).during(id.to_string()))?;
        }
    }
    Ok(())
}

/// `select` without `reject`.
struct Chosen {
    select: Matcher,
    reject_metadata: Vec<Matcher>,
    reject_ids: Vec<Matcher>,
}

impl Chosen {
    fn new(select: &Selector, reject: &[Selector]) -> Result<Self, Error> {
        let matchers = |wanted: fn(&Selector) -> bool| {
            let wanted = reject.iter().filter(|selector| wanted(selector));
            wanted.map(Matcher::new).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            select: Matcher::new(select)?,
            reject_metadata: matchers(|selector| {
                !selector.annotation_selector.is_empty() || !selector.label_selector.is_empty()
            })?,
            reject_ids: matchers(|selector| {
                [
                    &selector.group,
                    &selector.version,
                    &selector.kind,
                    &selector.name,
                    &selector.namespace,
                ]
                .iter()
                .any(|part| !part.is_empty())
            })?,
        })
    }

    fn steps(&self, resources: &[Resource]) -> usize {
        let rejects = self.reject_metadata.iter().chain(&self.reject_ids);
        let matchers = std::iter::once(&self.select).chain(rejects);
        matchers.map(|matcher| matcher.steps(resources)).sum()
    }

    fn has(&self, resource: &Resource) -> bool {
        let any_id = |matcher: &Matcher| {
            resource.was_called(|name| matcher.accepts_name(name))
                && resource.all_ids().any(|id| matcher.accepts_id(&id))
        };
        self.select.accepts_metadata(resource)
            && any_id(&self.select)
            && !self
                .reject_metadata
                .iter()
                .any(|matcher| matcher.accepts_metadata(resource))
            && !self.reject_ids.iter().any(any_id)
    }
}

fn write_path(
    value: &Node,
    path: &Text,
    target: &ReplacementTarget,
    resource: &mut Resource,
    session: &mut Session<'_>,
) -> Result<(), Error> {
    let steps = &mut session.steps;
    let node = &mut resource.node;
    let parts = field_path::split(path);
    let untyped = resource.untyped_name && parts == ["metadata", "name"];
    let is_annotation = matches!(&parts[..], [a, b, _] if a == "metadata" && b == "annotations");
    let creates = target
        .options
        .as_ref()
        .is_some_and(|options| options.create);
    let create = creates.then(|| Leaf::like(value));
    steps.copy(value)?;
    if embedded::write(node, &parts, create, value, steps)? {
        return Ok(());
    }
    let (mut forgotten, mut made) = (false, false);
    let count = field_path::each(node, &parts, create, &mut |field, fresh| {
        forgotten |= fresh == Fresh::Copy;
        steps.copy(value)?;
        steps.copy(field)?;
        made |= fresh == Fresh::New && field.tag().is_some();
        if is_annotation && fresh == Fresh::Old && field.tag().is_some() {
            // Whatever it was, it is text in the end.
            *field = text_of(field);
        }
        let fresh = if untyped && is_plain(field) {
            Fresh::New
        } else {
            fresh
        };
        put(field, fresh, value, target.options.as_ref())
    })
    .map_err(|error| error.during(format!("field `{}`", &**path)))?;
    if forgotten {
        session.warn(
            path.mark,
            format!("`{}` is within a text that cannot hold the value: nothing is written, as in kustomize", &**path),
        );
    }
    if made {
        resource.untyped.push((parts, value.mark));
    }
    match count {
        0 => Err(Error::new(format!("there is no field `{}`", &**path))
            .at_mark(path.mark)
            .hint("`options: {create: true}` makes it")),
        _ => Ok(()),
    }
}

fn is_plain(field: &Node) -> bool {
    matches!(&field.value, Value::Scalar(scalar) if scalar.style == Style::Plain)
}

/// Puts a value in a field. A scalar takes the text and keeps its own type; anything else is replaced.
fn put(
    field: &mut Node,
    fresh: Fresh,
    value: &Node,
    options: Option<&FieldOptions>,
) -> Result<(), Error> {
    let joined = match options {
        Some(options) if !options.delimiter.is_empty() => Some(join(field, value, options)?),
        _ => None,
    };
    if fresh == Fresh::Copy {
        return Ok(());
    }
    if field.tag().is_none() {
        *field = value.clone();
        return Ok(());
    }
    let text = match &joined {
        Some(text) => text,
        None => scalar_text(value).unwrap_or_default(),
    };
    let secret = value.holds_secret();
    let mark = value.mark;
    let new = match fresh {
        _ if text.is_empty() && (fresh == Fresh::New || field.is_null()) => {
            scalar::with_text(&Node::string(""), "", secret)
        }
        Fresh::New => {
            let plain = Node::scalar("", resolve(text, Dialect::Kustomize));
            scalar::with_text(&plain, text, secret)
        }
        _ => scalar::typed_text(field, text, secret)?,
    };
    *field = new.at(mark);
    Ok(())
}

/// The field's text with the value as one of its parts, or in front of them, or behind.
fn join(field: &Node, value: &Node, options: &FieldOptions) -> Result<String, Error> {
    let Some(text) = scalar_text(field) else {
        return Err(no_scalar(options));
    };
    let new = match value.is_null() {
        true => "",
        false => scalar_text(value).unwrap_or_default(),
    };
    let mut parts: Vec<&str> = text.split(options.delimiter.as_str()).collect();
    match usize::try_from(options.index) {
        Err(_) => parts.insert(0, new),
        Ok(index) if index < parts.len() => parts[index] = new,
        Ok(_) => parts.push(new),
    }
    Ok(parts.join(&options.delimiter))
}
