//! A comparison for people: one line an object, one line a changed leaf, prunes last, a line of counts.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::count::COUNTS;
use super::fold::{Group, groups};
use super::show::{tell, visible};

use super::{
    Action, Comparison, Count, Counts, EnvironmentChange, LeafChange, Line, ObjectChange, Presence,
    Problem,
};
use crate::cluster::Rival;
use crate::environments::Kind;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Every leaf.
    #[default]
    Leaves,
    /// Every object.
    Objects,
    /// One line of counts an environment.
    Counts,
}

/// The whole comparison.
pub fn render(comparison: &Comparison, detail: Detail) -> String {
    let mut text = String::new();
    for group in groups(&comparison.environments) {
        match detail {
            Detail::Counts => stat(&mut text, &group),
            _ => full(&mut text, &group, detail),
        }
    }
    text.push_str(&footer(comparison));
    text
}

/// What is told of an environment without its name.
pub(super) fn body(environment: &EnvironmentChange) -> String {
    let mut text = String::new();
    for leaf in &environment.leaves {
        leaf_lines(&mut text, leaf, Detail::Leaves);
    }
    prunes(&mut text, environment);
    warnings(&mut text, environment);
    text
}

/// The same without the leaves of objects.
pub(super) fn objects(environment: &EnvironmentChange) -> String {
    let mut text = String::new();
    for leaf in &environment.leaves {
        leaf_lines(&mut text, leaf, Detail::Objects);
    }
    prunes(&mut text, environment);
    text
}

fn full(text: &mut String, group: &Group<'_>, detail: Detail) {
    let bold = Style::new().bold();
    let _ = writeln!(
        text,
        "{bold}{}{bold:#}{}",
        visible(&group.names().join(", ")),
        remark(group)
    );
    let environment = group.first();
    for leaf in &environment.leaves {
        leaf_lines(text, leaf, detail);
    }
    prunes(text, environment);
    warnings(text, environment);
    text.push('\n');
}

/// What is said behind the names of environments.
pub(super) fn remark(group: &Group<'_>) -> String {
    let mut parts = Vec::new();
    let stages = group.stages();
    if !stages.is_empty() {
        let word = if stages.len() == 1 { "stage" } else { "stages" };
        parts.push(format!("{word} {}", visible(&stages.join(", "))));
    }
    if group.first().kind == Kind::Unreached {
        parts.push("no cluster leads to it".to_owned());
    }
    match group.first().presence {
        Presence::Added => parts.push("new".to_owned()),
        Presence::Removed => parts.push("goes".to_owned()),
        Presence::Kept => {}
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!("  ({})", parts.join(", ")),
    }
}

fn stat(text: &mut String, group: &Group<'_>) {
    let counts = Counts::of_environment(group.first());
    let names = visible(&group.names().join(", "));
    let _ = writeln!(text, "{names}{}: {}", remark(group), counted(&counts));
}

fn leaf_lines(text: &mut String, leaf: &LeafChange, detail: Detail) {
    let stays = |object: &&ObjectChange| !is_loss(object);
    let objects: Vec<&ObjectChange> = leaf.objects.iter().filter(stays).collect();
    if objects.is_empty() && leaf.problem.is_none() {
        return;
    }
    let _ = writeln!(text, "  {}", visible(&leaf.name.to_string()));
    if let Some(problem) = &leaf.problem {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let _ = writeln!(text, "    {red}! {}{red:#}", indented(&told(problem)));
    }
    for object in objects {
        object_lines(text, object, detail);
    }
}

/// What is said of a Kustomization that cannot be compared.
pub(super) fn told(problem: &Problem) -> String {
    match problem {
        Problem::Breaks(why) => format!("does not build any more: {}", visible_lines(why)),
        Problem::StaysBroken(why) => {
            format!("does not build, nor did before: {}", visible_lines(why))
        }
        Problem::IsMended => {
            "builds again; before it did not, so that all of it is new here".to_owned()
        }
        Problem::MovesOut(repository) => format!(
            "its files lie in another repository now, {}: what becomes of its objects cannot be told here",
            visible(repository)
        ),
        Problem::AnotherCluster(way) => format!(
            "its objects are in another cluster, by {}: they were not looked at",
            visible(way)
        ),
    }
}

fn visible_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(visible).collect();
    lines.join("\n")
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n      ")
}

/// Whether an object is no longer wanted.
pub(super) fn is_loss(object: &ObjectChange) -> bool {
    matches!(object.action, Action::Prune { .. } | Action::Leave(_))
}

fn color(action: &Action) -> AnsiColor {
    match action {
        Action::Create => AnsiColor::Green,
        Action::Change => AnsiColor::Yellow,
        Action::MayChange => AnsiColor::Cyan,
        Action::Replace { .. } | Action::Prune { .. } | Action::Refuse(_) => AnsiColor::Red,
        Action::Leave(_) | Action::Skip(_) => AnsiColor::White,
    }
}

fn object_lines(text: &mut String, object: &ObjectChange, detail: Detail) {
    let style = Style::new().fg_color(Some(color(&object.action).into()));
    let sign = Count::of(&object.action).sign();
    let _ = write!(text, "    {style}{sign} {}{style:#}", name(object));
    let remarks = remarks(object);
    if !remarks.is_empty() {
        let _ = write!(text, "  ({})", remarks.join("; "));
    }
    text.push('\n');
    if detail == Detail::Leaves {
        object.lines.iter().for_each(|line| leaf_line(text, line));
        for conflict in conflicts(object) {
            let _ = writeln!(text, "        ! {conflict}");
        }
    }
}

/// What is said of fields that others have written.
pub(crate) fn conflicts(object: &ObjectChange) -> Vec<String> {
    let told = |rival: &Rival| {
        let (field, manager) = (visible(&rival.field), visible(&rival.manager));
        format!("conflict: {field} is written by {manager}, and taken back")
    };
    object.rivals.iter().map(told).collect()
}

/// `Kind namespace/name`.
pub(super) fn name(object: &ObjectChange) -> String {
    let id = &object.id;
    let full = match id.namespace.as_str() {
        "" => format!("{} {}", id.kind, id.name),
        namespace => format!("{} {namespace}/{}", id.kind, id.name),
    };
    visible(&full)
}

/// What is said behind the name of an object.
pub(crate) fn remarks(object: &ObjectChange) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(old) = &object.old_name {
        remarks.push(match *old == object.id.name {
            true => "under a new name".to_owned(),
            false => visible(&format!("was {old}")),
        });
    }
    if let Some(leaf) = &object.moved_from {
        remarks.push(visible(&format!("moves here from {leaf}")));
    }
    match &object.action {
        Action::Replace { fields, is_allowed } => remarks.push(match is_allowed {
            true => format!("replaced: {} cannot change", visible(&fields.join(", "))),
            false => format!(
                "{} cannot change: the API server will refuse it, unless spec.force or the annotation \
                 kustomize.toolkit.fluxcd.io/force allows to replace it",
                visible(&fields.join(", "))
            ),
        }),
        Action::Prune { is_guarded: true } => {
            remarks.push("guarded: waits for a confirmation".to_owned());
        }
        Action::Leave(why) => remarks.push(format!("stays in the cluster: {why}")),
        Action::Refuse(why) => remarks.push(visible(why)),
        Action::Skip(why) => remarks.push(format!("left alone: {why}")),
        _ => {}
    }
    if object.is_approximate {
        remarks.push("approximate".to_owned());
    }
    if object.is_earlier {
        remarks.push("differs without this change too".to_owned());
    }
    remarks
}

fn leaf_line(text: &mut String, line: &Line) {
    let Some(told) = tell(
        &line.path,
        line.before.as_ref(),
        line.after.as_ref(),
        &line.unknown,
    ) else {
        return;
    };
    let _ = writeln!(text, "        {} {}", told.sign, told.text);
    for line in told.below {
        let _ = writeln!(text, "            {line}");
    }
}

/// The objects that go, each with its Kustomization.
pub(super) fn lost(
    environment: &EnvironmentChange,
) -> impl Iterator<Item = (&LeafChange, &ObjectChange)> {
    let leaves = environment.leaves.iter();
    let all = leaves.flat_map(|leaf| leaf.objects.iter().map(move |object| (leaf, object)));
    all.filter(|(_, object)| is_loss(object))
}

/// What is said behind the name of an object that goes.
pub(super) fn loss_remarks(leaf: &LeafChange, object: &ObjectChange) -> Vec<String> {
    let mut all = vec![format!("of {}", visible(&leaf.name.to_string()))];
    all.extend(remarks(object));
    all
}

/// The objects that go, with their count.
fn prunes(text: &mut String, environment: &EnvironmentChange) {
    let lost: Vec<(&LeafChange, &ObjectChange)> = lost(environment).collect();
    if lost.is_empty() {
        return;
    }
    let _ = writeln!(text, "  no longer wanted ({}):", lost.len());
    for (leaf, object) in lost {
        let style = Style::new().fg_color(Some(color(&object.action).into()));
        let sign = Count::of(&object.action).sign();
        let remarks = loss_remarks(leaf, object).join("; ");
        let _ = writeln!(
            text,
            "    {style}{sign} {}{style:#}  ({remarks})",
            name(object)
        );
    }
}

fn warnings(text: &mut String, environment: &EnvironmentChange) {
    let yellow = Style::new().fg_color(Some(AnsiColor::Yellow.into()));
    for warning in &environment.warnings {
        let _ = writeln!(text, "  {yellow}warning{yellow:#}: {}", visible(warning));
    }
}

/// `3 add, 7 change, 412 unchanged`; what is zero is left out.
pub(super) fn counted(counts: &Counts) -> String {
    let mut parts: Vec<String> = COUNTS
        .iter()
        .map(|(count, word, _)| (counts.get(*count), *word))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    if counts.unchanged > 0 {
        parts.push(format!("{} unchanged", counts.unchanged));
    }
    match parts.is_empty() {
        true => "nothing".to_owned(),
        false => parts.join(", "),
    }
}

/// `Plan: 3 add, 7 change, 412 unchanged · 4 of 6 environments`.
pub(super) fn footer(comparison: &Comparison) -> String {
    let (changed, others) = (comparison.environments.len(), comparison.unchanged.len());
    let all = changed + others;
    let environments = if all == 1 {
        "environment"
    } else {
        "environments"
    };
    let counts = Counts::of(comparison);
    match changed {
        0 => format!("Plan: nothing changes · {all} {environments}\n"),
        _ => format!(
            "Plan: {} · {changed} of {all} {environments}\n",
            counted(&counts)
        ),
    }
}
