//! Whether what is new in a stage is released to an environment: when all of the wave before run it well.

use std::collections::BTreeMap;

use jiff::Timestamp;
use overlay::Tree;

use super::hear::{Heard, unproven};
use crate::promotion::policy::Policy;
use crate::source::SourceError;
use crate::source::history::{Before, History, Point};

/// What a commit says that is for all waves at once: `Weir-Waves: skip <reason>`.
const TRAILER: &str = "Weir-Waves: skip ";

/// Commits that are looked at.
const COMMITS: usize = 1000;

/// A stage's folder as it is now, and what an environment was given of it.
#[derive(Clone, Debug)]
pub struct Offer<'a> {
    /// The stage, as `weir.yaml` calls it.
    pub stage: &'a str,
    /// Its folder.
    pub folder: &'a str,
    /// The folder's tree at the newest commit.
    pub newest: &'a str,
    /// The tree that was released to the environment last; none when it has run nothing yet.
    pub released: Option<&'a str>,
    /// Why the newest is for all at once, where its commits say so.
    pub skips: Option<String>,
}

/// What becomes of an offer, with a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Release {
    /// The environment takes the newest.
    Takes(String),
    /// It stays at what it was given.
    Stays(String),
}

/// Decides about an environment. None where no wave names it: what is new is its own at once.
pub fn release(
    policy: &Policy,
    environment: &str,
    offer: &Offer<'_>,
    heard: &BTreeMap<String, Heard>,
    now: Timestamp,
) -> Option<Release> {
    let waves = &policy.stages.get(offer.stage)?.waves;
    let routes = policy.routes();
    let is_in = |names: &[String]| routes.members(names).contains(environment);
    let own = waves.iter().position(|wave| is_in(&wave.environments))?;
    let short = offer.newest.get(..12).unwrap_or(offer.newest);
    let takes = |why: String| Some(Release::Takes(format!("takes {short}: {why}")));
    if offer.released == Some(offer.newest) {
        return Some(Release::Takes(format!("has the newest, {short}")));
    }
    if own == 0 {
        return takes("it is in the first wave".to_owned());
    }
    if offer.released.is_none() {
        return takes("it has run nothing before".to_owned());
    }
    if let Some(reason) = &offer.skips {
        return takes(format!("its commits are for all waves at once ({reason})"));
    }
    let before = &waves[own - 1];
    let soak = before.soak.unwrap_or_default();
    let unproven = |name: &String| {
        let why = unproven(heard.get(name), (offer.folder, offer.newest), soak, now)?;
        Some(format!("{name} {why}"))
    };
    let members = routes.members(&before.environments);
    let waits: Vec<String> = members.iter().filter_map(unproven).collect();
    match waits.is_empty() {
        true => takes("the wave before runs it well".to_owned()),
        false => Some(Release::Stays(format!(
            "stays at {}, {short} waits: {}",
            offer
                .released
                .and_then(|tree| tree.get(..12))
                .unwrap_or_default(),
            waits.join("; ")
        ))),
    }
}

/// The reason to skip the waves, if every commit to the folder since the released tree gives one.
pub fn skips(
    history: &History,
    head: &Point,
    folder: &str,
    released: &str,
) -> Result<Option<String>, SourceError> {
    let mut point = head.clone();
    let mut reason = None;
    for _ in 0..COMMITS {
        let id = |point: &Point| point.tree.id(folder).ok().flatten();
        if id(&point).is_some_and(|id| id.to_string() == released) {
            return Ok(reason);
        }
        let before = match history.before(&point)? {
            Before::Commit(before) => *before,
            Before::Beginning | Before::Cut => return Ok(None),
        };
        if id(&before) != id(&point) {
            let mut lines = point.message.lines();
            match lines.find_map(|line| line.strip_prefix(TRAILER)) {
                Some(why) if !why.trim().is_empty() => reason = Some(why.trim().to_owned()),
                _ => return Ok(None),
            }
        }
        point = before;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::auto::published::{Published, Running};

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";

    fn policy() -> Policy {
        let text = r#"{
            "groups": {"europe": ["prod-eu", "prod-uk"]},
            "stages": {"prod": {"waves": [
                {"environments": ["europe"], "soak": "30m"}, {"environments": ["prod-us"]}, {"environments": ["prod-ap"]}
            ]}}}"#;
        serde_json::from_str(text).expect("a policy")
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().expect("a time")
    }

    fn runs(name: &str, tree: &str, since: Option<&str>) -> (String, Heard) {
        let mut said = Published::new(name);
        let running = Running {
            tree: Some(tree.to_owned()),
            healthy_since: since.map(at),
            drifted: None,
            failure: None,
        };
        said.folders.insert("stages/prod".to_owned(), running);
        (name.to_owned(), Heard::Said(said))
    }

    #[test]
    fn a_wave_begins_when_the_one_before_is_well() {
        let well = [
            runs("prod-eu", NEW, Some("11:00:00")),
            runs("prod-uk", NEW, Some("11:20:00")),
        ];
        let one_old = [
            runs("prod-eu", NEW, Some("11:00:00")),
            runs("prod-uk", OLD, Some("09:00:00")),
        ];
        let ill = [
            runs("prod-eu", NEW, None),
            runs("prod-uk", NEW, Some("11:45:00")),
        ];
        let (old, none) = (Some(OLD), None);
        for (environment, released, skips, heard, want) in [
            (
                "prod-eu",
                old,
                none,
                &well,
                "takes 222222222222: it is in the first wave",
            ),
            (
                "prod-us",
                old,
                none,
                &well,
                "takes 222222222222: the wave before runs it well",
            ),
            (
                "prod-us",
                old,
                none,
                &one_old,
                "stays at 111111111111, 222222222222 waits: prod-uk runs another version of stages/prod: 111111111111",
            ),
            (
                "prod-us",
                old,
                none,
                &ill,
                "stays at 111111111111, 222222222222 waits: prod-eu is not healthy yet; prod-uk soaks until \
                 2026-11-23T12:15:00Z",
            ),
            (
                "prod-us",
                old,
                Some("a typo"),
                &ill,
                "takes 222222222222: its commits are for all waves at once (a typo)",
            ),
            (
                "prod-us",
                none,
                none,
                &ill,
                "takes 222222222222: it has run nothing before",
            ),
            (
                "prod-us",
                Some(NEW),
                none,
                &ill,
                "has the newest, 222222222222",
            ),
            (
                "prod-ap",
                old,
                none,
                &well,
                "stays at 111111111111, 222222222222 waits: prod-us is not among `environments` in weir.yaml",
            ),
        ] {
            let offer = Offer {
                stage: "prod",
                folder: "stages/prod",
                newest: NEW,
                released,
                skips: skips.map(str::to_owned),
            };
            let heard = heard.iter().cloned().collect();
            let released = release(&policy(), environment, &offer, &heard, at("12:00:00"));
            let (Release::Takes(said) | Release::Stays(said)) = released.expect("a wave");
            assert_eq!(said, want, "{environment}");
        }
        let offer = Offer {
            stage: "prod",
            folder: "stages/prod",
            newest: NEW,
            released: old,
            skips: None,
        };
        let alone = release(
            &policy(),
            "staging",
            &offer,
            &BTreeMap::new(),
            at("12:00:00"),
        );
        assert_eq!(alone, None);
    }
}
