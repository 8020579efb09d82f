//! What a spec asks for in vain: expressions and rules that are none.

use overlay::{Target, TargetMatcher};

use super::dependencies;
use crate::api::kustomization::{self as api, KustomizationSpec, reason};
use crate::cluster::{IgnoreRule, Pointer};
use crate::health::custom::Rules;
use crate::report::failure::{Again, Failure};

/// Refuses a spec that asks for what cannot be.
pub fn check(spec: &KustomizationSpec) -> Result<(), Failure> {
    ignore_rules(spec)?;
    check_expressions(spec)
}

/// The rules of `spec.ignore`; one that is none is an error that only another spec mends.
pub fn ignore_rules(spec: &KustomizationSpec) -> Result<Vec<IgnoreRule>, Failure> {
    let invalid = |index: usize, problem: &dyn std::fmt::Display| {
        let message = format!("spec.ignore[{index}]: {problem}");
        Failure::new(reason::BUILD_FAILED, message).again(Again::Never)
    };
    let rule = |(index, rule): (usize, &api::IgnoreRule)| {
        let target = rule.target.as_ref().map(target).unwrap_or_default();
        let target = TargetMatcher::new(&target).map_err(|error| invalid(index, &error))?;
        let pointer = |text: &String| {
            let problem = || invalid(index, &format!("{text:?} is no JSON pointer"));
            Pointer::parse(text).ok_or_else(problem)
        };
        let paths = rule.paths.iter().map(pointer).collect::<Result<_, _>>()?;
        Ok(IgnoreRule { target, paths })
    };
    spec.ignore.iter().enumerate().map(rule).collect()
}

fn target(selector: &api::Selector) -> Target {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Target {
        group: text(&selector.group),
        version: text(&selector.version),
        kind: text(&selector.kind),
        name: text(&selector.name),
        namespace: text(&selector.namespace),
        annotation_selector: text(&selector.annotation_selector),
        label_selector: text(&selector.label_selector),
    }
}

fn check_expressions(spec: &KustomizationSpec) -> Result<(), Failure> {
    let invalid = |error: &dyn std::fmt::Display| {
        Failure::new(reason::INVALID_CEL_EXPRESSION, error).again(Again::Never)
    };
    Rules::compile(&spec.health_check_exprs).map_err(|error| invalid(&error))?;
    for index in 0..spec.depends_on.len() {
        dependencies::ready_expression(spec, index).map_err(|error| invalid(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::kustomization::DependencyReference;

    #[test]
    fn ignore_rules_are_read() {
        let rule = |path: &str, name: &str| api::IgnoreRule {
            paths: vec![path.to_owned()],
            target: Some(api::Selector {
                name: Some(name.to_owned()),
                ..api::Selector::default()
            }),
        };
        let spec = |rule| KustomizationSpec {
            ignore: vec![rule],
            ..KustomizationSpec::default()
        };
        assert_eq!(check(&KustomizationSpec::default()), Ok(()));
        assert_eq!(check(&spec(rule("/spec/replicas", "web-.*"))), Ok(()));
        for (rule, message) in [
            (
                rule("spec.replicas", "web"),
                "spec.ignore[0]: \"spec.replicas\" is no JSON pointer",
            ),
            (
                rule("/spec/replicas", "web("),
                "spec.ignore[0]: `web(` is no regular expression: unclosed group",
            ),
        ] {
            let failure = check(&spec(rule)).expect_err(message);
            assert_eq!(
                (failure.message.as_str(), failure.again),
                (message, Again::Never)
            );
        }
    }

    #[test]
    fn an_expression_that_is_none_is_terminal() {
        let mut spec = KustomizationSpec::default();
        spec.depends_on.push(DependencyReference {
            name: "platform".to_owned(),
            ready_expr: Some("dep.status.".to_owned()),
            ..DependencyReference::default()
        });
        let failure = check(&spec).expect_err("half an expression");
        assert_eq!(failure.reason, reason::INVALID_CEL_EXPRESSION);
        assert_eq!(failure.again, Again::Never);
        assert!(
            failure
                .message
                .starts_with("spec.dependsOn[0].readyExpr, line 1, column 12: "),
            "{}",
            failure.message
        );
    }
}
