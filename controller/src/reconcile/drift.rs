//! What is done about drift: put right at once, only told, or, where another writer keeps coming back, put right at
//! the interval.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use crate::api::kustomization::Kustomization;
use crate::cluster::{Action, Digest, Known, ObjectKey, Observed, Plan, Proof, Rival, Skip, Step};
use crate::report::Report;

/// The annotation of a Kustomization that says what is done about drift: `correct` (the default) or `report`.
pub const DRIFT: &str = "weir.dev/drift";

/// So many corrections of one field against one manager, within [`WINDOW`], are a fight.
const ROUNDS: usize = 3;

/// The time in which corrections are counted; and how long the other writer must be quiet for the fight to end.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// Whether drift of this Kustomization's objects is told and left.
pub fn is_reported(object: &Kustomization) -> bool {
    let value = object.annotations().get(DRIFT);
    value.is_some_and(|value| value.eq_ignore_ascii_case("report"))
}

/// Leaves alone what differs only because somebody changed the cluster; gives back what differs.
pub fn leave(plan: &mut Plan, known: &Known) -> Vec<String> {
    let recorded = known.recorded.as_ref();
    let is_recorded = recorded.is_some_and(|recorded| recorded.digest == plan.digest());
    let mut told = Vec::new();
    for step in &mut plan.steps {
        let before = known.proofs.get(&ObjectKey::from(&step.id));
        let is_applied = before.is_some_and(|proof| proof.desired == step.digest);
        if !is_applied && !is_recorded {
            continue;
        }
        let what = match &step.action {
            Action::Create | Action::CreateUnchecked(_) => "is gone".to_owned(),
            Action::Configure | Action::Replace(_) => difference(step),
            Action::Unchanged | Action::Skip(_) => continue,
        };
        told.push(format!("{} {what}", step.id));
        step.action = Action::Skip(Skip::DriftReported);
    }
    told
}

fn difference(step: &Step) -> String {
    if !step.rivals.is_empty() {
        let rivals: Vec<String> = step.rivals.iter().map(ToString::to_string).collect();
        return format!("was changed: {}", rivals.join(", "));
    }
    let paths: Vec<&str> = step
        .changes
        .iter()
        .map(|change| change.path.as_str())
        .collect();
    format!("differs in {}", paths.join(", "))
}

/// The form in which an object was found, as far as its managed fields tell.
pub fn form(observed: Option<&Observed>, proof: Option<&Proof>) -> Form {
    let taken_over = observed.and_then(|observed| observed.taken_over);
    let is_new = taken_over.is_some() && taken_over != proof.and_then(|proof| proof.taken_over);
    let own = observed.and_then(|observed| observed.own.as_ref());
    (own.map(|own| own.fields), is_new)
}

/// What a task remembers of drift.
#[derive(Debug, Default)]
pub struct Memory {
    /// Corrections against other writers.
    pub fights: Fights,
    /// What was told and left.
    pub reported: Vec<String>,
    /// Digest of what was wanted when these were noted.
    digest: Option<String>,
}

impl Memory {
    /// Notes what a run that applied everything did about drift. What is newly wanted is nobody's drift.
    pub fn note(&mut self, plan: &Plan, report: &mut Report) {
        if self.digest == report.digest {
            let begun = self.fights.note(plan, Instant::now());
            report.warnings.extend(begun);
        } else {
            self.fights.clear();
        }
        self.digest.clone_from(&report.digest);
        self.reported.clone_from(&report.drifted);
        report.contested = self.fights.lines();
    }

    /// Puts what is remembered in a report that is made without a run.
    pub fn tell(&self, report: &mut Report) {
        report.drifted.clone_from(&self.reported);
        report.contested = self.fights.lines();
    }
}

/// The corrections of a Kustomization's objects against other writers.
#[derive(Debug, Default)]
pub struct Fights {
    rounds: BTreeMap<(ObjectKey, Rival), Vec<Instant>>,
    contested: BTreeMap<ObjectKey, Contest>,
    /// How often an object was found in a form that is not ours.
    forms: BTreeMap<ObjectKey, BTreeMap<Form, usize>>,
}

/// Which fields are still ours, and whether somebody has written whose fields become ours.
pub type Form = (Option<Digest>, bool);

/// A fight that was given up until the interval.
#[derive(Debug)]
struct Contest {
    rivals: BTreeSet<Rival>,
    seen: Instant,
}

impl Fights {
    /// Notes the corrections that a plan makes; gives back the fights that begin with them.
    pub fn note(&mut self, plan: &Plan, now: Instant) -> Vec<String> {
        let mut begun = Vec::new();
        for step in plan
            .steps
            .iter()
            .filter(|step| step.action == Action::Configure)
        {
            for rival in &step.rivals {
                if self.round(ObjectKey::from(&step.id), rival, now) {
                    begun.push(line(&ObjectKey::from(&step.id), rival));
                }
            }
        }
        begun
    }

    /// Notes one correction; true when a fight begins with it.
    fn round(&mut self, key: ObjectKey, rival: &Rival, now: Instant) -> bool {
        let rounds = self.rounds.entry((key.clone(), rival.clone())).or_default();
        rounds.retain(|round| now.duration_since(*round) < WINDOW);
        rounds.push(now);
        let is_fight = rounds.len() >= ROUNDS;
        match self.contested.get_mut(&key) {
            Some(contest) => {
                contest.seen = now;
                is_fight && contest.rivals.insert(rival.clone())
            }
            None if is_fight => {
                let rivals = [rival.clone()].into();
                self.contested.insert(key, Contest { rivals, seen: now });
                true
            }
            None => false,
        }
    }

    /// Whether a drifted object is left until the interval: it is fought about, and in a form in which it was put right
    /// often enough. Its writer has shown itself again then. In another form somebody else has written too.
    pub fn leaves(&mut self, key: &ObjectKey, form: Form, now: Instant) -> bool {
        let forms = self.forms.entry(key.clone()).or_default();
        let times = forms.entry(form).or_default();
        *times += 1;
        let is_known = *times > ROUNDS;
        let contest = self.contested.get_mut(key).filter(|_| is_known);
        contest.map(|contest| contest.seen = now).is_some()
    }

    /// Ends the fights whose other writer has been quiet; true when there were any.
    pub fn end_quiet(&mut self, now: Instant) -> bool {
        let before = self.contested.len();
        let is_loud = |contest: &Contest| now.duration_since(contest.seen) < WINDOW;
        self.contested.retain(|_, contest| is_loud(contest));
        let contested = &self.contested;
        self.rounds.retain(|(key, _), rounds| {
            let last = rounds.last();
            contested.contains_key(key)
                || last.is_some_and(|last| now.duration_since(*last) < WINDOW)
        });
        let rounds = &self.rounds;
        self.forms.retain(|key, _| {
            let is_it = |(other, _): &(ObjectKey, Rival)| other == key;
            contested.contains_key(key) || rounds.keys().any(is_it)
        });
        self.contested.len() < before
    }

    /// Forgets everything: something else is wanted now.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// When the next fight may be over.
    pub fn due(&self) -> Option<Instant> {
        self.contested
            .values()
            .map(|contest| contest.seen + WINDOW)
            .min()
    }

    /// Whether any fight goes on.
    pub fn is_empty(&self) -> bool {
        self.contested.is_empty()
    }

    /// What goes on, for people.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.contested.iter().flat_map(|(key, contest)| {
            let rivals = contest.rivals.iter();
            rivals.map(|rival| line(key, rival))
        });
        lines.collect()
    }
}

fn line(key: &ObjectKey, rival: &Rival) -> String {
    let ObjectKey {
        kind,
        namespace,
        name,
        ..
    } = key;
    format!(
        "{kind}/{namespace}/{name}: {rival} again and again, so it is put right at the interval only"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        ObjectKey {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: "web".into(),
        }
    }

    fn rival(field: &str) -> Rival {
        Rival {
            field: field.to_owned(),
            manager: "hpa".to_owned(),
        }
    }

    #[test]
    fn the_third_round_in_five_minutes_is_a_fight() {
        let mut fights = Fights::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!fights.round(key(), &rival("a"), at(0)));
        assert!(!fights.round(key(), &rival("b"), at(1)));
        assert!(!fights.round(key(), &rival("a"), at(200)));
        assert!(
            !fights.round(key(), &rival("a"), at(301)),
            "the first is too long ago"
        );
        let (fought, other) = ((None, false), (None, true));
        for second in [0, 200, 301] {
            assert!(!fights.leaves(&key(), fought, at(second)));
        }
        assert!(fights.round(key(), &rival("a"), at(302)));
        assert!(fights.leaves(&key(), fought, at(303)));
        assert!(!fights.leaves(&key(), other, at(303)), "somebody else");
        assert!(!fights.round(key(), &rival("a"), at(400)), "it goes on");
        let said = "Deployment/shop/web: a is written by hpa again and again, so it is put right at the interval only";
        assert_eq!(fights.lines(), [said]);
        assert_eq!(fights.due(), Some(at(700)));
    }

    #[test]
    fn quiet_ends_a_fight() {
        let mut fights = Fights::default();
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            fights.round(key(), &rival("a"), begin);
        }
        assert!(!fights.end_quiet(begin + Duration::from_secs(299)));
        assert!(fights.end_quiet(begin + Duration::from_secs(300)));
        assert!(fights.is_empty() && fights.due().is_none());
        assert!(!fights.round(key(), &rival("a"), begin + Duration::from_secs(301)));
    }
}
