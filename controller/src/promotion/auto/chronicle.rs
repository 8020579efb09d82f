//! What environments have published of a stage, as lines of its history.

use jiff::Timestamp;
use overlay::path::is_within;

use super::published::Published;
use crate::promotion::scope::Stage;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What it was.
    pub what: What,
    /// The environment that says so.
    pub environment: String,
    /// In words.
    pub text: String,
}

/// What something was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A controller decided something.
    Decision,
    /// From then on all was well.
    Healthy,
    /// Something failed.
    Failure,
}

/// The lines of a stage, the newest first. Where an environment is named only its own health and turns count.
pub fn lines(published: &[Published], stage: &Stage, only: Option<&str>) -> Vec<Line> {
    let mut lines = Vec::new();
    for said in published {
        let is_meant = only.is_none_or(|only| said.environment == only);
        let line = |at, what, text: String| Line {
            at,
            what,
            environment: said.environment.clone(),
            text,
        };
        for told in &said.decisions {
            let is_turn = told.about == stage.name && is_meant;
            if is_turn || leads_to(&told.about, stage) {
                let text = format!("{}: {}", told.about, told.sentence);
                lines.push(line(told.at, What::Decision, text));
            }
        }
        let own = said.folders.iter().filter(|_| is_meant);
        for (folder, running) in own.filter(|(folder, _)| is_within(folder, &stage.folder)) {
            let tree = running.tree.as_deref().unwrap_or_default();
            let short = tree.get(..12).unwrap_or(tree);
            if let Some(since) = running.healthy_since {
                let text = format!("{folder} at {short} runs well");
                lines.push(line(since, What::Healthy, text));
            }
            if let Some(failure) = &running.failure {
                let text = format!("{folder} at {short}: {}", failure.message);
                lines.push(line(failure.at, What::Failure, text));
            }
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.at));
    lines
}

/// Whether a decision about an edge is one about an edge to the stage.
fn leads_to(about: &str, stage: &Stage) -> bool {
    let to = about
        .split_once(" → ")
        .and_then(|(_, rest)| rest.rsplit_once(": "));
    to.is_some_and(|(to, _)| to == stage.name || to == stage.folder)
}

impl What {
    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Healthy => "healthy",
            Self::Failure => "failure",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::auto::published::{Failure, Running};

    fn at(minute: u32) -> Timestamp {
        format!("2026-11-23T12:{minute:02}:00Z")
            .parse()
            .expect("a time")
    }

    #[test]
    fn what_is_said_of_a_stage_is_told_by_time() {
        let mut staging = Published::new("staging");
        staging.tell(at(1), "staging → prod: shop", "promoted in 1");
        staging.tell(at(1), "staging → canary: shop", "promoted in 2");
        let mut europe = Published::new("prod-eu");
        europe.tell(at(2), "prod", "takes 3");
        let running = Running {
            tree: Some("3333333333333333".to_owned()),
            healthy_since: Some(at(4)),
            drifted: None,
            failure: Some(Failure {
                at: at(3),
                message: "apps: not ready".to_owned(),
            }),
        };
        europe
            .folders
            .insert("stages/prod/shop".to_owned(), running.clone());
        europe
            .folders
            .insert("stages/production".to_owned(), running);
        let stage = Stage {
            name: "prod".to_owned(),
            folder: "stages/prod".to_owned(),
            is_per_app: false,
        };
        let told = |only| -> Vec<String> {
            let lines = lines(&[staging.clone(), europe.clone()], &stage, only);
            lines
                .iter()
                .map(|line| format!("{} {}: {}", line.what.word(), line.environment, line.text))
                .collect()
        };
        assert_eq!(
            told(None),
            [
                "healthy prod-eu: stages/prod/shop at 333333333333 runs well",
                "failure prod-eu: stages/prod/shop at 333333333333: apps: not ready",
                "decision prod-eu: prod: takes 3",
                "decision staging: staging → prod: shop: promoted in 1",
            ]
        );
        assert_eq!(
            told(Some("prod-us")),
            ["decision staging: staging → prod: shop: promoted in 1"]
        );
    }
}
