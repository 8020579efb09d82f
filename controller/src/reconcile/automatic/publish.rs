//! Publishing: one signed commit with one file, upon a ref that is this environment's own.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::Settings;
use super::way::Way;
use crate::promotion::auto::Published;
use crate::promotion::auto::published::{FILE, KEPT, REFS};
use crate::promotion::route::Publishing;
use crate::source::Repositories;
use crate::source::mirror::{Committer, Mirror};
use crate::source::push::{PushError, Pushed, Update, push};

/// What was published last, and where.
#[derive(Clone, Debug, Default)]
pub(super) struct Last {
    /// It.
    pub(super) said: Option<Published>,
    /// What is to be said next, whenever that is due.
    pub(super) next: Option<Published>,
    /// The server takes branches only.
    pub(super) needs_branch: bool,
}

/// Whether it is time to say this.
pub(super) fn is_due(
    last: Option<&Published>,
    next: &Published,
    pace: &Publishing,
    now: Timestamp,
) -> bool {
    let Some(last) = last else {
        return true;
    };
    // What is released counts from when it is known to be.
    if last.released != next.released {
        return true;
    }
    let least = match next.says_the_same(last) {
        true => pace.interval,
        false => pace.at_most_every,
    };
    let least = SignedDuration::try_from(least).unwrap_or(SignedDuration::MAX);
    now.duration_since(last.at) >= least
}

/// Who commits for an environment.
pub(super) fn committer<'a>(
    way: &'a Way,
    name: &'a str,
    mail: &'a str,
    at: Timestamp,
) -> Committer<'a> {
    Committer {
        name,
        mail,
        key: &way.key,
        at,
    }
}

/// Name and mail address of an environment's controller.
pub(super) fn names(settings: &Settings) -> (String, String) {
    let environment = &settings.environment;
    (
        format!("Weir of {environment}"),
        format!("weir@{environment}"),
    )
}

/// Publishes. False when somebody else wrote the ref meanwhile.
pub(super) fn publish(
    repositories: &Repositories,
    (mirror, way): (&Mirror, &Way),
    settings: &Settings,
    last: &mut Last,
    next: &Published,
) -> Result<bool, PushError> {
    let (name, mail) = names(settings);
    let by = committer(way, &name, &mail, next.at);
    let text = next.text();
    let message = format!("State of {}\n", settings.environment);
    let commit = mirror.commit(
        None,
        &[(FILE, Some(text.as_bytes()))],
        &BTreeSet::new(),
        &message,
        &by,
    )?;
    loop {
        let at = usize::from(last.needs_branch);
        let name = format!("{}/{}", REFS[at], settings.environment);
        let update = Update {
            name: &name,
            old: mirror.id(&format!("{}/{}", KEPT[at], settings.environment))?,
            new: commit.id,
        };
        match push(repositories, &way.write, &update, &commit.objects)? {
            Pushed::Done => {
                last.said = Some(next.clone());
                return Ok(true);
            }
            Pushed::Outrun => return Ok(false),
            Pushed::Refused(_) if !last.needs_branch => last.needs_branch = true,
            Pushed::Refused(why) => {
                return Err(PushError::Failed {
                    url: way.write.url.to_string(),
                    problem: format!("the server refuses {name}: {why}"),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_changes_and_else_now_and_then() {
        let at =
            |text: &str| -> Timestamp { format!("2026-11-23T12:{text}Z").parse().expect("a time") };
        let said = |decision: &str| {
            let mut said = Published::new("prod-eu");
            said.at = at("00:00");
            said.tell(at("00:00"), "staging → prod: shop", decision);
            said
        };
        let pace = Publishing::default();
        let mut released = said("old");
        released
            .released
            .insert("stages/prod".to_owned(), "1".to_owned());
        for (next, now, want) in [
            (said("old"), "04:59", false),
            (said("old"), "05:00", true),
            (said("new"), "00:59", false),
            (said("new"), "01:00", true),
            (released, "00:01", true),
        ] {
            assert_eq!(
                is_due(Some(&said("old")), &next, &pace, at(now)),
                want,
                "{now}"
            );
        }
        assert!(is_due(None, &said("old"), &pace, at("00:00")));
    }
}
