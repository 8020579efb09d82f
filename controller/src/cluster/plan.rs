//! What is to be done, as a value: computed before the first write, printed by `weir diff`, executed by the
//! reconciler.

use std::collections::BTreeSet;
use std::sync::Arc;

use overlay::yaml::Secret;
use overlay::{Object, ObjectId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::discovery::Resource;
use super::error::ObjectError;
use super::ignore::{IgnoreRule, Pointer};
use super::inventory::Inventory;
use super::live::{Live, ObjectKey, Proof, Proofs};
use super::managed_fields::{Digest, Rival};
use super::once_secret::OnceSecret;
use super::order::{GroupKind, Stage};
use super::owner::Owner;

/// What a Kustomization wants of the cluster.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose objects.
    pub owner: Owner,
    /// The built objects, in build order.
    pub objects: Vec<Object>,
    /// Replace objects whose immutable fields change (`spec.force`).
    pub force: bool,
    /// Kinds with a stage of their own.
    pub custom_stages: Vec<GroupKind>,
    /// Fields of live objects that are left to others (`spec.ignore`).
    pub ignore: Vec<IgnoreRule>,
}

/// What is known of the cluster before any request.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What the Kustomization has applied so far.
    pub inventory: Inventory,
    /// What the shared watches show.
    pub live: Live,
    /// What this process has applied and seen confirmed.
    pub proofs: Proofs,
    /// Wanted objects that a Kustomization of another process keeps: they stay in the inventory, which is how that
    /// process learns that they are wanted here, and are left alone.
    pub kept_elsewhere: BTreeSet<ObjectKey>,
    /// What the status says of a run by another process, for objects without a proof.
    pub recorded: Option<Recorded>,
    /// Whether another process, or Flux, has brought the cluster to this very revision: what has to be asked once more
    /// lets all other requests pass.
    pub can_wait: bool,
    /// Whether every object is dry-run, whatever the rules would save: for showing the plan.
    pub check_all: bool,
    /// Whether sources are left to Flux's source-controller, which is then applied like anything else.
    pub leaves_sources: bool,
    /// What is known besides, for showing several plans together.
    pub beside: Beside,
}

/// What is known besides when several plans are shown together.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Where the account may not try, tell from what is there what would come of it.
    pub approximates: bool,
    /// Kinds that others define.
    pub kinds: Vec<Resource>,
    /// Namespaces that others make.
    pub namespaces: BTreeSet<String>,
    /// Objects with values that are not known: they are compared with what is there, and never sent.
    pub unknown: BTreeSet<ObjectKey>,
    /// Secrets of the cluster that builds were lent: what is there may hold one that is wanted no more.
    pub secrets: Vec<Secret>,
    /// What else of what is there may be secret.
    pub once_secret: Arc<OnceSecret>,
}

/// A run that applied everything, as the status has it. What it applied and nobody has touched since needs no
/// request, whichever process did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Digest of all that it applied.
    pub digest: String,
    /// When it ended, in seconds since 1970.
    pub ended: i64,
}

/// What is to be done with one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is not there; the dry-run of its creation passed.
    Create,
    /// It is created without a dry-run before the first write.
    CreateUnchecked(Unchecked),
    /// It is there and differs.
    Configure,
    /// It is there as wanted.
    Unchanged,
    /// It is left alone.
    Skip(Skip),
    /// It is deleted and created again, because these fields cannot change.
    Replace(Vec<String>),
}

/// Why an object is not dry-run before the first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchecked {
    /// The first deploy: nothing in the inventory, nothing seen of the object.
    FirstDeploy,
    /// Its kind is defined by the same set; it is dry-run once the definition is in force.
    KindPending,
    /// Its namespace comes with the same set; it is dry-run once the namespace is there.
    NamespacePending,
}

/// Why an object is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// `kustomize.toolkit.fluxcd.io/reconcile: disabled`, in Git or in the cluster.
    ReconcileDisabled,
    /// `kustomize.toolkit.fluxcd.io/ssa: Ignore`.
    Ignored,
    /// `kustomize.toolkit.fluxcd.io/ssa: IfNotPresent`, and it is present.
    Present,
    /// A Kustomization of another process keeps it.
    KeptElsewhere,
    /// It has drifted, and its Kustomization asks to be told and not to have it put right.
    DriftReported,
    /// A part of Flux whose work Weir does, out of a repository that Flux was bootstrapped from.
    Replaced,
}

/// A value as a plan may show it.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// The value.
    Value(Value),
    /// It holds a secret.
    Masked,
}

/// One leaf that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where: `spec.template.spec.containers[api].image`.
    pub path: String,
    /// What is there now; none when the field is added.
    pub before: Option<Shown>,
    /// What it becomes; none when the field is removed.
    pub after: Option<Shown>,
}

/// The live object that a step was planned against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Unique id.
    pub uid: String,
    /// Resource version.
    pub resource_version: String,
}

/// One object and what is to be done with it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Who it is; without a namespace for cluster-scoped kinds, whatever the manifest says.
    pub id: ObjectId,
    /// The object as it is sent: normalised, with owner labels. Secret scalars keep their mark.
    pub object: Object,
    /// When it is applied.
    pub stage: Stage,
    /// What is to be done.
    pub action: Action,
    /// The leaves that change, when a dry-run was compared with the live object.
    pub changes: Vec<Change>,
    /// Other writers that have taken fields from us, where the live object was read.
    pub rivals: Vec<Rival>,
    /// Where requests for it go; none while its kind is pending and for skipped objects.
    pub resource: Option<Resource>,
    /// The live object, where one was read.
    pub live: Option<Incarnation>,
    /// Fields of the live object that are left to others.
    pub ignored: Vec<Pointer>,
    /// The field manager that wrote to the live object last, besides us; none when it was not read.
    pub last_writer: Option<String>,
    /// The JSON patch that is sent before the apply, so that fields added by `kubectl` and marks left by other tools
    /// go; mostly empty.
    pub clean_up: Vec<Value>,
    /// Digest of what is sent.
    pub digest: Digest,
    /// What shows that the object is as wanted, or there where that is enough; for what is not written only.
    pub proof: Option<Proof>,
    /// Whether this was told from what is there, without asking the server to try. Such a step is never executed.
    pub is_approximate: bool,
    /// The fields that the server refuses to change.
    pub immutable: Vec<String>,
}

/// What is to be done, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose objects.
    pub owner: Owner,
    /// Replace objects whose immutable fields change.
    pub force: bool,
    /// The wanted objects in apply order.
    pub steps: Vec<Step>,
    /// Objects of the inventory that are no longer wanted, in deletion order.
    pub prunes: Vec<ObjectId>,
    /// All that the server, or the rules, object to. A plan with errors is not executed.
    pub errors: Vec<ObjectError>,
    /// What the user should know, cleaned of secrets: the server's own warnings.
    pub warnings: Vec<String>,
}

/// Digest of all that steps would send.
pub(super) fn digest(steps: &[Step]) -> String {
    let mut hash = Sha256::new();
    for step in steps {
        hash.update(format!("{}/{}\n", step.id.group, step.id));
        hash.update(step.digest.0);
    }
    let hex = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    format!("sha256:{hex}")
}

impl Plan {
    /// Digest of all that it would send.
    pub fn digest(&self) -> String {
        digest(&self.steps)
    }

    /// The inventory after this plan: every wanted object in apply order.
    pub fn inventory(&self) -> Inventory {
        let objects = self.steps.iter().map(|step| step.id.clone()).collect();
        Inventory { objects }
    }

    /// Parts of Flux that are not applied, because Weir does their work.
    pub fn left_out(&self) -> impl Iterator<Item = &ObjectId> {
        let is_left_out = |step: &&Step| step.action == Action::Skip(Skip::Replaced);
        self.steps.iter().filter(is_left_out).map(|step| &step.id)
    }

    /// Objects that are wanted only where there are none, and that somebody else has made: no watch of ours shows
    /// their end.
    pub fn unseen(&self) -> impl Iterator<Item = ObjectKey> {
        let is_unseen =
            |step: &&Step| step.action == Action::Skip(Skip::Present) && step.proof.is_none();
        let steps = self.steps.iter().filter(is_unseen);
        steps.map(|step| ObjectKey::from(&step.id))
    }

    /// Whether executing it would write anything.
    pub fn has_changes(&self) -> bool {
        let writes = |step: &Step| !matches!(step.action, Action::Unchanged | Action::Skip(_));
        !self.prunes.is_empty() || self.steps.iter().any(writes)
    }
}
