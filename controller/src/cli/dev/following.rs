//! The health of what was applied, and the warnings about it, until all is ready or something has failed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, pin_mut, stream};
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::runtime::{WatchStreamExt, watcher};
use overlay::ObjectId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::Failure;
use crate::cluster::{Action, Client, Plan, Step};
use crate::health::custom::Rules;
use crate::health::{Health, Status};

/// Between two looks at objects that are on their way.
const LOOK: Duration = Duration::from_millis(300);

/// How many objects are looked at together.
const LOOKS: usize = 8;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// How the objects that are not ready yet stand.
    Standing(BTreeMap<String, Health>),
    /// A warning that somebody gave about an object.
    Warning(String),
    /// All are ready, after this time.
    Ready(Duration),
    /// Some have failed, or time is over.
    Failed(BTreeMap<String, Health>),
}

/// What is followed, by the title of the target; dropped, it ends.
pub(super) struct Following {
    sender: mpsc::Sender<(String, News)>,
    news: mpsc::Receiver<(String, News)>,
    tasks: HashMap<String, JoinSet<()>>,
}

/// Where the tasks of one target tell their news.
#[derive(Clone)]
struct Teller {
    title: String,
    sender: mpsc::Sender<(String, News)>,
}

impl Teller {
    /// Tells; false when nobody listens any more.
    async fn tell(&self, news: News) -> bool {
        self.sender.send((self.title.clone(), news)).await.is_ok()
    }
}

impl Following {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        let (sender, news) = mpsc::channel(64);
        let tasks = HashMap::new();
        Self {
            sender,
            news,
            tasks,
        }
    }

    /// The next that there is to tell.
    pub(super) async fn next(&mut self) -> Option<(String, News)> {
        self.news.recv().await
    }

    /// Follows the objects of a plan that was executed, in place of those of the plan before it.
    pub(super) fn follow(
        &mut self,
        client: &Client,
        title: &str,
        plan: &Plan,
        (rules, timeout): (Rules, Duration),
    ) {
        let is_followed = |step: &&Step| !matches!(step.action, Action::Skip(_));
        let steps = plan.steps.iter().filter(is_followed);
        let ids: Vec<ObjectId> = steps.map(|step| step.id.clone()).collect();
        let teller = Teller {
            title: title.to_owned(),
            sender: self.sender.clone(),
        };
        let mut tasks = JoinSet::new();
        let namespaces: BTreeSet<&String> = ids.iter().map(|id| &id.namespace).collect();
        for namespace in namespaces {
            let names = ids.iter().filter(|id| id.namespace == *namespace);
            let names = names.map(|id| id.name.clone()).collect();
            tasks.spawn(warnings(
                client.kube(),
                namespace.clone(),
                names,
                teller.clone(),
            ));
        }
        tasks.spawn(looks(client.clone(), ids, rules, timeout, teller));
        self.tasks.insert(title.to_owned(), tasks);
    }
}

/// Looks at what is not ready until all is; the end is the last that is told.
async fn looks(
    client: Client,
    ids: Vec<ObjectId>,
    rules: Rules,
    timeout: Duration,
    teller: Teller,
) {
    let begin = Instant::now();
    let mut pending = ids;
    let mut told = BTreeMap::new();
    loop {
        let looks = pending.into_iter().map(|id| look(&client, &rules, id));
        let seen: Vec<(ObjectId, Health)> = stream::iter(looks).buffered(LOOKS).collect().await;
        let not_ready = |(_, health): &(ObjectId, Health)| health.status != Status::Current;
        let seen: Vec<_> = seen.into_iter().filter(not_ready).collect();
        let standing = standing(&seen);
        let failed = seen
            .iter()
            .any(|(_, health)| health.status == Status::Failed);
        let end = match (seen.is_empty(), failed || begin.elapsed() > timeout) {
            (true, _) => Some(News::Ready(begin.elapsed())),
            (false, true) => Some(News::Failed(standing.clone())),
            (false, false) => None,
        };
        if let Some(end) = end {
            teller.tell(end).await;
            return;
        }
        if told != standing && !teller.tell(News::Standing(standing.clone())).await {
            return;
        }
        (told, pending) = (standing, seen.into_iter().map(|(id, _)| id).collect());
        tokio::time::sleep(LOOK).await;
    }
}

fn standing(seen: &[(ObjectId, Health)]) -> BTreeMap<String, Health> {
    let entry = |(id, health): &(ObjectId, Health)| (id.to_string(), health.clone());
    seen.iter().map(entry).collect()
}

async fn look(client: &Client, rules: &Rules, id: ObjectId) -> (ObjectId, Health) {
    let resource = client.discovery().get(&id);
    let health = match resource {
        Some(resource) => match client.get(&resource.object_path(&id)).await {
            Ok(object) => rules.assess(&object),
            Err(error) if error.is_not_found() => Health::not_found(),
            Err(error) => Health::in_progress(error.to_string()),
        },
        None => Health::not_found(),
    };
    (id, health)
}

/// Warnings about the objects and about those that Kubernetes makes of them, which begin with their names.
async fn warnings(client: kube::Client, namespace: String, names: Vec<String>, teller: Teller) {
    let api: Api<Event> = match namespace.as_str() {
        "" => return,
        namespace => Api::namespaced(client, namespace),
    };
    let config = watcher::Config::default().fields("type=Warning");
    // Where events may not be read, health has to do.
    let events = watcher(api, config)
        .default_backoff()
        .try_filter_map(async |event| {
            Ok(match event {
                watcher::Event::Apply(event) => Some(event),
                _ => None,
            })
        });
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let Ok(event) = event else { continue };
        let object = event.involved_object;
        let name = object.name.unwrap_or_default();
        if names.iter().any(|own| is_of(&name, own)) {
            let kind = object.kind.unwrap_or_default();
            let (reason, message) = (
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default(),
            );
            let text = format!("{kind}/{namespace}/{name}: {reason}: {message}");
            if !teller.tell(News::Warning(text)).await {
                return;
            }
        }
    }
}

fn is_of(name: &str, own: &str) -> bool {
    let rest = name.strip_prefix(own);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The rules of a spec's own for health.
pub(super) fn rules(spec: &crate::api::kustomization::KustomizationSpec) -> Result<Rules, Failure> {
    let rules = Rules::compile(&spec.health_check_exprs);
    rules.map_err(|error| Failure::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_makes_of_an_object_begins_with_its_name() {
        for (name, own, is) in [
            ("web", "web", true),
            ("web-7d9c-x2x", "web", true),
            ("website", "web", false),
            ("api", "web", false),
        ] {
            assert_eq!(is_of(name, own), is, "{name} {own}");
        }
    }
}
