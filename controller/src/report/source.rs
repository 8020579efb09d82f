//! What conditions say of a source, whatever its kind: its artifact is stored, or something failed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::conditions::{self, Statement, Status};
use crate::api::git_repository::condition::{
    ARTIFACT_IN_STORAGE, ARTIFACT_OUTDATED, FETCH_FAILED, INCLUDE_UNAVAILABLE, SOURCE_VERIFIED,
    STORAGE_OPERATION_FAILED,
};
use crate::api::meta::condition::{READY, RECONCILING, STALLED};
use crate::api::meta::reason::{PROGRESSING, PROGRESSING_WITH_RETRY, SUCCEEDED};

/// Conditions that say that something failed.
const FAILURES: [&str; 3] = [FETCH_FAILED, STORAGE_OPERATION_FAILED, INCLUDE_UNAVAILABLE];

/// What failed, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The condition that says so.
    pub condition: &'static str,
    /// Its reason.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
    /// Nothing will get better before the spec changes.
    pub stalled: bool,
}

/// A look takes its time.
pub fn begun(conditions: &mut Vec<Condition>, generation: i64, message: &str) {
    let reconciling = Statement::new(RECONCILING, Status::True, PROGRESSING, message);
    conditions::set(conditions, reconciling, generation);
    conditions::remove(conditions, STALLED);
    let ready = Statement::new(READY, Status::Unknown, PROGRESSING, message);
    conditions::set(conditions, ready, generation);
}

/// The artifact is stored, and its signature good where one was asked for.
pub fn stored(
    conditions: &mut Vec<Condition>,
    generation: i64,
    verified: Option<&str>,
    message: &str,
) {
    let over = [ARTIFACT_OUTDATED, RECONCILING, STALLED];
    for gone in FAILURES.iter().chain(&over) {
        conditions::remove(conditions, gone);
    }
    match verified {
        Some(message) => {
            let statement = Statement::new(SOURCE_VERIFIED, Status::True, SUCCEEDED, message);
            conditions::set(conditions, statement, generation);
        }
        None => conditions::remove(conditions, SOURCE_VERIFIED),
    }
    for type_ in [READY, ARTIFACT_IN_STORAGE] {
        let statement = Statement::new(type_, Status::True, SUCCEEDED, message);
        conditions::set(conditions, statement, generation);
    }
}

/// Something failed; what was stored before stays.
pub fn failed(conditions: &mut Vec<Condition>, generation: i64, trouble: &Trouble) {
    for other in FAILURES.iter().filter(|other| **other != trouble.condition) {
        conditions::remove(conditions, other);
    }
    let mut set = |type_, status, reason| {
        let statement = Statement::new(type_, status, reason, trouble.message.clone());
        conditions::set(conditions, statement, generation);
    };
    set(trouble.condition, bad(trouble.condition), trouble.reason);
    set(READY, Status::False, trouble.reason);
    if trouble.stalled {
        set(STALLED, Status::True, trouble.reason);
        conditions::remove(conditions, RECONCILING);
    } else {
        set(RECONCILING, Status::True, PROGRESSING_WITH_RETRY);
        conditions::remove(conditions, STALLED);
    }
}

/// The value of a condition that tells of a failure: most are named for it, one for the contrary.
fn bad(condition: &str) -> Status {
    match condition {
        SOURCE_VERIFIED => Status::False,
        _ => Status::True,
    }
}

/// Whether the conditions tell of a failure.
pub fn is_failed(conditions: &[Condition]) -> bool {
    let unverified = conditions
        .iter()
        .any(|condition| condition.type_ == SOURCE_VERIFIED && condition.status == "False");
    let is = |type_: &&str| conditions::is_true(conditions, type_);
    unverified || FAILURES.iter().any(is)
}

/// Whether the conditions already tell of the trouble.
pub fn says(conditions: &[Condition], trouble: &Trouble) -> bool {
    conditions::find(conditions, trouble.condition).is_some_and(|condition| {
        condition.status == bad(trouble.condition).as_str()
            && condition.reason == trouble.reason
            && condition.message == trouble.message
    })
}
