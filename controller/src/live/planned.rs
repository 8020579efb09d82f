//! One Kustomization against the cluster: every object is dry-run, and what it no longer has is found.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use overlay::unknown::Marker;
use overlay::yaml::{Node, Secret, Value};
use overlay::{Object, ObjectId};

use super::grow::{Grown, Made};
use super::lost::Lost;
use super::{Ground, Store, refused};
use crate::api::kustomization::Kustomization;
use crate::cluster::discovery::defined_by;
use crate::cluster::redact::Redactor;
use crate::cluster::{
    self, Beside, Change, Known, ObjectKey, OnceSecret, Owner, Plan, Wanted, predecessor,
};
use crate::comparison::Problem;
use crate::environments::{
    LeafName, UNKNOWN_SUFFIX, holds_token, is_of_stem, is_stand_in, rename_all, stem,
    take_unread_patches,
};
use crate::reconcile::{run, support};
use crate::report::failure::Failure;

/// Requests for namespaces in flight.
const LOOKS: usize = 8;

/// A Kustomization and what is to be done for it.
pub struct Planned {
    /// What it is made of.
    pub grown: Grown,
    /// What is to be done; none when it cannot be planned.
    pub plan: Option<Plan>,
    /// Why it cannot be.
    pub problem: Option<Problem>,
    /// Its objects with values that are not known.
    pub unknown: BTreeSet<ObjectKey>,
    /// Its objects that patches may be about that cannot be read: where these stood, and why each is not known.
    pub unread: BTreeMap<ObjectKey, Vec<(String, String)>>,
    /// Files of which only their key says which objects they hold.
    pub closed: Vec<String>,
    /// Its objects whose generated names are not known: what they are called, and what they go by meanwhile.
    pub unnamed: Vec<(String, String)>,
    /// Its objects that a generator names anew.
    pub renamed: Vec<Renamed>,
    /// What it no longer has, in the order of deletion.
    pub lost: Vec<Lost>,
}

/// An object that a generator names anew.
pub struct Renamed {
    /// Where it will be.
    pub new: ObjectKey,
    /// What it is called now.
    pub old: ObjectId,
    /// The unique id of that.
    pub uid: Option<String>,
    /// The leaves that differ.
    pub changes: Vec<Change>,
}

/// What all Kustomizations of a place bring for one another: kinds, and namespaces that are not there yet.
pub(super) async fn beside(
    ground: &Ground<'_>,
    store: &Store<'_>,
    grown: &[Grown],
) -> Result<Beside, Failure> {
    let objects = || grown.iter().flat_map(Grown::objects);
    let kinds = objects()
        .flat_map(|object| defined_by(&object.node))
        .collect();
    let names: BTreeSet<String> = objects()
        .filter(|object| object.id.group.is_empty() && object.id.kind == "Namespace")
        .map(|object| object.id.name.clone())
        .collect();
    let looks = names.into_iter().map(|name| async move {
        let found = ground
            .client
            .get_metadata(&format!("/api/v1/namespaces/{name}"))
            .await;
        match found {
            Err(error) if error.is_not_found() => Some(name),
            // One that may not be seen is there, as far as anybody can tell; the dry-run says so otherwise.
            _ => None,
        }
    });
    let looks: Vec<_> = looks.collect();
    let pending: Vec<Option<String>> = futures::stream::iter(looks).buffered(LOOKS).collect().await;
    Ok(Beside {
        approximates: ground.acting.is_none(),
        kinds,
        namespaces: pending.into_iter().flatten().collect(),
        unknown: BTreeSet::new(),
        secrets: store.secrets(),
        once_secret: Default::default(),
    })
}

/// Plans one Kustomization.
pub(super) async fn plan(
    ground: &Ground<'_>,
    mut grown: Grown,
    mut beside: Beside,
) -> Result<Planned, Failure> {
    let (secrets, once_secret) = (beside.secrets.clone(), beside.once_secret.clone());
    let nothing = |grown: Grown, problem| Planned {
        grown,
        plan: None,
        problem,
        unknown: BTreeSet::new(),
        unread: BTreeMap::new(),
        closed: Vec::new(),
        unnamed: Vec::new(),
        renamed: Vec::new(),
        lost: Vec::new(),
    };
    let mut objects = match &mut grown.made {
        Made::Problem(problem) => {
            let problem = problem.clone();
            return Ok(nothing(grown, Some(problem)));
        }
        Made::Elsewhere => return Ok(nothing(grown, None)),
        // By hand: nobody applies it, only what it brings.
        Made::Objects(..) if grown.name.namespace.is_empty() => return Ok(nothing(grown, None)),
        Made::Objects(objects, _) => objects.clone(),
    };
    let stands_in = |object: &&Object| is_stand_in(&object.id);
    let closed = objects.iter().filter(stands_in);
    let closed: Vec<String> = closed
        .map(|object| object.origin.place.file.to_string())
        .collect();
    objects.retain(|object| !is_stand_in(&object.id));
    let living = ground.living.get(&grown.name);
    let inventory = living.map(run::applied).transpose()?.unwrap_or_default();
    let unnamed = name_as_before(&mut objects, &inventory.objects);
    let marker = &ground.settings.marker;
    let is_unknown = |object: &&Object| holds_token(&object.node, marker);
    let unknown = objects.iter().filter(is_unknown);
    beside.unknown = unknown.map(|object| ObjectKey::from(&object.id)).collect();
    let unknown = beside.unknown.clone();
    let mut unread = BTreeMap::new();
    for object in &mut objects {
        let patches = take_unread_patches(&mut object.node, marker);
        if !patches.is_empty() {
            unread.insert(ObjectKey::from(&object.id), patches);
        }
        conceal(&mut object.node, marker);
    }
    let known = Known {
        inventory,
        check_all: true,
        beside,
        ..Known::default()
    };
    let wanted = Wanted {
        owner: owner(&grown.name),
        objects,
        force: grown.spec.force,
        custom_stages: Vec::new(),
        ignore: support::ignore_rules(&grown.spec)?,
    };
    let client = super::client(ground, &grown)?;
    let mut plan = cluster::plan(&client, wanted, &known)
        .await
        .map_err(refused)?;
    // What it may have in a file that is closed cannot be told from what it no longer has.
    if !grown.spec.prune || !closed.is_empty() {
        plan.prunes.clear();
    }
    let renamed = renamed(ground, &plan, &secrets, &once_secret).await?;
    Ok(Planned {
        grown,
        plan: Some(plan),
        problem: None,
        unknown,
        unread,
        closed,
        unnamed,
        renamed,
        lost: Vec::new(),
    })
}

/// Pairs what is generated anew with what goes.
async fn renamed(
    ground: &Ground<'_>,
    plan: &Plan,
    secrets: &[Secret],
    once_secret: &OnceSecret,
) -> Result<Vec<Renamed>, Failure> {
    let mut renamed: Vec<Renamed> = Vec::new();
    let mut redactor = None;
    for step in plan
        .steps
        .iter()
        .filter(|step| step.action == cluster::Action::Create)
    {
        let Some(stem) = stem(&step.object) else {
            continue;
        };
        let is_it = |id: &&ObjectId| {
            (&id.group, &id.kind, &id.namespace)
                == (&step.id.group, &step.id.kind, &step.id.namespace)
                && is_of_stem(stem, &id.name)
                && !renamed.iter().any(|other| other.old == **id)
        };
        let Some(old) = plan.prunes.iter().find(is_it) else {
            continue;
        };
        let redactor = redactor.get_or_insert_with(|| redactor_of(plan).knowing(secrets));
        let before = predecessor(ground.client, step, old, redactor, once_secret).await;
        let before = before.map_err(refused)?;
        renamed.push(Renamed {
            new: ObjectKey::from(&step.id),
            old: old.clone(),
            uid: before.uid,
            changes: before.changes,
        });
    }
    Ok(renamed)
}

fn redactor_of(plan: &Plan) -> Redactor {
    Redactor::of(plan.steps.iter().map(|step| &step.object))
}

/// Whose objects.
pub(super) fn owner(name: &LeafName) -> Owner {
    Owner {
        name: name.name.as_str().into(),
        namespace: name.namespace.as_str().into(),
    }
}

/// What is generated out of unknown values has no name yet: it is compared with the one before, under its name.
/// Gives back both names of each.
fn name_as_before(objects: &mut [Object], inventory: &[ObjectId]) -> Vec<(String, String)> {
    let suffix = format!("-{UNKNOWN_SUFFIX}");
    let before = |object: &Object| {
        let stem = object.id.name.strip_suffix(&suffix)?;
        let is_it = |id: &&ObjectId| {
            id.group == object.id.group
                && id.kind == object.id.kind
                && id.namespace == object.id.namespace
                && is_of_stem(stem, &id.name)
        };
        let found = inventory.iter().find(is_it).map(|id| id.name.clone());
        let name = found.unwrap_or_else(|| format!("{stem}-unknown"));
        Some((object.id.name.clone(), name))
    };
    let names: Vec<(String, String)> = objects.iter().filter_map(before).collect();
    if !names.is_empty() {
        rename_all(objects, &names);
    }
    names
}

/// What is not known may be a secret, and so may be what is there now in its place: it gets the mark of one.
pub(super) fn conceal(node: &mut Node, marker: &Marker) {
    if !holds_token(node, marker) {
        return;
    }
    match &mut node.value {
        Value::Scalar(scalar) => {
            let text = scalar.text.to_string();
            node.value = Value::Secret(Secret::new(text, scalar.tag, scalar.style));
        }
        Value::Secret(_) => {}
        Value::Sequence(_) => {
            let items = node.as_sequence_mut().into_iter().flatten();
            items.for_each(|item| conceal(item, marker));
        }
        Value::Mapping(_) => {
            let mapping = node.as_mapping_mut().into_iter();
            let entries = mapping.flat_map(|mapping| mapping.iter_mut());
            entries.for_each(|(_, value)| conceal(value, marker));
        }
    }
}

/// The texts of an object.
pub(super) fn texts<'n>(node: &'n Node, found: &mut Vec<&'n str>) {
    match &node.value {
        Value::Scalar(scalar) => found.push(&scalar.text),
        Value::Secret(secret) => found.push(secret.expose()),
        Value::Sequence(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Mapping(mapping) => mapping.iter().for_each(|(_, value)| texts(value, found)),
    }
}

/// Whether a Kustomization does nothing until somebody resumes it.
pub(super) fn is_suspended(planned: &Planned, living: Option<&Kustomization>) -> bool {
    planned.grown.spec.suspend == Some(true)
        || (planned.grown.spec.suspend.is_none()
            && living.is_some_and(|object| object.spec.suspend == Some(true)))
}
