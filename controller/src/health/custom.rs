//! Rules in CEL that a Kustomization brings along for some kinds (`spec.healthCheckExprs`).

use serde_json::Value;

use super::{Health, Status, generic, group_and_kind};
use crate::api::kustomization::CustomHealthCheck;
use crate::expression::{EvaluationError, Expression, ExpressionError, Variables};

/// The rules of one Kustomization.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

/// The rule for a kind, or for all kinds of a group that have no rule of their own here.
#[derive(Debug)]
struct Rule {
    group: String,
    kind: Option<String>,
    in_progress: Option<Expression>,
    failed: Option<Expression>,
    current: Expression,
}

/// Why rules cannot be used. Nothing but another spec changes that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// A text is no expression.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// Two rules are for the same kind.
    #[error("{place}: there is a rule for kind {kind:?} of group {group:?} already")]
    Duplicate {
        /// The second of them.
        place: String,
        /// The group.
        group: String,
        /// The kind; empty for all of the group.
        kind: String,
    },
}

impl Rules {
    /// Reads the rules of a spec.
    pub fn compile(checks: &[CustomHealthCheck]) -> Result<Self, RulesError> {
        let mut rules: Vec<Rule> = Vec::new();
        for (index, check) in checks.iter().enumerate() {
            let place = format!("spec.healthCheckExprs[{index}]");
            let rule = Rule::compile(&place, check)?;
            let same = |other: &Rule| other.group == rule.group && other.kind == rule.kind;
            if rules.iter().any(same) {
                let (group, kind) = (rule.group, rule.kind.unwrap_or_default());
                return Err(RulesError::Duplicate { place, group, kind });
            }
            rules.push(rule);
        }
        Ok(Self(rules))
    }

    /// Whether there is a rule for a kind.
    pub fn cover(&self, group: &str, kind: &str) -> bool {
        self.find(group, kind).is_some()
    }

    /// The health of a live object: by its rule here, or by the built-in ones.
    pub fn assess(&self, object: &Value) -> Health {
        let (group, kind) = group_and_kind(object);
        match self.find(group, kind) {
            Some(rule) => generic::outdated(object).unwrap_or_else(|| rule.assess(object)),
            None => super::assess(object),
        }
    }

    /// The version does not count, as in Flux; a rule for the kind goes before one for the group.
    fn find(&self, group: &str, kind: &str) -> Option<&Rule> {
        let of_group = || self.0.iter().filter(|rule| rule.group == group);
        let own = of_group().find(|rule| rule.kind.as_deref() == Some(kind));
        own.or_else(|| of_group().find(|rule| rule.kind.is_none()))
    }
}

impl Rule {
    fn compile(place: &str, check: &CustomHealthCheck) -> Result<Self, ExpressionError> {
        let compile = |field: &str, text: &str| {
            Expression::compile(&format!("{place}.{field}"), text, Variables::Fields)
        };
        let optional = |field: &str, text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map(|text| compile(field, text)).transpose()
        };
        let group = check
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        Ok(Self {
            group: group.to_owned(),
            kind: check.kind.clone().filter(|kind| !kind.is_empty()),
            in_progress: optional("inProgress", &check.in_progress)?,
            failed: optional("failed", &check.failed)?,
            current: compile("current", &check.current)?,
        })
    }

    /// The first that is true decides, in Flux's order; none of them is progress.
    fn assess(&self, object: &Value) -> Health {
        let questions = [
            (self.in_progress.as_ref(), Status::InProgress, "in progress"),
            (self.failed.as_ref(), Status::Failed, "failed"),
            (Some(&self.current), Status::Current, "current"),
        ];
        for (expression, status, word) in questions {
            match expression.map(|expression| expression.holds_for(object)) {
                None | Some(Ok(false)) => {}
                Some(Ok(true)) => return Health::new(status, format!("healthCheckExprs: {word}")),
                Some(Err(error)) => return untold(&error),
            }
        }
        Health::in_progress("healthCheckExprs: not current yet")
    }
}

/// A status that is not there yet often makes an expression fail: it is waited for.
fn untold(error: &EvaluationError) -> Health {
    Health::new(Status::Unknown, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(api_version: &str, kind: Option<&str>, current: &str) -> CustomHealthCheck {
        CustomHealthCheck {
            api_version: api_version.to_owned(),
            kind: kind.map(str::to_owned),
            current: current.to_owned(),
            ..CustomHealthCheck::default()
        }
    }

    fn object(status: Value) -> Value {
        json!({"apiVersion": "example.org/v2", "kind": "Database", "metadata": {"generation": 1}, "status": status})
    }

    #[test]
    fn in_progress_goes_before_failed_and_failed_before_current() {
        let rules = Rules::compile(&[CustomHealthCheck {
            in_progress: Some("status.phase == 'Creating'".to_owned()),
            failed: Some("has(status.error)".to_owned()),
            ..check("example.org/v1", Some("Database"), "status.phase == 'Up'")
        }])
        .expect("valid rules");
        for (status, expected) in [
            (
                json!({"phase": "Creating", "error": "x"}),
                Status::InProgress,
            ),
            (json!({"phase": "Up", "error": "x"}), Status::Failed),
            (json!({"phase": "Up"}), Status::Current),
            (json!({"phase": "Down"}), Status::InProgress),
            (json!({}), Status::Unknown),
            (
                json!({"phase": "Up", "observedGeneration": 0}),
                Status::InProgress,
            ),
        ] {
            assert_eq!(
                rules.assess(&object(status.clone())).status,
                expected,
                "{status}"
            );
        }
        let other = json!({"apiVersion": "example.org/v1", "kind": "User", "metadata": {}});
        assert_eq!(rules.assess(&other).status, Status::Current);
    }

    #[test]
    fn a_rule_for_the_kind_goes_before_one_for_the_group() {
        let rules = Rules::compile(&[
            check("example.org/v1", None, "false"),
            check("example.org/v1", Some("Database"), "true"),
        ])
        .expect("valid rules");
        assert_eq!(rules.assess(&object(json!({}))).status, Status::Current);
        let user = json!({"apiVersion": "example.org/v9", "kind": "User", "metadata": {}});
        assert_eq!(rules.assess(&user).status, Status::InProgress);
        assert!(rules.cover("example.org", "Anything") && !rules.cover("", "Database"));
    }

    #[test]
    fn two_rules_for_one_kind_are_an_error() {
        let twice = [
            check("example.org/v1", Some("Database"), "true"),
            check("example.org/v2", Some("Database"), "true"),
        ];
        let error = Rules::compile(&twice).expect_err("the version does not count");
        assert_eq!(
            error.to_string(),
            "spec.healthCheckExprs[1]: there is a rule for kind \"Database\" of group \"example.org\" already"
        );
    }
}
