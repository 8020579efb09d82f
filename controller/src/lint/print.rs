//! Findings for people, for scripts, and for forges.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::{Finding, Level, RULES};
use crate::comparison::show::visible;

/// More environments than this are counted, not named.
const NAMED: usize = 3;

impl Level {
    /// What the level is called, in texts and in SARIF.
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }

    fn style(self) -> Style {
        let colour = match self {
            Self::Error => AnsiColor::Red,
            Self::Warning => AnsiColor::Yellow,
        };
        Style::new().bold().fg_color(Some(colour.into()))
    }
}

/// One paragraph a finding, and a line of counts.
pub fn text(findings: &[Finding], environments: usize) -> String {
    let mut text = String::new();
    for finding in findings {
        let (level, style) = (finding.level.name(), finding.level.style());
        let place = visible(&finding.place.to_string());
        let message = visible(&finding.message);
        let _ = writeln!(
            text,
            "{place}: {style}{level}{style:#}[{}]: {message}",
            finding.rule
        );
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "  hint: {}", visible(hint));
        }
        if !finding.environments.is_empty() {
            let _ = writeln!(text, "  in {}", visible(&seen_in(finding)));
        }
    }
    if !findings.is_empty() {
        text.push('\n');
    }
    text + &summary(findings, environments)
}

fn seen_in(finding: &Finding) -> String {
    let names: Vec<&str> = finding.environments.iter().map(String::as_str).collect();
    match names.len() {
        0..=NAMED => names.join(", "),
        count => format!("{} and {} more", names[..NAMED].join(", "), count - NAMED),
    }
}

fn summary(findings: &[Finding], environments: usize) -> String {
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let fixes = findings
        .iter()
        .filter(|finding| finding.fix.is_some())
        .count();
    let mut line = match findings.is_empty() {
        true => "Nothing found".to_owned(),
        false => format!(
            "{}, {}",
            counted(count(Level::Error), "error"),
            counted(count(Level::Warning), "warning")
        ),
    };
    let _ = write!(line, " in {}", counted(environments, "environment"));
    if fixes > 0 {
        let _ = write!(line, "; `--fix` mends {fixes}");
    }
    line + "\n"
}

/// One document for scripts.
pub fn json(findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "rule": finding.rule,
            "level": finding.level.name(),
            "file": &*finding.place.file,
            "line": (finding.place.line > 0).then_some(finding.place.line),
            "column": (finding.place.column > 0).then_some(finding.place.column),
            "message": finding.message,
            "hint": finding.hint,
            "environments": finding.environments,
            "fixable": finding.fix.is_some(),
        })
    };
    json!({
        "schema": "weir.lint/v1",
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

/// The Static Analysis Results Interchange Format, version 2.1.0, as forges read it.
pub fn sarif(findings: &[Finding]) -> Value {
    let rule = |rule: &super::Rule| {
        json!({
            "id": rule.name,
            "shortDescription": { "text": rule.about },
            "defaultConfiguration": { "level": rule.level.name() },
        })
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "weir lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": RULES.iter().map(rule).collect::<Vec<_>>(),
            }},
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let text = match &finding.hint {
        Some(hint) => format!("{} ({hint})", finding.message),
        None => finding.message.clone(),
    };
    let mut location = json!({ "artifactLocation": { "uri": uri(&finding.place.file) } });
    if finding.place.line > 0 {
        location["region"] = json!({ "startLine": finding.place.line });
        if finding.place.column > 0 {
            location["region"]["startColumn"] = json!(finding.place.column);
        }
    }
    json!({
        "ruleId": finding.rule,
        "level": finding.level.name(),
        "message": { "text": text },
        "locations": [{ "physicalLocation": location }],
        // The same finding on another line is the same one.
        "partialFingerprints": {
            "finding/v1": format!("{}:{}:{}", finding.rule, finding.place.file, finding.message),
        },
    })
}

/// A path as a relative reference: what is no unreserved character is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            byte => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("envs/prod-eu/a b#.yaml"), "envs/prod-eu/a%20b%23.yaml");
    }
}
