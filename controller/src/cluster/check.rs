//! The dry-run of one object: what the server would make of it, compared with what is there.

use overlay::yaml::{Secrets, to_json};
use serde_json::Value;

use super::changes::{Mask, changes, differs};
use super::client::{ApplyMode, Client, Written};
use super::error::{Act, Error, ObjectError};
use super::live::Proof;
use super::managed_fields::{Digest, TakenOver, own_entry, take_over, taken_over_digest};
use super::plan::{Action, Incarnation, Skip, Step};
use super::redact::Redactor;
use super::settings::{Settings, Ssa};

/// What every check of a plan needs.
pub(super) struct Checker<'a> {
    pub(super) client: &'a Client,
    pub(super) redactor: &'a Redactor,
    pub(super) taken_over: &'a [TakenOver],
    /// `spec.force`.
    pub(super) force: bool,
    /// Compute what changes even where nothing does.
    pub(super) check_all: bool,
}

/// The object as it is sent: here, and nowhere else, secrets leave their marks.
pub(super) fn body(step: &Step) -> Vec<u8> {
    body_of(&step.object)
}

pub(super) fn body_of(object: &overlay::Object) -> Vec<u8> {
    to_json(&object.node, Secrets::Revealed)
        .to_string()
        .into_bytes()
}

/// What shows later that an object is as it was sent.
pub(super) fn proof(digest: Digest, answer: &Value, managers: &[TakenOver]) -> Proof {
    let text = |key: &str| {
        answer["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    Proof {
        desired: digest,
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        own: own_entry(answer),
        taken_over: taken_over_digest(answer, managers),
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
        let warnings = result.map_err(|error| {
            self.redactor
                .object_error(&step.object, Act::DryRun, &error)
        })?;
        let warning = |text: String| format!("{}: {}", step.id, self.redactor.clean(&text));
        Ok(warnings.into_iter().map(warning).collect())
    }

    async fn check_at(&self, step: &mut Step, path: &str) -> Result<Vec<String>, Error> {
        let settings = Settings::of_node(&step.object.node);
        if settings.ssa == Ssa::IfNotPresent && self.is_present(path).await? {
            step.action = Action::Skip(Skip::Present);
            return Ok(Vec::new());
        }
        let force = self.force || settings.force;
        match self.client.apply(path, body(step), ApplyMode::DryRun).await {
            Ok(written) if written.created => step.action = Action::Create,
            Ok(written) => return self.compare(step, path, settings, written).await,
            Err(error)
                if force
                    && error
                        .refusal()
                        .is_some_and(|refusal| refusal.is_immutable()) =>
            {
                self.replace(step, path, &error).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(Vec::new())
    }

    async fn is_present(&self, path: &str) -> Result<bool, Error> {
        match self.client.get_metadata(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The object is there. The answer alone often shows that the dry-run changes nothing; the live object is
    /// read only when it does not.
    async fn compare(
        &self,
        step: &mut Step,
        path: &str,
        settings: Settings,
        written: Written,
    ) -> Result<Vec<String>, Error> {
        let answer = &written.object;
        if Settings::of_json(answer).reconcile_disabled {
            step.action = Action::Skip(Skip::ReconcileDisabled);
        } else if is_untouched(&written) && taken_over_digest(answer, self.taken_over).is_none() {
            step.live = incarnation(answer);
            self.unchanged(step, answer);
        } else {
            match self.client.get(path).await {
                Ok(live) => self.compare_with(step, settings, &live, answer),
                Err(error) if error.is_not_found() => step.action = Action::Create,
                Err(error) => return Err(error),
            }
        }
        Ok(written.warnings)
    }

    fn compare_with(&self, step: &mut Step, settings: Settings, live: &Value, answer: &Value) {
        if Settings::of_json(live).reconcile_disabled {
            step.action = Action::Skip(Skip::ReconcileDisabled);
            return;
        }
        step.live = incarnation(live);
        if settings.ssa != Ssa::Merge {
            step.take_over = take_over(live, self.taken_over);
        }
        let differs = differs(live, answer);
        if differs || self.check_all {
            let mask = Mask::new(&step.object, answer, self.redactor);
            step.changes = changes(live, answer, &mask);
        }
        if differs || step.take_over.is_some() {
            step.action = Action::Configure;
        } else {
            self.unchanged(step, live);
        }
    }

    fn unchanged(&self, step: &mut Step, live: &Value) {
        step.action = Action::Unchanged;
        step.proof = Some(proof(step.digest, live, self.taken_over));
    }

    async fn replace(&self, step: &mut Step, path: &str, error: &Error) -> Result<(), Error> {
        let live = self.client.get_metadata(path).await?;
        let refusal = error.refusal().cloned().unwrap_or_default();
        step.live = incarnation(&live);
        step.action = match Settings::of_json(&live).reconcile_disabled {
            true => Action::Skip(Skip::ReconcileDisabled),
            false => Action::Replace(refusal.immutable_fields()),
        };
        Ok(())
    }
}

/// The server dates our entry anew with every apply that changes anything, and leaves the date alone when it
/// changes nothing: an older date than the request says that nothing would change.
pub(super) fn is_untouched(written: &Written) -> bool {
    let Some(own) = own_entry(&written.object) else {
        return false;
    };
    written.begun.is_some_and(|begun| own.time < begun)
}
