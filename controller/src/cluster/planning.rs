//! How a plan is computed: objects are prepared and sorted, those that need it are dry-run, definitions first.

use std::collections::{BTreeSet, HashMap};

use overlay::yaml::{Secrets, to_json};
use overlay::{Object, ObjectId};

use super::check::{Checker, body_of};
use super::client::Client;
use super::discovery::{Resource, defined_by};
use super::error::{Act, Error, ObjectError};
use super::held_fields;
use super::ignore::ignored;
use super::in_flight::in_order;
use super::left_alone;
use super::limit::when_nobody_else_asks;
use super::live::{Drift, ObjectKey, Observed, Proof, Shows};
use super::managed_fields::Digest;
use super::may_apply::MayApply;
use super::normalise::normalise;
use super::order;
use super::order::Stage;
use super::plan::{Action, Known, Plan, Recorded, Skip, Step, Unchecked, Wanted, digest};
use super::redact::Redactor;
use super::replaced;
use super::settings::{Settings, Ssa};

/// Dry-runs of one plan in flight. The connection's own limit is shared first come, first served, so a plan of
/// thousands takes no more than this many places at a time.
const CONCURRENCY: usize = 16;

/// The same where somebody waits to see the plan, and nothing else goes on.
const SHOWN: usize = 20;

/// The same where nothing has changed but the process: new commits go first.
const LATER: usize = 4;

/// Computes what is to be done. Nothing is written. What the server objects to about single objects is in
/// [`Plan::errors`]; an error is returned only when no plan can be made at all.
pub async fn plan(client: &Client, wanted: Wanted, known: &Known) -> Result<Plan, Error> {
    let redactor = Redactor::of(&wanted.objects).knowing(&known.beside.secrets);
    learn(client, &wanted.objects).await?;
    let mut definitions = definitions(&wanted.objects);
    for resource in &known.beside.kinds {
        let kind = (&resource.group, &resource.version, &resource.kind);
        let kind = (kind.0.clone(), kind.1.clone(), kind.2.clone());
        definitions.entry(kind).or_insert_with(|| resource.clone());
    }

    let managers = client.taken_over();
    let checker = Checker {
        client,
        redactor: &redactor,
        taken_over: &managers,
        force: wanted.force,
        check_all: known.check_all,
        beside: &known.beside,
        may_apply: &MayApply::default(),
    };
    let mut plan = Plan {
        owner: wanted.owner.clone(),
        force: wanted.force,
        steps: Vec::new(),
        prunes: Vec::new(),
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    let custom_stages = wanted.custom_stages.clone();
    let mut steps = prepare(client, wanted, known, &definitions, &mut plan.errors);
    for step in &mut steps {
        if known.kept_elsewhere.contains(&ObjectKey::from(&step.id)) {
            step.action = Action::Skip(Skip::KeptElsewhere);
        }
    }
    let known = &known.trusting(&steps);
    plan.steps.reserve_exact(steps.len());
    // In apply order, definitions are first.
    let rest = steps.split_off(steps.partition_point(|step| step.stage == Stage::Definitions));
    decide(&checker, steps, known, &BTreeSet::new(), &mut plan).await;
    let mut pending = pending_namespaces(&plan.steps);
    pending.extend(known.beside.namespaces.iter().cloned());
    decide(&checker, rest, known, &pending, &mut plan).await;
    plan.prunes = prunes(&plan, known, &custom_stages);
    Ok(plan)
}

/// Learns the kinds of these objects, but for those that they define themselves.
pub async fn learn(client: &Client, objects: &[Object]) -> Result<(), Error> {
    let ids: Vec<&ObjectId> = objects.iter().map(|object| &object.id).collect();
    let unknown = unknown(&ids, &definitions(objects));
    client.discovery().learn_missing(client, &unknown).await
}

impl Known {
    /// The record of another process counts only if that has applied exactly these steps.
    fn trusting(&self, steps: &[Step]) -> Self {
        let is_same = |recorded: &Recorded| recorded.digest == digest(steps);
        Self {
            recorded: self.recorded.clone().filter(is_same),
            ..self.clone()
        }
    }
}

/// What the definitions in a set define.
type Definitions = HashMap<(String, String, String), Resource>;

fn kind_of(id: &ObjectId) -> (String, String, String) {
    (id.group.clone(), id.version.clone(), id.kind.clone())
}

fn definitions(objects: &[Object]) -> Definitions {
    objects
        .iter()
        .filter(|object| is_definition(&object.id))
        .flat_map(|object| defined_by(&object.node))
        .map(|resource| {
            let Resource {
                group,
                version,
                kind,
                ..
            } = &resource;
            ((group.clone(), version.clone(), kind.clone()), resource)
        })
        .collect()
}

pub(super) fn is_definition(id: &ObjectId) -> bool {
    id.group == "apiextensions.k8s.io" && id.kind == "CustomResourceDefinition"
}

pub(super) fn is_namespace(id: &ObjectId) -> bool {
    id.group.is_empty() && id.kind == "Namespace"
}

/// Kinds that the set itself defines need not be asked for.
fn unknown<'a>(ids: &[&'a ObjectId], definitions: &Definitions) -> Vec<&'a ObjectId> {
    ids.iter()
        .filter(|id| !definitions.contains_key(&kind_of(id)))
        .copied()
        .collect()
}

/// Makes a step of each object, in apply order; what cannot be a step is an error.
fn prepare(
    client: &Client,
    wanted: Wanted,
    known: &Known,
    definitions: &Definitions,
    errors: &mut Vec<ObjectError>,
) -> Vec<Step> {
    let mut steps = Vec::with_capacity(wanted.objects.len());
    for mut object in wanted.objects {
        let served = client.discovery().get(&object.id);
        let pending = served.is_none();
        let resource = served.or_else(|| definitions.get(&kind_of(&object.id)).cloned());
        normalise(&mut object, resource.as_ref(), &wanted.owner);
        let stage = order::stage(&object.id, &wanted.custom_stages);
        let ignored = ignored(&wanted.ignore, &object);
        let action = match skip(&object, known.leaves_sources) {
            Some(skip) => Action::Skip(skip),
            None => match refuse(&object.id, resource.as_ref()) {
                Some(message) => {
                    errors.push(rule_error(&object.id, message));
                    continue;
                }
                None if pending => Action::CreateUnchecked(Unchecked::KindPending),
                None => Action::Create,
            },
        };
        steps.push(Step {
            ignored,
            ..step(object, stage, action, resource)
        });
    }
    steps.sort_by(|left, right| {
        (left.stage, order::key(&left.id)).cmp(&(right.stage, order::key(&right.id)))
    });
    duplicates(&steps, errors);
    steps
}

fn step(object: Object, stage: Stage, action: Action, resource: Option<Resource>) -> Step {
    Step {
        id: object.id.clone(),
        digest: Digest::of(&body_of(&object)),
        object,
        stage,
        action,
        changes: Vec::new(),
        rivals: Vec::new(),
        resource,
        live: None,
        ignored: Vec::new(),
        last_writer: None,
        clean_up: Vec::new(),
        proof: None,
        is_approximate: false,
        immutable: Vec::new(),
    }
}

fn skip(object: &Object, leaves_sources: bool) -> Option<Skip> {
    let replaced = || replaced::is_replaced(object, leaves_sources).then_some(Skip::Replaced);
    Settings::of_node(&object.node)
        .left_alone()
        .or_else(replaced)
}

fn refuse(id: &ObjectId, resource: Option<&Resource>) -> Option<String> {
    let Some(resource) = resource else {
        let version = match id.group.as_str() {
            "" => id.version.clone(),
            group => format!("{group}/{}", id.version),
        };
        return Some(format!(
            "no matches for kind \"{}\" in version \"{version}\"",
            id.kind
        ));
    };
    if resource.namespaced && id.namespace.is_empty() {
        return Some("namespace not specified".to_owned());
    }
    if id.name.is_empty() {
        return Some("name not specified".to_owned());
    }
    (!is_path_segment(&id.name) || (resource.namespaced && !is_path_segment(&id.namespace)))
        .then(|| "its name or namespace cannot be part of a URL".to_owned())
}

/// Names go into request paths as they are, so what could lead elsewhere is refused here. RBAC names may hold
/// colons; nothing in Kubernetes may hold a slash or a percent sign.
fn is_path_segment(name: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_graphic() || b"/%?#\\\"<>^`{|}".contains(&byte);
    !name.is_empty() && name != "." && name != ".." && !name.bytes().any(odd)
}

fn rule_error(id: &ObjectId, message: String) -> ObjectError {
    ObjectError {
        id: id.clone(),
        act: Act::DryRun,
        reason: String::new(),
        code: 0,
        message,
        transient: false,
    }
}

/// Two manifests of one object would overwrite each other at every run.
fn duplicates(sorted: &[Step], errors: &mut Vec<ObjectError>) {
    for pair in sorted.windows(2) {
        if ObjectKey::from(&pair[0].id) == ObjectKey::from(&pair[1].id) {
            let places = [&pair[0], &pair[1]].map(|step| step.object.origin.place.to_string());
            let message = format!("declared twice: in {} and in {}", places[0], places[1]);
            errors.push(rule_error(&pair[0].id, message));
        }
    }
}

/// Decides what is to be done with each step, with a dry-run where the rules ask for one.
async fn decide(
    checker: &Checker<'_>,
    mut steps: Vec<Step>,
    known: &Known,
    pending: &BTreeSet<String>,
    plan: &mut Plan,
) {
    let owner = plan.owner.clone();
    let decided = steps.iter_mut().map(|step| {
        let needed = by_rule(step, &owner, known, pending);
        let owner = &owner;
        async move {
            let result = match needed {
                Needed::DryRun => checker.check(step).await,
                Needed::Look => checker.look(step).await,
                Needed::Nothing => return Ok(Vec::new()),
            };
            left_alone::note(step, owner, known);
            result
        }
    });
    let results = match (known.can_wait, known.beside.approximates) {
        (true, _) => when_nobody_else_asks(in_order(Box::new(decided), LATER)).await,
        (false, true) => in_order(Box::new(decided), SHOWN).await,
        (false, false) => in_order(Box::new(decided), CONCURRENCY).await,
    };
    for result in results {
        match result {
            Ok(warnings) => plan.warnings.extend(warnings),
            Err(error) => plan.errors.push(error),
        }
    }
    plan.steps.append(&mut steps);
}

/// What it takes to decide what is to be done with a step.
enum Needed {
    Nothing,
    /// The server is asked what it would make of the object.
    DryRun,
    /// The object as it is now is read: it was accepted as it is wanted, and somebody has changed it since.
    Look,
}

/// Decides without a request where that is possible.
fn by_rule(
    step: &mut Step,
    owner: &super::Owner,
    known: &Known,
    pending: &BTreeSet<String>,
) -> Needed {
    if step.action != Action::Create {
        return Needed::Nothing;
    }
    if pending.contains(&step.id.namespace) {
        step.action = Action::CreateUnchecked(Unchecked::NamespacePending);
        return Needed::Nothing;
    }
    if known.check_all {
        return Needed::DryRun;
    }
    let key = ObjectKey::from(&step.id);
    let observed = known.live.get(&key);
    if Settings::of_node(&step.object.node).ssa == Ssa::IfNotPresent {
        return by_presence(step, owner, observed);
    }
    let proof = known
        .proofs
        .get(&key)
        .filter(|proof| proof.counts_for(step.digest));
    let recalled = recall(step, known, &key, observed.as_ref());
    let proof = proof.cloned().or(recalled);
    let drift = proof
        .as_ref()
        .map(|proof| proof.drift(owner, observed.as_ref()));
    match drift {
        Some(None) => {
            let asks = observed.and_then(|observed| observed.left_alone);
            step.action = left_alone::action(proof.as_ref(), asks);
            step.proof = proof;
            return Needed::Nothing;
        }
        Some(Some(Drift::FieldsTaken | Drift::TakenOver)) => return Needed::Look,
        Some(Some(_)) | None => {}
    }
    if known.inventory.objects.is_empty() && observed.is_none() {
        step.action = Action::CreateUnchecked(Unchecked::FirstDeploy);
        return Needed::Nothing;
    }
    Needed::DryRun
}

/// An object that is applied only where there is none: what others have made of it stays.
fn by_presence(step: &mut Step, owner: &super::Owner, observed: Option<Observed>) -> Needed {
    let own = observed.filter(|observed| observed.owner.as_ref() == Some(owner));
    let Some(own) = own else {
        return Needed::DryRun;
    };
    step.action = Action::Skip(Skip::Present);
    step.proof = Some(Proof::of_presence(step.digest, own.uid));
    Needed::Nothing
}

/// The proof that another process would have of a step's object, from what the watch has seen of it.
fn recall(
    step: &Step,
    known: &Known,
    key: &ObjectKey,
    observed: Option<&Observed>,
) -> Option<Proof> {
    let (recorded, observed) = (known.recorded.as_ref()?, observed?);
    let fields = known.live.recall(key)?;
    let own = observed.own.as_ref()?;
    let fields = serde_json::from_str(&fields).ok()?;
    let object = to_json(&step.object.node, Secrets::Masked);
    // What a commit wanted of an object that is left alone was never applied, whatever the status says.
    let is_theirs = own.time <= recorded.ended
        && observed.taken_over.is_none()
        && observed.left_alone.is_none();
    (is_theirs && held_fields::holds(&fields, &object)).then(|| Proof {
        desired: step.digest,
        uid: observed.uid,
        resource_version: observed.resource_version.clone(),
        own: observed.own.clone(),
        taken_over: None,
        shows: Shows::Content,
    })
}

/// Namespaces that are not there yet and come with the set.
fn pending_namespaces(steps: &[Step]) -> BTreeSet<String> {
    let pending = |step: &&Step| is_namespace(&step.id) && step.action == Action::Create;
    steps
        .iter()
        .filter(pending)
        .map(|step| step.id.name.clone())
        .collect()
}

/// What the inventory holds and the plan does not, in deletion order.
fn prunes(plan: &Plan, known: &Known, custom_stages: &[order::GroupKind]) -> Vec<ObjectId> {
    let mut prunes = known.inventory.missing_in(&plan.inventory());
    let stage = |id: &ObjectId| order::stage(id, custom_stages);
    prunes.sort_by(|left, right| {
        (stage(right), order::key(right)).cmp(&(stage(left), order::key(left)))
    });
    prunes
}
