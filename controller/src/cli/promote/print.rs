//! A promotion for people: what becomes of each file, what environments get, what stands against it.

use std::fmt::Write as _;

use overlay::Tree;

use crate::comparison::show::visible;
use crate::comparison::text::{self, Detail};
use crate::promotion::Promotion;
use crate::promotion::file::Fate;
use crate::promotion::merge::{Finding, What};
use crate::promotion::prepare::{AppChange, FileChange};

/// The whole promotion.
pub(super) fn render(promotion: &Promotion) -> String {
    let mut out = String::new();
    for app in &promotion.apps {
        app_lines(&mut out, promotion, app);
    }
    if let Some(effect) = &promotion.effect {
        let told = text::render(&effect.comparison, Detail::Leaves);
        let _ = write!(out, "What environments get:\n\n{told}");
    }
    out
}

fn app_lines(out: &mut String, promotion: &Promotion, app: &AppChange) {
    let scope = &promotion.scope;
    let told: Vec<&FileChange> = app.files.iter().filter(|file| is_told(file)).collect();
    if told.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "{} ({} → {})",
        visible(&app.name),
        visible(&scope.from.name),
        visible(&scope.to.name)
    );
    for file in told {
        let remark = match &file.outcome.fate {
            Fate::Deleted => "  deleted",
            Fate::Written(_) if is_new(promotion, &file.target) => "  new",
            _ => "",
        };
        let _ = writeln!(out, "  {}{remark}", visible(&file.target));
        for finding in file
            .outcome
            .findings
            .iter()
            .filter(|finding| !finding.path.is_empty() || finding.what != What::Taken)
        {
            let _ = writeln!(
                out,
                "    {}",
                visible(&line(finding, [&scope.from.name, &scope.to.name]))
            );
        }
    }
    for (path, why) in &app.stay {
        let _ = writeln!(out, "  {}  stays: {why}", visible(path));
    }
    out.push('\n');
}

fn is_told(file: &FileChange) -> bool {
    file.outcome.fate != Fate::Same || !file.outcome.findings.is_empty()
}

fn is_new(promotion: &Promotion, path: &str) -> bool {
    matches!(promotion.head.tree.kind(path), Ok(None))
}

/// One leaf: what becomes of it.
pub(super) fn line(finding: &Finding, [from, to]: [&str; 2]) -> String {
    let path = match finding.path.as_str() {
        "" => "the file",
        path => path,
    };
    let text = |value: &Option<String>| match value {
        Some(value) => value.clone(),
        None => "nothing".to_owned(),
    };
    let (source, target) = (text(&finding.source), text(&finding.target));
    match finding.what {
        What::Taken => match (&finding.source, &finding.target) {
            (Some(_), None) => format!("+ {path}: {source}"),
            (None, _) => format!("- {path}: {target}"),
            _ => format!("~ {path}: {target} → {source}"),
        },
        What::Kept => format!(
            "= {path}: {to} keeps its own {target} ({from} has {source}): backport it, or pin it"
        ),
        What::StaysDeleted => format!("= {path}: stays deleted in {to} ({from} has {source})"),
        What::Pinned => format!("= {path}: pinned in {to} at {target} ({from} has {source})"),
        What::Conflict => {
            let base = text(&finding.base);
            format!("! {path}: was {base}, {from} made it {source}, {to} made it {target}")
        }
        What::Unmet => format!("? {path}: {from} has {source}, {to} has {target}"),
    }
}
