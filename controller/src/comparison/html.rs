//! A comparison as one page that needs nothing else: foldable, searchable, without a request to anyone.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use super::fold::{Group, groups};
use super::show::{tell, visible};
use super::text::{self, is_loss, lost};
use super::{Action, Comparison, Count, Counts, EnvironmentChange, LeafChange, Line, ObjectChange};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page.
pub fn render(comparison: &Comparison, from: &str, to: &str) -> String {
    let mut body = String::new();
    for group in groups(&comparison.environments) {
        environment(&mut body, &group);
    }
    let title = format!("{} → {}", escaped(from), escaped(to));
    // Only this very script runs, whatever a manifest holds.
    let script = BASE64.encode(Sha256::digest(SCRIPT));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{script}'\">\n<title>Plan: {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>Plan: <code>{title}</code></h1>\n<p>{}</p>\n</header>\n\
         <div class=\"tools\"><input id=\"search\" type=\"search\" placeholder=\"Search objects, fields and values\" \
         aria-label=\"Search\"><span id=\"found\" role=\"status\"></span><button id=\"open\">Unfold</button>\
         <button id=\"close\">Fold</button></div>\n<main>\n{body}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        escaped(
            text::footer(comparison)
                .trim_end()
                .trim_start_matches("Plan: ")
        ),
    )
}

fn environment(page: &mut String, group: &Group<'_>) {
    let first = group.first();
    let counts = text::counted(&Counts::of_environment(first));
    let names = escaped(&group.names().join(", "));
    let _ = writeln!(
        page,
        "<details class=\"environment\" data-name=\"{names}\" open><summary>{names}<span class=\"remark\">{} · {}</span></summary>\
         <div class=\"inside\">",
        escaped(&text::remark(group)),
        escaped(&counts),
    );
    for warning in &first.warnings {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(warning));
    }
    first
        .leaves
        .iter()
        .for_each(|leaf| kustomization(page, leaf));
    losses(page, first);
    page.push_str("</div></details>\n");
}

fn kustomization(page: &mut String, leaf: &LeafChange) {
    let mut staying = leaf.objects.iter().filter(|it| !is_loss(it)).peekable();
    if staying.peek().is_none() && leaf.problem.is_none() {
        return;
    }
    let name = escaped(&leaf.name.to_string());
    let _ = writeln!(
        page,
        "<section class=\"kustomization\" data-name=\"{name}\"><h3>{name}</h3>"
    );
    if let Some(problem) = &leaf.problem {
        let _ = writeln!(
            page,
            "<p class=\"problem\">{}</p>",
            escaped_lines(&text::told(problem))
        );
    }
    staying.for_each(|change| object(page, change, text::remarks(change)));
    page.push_str("</section>\n");
}

/// The objects that go, last and with their count.
fn losses(page: &mut String, environment: &EnvironmentChange) {
    let lost: Vec<(&LeafChange, &ObjectChange)> = lost(environment).collect();
    if lost.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "<section class=\"kustomization\" data-name=\"\"><h3 class=\"lose\">no longer wanted ({})</h3>",
        lost.len()
    );
    for (leaf, change) in lost {
        object(page, change, text::loss_remarks(leaf, change));
    }
    page.push_str("</section>\n");
}

fn class(action: &Action) -> &'static str {
    match action {
        Action::Create => "add",
        Action::Change => "change",
        Action::MayChange => "may",
        Action::Replace { .. } | Action::Prune { .. } | Action::Refuse(_) => "lose",
        Action::Leave(_) | Action::Skip(_) => "remark",
    }
}

fn object(page: &mut String, change: &ObjectChange, remarks: Vec<String>) {
    let remarks = match remarks.is_empty() {
        true => String::new(),
        false => format!(
            " <span class=\"remark\">({})</span>",
            escaped(&remarks.join("; "))
        ),
    };
    let file = match (&*change.place.file, change.place.line) {
        ("", _) => String::new(),
        (file, line) => format!(
            " <span class=\"remark mono\">{}:{line}</span>",
            escaped(file)
        ),
    };
    let head = format!(
        "<span class=\"sign mono {}\">{}</span>{}{remarks}{file}",
        class(&change.action),
        Count::of(&change.action).sign(),
        escaped(&text::name(change)),
    );
    // Without anything in it there is nothing to fold.
    if change.lines.is_empty() && change.rivals.is_empty() {
        let _ = writeln!(page, "<div class=\"object\">{head}</div>");
        return;
    }
    let _ = writeln!(
        page,
        "<details class=\"object\" open><summary>{head}</summary><ul class=\"mono\">"
    );
    change.lines.iter().for_each(|line| leaf(page, line));
    for conflict in text::conflicts(change) {
        let _ = writeln!(
            page,
            "<li><span class=\"sign lose\">!</span>{}</li>",
            escaped(&conflict)
        );
    }
    page.push_str("</ul></details>\n");
}

fn leaf(page: &mut String, line: &Line) {
    let Some(told) = tell(
        &line.path,
        line.before.as_ref(),
        line.after.as_ref(),
        &line.unknown,
    ) else {
        return;
    };
    let class = match told.sign {
        '+' => "add",
        '-' => "lose",
        '?' => "may",
        _ => "change",
    };
    let _ = write!(
        page,
        "<li><span class=\"sign {class}\">{}</span>{}",
        told.sign,
        escaped(&told.text)
    );
    if !told.below.is_empty() {
        page.push_str("<pre>");
        for line in &told.below {
            let class = match line.chars().next() {
                Some('+') => "add",
                Some('-') => "lose",
                _ => "",
            };
            let _ = writeln!(page, "<span class=\"{class}\">{}</span>", escaped(line));
        }
        page.push_str("</pre>");
    }
    page.push_str("</li>\n");
}

fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// Text that stays text wherever it stands.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
