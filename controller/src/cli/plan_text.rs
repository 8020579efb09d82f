//! A plan for people: one line an object, one line a changed leaf, deletions last, a line of counts.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::cluster::plan::{Action, Change, Plan, Skip, Step, Unchecked};
use crate::comparison::show::tell;

/// How an action is shown: its sign, its colour, and its word in the line of counts.
struct Sign {
    sign: &'static str,
    color: AnsiColor,
    count: Count,
}

/// What the line of counts tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Count {
    Add,
    Change,
    Replace,
    Skip,
    Unchanged,
}

const COUNTS: [(Count, &str); 5] = [
    (Count::Add, "add"),
    (Count::Change, "change"),
    (Count::Replace, "replace"),
    (Count::Skip, "skipped"),
    (Count::Unchanged, "unchanged"),
];

fn sign(action: &Action) -> Sign {
    let (sign, color, count) = match action {
        Action::Create | Action::CreateUnchecked(_) => ("+", AnsiColor::Green, Count::Add),
        Action::Configure => ("~", AnsiColor::Yellow, Count::Change),
        Action::Replace(_) => ("-/+", AnsiColor::Red, Count::Replace),
        Action::Skip(_) => ("·", AnsiColor::Cyan, Count::Skip),
        Action::Unchanged => (" ", AnsiColor::White, Count::Unchanged),
    };
    Sign { sign, color, count }
}

/// Renders the plan; unchanged objects are counted, not listed.
pub(super) fn render(plan: &Plan) -> String {
    let mut text = String::new();
    for step in plan
        .steps
        .iter()
        .filter(|step| step.action != Action::Unchanged)
    {
        render_step(&mut text, step);
    }
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    for id in &plan.prunes {
        let _ = writeln!(text, "{red}- {id}{red:#}");
    }
    for error in &plan.errors {
        let _ = writeln!(text, "{red}! {error}{red:#}");
    }
    for warning in &plan.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text.push_str(&footer(plan));
    text
}

fn render_step(text: &mut String, step: &Step) {
    let Sign { sign, color, .. } = sign(&step.action);
    let style = Style::new().fg_color(Some(color.into()));
    let _ = write!(text, "{style}{sign} {}{style:#}", step.id);
    if let Some(remark) = remark(&step.action) {
        let _ = write!(text, "  ({remark})");
    }
    text.push('\n');
    for change in &step.changes {
        render_change(text, change);
    }
}

fn remark(action: &Action) -> Option<String> {
    Some(match action {
        Action::CreateUnchecked(Unchecked::KindPending) => {
            "not checked yet: the same set brings its kind".to_owned()
        }
        Action::CreateUnchecked(Unchecked::NamespacePending) => {
            "not checked yet: the same set brings its namespace".to_owned()
        }
        Action::Replace(fields) => format!(
            "deleted and created again: {} cannot change",
            fields.join(", ")
        ),
        Action::Skip(Skip::ReconcileDisabled) => "reconcile: disabled".to_owned(),
        Action::Skip(Skip::Ignored) => "ssa: Ignore".to_owned(),
        Action::Skip(Skip::Replaced) => "a part of Flux whose work Weir does".to_owned(),
        Action::Skip(Skip::Present) => "ssa: IfNotPresent, and it is present".to_owned(),
        Action::Skip(Skip::KeptElsewhere) => "another Kustomization keeps it".to_owned(),
        Action::Skip(Skip::DriftReported) => "its drift is only reported".to_owned(),
        _ => return None,
    })
}

fn render_change(text: &mut String, change: &Change) {
    let told = tell(
        &change.path,
        change.before.as_ref(),
        change.after.as_ref(),
        &[],
    );
    if let Some(told) = told {
        let _ = writeln!(text, "    {} {}", told.sign, told.text);
        for line in told.below {
            let _ = writeln!(text, "        {line}");
        }
    }
}

/// `Plan: 3 add, 7 change, 2 prune, 412 unchanged`; what is zero is left out.
fn footer(plan: &Plan) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (count, word) in COUNTS {
        let number = plan
            .steps
            .iter()
            .filter(|step| sign(&step.action).count == count)
            .count();
        if count == Count::Skip && !plan.prunes.is_empty() {
            parts.push(format!("{} prune", plan.prunes.len()));
        }
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    match parts.is_empty() {
        true => "Plan: nothing to do\n".to_owned(),
        false => format!("Plan: {}\n", parts.join(", ")),
    }
}
