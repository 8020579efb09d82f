//! Conditions: set, removed, read. The time of transition moves only when the status does.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The longest message that the schema of conditions lets through.
const LONGEST_MESSAGE: usize = 32_768;

/// `True`, `False` or `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known yet.
    Unknown,
}

impl Status {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The condition's type.
    pub type_: &'static str,
    /// Whether it holds.
    pub status: Status,
    /// One word.
    pub reason: String,
    /// For a reader.
    pub message: String,
}

impl Statement {
    /// A condition to set.
    pub fn new(
        type_: &'static str,
        status: Status,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let (reason, message) = (reason.into(), message.into());
        Self {
            type_,
            status,
            reason,
            message,
        }
    }
}

/// Sets a condition for a generation of the object.
pub fn set(conditions: &mut Vec<Condition>, statement: Statement, generation: i64) {
    let status = statement.status.as_str().to_owned();
    let old = conditions
        .iter_mut()
        .find(|old| old.type_ == statement.type_);
    let since = match &old {
        Some(old) if old.status == status => old.last_transition_time.clone(),
        _ => Time(now()),
    };
    let new = Condition {
        last_transition_time: since,
        message: shortened(statement.message),
        observed_generation: Some(generation),
        reason: statement.reason,
        status,
        type_: statement.type_.to_owned(),
    };
    match old {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

/// Removes a condition.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition of the type is there and True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// The API keeps whole seconds; a finer time here would differ from what is read back.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// The message, cut at the end of a character where the schema would refuse it.
fn shortened(mut message: String) -> String {
    const ELLIPSIS: &str = "…";
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE - ELLIPSIS.len()).rev();
        let end = end
            .into_iter()
            .find(|end| message.is_char_boundary(*end))
            .unwrap_or(0);
        message.truncate(end);
        message.push_str(ELLIPSIS);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(status: Status, message: &str) -> Statement {
        Statement::new("Ready", status, "Reason", message)
    }

    #[test]
    fn the_time_of_transition_follows_the_status() {
        let mut conditions = Vec::new();
        set(&mut conditions, statement(Status::True, "one"), 1);
        let then = Time(Timestamp::UNIX_EPOCH);
        conditions[0].last_transition_time = then.clone();
        set(&mut conditions, statement(Status::True, "two"), 2);
        assert_eq!(conditions[0].last_transition_time, then);
        assert_eq!(conditions[0].message, "two");
        assert_eq!(conditions[0].observed_generation, Some(2));
        set(&mut conditions, statement(Status::False, "three"), 2);
        assert_ne!(conditions[0].last_transition_time, then);
        assert_eq!(conditions.len(), 1);
        remove(&mut conditions, "Ready");
        assert!(conditions.is_empty());
    }

    #[test]
    fn long_messages_fit_the_schema() {
        let message = shortened("ä".repeat(LONGEST_MESSAGE));
        assert!(message.len() <= LONGEST_MESSAGE && message.ends_with('…'));
    }
}
