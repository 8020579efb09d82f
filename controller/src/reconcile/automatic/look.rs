//! One look: what the repository says, what this environment runs, what others published, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use overlay::Tree;

use super::drive::{Driven, drive};
use super::publish::{Last, is_due, publish};
use super::repository::{self, Repository, Waved};
use super::tell::{self, Told, tell};
use super::waves::Released;
use super::way::{Way, way};
use super::{Settings, facts};
use crate::environments::Environment;
use crate::promotion::auto::hear::{self, hear};
use crate::promotion::auto::published::{KEPT, REFS, Running};
use crate::promotion::auto::running::running;
use crate::promotion::auto::waves::{Offer, Release, release, skips};
use crate::promotion::auto::{Decision, Heard, Published, Verdict, decide};
use crate::promotion::base::parse;
use crate::promotion::health::Reported;
use crate::reconcile::context::Context;
use crate::reconcile::repository_access::Secrets;
use crate::reconcile::schedule::Wake;
use crate::report::events::Severity;
use crate::source::TrustedKeys;
use crate::source::history::History;
use crate::source::mirror::Mirror;

/// How often a push that was outrun is tried again in one look.
const ATTEMPTS: usize = 10;

/// What is kept from one look to the next.
#[derive(Default)]
pub(super) struct State {
    secrets: Secrets,
    repository: Option<Repository>,
    last: Last,
    problem: Option<String>,
}

impl State {
    /// Says what keeps automatic promotion from working, once.
    pub(super) fn tell_problem(
        &mut self,
        context: &Context,
        settings: &Settings,
        problem: Option<String>,
    ) {
        if self.problem == problem {
            return;
        }
        if let Some(problem) = &problem {
            let sentence = format!("automatic promotion is off: {problem}");
            tracing::error!(environment = settings.environment, "{sentence}");
            tell::event(context, settings, Severity::Error, &sentence);
        }
        self.problem = problem;
    }
}

/// Looks once, and does what follows.
pub(super) async fn look(
    context: &Arc<Context>,
    settings: &Settings,
    state: &mut State,
) -> Result<(), String> {
    let way = way(context, settings, &mut state.secrets).await?;
    let reported: Vec<Reported> = context
        .kustomizations
        .state()
        .iter()
        .map(|object| facts::reported(object))
        .collect();
    let (shared, settings) = (context.clone(), settings.clone());
    let (mut known, mut last) = (state.repository.take(), state.last.clone());
    let work = tokio::task::spawn_blocking(move || {
        let look = Look {
            context: &shared,
            settings: &settings,
            way: &way,
            reported: &reported,
        };
        let done = look.whole(&mut known, &mut last);
        (done, known, last)
    });
    let (done, known, last) = work.await.map_err(|error| error.to_string())?;
    (state.repository, state.last) = (known, last);
    done
}

struct Look<'a> {
    context: &'a Context,
    settings: &'a Settings,
    way: &'a Way,
    reported: &'a [Reported],
}

impl Look<'_> {
    /// The whole of it; after a promotion of our own it begins again, as the repository is another then.
    fn whole(&self, known: &mut Option<Repository>, last: &mut Last) -> Result<(), String> {
        let mirror = Mirror::open(&self.settings.mirror).map_err(text)?;
        for _ in 0..ATTEMPTS {
            if let Err(problem) = self.fetch(&mirror) {
                if last.said.is_none() {
                    // The source may have to live on what was released when the server was last seen.
                    self.recall(&mirror, known)?;
                }
                return Err(problem);
            }
            let history = mirror.history().map_err(text)?;
            let before = known.as_ref().map(|known| known.head.commit.id);
            let repository = repository::read(&history, known.take(), &self.settings.environment)?;
            let repository = known.insert(repository);
            if before.is_some_and(|before| before != repository.head.commit.id) {
                // Its own interval may be long.
                self.wake_source();
            }
            if !self.once((&mirror, &history), repository, last)? {
                return Ok(());
            }
        }
        Err("the repository changed under each attempt".to_owned())
    }

    fn recall(&self, mirror: &Mirror, known: &mut Option<Repository>) -> Result<(), String> {
        let history = mirror.history().map_err(text)?;
        let repository = repository::read(&history, known.take(), &self.settings.environment)?;
        if let Some(said) = self.recalled(&history, &repository) {
            self.let_out(&history, &repository, &said);
        }
        *known = Some(repository);
        Ok(())
    }

    fn fetch(&self, mirror: &Mirror) -> Result<(), String> {
        let specs: Vec<String> = REFS
            .iter()
            .zip(KEPT)
            .map(|(there, here)| format!("+{there}/*:{here}/*"))
            .collect();
        let repositories = &self.context.repositories;
        let fetched = mirror.fetch(repositories, &self.way.read, &self.way.branch, &specs);
        fetched.map_err(text)
    }

    /// One round. True when the branch was moved.
    fn once(
        &self,
        (mirror, history): (&Mirror, &History),
        repository: &Repository,
        last: &mut Last,
    ) -> Result<bool, String> {
        let own = self.own(repository)?;
        let now = Timestamp::now();
        // What people read has whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        if last.said.is_none() {
            last.said = self.recalled(history, repository);
            last.next.clone_from(&last.said);
        }
        let before = last.next.take();
        let mut next = self.facts(history, repository, own, before.as_ref(), now);
        let mut heard = hear(history, &repository.policy, now);
        heard.insert(self.settings.environment.clone(), Heard::Said(next.clone()));
        let mut told = self.release(history, repository, &heard, &mut next, now)?;
        let decisions = decide(&repository.pending, &repository.policy, &heard, now);
        let (drives, has_moved) = self.drive((mirror, history), repository, &decisions)?;
        told.extend(drives);
        for told in &told {
            tell(self.context, self.settings, &mut next, told, now);
        }
        last.next = Some(next.clone());
        // What is not published is not let out: after a restart nobody would know of it.
        let is_published = !is_due(last.said.as_ref(), &next, &repository.policy.publish, now)
            || publish(
                &self.context.repositories,
                (mirror, self.way),
                self.settings,
                last,
                &next,
            )
            .map_err(text)?;
        if is_published {
            self.let_out(history, repository, &next);
        }
        Ok(has_moved)
    }

    /// What this environment has to say, before anything is decided.
    fn facts(
        &self,
        history: &History,
        repository: &Repository,
        own: &Environment,
        before: Option<&Published>,
        now: Timestamp,
    ) -> Published {
        let new = || Published::new(&self.settings.environment);
        let mut next = before.cloned().unwrap_or_else(new);
        next.at = now;
        next.interval_seconds = repository.policy.publish.interval.as_secs().max(1);
        next.folders = self.folders(history, repository, own, before, now);
        next.prove();
        next
    }

    /// This environment in the graph.
    fn own<'r>(&self, repository: &'r Repository) -> Result<&'r Environment, String> {
        let name = &self.settings.environment;
        if !repository.policy.environments.contains_key(name) {
            return Err(format!("`environments` in weir.yaml gives {name} no key"));
        }
        let environments = &repository.graph.environments;
        environments
            .iter()
            .find(|it| it.name == *name)
            .ok_or_else(|| {
                let names: Vec<&str> = environments.iter().map(|it| it.name.as_str()).collect();
                format!(
                    "the repository has no environment {name}; it has {}",
                    names.join(", ")
                )
            })
    }

    /// What this environment published before the process began.
    fn recalled(&self, history: &History, repository: &Repository) -> Option<Published> {
        let name = &self.settings.environment;
        let publisher = repository.policy.environments.get(name);
        let keys = TrustedKeys::of_ssh(publisher.map(|publisher| publisher.key.clone()));
        hear::said(history, name, &keys).ok()
    }

    fn folders(
        &self,
        history: &History,
        repository: &Repository,
        own: &Environment,
        before: Option<&Published>,
        now: Timestamp,
    ) -> BTreeMap<String, Running> {
        let pending = repository.pending.iter();
        let watched: BTreeSet<&String> = pending
            .flat_map(|pending| [&pending.source.0, &pending.target])
            .chain(repository.waves.values().map(|waved| &waved.folder))
            .collect();
        let mut found = BTreeMap::new();
        for folder in watched {
            let before = before.and_then(|before| before.folders.get(folder));
            if let Some(running) = running(history, own, self.reported, folder, before, now) {
                found.insert(folder.clone(), running);
            }
        }
        found
    }

    /// Decides what is released to this environment.
    fn release(
        &self,
        history: &History,
        repository: &Repository,
        heard: &BTreeMap<String, Heard>,
        next: &mut Published,
        now: Timestamp,
    ) -> Result<Vec<Told>, String> {
        let mut told = Vec::new();
        let before = std::mem::take(&mut next.released);
        for (stage, Waved { folder, .. }) in &repository.waves {
            let Some(newest) = repository.head.tree.id(folder).map_err(text)? else {
                continue;
            };
            let newest = newest.to_string();
            let runs = next.folders.get(folder).and_then(|it| it.tree.clone());
            let released = before.get(folder).cloned().or(runs);
            let skips = match &released {
                Some(released) => skips(history, &repository.head, folder, released),
                None => Ok(None),
            };
            let skips = skips.map_err(text)?;
            let offer = Offer {
                stage,
                folder,
                newest: &newest,
                released: released.as_deref(),
                skips: skips.as_deref(),
            };
            let environment = &self.settings.environment;
            let (tree, sentence) =
                match release(&repository.policy, environment, &offer, heard, now) {
                    None => continue,
                    Some(Release::Takes(sentence)) => (newest.clone(), sentence),
                    Some(Release::Stays(sentence)) => (released.unwrap_or_default(), sentence),
                };
            next.released.insert(folder.clone(), tree);
            told.push(Told {
                about: stage.clone(),
                sentence,
                severity: Severity::Info,
            });
        }
        Ok(told)
    }

    /// Promotes over the edges that this environment drives. True when the branch was moved.
    fn drive(
        &self,
        (mirror, history): (&Mirror, &History),
        repository: &Repository,
        decisions: &[Decision],
    ) -> Result<(Vec<Told>, bool), String> {
        let mut told = Vec::new();
        let all = repository.pending.iter().zip(decisions);
        for (pending, decision) in all {
            if decision.driver != self.settings.environment {
                continue;
            }
            let mut severity = match decision.verdict {
                Verdict::Stopped(_) => Severity::Error,
                _ => Severity::Info,
            };
            let mut sentence = decision.verdict.sentence();
            let mut has_moved = false;
            if let Verdict::Promotes(files) = &decision.verdict {
                let repositories = &self.context.repositories;
                let driven = drive(
                    repositories,
                    (mirror, self.way),
                    (history, repository),
                    self.settings,
                    (pending, decision),
                );
                (sentence, has_moved) = match driven {
                    Ok(Driven::Pushed(commit)) => {
                        let short = commit.get(..12).unwrap_or(&commit);
                        (format!("promoted in {short}: {}", files.join(", ")), true)
                    }
                    Ok(Driven::Outrun) => return Ok((told, true)),
                    Ok(Driven::Refused(why)) => {
                        severity = Severity::Error;
                        (format!("stopped: {why}"), false)
                    }
                    Err(error) => return Err(text(error)),
                };
            }
            told.push(Told {
                about: decision.about(),
                sentence,
                severity,
            });
            // The others are decided upon what the branch is now.
            if has_moved {
                return Ok((told, true));
            }
        }
        Ok((told, false))
    }

    /// Lets the source give out what was released and published.
    fn let_out(&self, history: &History, repository: &Repository, next: &Published) {
        let waves = repository.waves.values().filter(|waved| !waved.is_first);
        let released: Vec<Released> = waves
            .filter_map(|Waved { folder, .. }| {
                let id = next.released.get(folder)?;
                Some(Released {
                    folder: folder.clone(),
                    id: parse(id)?,
                    tree: history.tree(id),
                })
            })
            .collect();
        if self.context.waves.set(released) {
            self.wake_source();
        }
    }

    fn wake_source(&self) {
        let source = &self.settings.source;
        self.context.schedule.wake(source, Wake::due());
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
