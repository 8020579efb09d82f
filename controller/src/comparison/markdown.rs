//! A comparison as a comment on a pull request: a table, and what each environment gets, folded.
//!
//! What manifests hold was written by others: it stands in code, between fences longer than any in it, or escaped.

use std::fmt::Write as _;

use super::count::COUNTS;
use super::fold::{Group, groups};
use super::json::Sides;
use super::text::{self, Detail};
use super::{Action, Comparison, Count, Counts, EnvironmentChange};

/// What a comment may hold on GitHub; others take more.
const LIMIT: usize = 65_000;

/// What stands above the plan.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// Which of several comments on one pull request it is; only letters, digits, dashes and dots of it count.
    pub name: String,
    /// What readers must know before they read it.
    pub note: String,
}

impl Heading {
    /// The first line: by it the comment is found again, to be changed and not repeated.
    pub fn marker(&self) -> String {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let name: String = self.name.chars().filter(plain).collect();
        match name.is_empty() {
            true => "<!-- weir plan -->".to_owned(),
            // Two dashes would end the comment.
            false => format!("<!-- weir plan: {} -->", name.replace("--", "-")),
        }
    }
}

/// Kinds whose change reviewers must not miss.
const WEIGHTY: [&str; 7] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "NetworkPolicy",
    "Role",
    "RoleBinding",
];

/// The comment: as much detail as fits.
pub fn render(comparison: &Comparison, sides: &Sides, heading: &Heading) -> String {
    within(LIMIT, comparison, sides, heading)
}

fn within(limit: usize, comparison: &Comparison, sides: &Sides, heading: &Heading) -> String {
    let table = table(comparison, sides, heading);
    let groups = groups(&comparison.environments);
    for detail in [Detail::Leaves, Detail::Objects] {
        let body: String = groups.iter().map(|group| section(group, detail)).collect();
        let note = match detail {
            Detail::Leaves => "",
            _ => "\nToo much for a comment: fields are left out. `weir plan` prints them.\n",
        };
        let comment = format!("{table}{body}{note}");
        if comment.len() <= limit {
            return comment;
        }
    }
    let note = "\nToo much for a comment: `weir plan` prints it, `weir plan -o html` makes a page of it.\n";
    cut(&format!("{table}{note}"), limit)
}

/// At most so many bytes, whole lines of them.
fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    const MORE: &str = "\n…\n";
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        if kept.len() + line.len() + MORE.len() > limit {
            break;
        }
        kept.push_str(line);
    }
    kept + MORE
}

fn table(comparison: &Comparison, sides: &Sides, heading: &Heading) -> String {
    let mut text = heading.marker();
    let (from, to) = (code(&sides.from), code(&sides.to));
    let _ = writeln!(text, "\n### Plan: {from} → {to}\n");
    if !heading.note.is_empty() {
        let _ = writeln!(text, "{}\n", escaped(&heading.note));
    }
    if comparison.environments.is_empty() {
        let _ = writeln!(text, "Nothing changes in any environment.");
        return text;
    }
    text.push_str("| environment | stage |");
    let columns = columns(comparison);
    for (_, word) in &columns {
        let _ = write!(text, " {word} |");
    }
    text.push_str(" |\n|---|---|");
    text.push_str(&"--:|".repeat(columns.len()));
    text.push_str("---|\n");
    for environment in &comparison.environments {
        let counts = Counts::of_environment(environment);
        let _ = write!(
            text,
            "| {} | {} |",
            code(&environment.name),
            cell(&environment.stages.join(", "))
        );
        for (count, _) in &columns {
            match counts.get(*count) {
                0 => text.push_str(" |"),
                number => {
                    let _ = write!(text, " {number} |");
                }
            }
        }
        let _ = writeln!(text, " {} |", weighty(environment));
    }
    let _ = writeln!(text, "\n{}", escaped(text::footer(comparison).trim_end()));
    text
}

/// The counts that the table has columns for: what only a cluster knows of has one where there is any.
fn columns(comparison: &Comparison) -> Vec<(Count, &'static str)> {
    let all = Counts::of(comparison);
    let is_told =
        |count: &Count| !matches!(count, Count::Refuse | Count::Skip) || all.get(*count) > 0;
    let columns = COUNTS.iter().map(|(count, word, _)| (*count, *word));
    columns.filter(|(count, _)| is_told(count)).collect()
}

/// What deserves a second look.
fn weighty(environment: &EnvironmentChange) -> String {
    let objects = environment.leaves.iter().flat_map(|leaf| &leaf.objects);
    let mut kinds: Vec<&str> = Vec::new();
    for object in objects {
        let word = match &object.action {
            Action::Prune { .. } => "prune",
            Action::Replace { .. } => "replace",
            _ => WEIGHTY
                .iter()
                .find(|kind| **kind == object.id.kind)
                .copied()
                .unwrap_or_default(),
        };
        if !word.is_empty() && !kinds.contains(&word) {
            kinds.push(word);
        }
    }
    if environment.leaves.iter().any(|leaf| leaf.problem.is_some()) {
        kinds.push("does not compare");
    }
    match kinds.is_empty() {
        true => String::new(),
        false => format!("⚠ {}", kinds.join(", ")),
    }
}

fn section(group: &Group<'_>, detail: Detail) -> String {
    let names: Vec<String> = group.names().into_iter().map(code).collect();
    let counts = Counts::of_environment(group.first());
    let same = match names.len() {
        1 => "",
        _ => " (the same in each)",
    };
    let body = strip(&match detail {
        Detail::Leaves => text::body(group.first()),
        _ => text::objects(group.first()),
    });
    let body = marked(&body);
    let fence = fence(&body);
    format!(
        "\n<details><summary>{}{same}: {}</summary>\n\n{fence}diff\n{body}{fence}\n\n</details>\n",
        names.join(", "),
        text::counted(&counts),
    )
}

/// Without colours.
fn strip(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Signs at the beginning of lines, where a `diff` block colours them.
fn marked(text: &str) -> String {
    let line = |line: &str| format!("{} {line}\n", sign(line));
    text.lines().map(line).collect()
}

/// How far objects, their fields, and the lines of small diffs stand from the edge.
const SIGNS_AT: [usize; 3] = [4, 8, 12];

/// What becomes of that of which a line tells. Where the sign stands decides, as texts of manifests hold such signs too.
fn sign(line: &str) -> char {
    let at = line.len() - line.trim_start_matches(' ').len();
    if !SIGNS_AT.contains(&at) {
        return ' ';
    }
    let is_of_diff = at == SIGNS_AT[2];
    match line.trim_start().split(' ').next() {
        Some(word) if is_of_diff && word.starts_with('+') => '+',
        Some(word) if is_of_diff && word.starts_with('-') => '-',
        _ if is_of_diff => ' ',
        Some("+") => '+',
        Some("-" | "-/+" | "!") => '-',
        Some("~" | "?") => '!',
        _ => ' ',
    }
}

/// Longer than any run of backticks in the text.
fn fence(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(3.max(longest + 1))
}

/// A name in code, where nothing in it means anything.
fn code(text: &str) -> String {
    format!("<code>{}</code>", escaped(text))
}

fn cell(text: &str) -> String {
    escaped(text)
}

/// Neither markup nor a mention nor a new cell.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A zero-width space behind it keeps a name from being mentioned.
            '@' => out.push_str("@\u{200b}"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' | '!' | '~' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_sign_that_stands_in_its_place() {
        for (line, expected) in [
            ("  flux-system/apps", ' '),
            ("    + ConfigMap a", '+'),
            ("    -/+ Job a", '-'),
            ("        ~ data.x:", '!'),
            ("        ? data.x: may change: - a", '!'),
            ("            +new", '+'),
            ("            -- old", '-'),
            ("             - kept", ' '),
            ("             ~ kept", ' '),
            ("             + kept", ' '),
            ("            …", ' '),
            ("      - a line of a problem", ' '),
        ] {
            assert_eq!(sign(line), expected, "{line}");
        }
    }
}
