//! The dry-run of one object: what the server would make of it, compared with what is there.

use overlay::yaml::{Secrets, json_text_revealed, to_json};
use serde_json::Value;
use zeroize::Zeroizing;

use super::approximate::merged;
use super::changes::{Mask, changes, differs};
use super::clean_up::clean_up;
use super::client::{ApplyMode, Client, Written};
use super::error::{Act, Error, ObjectError, Refusal};
use super::held_fields;
use super::ignore::{adopt, without};
use super::live::{ObjectKey, Proof, Shows};
use super::managed_fields::{
    TakenOver, last_writer, own_entry, own_fields, rivals, taken_over_digest,
};
use super::may_apply::MayApply;
use super::owner::{NAME_LABEL, NAMESPACE_LABEL};
use super::plan::{Action, Beside, Incarnation, Skip, Step};
use super::redact::Redactor;
use super::settings::{Settings, Ssa};
use super::undeclared::drop_fields;

/// How often an object that is being written by others is looked at.
const LOOKS: usize = 4;

/// What every check of a plan needs.
pub(super) struct Checker<'a> {
    pub(super) client: &'a Client,
    pub(super) redactor: &'a Redactor,
    pub(super) taken_over: &'a [TakenOver],
    /// `spec.force`.
    pub(super) force: bool,
    /// Compute what changes even where nothing does.
    pub(super) check_all: bool,
    /// What is known besides.
    pub(super) beside: &'a Beside,
    pub(super) may_apply: &'a MayApply,
}

/// The object as it is sent: here, and nowhere else, secrets leave their marks.
pub(super) fn body(step: &Step) -> Zeroizing<Vec<u8>> {
    body_of(&step.object)
}

pub(super) fn body_of(object: &overlay::Object) -> Zeroizing<Vec<u8>> {
    json_text_revealed(&object.node)
}

/// What shows later that an object is as it was sent.
pub(super) fn proof(step: &Step, answer: &Value, managers: &[TakenOver]) -> Proof {
    let text = |key: &str| answer["metadata"][key].as_str().unwrap_or_default();
    Proof {
        desired: step.digest,
        uid: text("uid").into(),
        resource_version: text("resourceVersion").into(),
        own: own_entry(answer),
        taken_over: taken_over_digest(answer, managers),
        shows: match Settings::of_node(&step.object.node).ssa {
            Ssa::IfNotPresent => Shows::Presence,
            Ssa::Override | Ssa::Merge | Ssa::Ignore => Shows::Content,
        },
    }
}

fn incarnation(object: &Value) -> Option<Incarnation> {
    Some(Incarnation {
        uid: object["metadata"]["uid"].as_str()?.to_owned(),
        resource_version: object["metadata"]["resourceVersion"].as_str()?.to_owned(),
    })
}

impl Checker<'_> {
    /// Fills in what is to be done with a step's object; gives back the server's warnings.
    pub(super) async fn check(&self, step: &mut Step) -> Result<Vec<String>, ObjectError> {
        let Some(path) = step
            .resource
            .as_ref()
            .map(|resource| resource.object_path(&step.id))
        else {
            return Ok(Vec::new());
        };
        let result = self.check_at(step, &path).await;
        let once = self.beside.once_secret.of(&step.id);
        let warnings = result.map_err(|error| match once.is_any() {
            true => self
                .redactor
                .error_of_once_secret(&step.object, Act::DryRun, &error),
            false => self
                .redactor
                .object_error(&step.object, Act::DryRun, &error),
        })?;
        let warning = |text: String| format!("{}: {}", step.id, self.redactor.clean(&text));
        Ok(warnings.into_iter().map(warning).collect())
    }

    /// The same for an object that was accepted as it is wanted and changed by somebody since: where fields were
    /// taken from us, no dry-run is needed to know that they are to be put right.
    pub(super) async fn look(&self, step: &mut Step) -> Result<Vec<String>, ObjectError> {
        let path = step
            .resource
            .as_ref()
            .map(|resource| resource.object_path(&step.id));
        if let Some(path) = path
            && let Ok(live) = self.client.get(&path).await
            && live["metadata"]["deletionTimestamp"].is_null()
        {
            if leave_alone(step, &live) {
                return Ok(Vec::new());
            }
            adopt(&mut step.object, &live, &step.ignored);
            self.look_again(step, &live);
            if is_taken_from(step, &live) || !step.clean_up.is_empty() {
                step.action = Action::Configure;
                return Ok(Vec::new());
            }
        }
        self.check(step).await
    }

    async fn check_at(&self, step: &mut Step, path: &str) -> Result<Vec<String>, Error> {
        let settings = Settings::of_node(&step.object.node);
        if settings.ssa == Ssa::IfNotPresent
            && let Some(live) = self.present(path).await?
        {
            step.action = Action::Skip(Skip::Present);
            // The watches show what carries our labels.
            let shown = carries_labels_of(step, &live);
            step.proof = shown.then(|| proof(step, &live, self.taken_over));
            return Ok(Vec::new());
        }
        if self.is_not_to_try(step) {
            return self.tell(step, path).await;
        }
        self.leave_to_others(step, path).await?;
        let mut warnings = Vec::new();
        loop {
            match self.client.apply(path, body(step), ApplyMode::DryRun).await {
                Ok(written) => {
                    warnings.extend(written.warnings.iter().cloned());
                    self.met(step, path, written).await?;
                    return Ok(warnings);
                }
                Err(error) if self.is_forbidden(step, &error).await? => {
                    return self.tell(step, path).await;
                }
                Err(error) => match drop_fields(&mut step.object, error.refusal()) {
                    Some(dropped) => warnings.extend(dropped),
                    None => {
                        self.refused(step, path, settings, error).await?;
                        return Ok(warnings);
                    }
                },
            }
        }
    }

    /// Whether it is known that the server need not, or must not, be asked to try.
    fn is_not_to_try(&self, step: &Step) -> bool {
        let may = |resource| self.may_apply.recall(resource, &step.id.namespace);
        let unknown = &self.beside.unknown;
        unknown.contains(&ObjectKey::from(&step.id))
            || step.resource.as_ref().and_then(may) == Some(false)
    }

    /// Whether a refusal says that the account may not write such objects at all, and a guess is as good.
    async fn is_forbidden(&self, step: &Step, error: &Error) -> Result<bool, Error> {
        let is_forbidden = error
            .refusal()
            .is_some_and(|refusal| refusal.is_forbidden());
        let Some(resource) = step.resource.as_ref() else {
            return Ok(false);
        };
        if !is_forbidden || !self.beside.approximates {
            return Ok(false);
        }
        let namespace = &step.id.namespace;
        let may = self.may_apply.ask(self.client, resource, namespace).await?;
        Ok(!may)
    }

    /// Tells what would come of an apply from what is there.
    async fn tell(&self, step: &mut Step, path: &str) -> Result<Vec<String>, Error> {
        step.is_approximate = true;
        let live = match self.client.get(path).await {
            Ok(live) => live,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            // What may not be read either may change.
            Err(error) if error.refusal().is_some_and(|it| it.is_forbidden()) => {
                step.action = Action::Configure;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        adopt(&mut step.object, &live, &step.ignored);
        let wanted = to_json(&step.object.node, Secrets::Revealed);
        let answer = self.merged(step, &live, &wanted).await;
        self.compare_with(step, &live, &answer);
        Ok(Vec::new())
    }

    /// What would come of an apply, by what the server publishes of the kind.
    async fn merged(&self, step: &Step, live: &Value, wanted: &Value) -> Value {
        let published = self.client.discovery().published();
        let document = match step.resource.as_ref() {
            Some(resource) => published.document(self.client, resource).await,
            None => None,
        };
        merged(live, wanted, document.as_deref())
    }

    /// Notes which fields cannot change, and what they would become.
    async fn note_immutable(&self, step: &mut Step, path: &str, refusal: &Refusal) {
        step.immutable = refusal.immutable_fields();
        if !self.check_all {
            return;
        }
        if let Ok(live) = self.client.get(path).await {
            let wanted = to_json(&step.object.node, Secrets::Revealed);
            let mask = self.mask(step, &live);
            step.changes = changes(&live, &self.merged(step, &live, &wanted).await, &mask);
        }
    }

    fn mask(&self, step: &Step, answer: &Value) -> Mask<'_> {
        let once = self.beside.once_secret.of(&step.id);
        Mask::new(&step.object, answer, self.redactor).and_once(once)
    }

    /// What others may set is sent as it is there. The digest stays that of what Git says.
    async fn leave_to_others(&self, step: &mut Step, path: &str) -> Result<(), Error> {
        if step.ignored.is_empty() {
            return Ok(());
        }
        match self.client.get(path).await {
            Ok(live) => adopt(&mut step.object, &live, &step.ignored),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn met(&self, step: &mut Step, path: &str, written: Written) -> Result<(), Error> {
        if written.created {
            step.action = Action::Create;
            return Ok(());
        }
        self.compare(step, path, written).await
    }

    async fn refused(
        &self,
        step: &mut Step,
        path: &str,
        settings: Settings,
        error: Error,
    ) -> Result<(), Error> {
        if error.is_not_found() {
            // The namespace is not there, or the kind is not served any more.
            self.client.discovery().forget(&step.id);
        }
        let force = self.force || settings.force;
        if let Some(refusal) = error.refusal().filter(|refusal| refusal.is_immutable()) {
            self.note_immutable(step, path, refusal).await;
        }
        match error.refusal() {
            Some(refusal) if force && refusal.is_immutable() => {
                let fields = refusal.immutable_fields();
                self.replace(step, path, fields).await
            }
            _ => Err(error),
        }
    }

    async fn present(&self, path: &str) -> Result<Option<Value>, Error> {
        match self.client.get_metadata(path).await {
            Ok(live) => Ok(Some(live)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The object is there. The answer alone often shows that the dry-run changes nothing; the live object is
    /// read only when it does not. Where someone has written between the two requests they do not compare, and
    /// both are made again.
    async fn compare(&self, step: &mut Step, path: &str, answer: Written) -> Result<(), Error> {
        let mut written = answer;
        for look in 1..=LOOKS {
            if self.decides(step, &written) {
                return Ok(());
            }
            let live = match self.client.get(path).await {
                Ok(live) => live,
                Err(error) if error.is_not_found() => {
                    step.action = Action::Create;
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            if look == LOOKS || incarnation(&live) == incarnation(&written.object) {
                self.compare_with(step, &live, &written.object);
                return Ok(());
            }
            written = self
                .client
                .apply(path, body(step), ApplyMode::DryRun)
                .await?;
        }
        Ok(())
    }

    /// Whether the answer of a dry-run says enough.
    fn decides(&self, step: &mut Step, written: &Written) -> bool {
        let answer = &written.object;
        if leave_alone(step, answer) {
            return true;
        }
        let is_clean = clean_up(answer, &step.object.node, self.taken_over).is_empty();
        if is_clean && is_untouched(written) {
            step.live = incarnation(answer);
            self.unchanged(step, answer);
            return true;
        }
        false
    }

    fn compare_with(&self, step: &mut Step, live: &Value, answer: &Value) {
        if leave_alone(step, live) {
            return;
        }
        self.look_again(step, live);
        let differs = differs(live, answer);
        if differs || self.check_all {
            let mask = self.mask(step, answer);
            step.changes = changes(live, answer, &mask);
        }
        if differs || !step.clean_up.is_empty() {
            step.action = Action::Configure;
        } else {
            self.unchanged(step, live);
        }
    }

    /// Notes which incarnation is there, who has taken fields from us, and what is to be cleaned off it.
    pub(super) fn look_again(&self, step: &mut Step, live: &Value) {
        step.live = incarnation(live);
        step.rivals = rivals(live, &claimed(step));
        step.last_writer = last_writer(live);
        step.clean_up = clean_up(live, &step.object.node, self.taken_over);
    }

    fn unchanged(&self, step: &mut Step, live: &Value) {
        step.action = Action::Unchanged;
        step.proof = Some(proof(step, live, self.taken_over));
    }

    async fn replace(&self, step: &mut Step, path: &str, fields: Vec<String>) -> Result<(), Error> {
        let live = self.client.get_metadata(path).await?;
        step.live = incarnation(&live);
        if !leave_alone(step, &live) {
            step.action = Action::Replace(fields);
        }
        Ok(())
    }
}

/// Leaves a step undone when the live object asks for that; false when it does not.
fn leave_alone(step: &mut Step, live: &Value) -> bool {
    let asks = Settings::of_json(live).left_alone();
    if let Some(skip) = asks {
        step.action = Action::Skip(skip);
    }
    asks.is_some()
}

fn carries_labels_of(step: &Step, live: &Value) -> bool {
    let wanted = |label| step.object.node.find_str(&["metadata", "labels", label]);
    let is_same = |label| live["metadata"]["labels"][label].as_str() == wanted(label);
    is_same(NAME_LABEL) && is_same(NAMESPACE_LABEL)
}

/// What is sent, but for what is left to others: nobody takes that from us.
fn claimed(step: &Step) -> Value {
    without(to_json(&step.object.node, Secrets::Masked), &step.ignored)
}

/// Whether a live object has lost fields that we set, to another writer or altogether.
fn is_taken_from(step: &Step, live: &Value) -> bool {
    let own = own_fields(live).and_then(|own| serde_json::from_str(&own).ok());
    let wanted = claimed(step);
    !step.rivals.is_empty() || own.is_none_or(|own: Value| !held_fields::holds(&own, &wanted))
}

/// The server dates our entry anew with every apply that changes anything, and leaves the date alone when it
/// changes nothing: an older date than the request says that nothing would change.
pub(super) fn is_untouched(written: &Written) -> bool {
    let Some(own) = own_entry(&written.object) else {
        return false;
    };
    written.begun.is_some_and(|begun| own.time < begun)
}
