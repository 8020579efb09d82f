//! Kustomizations that are lent to a person: suspended, with an annotation that says to whom and until when.
//!
//! `weir dev` borrows one before it applies what nobody has committed, and gives it back when it ends. Whoever dies with
//! one does not keep it: the controller takes it back when the time is over.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

use crate::api::kustomization::Kustomization;

/// The annotation: `alice@laptop until 2026-11-23T08:00:00Z`.
pub const LENT: &str = "weir.dev/lent-to";

/// Under whose name it is written. Not `kubectl…`: what that adds is cleaned away.
const MANAGER: &str = "weir-dev";

/// To whom, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// Who has it.
    pub to: String,
    /// When it ends by itself.
    pub until: Timestamp,
}

impl fmt::Display for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} until {}", self.to, self.until)
    }
}

impl Loan {
    /// A loan that begins now.
    pub fn new(to: &str, length: Duration) -> Self {
        let seconds = i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
        let until = Timestamp::now().as_second().saturating_add(seconds);
        Self {
            to: to.to_owned(),
            until: Timestamp::from_second(until).unwrap_or(Timestamp::MAX),
        }
    }

    /// The loan that a Kustomization's annotation speaks of.
    pub fn of(object: &Kustomization) -> Option<Self> {
        let text = object.annotations().get(LENT)?;
        let (to, until) = text.rsplit_once(" until ")?;
        Some(Self {
            to: to.to_owned(),
            until: until.parse().ok()?,
        })
    }

    /// How long it goes on; nothing when it is over.
    pub fn left(&self) -> Duration {
        let left = self.until.duration_since(Timestamp::now());
        Duration::try_from(left).unwrap_or_default()
    }
}

/// Suspends a Kustomization for somebody, or prolongs that. Refused when it has been changed since it was read.
pub async fn lend(
    client: &Client,
    object: &Kustomization,
    loan: &Loan,
    token: &str,
) -> kube::Result<Kustomization> {
    let annotations = json!({ LENT: loan.to_string(), crate::api::meta::REQUESTED_AT: token });
    write(client, object, annotations, json!(true)).await
}

/// Lets a Kustomization go on. Refused when it has been changed since it was read.
pub async fn give_back(client: &Client, object: &Kustomization) -> kube::Result<Kustomization> {
    write(client, object, json!({ LENT: null }), Value::Null).await
}

async fn write(
    client: &Client,
    object: &Kustomization,
    annotations: Value,
    suspend: Value,
) -> kube::Result<Kustomization> {
    let api =
        Api::<Kustomization>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let body = json!({
        "metadata": {
            "resourceVersion": object.resource_version(),
            "uid": object.uid(),
            "annotations": annotations,
        },
        "spec": { "suspend": suspend },
    });
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    api.patch(&object.name_any(), &parameters, &Patch::Merge(body))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kustomization::KustomizationSpec;

    fn object(annotation: &str) -> Kustomization {
        let mut object = Kustomization::new("apps", KustomizationSpec::default());
        object
            .annotations_mut()
            .insert(LENT.to_owned(), annotation.to_owned());
        object
    }

    #[test]
    fn a_loan_is_read_as_it_was_written_and_ends() {
        let loan = Loan::new("alice@laptop", Duration::from_secs(60));
        assert_eq!(Loan::of(&object(&loan.to_string())), Some(loan.clone()));
        assert!(loan.left() > Duration::from_secs(50));
        let over = Loan::of(&object("the until man until 2020-01-01T00:00:00Z")).expect("a loan");
        assert_eq!(
            (over.to.as_str(), over.left()),
            ("the until man", Duration::ZERO)
        );
        for none in ["", "alice", "alice until tomorrow"] {
            assert_eq!(Loan::of(&object(none)), None, "{none}");
        }
    }
}
