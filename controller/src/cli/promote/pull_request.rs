//! The pull request of a branch that was pushed: opened, or brought up to date.

use std::path::Path;

use anstream::adapter::strip_str;

use super::write::Ready;
use crate::cli::Failure;
use crate::cli::ci_job::job;
use crate::cli::forge_flags::ForgeFlags;
use crate::forge::{Made, Proposal, find_or_create_pull_request};

/// The longest text that all forges take, with room to spare.
const LONGEST: usize = 60_000;

/// Opens it, and gives what is said of it.
pub(super) fn open(flags: &ForgeFlags, ready: &Ready, onto: &str) -> Result<String, Failure> {
    let forge = flags.forge(&job(), Path::new("."))?;
    let (title, rest) = ready
        .message
        .split_once('\n')
        .unwrap_or((&ready.message, ""));
    let proposal = Proposal {
        source: ready.own_branch.clone(),
        target: onto.to_owned(),
        title: title.to_owned(),
        body: body(rest, &ready.told),
    };
    let made = crate::cli::asynchronously(async {
        let made = find_or_create_pull_request(&forge, &proposal).await;
        made.map_err(|error| Failure::new(error.to_string()))
    });
    let (request, made) = made?;
    let word = match made {
        Made::Created => "opened",
        Made::Updated => "brought up to date",
        Made::Unchanged => "says so already",
    };
    Ok(format!("Pull request {word}: {}", request.page))
}

/// The message, and what environments get, as it is shown here.
fn body(message: &str, told: &str) -> String {
    let told = strip_str(told).to_string();
    let end = (0..=LONGEST.min(told.len()))
        .rev()
        .find(|end| told.is_char_boundary(*end));
    let shown = &told[..end.unwrap_or_default()];
    let fence = fence(shown);
    let rest = match shown.len() == told.len() {
        true => "",
        false => "\nThis is not all: it is too long for a pull request.\n",
    };
    format!(
        "{}\n\n{fence}text\n{}\n{fence}\n{rest}",
        message.trim(),
        shown.trim_end()
    )
}

/// A fence that nothing inside ends.
fn fence(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    fence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_stays_within_its_fence() {
        let body = body("\n- a file\n", "\u{1b}[1mshop\u{1b}[0m\n  ```\n");
        assert_eq!(body, "- a file\n\n````text\nshop\n  ```\n````\n");
        let long = super::body("x", &"ä".repeat(LONGEST));
        assert!(
            long.len() < LONGEST + 200 && long.contains("This is not all"),
            "{}",
            long.len()
        );
    }
}
