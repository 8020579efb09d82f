//! Name references: where an object names another one that was renamed, the name is brought up to date.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use ecow::EcoString;

use crate::budget::Steps;
use crate::configuration::{Configuration, NameReference};
use crate::error::Error;
use crate::fieldspec::{FieldSpec, leads_to, split_path, visit_wanted};
use crate::resource::{Gvk, Id, Resource};
use crate::resources::Resources;
use crate::scalar::{self, Meaning};
use crate::scope;
use crate::yaml::{Node, Value};

/// What a search needs to know of an object, taken once.
struct Candidate {
    id: Id,
    /// The effective namespace of today.
    namespace: EcoString,
    previous: Vec<Id>,
    original_namespace: EcoString,
    prefixes: Vec<EcoString>,
    suffixes: Vec<EcoString>,
}

impl Candidate {
    fn new(resource: &Resource) -> Self {
        let id = resource.id();
        Self {
            namespace: id.effective_namespace().into(),
            id,
            previous: resource.previous_ids().collect(),
            original_namespace: resource.original_id().effective_namespace().into(),
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        }
    }

    /// Brings it up to date with its object.
    fn follow(&mut self, resource: &Resource) {
        self.id = resource.id();
        self.namespace = self.id.effective_namespace().into();
    }

    fn is_cluster_wide(&self) -> bool {
        self.namespace == scope::CLUSTER_WIDE
    }

    fn was_one_of(&self, gvk: &Gvk) -> bool {
        self.previous.iter().any(|id| id.gvk.is_selected_by(gvk))
    }

    /// True when both were given the same names around theirs, by the kustomizations that both went through.
    fn went_along(&self, other: &Candidate, nothing_counts: bool) -> bool {
        let same = |mine: &[EcoString], theirs: &[EcoString]| {
            (nothing_counts && (mine.is_empty() || theirs.is_empty())) || end_alike(mine, theirs)
        };
        same(&self.prefixes, &other.prefixes) && same(&self.suffixes, &other.suffixes)
    }
}

/// The shorter list is the end of the longer one; an empty one is only the end of an empty one.
fn end_alike(one: &[EcoString], other: &[EcoString]) -> bool {
    if one.is_empty() || other.is_empty() {
        return one.len() == other.len();
    }
    one.iter()
        .rev()
        .zip(other.iter().rev())
        .all(|(a, b)| a == b)
}

/// All objects, and where those are that once had a name.
struct Candidates {
    all: Vec<Candidate>,
    by_previous_name: HashMap<EcoString, Vec<usize>>,
    by_original_namespace: HashMap<EcoString, Vec<usize>>,
    /// How many were compared with what is looked for, since this was last asked.
    compared: Cell<usize>,
}

impl Candidates {
    fn new(resources: &Resources) -> Self {
        let all: Vec<Candidate> = resources.list.iter().map(Candidate::new).collect();
        let mut by_previous_name: HashMap<EcoString, Vec<usize>> = HashMap::new();
        let mut by_original_namespace: HashMap<EcoString, Vec<usize>> = HashMap::new();
        for (position, candidate) in all.iter().enumerate() {
            by_original_namespace
                .entry(candidate.original_namespace.clone())
                .or_default()
                .push(position);
            for id in &candidate.previous {
                let positions = by_previous_name.entry(id.name.clone()).or_default();
                if positions.last() != Some(&position) {
                    positions.push(position);
                }
            }
        }
        Self {
            all,
            by_previous_name,
            by_original_namespace,
            compared: Cell::new(0),
        }
    }

    fn knew(&self, name: &str) -> bool {
        self.by_previous_name.contains_key(name)
    }

    fn once_called(&self, name: &str) -> impl Iterator<Item = &Candidate> {
        self.at(self.by_previous_name.get(name))
    }

    fn first_of(&self, namespace: &str) -> impl Iterator<Item = &Candidate> {
        self.at(self.by_original_namespace.get(namespace))
    }

    fn at<'p>(&'p self, positions: Option<&'p Vec<usize>>) -> impl Iterator<Item = &'p Candidate> {
        let positions = positions.map(Vec::as_slice).unwrap_or_default();
        positions.iter().map(|position| {
            self.compared.set(self.compared.get() + 1);
            &self.all[*position]
        })
    }
}

/// Brings the names in all objects up to date.
pub(crate) fn follow_names(
    resources: &mut Resources,
    configuration: &Arc<Configuration>,
    steps: &mut Steps,
) -> Result<(), Error> {
    for resource in &resources.list {
        subject_namespaces(&resource.node).map_err(|error| resource.blame(error))?;
    }
    let mut candidates = Candidates::new(resources);
    if candidates.by_previous_name.is_empty() {
        return Ok(());
    }
    let added;
    let fields = match Arc::ptr_eq(configuration, &DEFAULTS) {
        true => &*DEFAULT_FIELDS,
        false => {
            added = fields_by_kind(&configuration.name_reference);
            &added
        }
    };
    for position in 0..resources.list.len() {
        let resource = &mut resources.list[position];
        let original = resource.original_id().gvk;
        let mut node = std::mem::replace(&mut resource.node, Node::null());
        let result = fields_for(fields, &original).try_for_each(|field| {
            // Most fields are not there, or name nothing that was renamed.
            if !is_role_binding(&node)
                && !leads_to(&node, &field.path, &|it| wants(&candidates, it))
            {
                return Ok(());
            }
            Search::new(&candidates, position, &node, field)
                .and_then(|search| search.update(&mut node, field))
        });
        let resource = &mut resources.list[position];
        resource.node = node;
        result.map_err(|error| resource.blame(error))?;
        steps.take(2 * candidates.compared.take())?;
        candidates.all[position].follow(resource);
    }
    Ok(())
}

/// kustomize's defaults, and the fields of most builds, made once.
static DEFAULTS: LazyLock<Arc<Configuration>> = LazyLock::new(Configuration::defaults);
static DEFAULT_FIELDS: LazyLock<Fields<'static>> =
    LazyLock::new(|| fields_by_kind(&DEFAULTS.name_reference));

/// A field that names objects of a kind.
struct Field<'r> {
    order: usize,
    spec: &'r FieldSpec,
    path: Vec<EcoString>,
    target: Gvk,
}

/// The fields by the kind that has them; the empty kind stands for any.
type Fields<'r> = HashMap<&'r str, Vec<Field<'r>>>;

fn fields_by_kind(references: &[NameReference]) -> Fields<'_> {
    let mut fields = Fields::new();
    let all = references
        .iter()
        .flat_map(|reference| reference.fields.iter().map(|spec| (reference.gvk(), spec)));
    for (order, (target, spec)) in all.enumerate() {
        fields.entry(&spec.kind).or_default().push(Field {
            order,
            spec,
            path: split_path(&spec.path),
            target,
        });
    }
    fields
}

/// The fields that an object of this kind may have, in the order of the references.
fn fields_for<'f, 'r>(fields: &'f Fields<'r>, gvk: &Gvk) -> impl Iterator<Item = &'f Field<'r>> {
    let of_kind = |kind: &str| fields.get(kind).map(Vec::as_slice).unwrap_or_default();
    let mut mine: Vec<&Field<'r>> = of_kind(&gvk.kind)
        .iter()
        .chain(of_kind(""))
        .filter(|field| field.spec.is_for(gvk))
        .collect();
    mine.sort_by_key(|field| field.order);
    mine.into_iter()
}

/// True for a field that names what was renamed, and for what is no name, which is an error.
fn wants(candidates: &Candidates, node: &Node) -> bool {
    match &node.value {
        Value::Sequence(items) => items
            .iter()
            .any(|item| item.as_sequence().is_some() || wants(candidates, item)),
        Value::Mapping(mapping) => match mapping.get("name") {
            Some(name) => candidates.knew(name.exposed().unwrap_or_default()),
            None => true,
        },
        Value::Scalar(_) | Value::Secret(_) => {
            !node.is_null() && candidates.knew(node.exposed().unwrap_or_default())
        }
    }
}

/// A search for the objects that one field of one object names.
struct Search<'c> {
    candidates: &'c Candidates,
    referrer: &'c Candidate,
    target: Gvk,
    role: Option<Gvk>,
    /// Namespaces of the service accounts that a RoleBinding has as subjects.
    subject_namespaces: Vec<EcoString>,
}

impl<'c> Search<'c> {
    fn new(
        candidates: &'c Candidates,
        position: usize,
        node: &Node,
        field: &Field<'_>,
    ) -> Result<Self, Error> {
        let referrer = &candidates.all[position];
        let role = field
            .spec
            .path
            .ends_with("roleRef/name")
            .then(|| role_of(node))
            .flatten();
        Ok(Self {
            candidates,
            referrer,
            target: field.target.clone(),
            role,
            subject_namespaces: subject_namespaces(node)?,
        })
    }

    fn update(&self, node: &mut Node, field: &Field<'_>) -> Result<(), Error> {
        let wants = |node: &Node| wants(self.candidates, node);
        visit_wanted(node, &field.path, &wants, &mut |node| self.set(node))
            .map_err(|error| error.during(field.spec.path.to_string()))
    }

    fn set(&self, node: &mut Node) -> Result<(), Error> {
        if node.is_null() {
            return Ok(());
        }
        match node.as_sequence_mut() {
            Some(items) => items
                .iter_mut()
                .filter(|item| !item.is_null())
                .try_for_each(|item| self.set_one(item)),
            None => self.set_one(node),
        }
    }

    fn set_one(&self, node: &mut Node) -> Result<(), Error> {
        if node.as_sequence().is_some() {
            return Err(Error::new("a list stands where a name should be").at_mark(node.mark));
        }
        if node.as_mapping().is_some() {
            return self.set_mapping(node);
        }
        let old = node.exposed().unwrap_or_default();
        let same_name = |a: &Candidate, b: &Candidate| a.id.name == b.id.name;
        let found = self
            .find(old, None, same_name)
            .map_err(|error| error.at_mark(node.mark))?;
        match found {
            Some(found) if found.id.name != old => {
                let mark = node.mark;
                scalar::set(node, found.id.name.clone(), Meaning::AsWritten, mark)
            }
            _ => Ok(()),
        }
    }

    /// A mapping with `name` and perhaps `namespace`: both are brought up to date.
    fn set_mapping(&self, node: &mut Node) -> Result<(), Error> {
        let Some(old) = node
            .get("name")
            .map(|name| name.exposed().unwrap_or_default())
        else {
            return Err(Error::new("a reference has no `name`").at_mark(node.mark));
        };
        let namespace = node
            .get("namespace")
            .map(|node| node.exposed().unwrap_or_default());
        let same = |a: &Candidate, b: &Candidate| {
            a.id.name == b.id.name && a.id.namespace == b.id.namespace
        };
        let found = self
            .find(old, namespace, same)
            .map_err(|error| error.at_mark(node.mark))?;
        let Some(found) = found else { return Ok(()) };
        let (old, new) = (EcoString::from(old), found.id.clone());
        let Some(mapping) = node.as_mapping_mut() else {
            return Ok(());
        };
        if new.name != old {
            mapping.insert("name", scalar::name(&new.name, mapping.get("name")));
        }
        if !new.namespace.is_empty() {
            mapping.insert(
                "namespace",
                scalar::name(&new.namespace, mapping.get("namespace")),
            );
        }
        Ok(())
    }

    /// The object that a name means, if it is one of those that were renamed.
    fn find(
        &self,
        name: &str,
        namespace: Option<&str>,
        alike: impl Fn(&Candidate, &Candidate) -> bool,
    ) -> Result<Option<&'c Candidate>, Error> {
        let mut found: Vec<&Candidate> = self
            .candidates
            .once_called(name)
            .filter(|candidate| self.may_be_meant(candidate))
            .filter(|candidate| candidate.was_one_of(&self.target))
            .filter(|candidate| {
                self.role
                    .as_ref()
                    .is_none_or(|role| candidate.was_one_of(role))
            })
            .collect();
        if let Some(namespace) = namespace
            && !found.is_empty()
        {
            self.keep_namespace(&mut found, namespace);
        }
        found.retain(|candidate| self.is_near(candidate));
        if found.len() != 1 {
            found.retain(|candidate| candidate.went_along(self.referrer, true));
        }
        if found.len() > 1 {
            found.retain(|candidate| candidate.went_along(self.referrer, false));
        }
        match found[..] {
            [] => Ok(None),
            [first, ref rest @ ..] if rest.iter().all(|other| alike(first, other)) => {
                Ok(Some(first))
            }
            _ => Err(ambiguous(&found)),
        }
    }

    /// The namespace that a reference names is the objects' first one, where any object has it, else today's.
    fn keep_namespace(&self, found: &mut Vec<&Candidate>, namespace: &str) {
        let was_there = |candidate: &Candidate| {
            candidate.original_namespace == namespace && namespace != scope::CLUSTER_WIDE
        };
        let any = self
            .candidates
            .first_of(namespace)
            .any(|candidate| was_there(candidate) && self.may_be_meant(candidate));
        found.retain(|candidate| {
            if any {
                was_there(candidate)
            } else {
                !candidate.is_cluster_wide() && candidate.namespace == namespace
            }
        });
    }

    /// An object can name cluster-wide ones, those of its namespace, and the service accounts of its subjects.
    fn may_be_meant(&self, candidate: &Candidate) -> bool {
        let (mine, theirs) = (self.referrer, candidate);
        mine.is_cluster_wide()
            || theirs.is_cluster_wide()
            || mine.namespace == theirs.namespace
            || self.subject_namespaces.contains(&theirs.id.namespace)
    }

    fn is_near(&self, candidate: &Candidate) -> bool {
        let (mine, theirs) = (self.referrer, candidate);
        mine.is_cluster_wide()
            || theirs.is_cluster_wide()
            || theirs.id.gvk.kind == "ServiceAccount"
            || mine.namespace == theirs.namespace
    }
}

fn ambiguous(found: &[&Candidate]) -> Error {
    let ids: Vec<String> = found
        .iter()
        .map(|candidate| candidate.id.to_string())
        .collect();
    Error::new(format!("this name may mean any of {}", ids.join(", ")))
}

/// Group and kind of `roleRef`, when it has both.
fn role_of(node: &Node) -> Option<Gvk> {
    let field = |name: &str| {
        let node = node
            .find(&["roleRef", name])
            .filter(|node| !node.is_null())?;
        Some(EcoString::from(node.exposed().unwrap_or_default()))
    };
    Some(Gvk {
        group: field("apiGroup")?,
        version: EcoString::new(),
        kind: field("kind")?,
    })
}

fn is_role_binding(node: &Node) -> bool {
    node.get("kind").and_then(Node::exposed) == Some("RoleBinding")
}

fn subject_namespaces(node: &Node) -> Result<Vec<EcoString>, Error> {
    if !is_role_binding(node) {
        return Ok(Vec::new());
    }
    let subjects = node
        .get("subjects")
        .and_then(Node::as_sequence)
        .unwrap_or_default();
    let mut namespaces = Vec::new();
    for subject in subjects {
        if subject.get("kind").and_then(Node::exposed) != Some("ServiceAccount") {
            continue;
        }
        match subject.get("namespace") {
            None => {}
            Some(namespace) if namespace.tag() == Some(crate::yaml::Tag::Str) => {
                namespaces.push(namespace.exposed().unwrap_or_default().into());
            }
            Some(namespace) => {
                return Err(Error::new("a subject's namespace is no text").at_mark(namespace.mark));
            }
        }
    }
    Ok(namespaces)
}
