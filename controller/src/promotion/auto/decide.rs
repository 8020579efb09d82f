//! What happens now for an edge and an app, and what it waits for: a function of what is known and of the clock.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::hear::{Heard, unproven};
use super::pending::{Change, Pending};
use crate::promotion::policy::Policy;

/// What happens now for an edge and an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// From this stage.
    pub from: String,
    /// To that one.
    pub to: String,
    /// The app.
    pub app: String,
    /// The environment whose controller does it.
    pub driver: String,
    /// What happens.
    pub verdict: Verdict,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the target has it all.
    There,
    /// It is promoted now; these files change.
    Promotes(Vec<String>),
    /// It is promoted once nothing of this holds any more.
    Waits(Vec<String>),
    /// It is not promoted before a person has decided.
    Stopped(Vec<String>),
}

/// Decides about everything that is pending.
pub fn decide(
    pending: &[Pending],
    policy: &Policy,
    heard: &BTreeMap<String, Heard>,
    now: Timestamp,
) -> Vec<Decision> {
    let decision = |pending: &Pending| Decision {
        from: pending.edge.from.clone(),
        to: pending.edge.to.clone(),
        app: pending.app.clone(),
        driver: pending.edge.driver.clone(),
        verdict: verdict(pending, policy, heard, now),
    };
    pending.iter().map(decision).collect()
}

fn verdict(
    pending: &Pending,
    policy: &Policy,
    heard: &BTreeMap<String, Heard>,
    now: Timestamp,
) -> Verdict {
    let files = match &pending.change {
        Change::None => return Verdict::There,
        Change::Stopped(why) => return Verdict::Stopped(why.clone()),
        Change::Files(files) => files,
    };
    let mut waits = unwell(pending, heard, now);
    waits.extend(drifted(pending, heard));
    let edge = &pending.edge;
    if !edge.windows.is_empty() && !edge.windows.iter().any(|window| window.is_open(now)) {
        waits.push("it is outside the windows of the edge".to_owned());
    }
    if let Some(freeze) = policy.freeze(&pending.stage, now) {
        let (stage, to, name) = (&pending.stage, freeze.to, &freeze.name);
        waits.push(format!("{stage} is frozen until {to}: {name}"));
    }
    match waits.is_empty() {
        true => Verdict::Promotes(files.clone()),
        false => Verdict::Waits(waits),
    }
}

/// The environments of the target in which somebody has changed what is to be promoted.
fn drifted(pending: &Pending, heard: &BTreeMap<String, Heard>) -> Vec<String> {
    let of = |name: &String| {
        let running = heard.get(name)?.running(pending.target.as_deref()?)?;
        Some(format!("{name} has drifted: {}", running.drifted.as_ref()?))
    };
    pending.targets.iter().filter_map(of).collect()
}

/// The environments that do not yet speak for the source.
fn unwell(pending: &Pending, heard: &BTreeMap<String, Heard>, now: Timestamp) -> Vec<String> {
    if pending.environments.is_empty() {
        return vec![format!("no environment runs {}", pending.source.0)];
    }
    let (folder, tree) = &pending.source;
    let unproven = |name: &String| {
        let why = unproven(heard.get(name), (folder, tree), pending.soak, now)?;
        Some(format!("{name} {why}"))
    };
    pending.environments.iter().filter_map(unproven).collect()
}

impl Decision {
    /// What it is about.
    pub fn about(&self) -> String {
        format!("{} → {}: {}", self.from, self.to, self.app)
    }
}

impl Verdict {
    /// It, for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::There => "already there".to_owned(),
            Self::Promotes(files) => format!("promotes now: {}", files.join(", ")),
            Self::Waits(why) => format!("waits: {}", why.join("; ")),
            Self::Stopped(why) => format!("stopped: {}", why.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::promotion::auto::published::{Failure, Published, Running};

    const TREE: &str = "1111111111111111111111111111111111111111";
    const OTHER: &str = "2222222222222222222222222222222222222222";

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().expect("a time")
    }

    fn pending(change: Change) -> Pending {
        let edge = r#"{"from": "staging", "to": "prod", "driver": "staging",
            "windows": [{"from": "09:00", "to": "16:00"}]}"#;
        Pending {
            edge: serde_json::from_str(edge).expect("an edge"),
            app: "shop".to_owned(),
            stage: "prod".to_owned(),
            source: ("stages/staging/shop".to_owned(), TREE.to_owned()),
            target: Some("stages/prod/shop".to_owned()),
            environments: ["staging".to_owned()].into(),
            targets: ["prod-eu".to_owned()].into(),
            soak: Duration::from_secs(3600),
            change,
        }
    }

    /// What an environment says at 11:59.
    fn says(tree: Option<&str>, healthy: Option<&str>, failure: Option<&str>) -> Heard {
        let mut said = Published::new("staging");
        said.at = at("11:59:00");
        said.interval_seconds = 300;
        let running = Running {
            tree: tree.map(str::to_owned),
            healthy_since: healthy.map(at),
            drifted: None,
            failure: failure.map(|message| Failure {
                at: at("11:00:00"),
                message: message.to_owned(),
            }),
        };
        said.folders
            .insert("stages/staging/shop".to_owned(), running);
        crate::promotion::auto::hear::believe(said, at("12:00:00"))
    }

    fn decided(change: Change, heard: Option<Heard>, now: &str, policy: &Policy) -> String {
        let heard = heard.map(|heard| ("staging".to_owned(), heard));
        let decisions = decide(
            &[pending(change)],
            policy,
            &heard.into_iter().collect(),
            at(now),
        );
        decisions[0].verdict.sentence()
    }

    #[test]
    fn what_is_known_decides() {
        let files = || Change::Files(vec!["stages/prod/shop/helm.yaml".to_owned()]);
        let well = || Some(says(Some(TREE), Some("10:00:00"), None));
        let noon = "12:00:00";
        let policy = Policy::default();
        for (change, heard, now, want) in [
            (
                files(),
                well(),
                noon,
                "promotes now: stages/prod/shop/helm.yaml",
            ),
            (Change::None, well(), noon, "already there"),
            (
                Change::Stopped(vec![
                    "refused (conflict): 1 place changed on both sides".to_owned(),
                ]),
                well(),
                noon,
                "stopped: refused (conflict): 1 place changed on both sides",
            ),
            (
                files(),
                well(),
                "17:00:00",
                "waits: it is outside the windows of the edge",
            ),
            (
                files(),
                Some(says(Some(TREE), Some("11:30:00"), None)),
                noon,
                "waits: staging soaks until 2026-11-23T12:30:00Z",
            ),
            (
                files(),
                Some(says(Some(OTHER), Some("10:00:00"), None)),
                noon,
                "waits: staging runs another version of stages/staging/shop: 222222222222",
            ),
            (
                files(),
                Some(says(Some(TREE), None, Some("Deployment/shop is not ready"))),
                noon,
                "waits: staging is not healthy: Deployment/shop is not ready",
            ),
            (
                files(),
                Some(says(Some(TREE), None, None)),
                noon,
                "waits: staging is not healthy yet",
            ),
            (
                files(),
                Some(says(None, None, None)),
                noon,
                "waits: staging is about to apply stages/staging/shop",
            ),
            (
                files(),
                Some(Heard::Nothing("publishes no state".to_owned())),
                noon,
                "waits: staging publishes no state",
            ),
            (
                files(),
                None,
                "08:00:00",
                "waits: staging is not among `environments` in weir.yaml; it is outside the windows of the edge",
            ),
        ] {
            assert_eq!(decided(change, heard, now, &policy), want);
        }
        let text = r#"{"freezes": [{"name": "holidays", "from": "2026-11-20T00:00:00Z", "to": "2026-12-01T00:00:00Z"}]}"#;
        let frozen: Policy = serde_json::from_str(text).expect("a policy");
        assert_eq!(
            decided(files(), well(), noon, &frozen),
            "waits: prod is frozen until 2026-12-01T00:00:00Z: holidays"
        );
    }

    #[test]
    fn a_target_that_has_drifted_is_waited_for() {
        let mut europe = Published::new("prod-eu");
        let running = Running {
            tree: None,
            healthy_since: None,
            drifted: Some("default/apps: Deployment/shop spec.replicas".to_owned()),
            failure: None,
        };
        europe
            .folders
            .insert("stages/prod/shop".to_owned(), running);
        let heard = [
            (
                "staging".to_owned(),
                says(Some(TREE), Some("10:00:00"), None),
            ),
            ("prod-eu".to_owned(), Heard::Said(europe)),
        ];
        let pending = [pending(Change::Files(vec!["a".to_owned()]))];
        let decisions = decide(&pending, &Policy::default(), &heard.into(), at("12:00:00"));
        assert_eq!(
            decisions[0].verdict.sentence(),
            "waits: prod-eu has drifted: default/apps: Deployment/shop spec.replicas"
        );
    }

    #[test]
    fn who_is_not_heard_of_is_ill() {
        let said = |at: Timestamp| Published {
            at,
            interval_seconds: 60,
            ..Published::new("prod-eu")
        };
        let now = at("12:00:00");
        for (then, want) in [
            ("11:57:00", None),
            (
                "11:56:59",
                Some("has not been heard of since 2026-11-23T11:56:59Z"),
            ),
            ("12:04:00", None),
            (
                "12:06:00",
                Some("publishes a state from the future: its clock is ahead"),
            ),
        ] {
            let heard = crate::promotion::auto::hear::believe(said(at(then)), now);
            let problem = match heard {
                Heard::Said(_) => None,
                Heard::Nothing(problem) => Some(problem),
            };
            assert_eq!(problem.as_deref(), want, "{then}");
        }
    }
}
