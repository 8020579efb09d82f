//! One look: what the repository says, what this environment runs, what others published, and what follows from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::drive::{Driver, drive_all};
use super::publish::{Last, is_due, publish};
use super::repository::{self, Repository};
use super::tell::{self, tell};
use super::turns::{self, turns};
use super::waves::Released;
use super::way::{Way, way};
use super::{Settings, facts};
use crate::environments::Environment;
use crate::promotion::auto::hear::{self, hear};
use crate::promotion::auto::published::{Running, refspecs};
use crate::promotion::auto::running::running;
use crate::promotion::auto::{Heard, Published, decide};
use crate::promotion::health::Reported;
use crate::reconcile::context::Context;
use crate::reconcile::repository_access::Secrets;
use crate::reconcile::schedule::Wake;
use crate::report::events::Severity;
use crate::source::TrustedKeys;
use crate::source::history::History;
use crate::source::mirror::{Mirror, branch_spec};

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
        if problem.is_some() {
            // Whoever has put a Secret right is not to be kept waiting for a restart.
            self.secrets.forget();
        }
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

/// What one round goes by.
struct Round<'a> {
    mirror: &'a Mirror,
    states: &'a Mirror,
    history: &'a History,
    /// What environments published.
    published: &'a History,
    repository: &'a Repository,
}

impl Look<'_> {
    /// The whole of it; after a promotion of our own it begins again, as the repository is another then.
    fn whole(&self, known: &mut Option<Repository>, last: &mut Last) -> Result<(), String> {
        let mirror = Mirror::open(&self.settings.mirror.join("branch")).map_err(text)?;
        // What is published changes often and is small: it is kept apart.
        let states = Mirror::open(&self.settings.mirror.join("states")).map_err(text)?;
        for _ in 0..ATTEMPTS {
            let fetched = self.fetch(&mirror, &states);
            if fetched.is_err() && last.said.is_some() {
                return fetched;
            }
            let history = mirror.history().map_err(text)?;
            let before = known.as_ref().map(|known| known.head.commit.id);
            let environment = &self.settings.environment;
            let repository = match repository::read(&history, known.take(), environment) {
                Ok(repository) => known.insert(repository),
                Err(problem) => return fetched.and(Err(problem)),
            };
            if !repository.holds_back() {
                self.let_out(Vec::new());
            }
            let published = states.history().map_err(text)?;
            if fetched.is_err() {
                // The source may have to live on what was released when the server was last seen.
                if let Some(said) = self.recalled(&published, repository) {
                    self.let_out(turns::released(&history, repository, &said));
                }
                return fetched;
            }
            if before.is_some_and(|before| before != repository.head.commit.id) {
                // Its own interval may be long.
                self.wake_source();
            }
            let look = Round {
                mirror: &mirror,
                states: &states,
                history: &history,
                published: &published,
                repository,
            };
            if !self.once(&look, last)? {
                return Ok(());
            }
        }
        Err("the repository changed under each attempt".to_owned())
    }

    fn fetch(&self, mirror: &Mirror, states: &Mirror) -> Result<(), String> {
        let (repositories, read) = (&self.context.repositories, &self.way.read);
        let branch = [branch_spec(&self.way.branch)];
        let fetched = mirror.fetch(repositories, read, &branch);
        let fetched = fetched.and_then(|()| states.fetch(repositories, read, &refspecs()));
        fetched.map_err(text)
    }

    /// One round. True when the branch was moved.
    fn once(&self, round: &Round<'_>, last: &mut Last) -> Result<bool, String> {
        let Round {
            history,
            published,
            repository,
            ..
        } = *round;
        let own = self.own(repository)?;
        let now = Timestamp::now();
        // What people read has whole seconds.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        if last.said.is_none() {
            last.said = self.recalled(published, repository);
            last.next.clone_from(&last.said);
        }
        let mut next = self.facts(history, repository, own, last.next.as_ref(), now);
        let mut heard = hear(published, &repository.policy, now);
        let environment = self.settings.environment.clone();
        heard.insert(environment, Heard::Said(next.clone()));
        let mut told = turns(history, repository, &heard, &mut next, now)?;
        let decisions = decide(&repository.pending, &repository.policy, &heard, now);
        let (driven, has_moved) = drive_all(self.driver(round), &decisions);
        told.extend(driven);
        for told in &told {
            tell(self.context, self.settings, &mut next, told, now);
        }
        last.next = Some(next.clone());
        self.publish(round, last, &next, now)?;
        Ok(has_moved)
    }

    /// Publishes what is due. What is not published is not let out: after a restart nobody would know of it.
    fn publish(
        &self,
        round: &Round<'_>,
        last: &mut Last,
        next: &Published,
        now: Timestamp,
    ) -> Result<(), String> {
        let repository = round.repository;
        let mut is_published = Ok(true);
        if is_due(last.said.as_ref(), next, &repository.policy.publish, now) {
            let repositories = &self.context.repositories;
            let to = (round.states, self.way);
            is_published = publish(repositories, to, self.settings, last, next).map_err(text);
        }
        let said = last.said.as_ref();
        let is_known = said.is_some_and(|said| said.released == next.released);
        if is_known {
            self.let_out(turns::released(round.history, repository, next));
        }
        is_published.map(drop)
    }

    fn driver<'a>(&'a self, round: &Round<'a>) -> Driver<'a> {
        Driver {
            repositories: &self.context.repositories,
            mirror: round.mirror,
            way: self.way,
            history: round.history,
            repository: round.repository,
            settings: self.settings,
        }
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
        next.prove(|folder| repository.soak(&self.settings.environment, folder));
        next
    }

    /// This environment in the graph.
    fn own<'r>(&self, repository: &'r Repository) -> Result<&'r Environment, String> {
        let name = &self.settings.environment;
        if !repository.policy.environments.contains_key(name) {
            return Err(format!("`environments` in weir.yaml gives {name} no key"));
        }
        repository.own.as_ref().map_err(|names| {
            let names = names.join(", ");
            format!("the repository has no environment {name}; it has {names}")
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
        let mut found = BTreeMap::new();
        for folder in repository.told() {
            let before = before.and_then(|before| before.folders.get(folder));
            if let Some(running) = running(history, own, self.reported, folder, before, now) {
                found.insert(folder.clone(), running);
            }
        }
        found
    }

    /// Lets the source give out what was released and published.
    fn let_out(&self, released: Vec<Released>) {
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
