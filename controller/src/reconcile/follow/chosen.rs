//! Which objects' health decides a Kustomization's, and what the run itself has seen to.

use std::collections::{BTreeMap, BTreeSet};

use overlay::ObjectId;
use tokio::time::Instant;

use super::Following;
use super::sight::{Followed, Footing, Sight};
use crate::api::kustomization::{HealthCheck, KustomizationSpec};
use crate::cluster::{Action, ChangeSet, ObjectKey, Plan, Skip, Step};
use crate::health::custom::Rules;
use crate::health::{self, Health, Status};
use crate::reconcile::schedule::Key;

/// The objects that the spec asks to check.
pub(super) fn chosen(
    key: &Key,
    spec: &KustomizationSpec,
    rules: &Rules,
    plan: &Plan,
) -> BTreeMap<ObjectKey, Followed> {
    let footings: BTreeMap<ObjectKey, Footing> = plan
        .steps
        .iter()
        .map(|step| (ObjectKey::from(&step.id), footing(step)))
        .collect();
    let followed = |id: ObjectId| {
        let key = ObjectKey::from(&id);
        let footing = footings.get(&key).copied().unwrap_or(Footing::Foreign);
        let is_known = footing == Footing::Applied && is_always_current(rules, &id);
        let sight = is_known.then(|| Sight::without_object(current()));
        (key, Followed::new(id, footing, sight))
    };
    ids(key, spec, plan).into_iter().map(followed).collect()
}

fn ids(key: &Key, spec: &KustomizationSpec, plan: &Plan) -> Vec<ObjectId> {
    if spec.wait != Some(true) {
        return spec.health_checks.iter().map(id).collect();
    }
    let steps = plan.steps.iter();
    steps
        .filter(|step| footing(step) != Footing::Foreign)
        .map(|step| step.id.clone())
        .filter(|id| !is_itself(key, id))
        .collect()
}

/// What is left alone for good is others' business; what has drifted stays ours.
fn footing(step: &Step) -> Footing {
    match step.action {
        Action::Skip(Skip::DriftReported) => Footing::Drifted,
        Action::Skip(_) => Footing::Foreign,
        _ => Footing::Applied,
    }
}

/// Whether objects of a kind only have to be there.
pub(super) fn is_always_current(rules: &Rules, id: &ObjectId) -> bool {
    health::is_always_current(&id.group, &id.kind) && !rules.cover(&id.group, &id.kind)
}

/// A Kustomization that applies itself cannot wait for itself.
fn is_itself(key: &Key, id: &ObjectId) -> bool {
    id.group == crate::api::kustomization::GROUP
        && (id.kind.as_str(), &id.namespace, &id.name)
            == (key.kind.name(), &key.namespace, &key.name)
}

fn id(check: &HealthCheck) -> ObjectId {
    let api_version = check
        .api_version
        .as_deref()
        .filter(|version| !version.is_empty())
        .unwrap_or("apps/v1");
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ObjectId {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: check.kind.clone(),
        namespace: check.namespace.clone().unwrap_or_default(),
        name: check.name.clone(),
    }
}

pub(super) fn current() -> Health {
    Health {
        status: Status::Current,
        message: String::new(),
    }
}

pub(super) fn take_answers(
    objects: &mut BTreeMap<ObjectKey, Followed>,
    rules: &Rules,
    changes: &ChangeSet,
) {
    for entry in &changes.entries {
        if let (Some(object), Some(answer)) =
            (objects.get_mut(&ObjectKey::from(&entry.id)), &entry.answer)
        {
            (object.sight, object.looked) = (Some(Sight::of(answer, rules)), Some(Instant::now()));
        }
    }
}

/// What was known before stays known of objects that are as they were applied and were healthy; all others are looked
/// at anew, as the event that told of their progress, or of their end, may have gone to the run before.
pub(super) fn take_known(objects: &mut BTreeMap<ObjectKey, Followed>, before: Option<Following>) {
    for (key, old) in before.into_iter().flat_map(|before| before.objects) {
        let Some(object) = objects.get_mut(&key) else {
            continue;
        };
        object.is_known = true;
        let is_untouched = object.sight.is_none() && object.footing == Footing::Applied;
        if is_untouched && old.is_current() {
            object.sight = old.sight;
            (object.looked, object.looks) = (old.looked, old.looks);
            object.asked = old.asked;
        }
    }
}

/// The Jobs of a plan that Kubernetes deletes some time after they have ended.
pub fn expiring(plan: &Plan) -> BTreeSet<ObjectKey> {
    let expires = |step: &&Step| {
        let ttl = ["spec", "ttlSecondsAfterFinished"];
        step.id.group == "batch" && step.id.kind == "Job" && step.object.node.find(&ttl).is_some()
    };
    let jobs = plan.steps.iter().filter(expires);
    jobs.map(|step| ObjectKey::from(&step.id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_are_deployments_unless_they_say_otherwise() {
        let check = |api_version: Option<&str>| HealthCheck {
            api_version: api_version.map(str::to_owned),
            kind: "Thing".to_owned(),
            name: "one".to_owned(),
            namespace: Some("shop".to_owned()),
        };
        let group_version = |check| {
            let id = id(&check);
            (id.group, id.version)
        };
        assert_eq!(group_version(check(None)), ("apps".into(), "v1".into()));
        assert_eq!(
            group_version(check(Some("v1"))),
            (String::new(), "v1".into())
        );
        assert_eq!(
            group_version(check(Some("a.b/v2"))),
            ("a.b".into(), "v2".into())
        );
    }

    #[test]
    fn a_kustomization_does_not_wait_for_itself() {
        let key = Key::kustomization("flux-system", "apps");
        let id = |name: &str| ObjectId {
            group: crate::api::kustomization::GROUP.to_owned(),
            version: "v1".to_owned(),
            kind: "Kustomization".to_owned(),
            namespace: "flux-system".to_owned(),
            name: name.to_owned(),
        };
        assert!(is_itself(&key, &id("apps")));
        assert!(!is_itself(&key, &id("platform")));
    }
}
