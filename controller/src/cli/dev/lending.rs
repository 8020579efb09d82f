//! Borrowing the Kustomizations of a controller: before anything is applied, again and again while it goes on, and back
//! at the end.

use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::super::Failure;
use super::target::Target;
use crate::api::kustomization::Kustomization;
use crate::api::meta::REQUESTED_AT;
use crate::reconcile::lent::{self, LENT, Loan};
use crate::reconcile::record;
use crate::report::kustomization::entries;

/// How long a controller may take to answer that it stands still.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks for that answer.
const LOOK: Duration = Duration::from_millis(100);

/// How often a write is tried when others write the same object.
const ATTEMPTS: usize = 5;

/// What is written to a borrowed Kustomization.
#[derive(Clone, Copy)]
enum Change {
    Prolong,
    GiveBack,
}

/// Kustomizations that are borrowed.
pub(super) struct Lending {
    client: Client,
    to: String,
    length: Duration,
    /// Namespaces and names.
    borrowed: Vec<(String, String)>,
    renewing: Option<AbortHandle>,
}

impl Lending {
    /// Nothing yet, for somebody, for so long at a time.
    pub(super) fn new(client: Client, to: String, length: Duration) -> Self {
        Self {
            client,
            to,
            length,
            borrowed: Vec::new(),
            renewing: None,
        }
    }

    /// Borrows the Kustomizations of the targets, and waits until their controller stands still. What somebody has
    /// suspended stays theirs; gives the notes on that.
    pub(super) async fn borrow(&mut self, targets: &[Target]) -> Result<Vec<String>, Failure> {
        let mut notes = Vec::new();
        for object in targets
            .iter()
            .filter_map(|target| target.kustomization.as_ref())
        {
            let names = (object.namespace().unwrap_or_default(), object.name_any());
            let object = self.get(&names).await?;
            if object.spec.suspend == Some(true) && !object.annotations().contains_key(LENT) {
                notes.push(format!("{} is suspended, and stays so", title(&names)));
                continue;
            }
            self.refuse_lent(&names, &object)?;
            let token = Timestamp::now().to_string();
            let lent = lent::lend(&self.client, &object, &self.loan(), &token).await;
            lent.map_err(|error| self.refused(&names, &error))?;
            self.borrowed.push(names.clone());
            if !self.stands_still(&names, &token).await {
                notes.push(format!(
                    "{} is suspended; no controller answers",
                    title(&names)
                ));
            }
        }
        Ok(notes)
    }

    fn loan(&self) -> Loan {
        Loan::new(&self.to, self.length)
    }

    /// What one's own earlier process left behind may be taken over, what others have may not.
    fn refuse_lent(&self, names: &(String, String), object: &Kustomization) -> Result<(), Failure> {
        let person = |to: &str| {
            to.rsplit_once('/')
                .map_or(to, |(person, _)| person)
                .to_owned()
        };
        match Loan::of(object) {
            Some(loan) if !loan.left().is_zero() && person(&loan.to) != person(&self.to) => {
                let message = format!("{} is lent to {loan}", title(names));
                Err(Failure::with_hint(
                    message,
                    "without --apply the plan is shown",
                ))
            }
            _ => Ok(()),
        }
    }

    fn refused(&self, names: &(String, String), error: &kube::Error) -> Failure {
        Failure::with_hint(
            format!("{} cannot be suspended: {error}", title(names)),
            "a controller would undo what is applied; without --apply the plan is shown",
        )
    }

    async fn get(&self, (namespace, name): &(String, String)) -> Result<Kustomization, Failure> {
        let api = Api::<Kustomization>::namespaced(self.client.clone(), namespace);
        let read = api.get(name).await;
        read.map_err(|error| Failure::new(format!("reading {namespace}/{name}: {error}")))
    }

    /// A controller that has answered the request has seen the suspension: no run is in hand any more.
    async fn stands_still(&self, names: &(String, String), token: &str) -> bool {
        let answered = async {
            loop {
                let status = self.get(names).await.ok().and_then(|object| object.status);
                let handled = status.and_then(|status| status.last_handled_reconcile_at);
                if handled.as_deref() == Some(token) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.is_ok()
    }

    /// Prolongs the loans from now on; says when one is lost, and ends then.
    pub(super) fn keep(&mut self) -> mpsc::Receiver<String> {
        let (lost, receiver) = mpsc::channel(1);
        let keeper = Self {
            client: self.client.clone(),
            to: self.to.clone(),
            length: self.length,
            borrowed: self.borrowed.clone(),
            renewing: None,
        };
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(keeper.length / 3).await;
                for names in &keeper.borrowed {
                    if let Err(failure) = keeper.write(names, Change::Prolong).await {
                        let _ = lost.send(failure.to_string()).await;
                        return;
                    }
                }
            }
        });
        self.renewing = Some(renewing.abort_handle());
        receiver
    }

    /// Writes to a Kustomization that is still borrowed.
    async fn write(&self, names: &(String, String), change: Change) -> Result<(), Failure> {
        for attempt in 1.. {
            let object = self.get(names).await?;
            if Loan::of(&object).is_none_or(|loan| loan.to != self.to) {
                let message = format!("{} is no longer lent to you", title(names));
                return Err(Failure::new(message));
            }
            let written = match change {
                Change::Prolong => {
                    let asked = object.annotations().get(REQUESTED_AT).cloned();
                    let token = asked.unwrap_or_default();
                    lent::lend(&self.client, &object, &self.loan(), &token).await
                }
                Change::GiveBack => lent::give_back(&self.client, &object).await,
            };
            match written {
                Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {}
                Err(error) => return Err(Failure::new(format!("{}: {error}", title(names)))),
                Ok(_) => break,
            }
        }
        Ok(())
    }

    /// Notes in the status what is about to be applied, so that the controller knows what to remove when it goes on.
    pub(super) async fn answer_for(&self, target: &mut Target) -> Result<(), Failure> {
        let Some(object) = target.kustomization.take() else {
            return Ok(());
        };
        let mut status = object.status.clone().unwrap_or_default();
        status.inventory = Some(entries(&target.inventory));
        let written = record::status(&self.client, object.clone(), &status).await;
        let failed = |error| Failure::new(format!("noting what is applied: {error}"));
        target.kustomization = Some(written.as_ref().unwrap_or(&object).clone());
        written.map(drop).map_err(failed)
    }

    /// Whether a target's Kustomization is borrowed: whoever lent it puts back what Git says.
    pub(super) fn has(&self, target: &Target) -> bool {
        let owner = &target.owner;
        let is = |(namespace, name): &(String, String)| {
            *namespace == owner.namespace.as_str() && *name == owner.name.as_str()
        };
        target.kustomization.is_some() && self.borrowed.iter().any(is)
    }

    /// Gives all back; says what could not be.
    pub(super) async fn give_back(&mut self) -> Vec<Result<String, Failure>> {
        if let Some(renewing) = self.renewing.take() {
            renewing.abort();
        }
        let mut told = Vec::new();
        for names in std::mem::take(&mut self.borrowed) {
            let back = self.write(&names, Change::GiveBack).await;
            told.push(back.map(|()| title(&names)));
        }
        told
    }
}

fn title((namespace, name): &(String, String)) -> String {
    format!("Kustomization {namespace}/{name}")
}
