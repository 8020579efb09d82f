//! One object whose health counts: what was last seen of it, and the look at it.

use std::fmt;
use std::time::Duration;

use overlay::ObjectId;
use serde_json::Value;
use tokio::time::Instant;

use crate::cluster::Client;
use crate::cluster::discovery::Resource;
use crate::health::custom::Rules;
use crate::health::{Health, Status, pods};

/// The shortest time between two looks at one object.
const PAUSE: Duration = Duration::from_secs(1);

/// The same for an object that was just applied, whose answer was the first look; it doubles with each look.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How many pods of an object are asked why it has failed.
const PODS: usize = 50;

/// How an object stands to the run that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Footing {
    /// The run has applied it, or has found it as it would apply it.
    Applied,
    /// It is ours, and was left as somebody has changed it.
    Drifted,
    /// Others look after it.
    Foreign,
}

/// One object and what is known of it.
pub(super) struct Followed {
    pub(super) id: ObjectId,
    pub(super) footing: Footing,
    /// What was last seen of it.
    pub(super) sight: Option<Sight>,
    pub(super) looked: Option<Instant>,
    /// How often it was looked at since it was applied; the apply's answer does not count.
    pub(super) looks: u32,
    pub(super) asked: bool,
    /// The run before followed it too.
    pub(super) is_known: bool,
    /// It may go by itself once it has done its work.
    pub(super) expires: bool,
}

/// What was last seen of an object.
#[derive(Clone)]
pub(super) struct Sight {
    pub(super) health: Health,
    /// The resource version that the health is of.
    pub(super) version: Option<String>,
    /// What selects its pods, if it has any.
    pub(super) pods: Option<String>,
    /// What its pods say, once the verdict is a failure.
    pub(super) culprit: Option<String>,
}

impl Followed {
    pub(super) fn new(id: ObjectId, footing: Footing, sight: Option<Sight>) -> Self {
        Self {
            id,
            footing,
            sight,
            looked: None,
            looks: 0,
            asked: false,
            is_known: false,
            expires: false,
        }
    }

    pub(super) fn status(&self) -> Status {
        let sight = self.sight.as_ref();
        sight.map_or(Status::Unknown, |sight| sight.health.status)
    }

    pub(super) fn is_current(&self) -> bool {
        self.status() == Status::Current
    }

    /// When it may be looked at again.
    pub(super) fn rested(&self) -> Option<Instant> {
        let pause = FIRST_PAUSE * 2_u32.pow(self.looks.min(4));
        Some(self.looked? + pause.min(PAUSE))
    }
}

impl Sight {
    pub(super) fn of(object: &Value, rules: &Rules) -> Self {
        let version = object["metadata"]["resourceVersion"].as_str();
        Self {
            version: version.map(str::to_owned),
            pods: pods::selector(object),
            ..Self::without_object(rules.assess(object))
        }
    }

    pub(super) fn without_object(health: Health) -> Self {
        Self {
            health,
            version: None,
            pods: None,
            culprit: None,
        }
    }
}

/// Whether a version was judged already, or a later one: versions of one object are numbers that grow
/// (Kubernetes KEP-5504). Where they are not, only the same one counts.
pub(super) fn is_judged(seen: &str, judged: &str) -> bool {
    match (seen.parse::<u64>(), judged.parse::<u64>()) {
        (Ok(seen), Ok(judged)) => seen <= judged,
        _ => seen == judged,
    }
}

impl fmt::Display for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} status: '{}'", self.id, self.status())?;
        let sight = self.sight.as_ref();
        let message = sight.map(|sight| sight.health.message.as_str());
        let culprit = sight.and_then(|sight| sight.culprit.as_deref());
        let notes = message.into_iter().chain(culprit);
        notes
            .filter(|note| !note.is_empty())
            .try_for_each(|note| write!(f, ": {note}"))
    }
}

/// What the pods that are selected say; nothing where they may not be read.
pub(super) async fn trouble(client: &Client, namespace: &str, selector: &str) -> Option<String> {
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}&limit={PODS}");
    let pods = client.get(&path).await.ok()?;
    pods::trouble(pods["items"].as_array()?)
}

/// Reads one object and judges it.
pub(super) async fn look(client: &Client, rules: &Rules, id: &ObjectId) -> Sight {
    let unknown = |status, message| Sight::without_object(Health { status, message });
    let Some(resource) = resource(client, id).await else {
        return unknown(
            Status::NotFound,
            format!("the kind {} is not served", id.kind),
        );
    };
    match client.get(&resource.object_path(id)).await {
        Ok(object) => Sight::of(&object, rules),
        Err(error) if error.is_not_found() => unknown(Status::NotFound, String::new()),
        Err(error) => unknown(Status::Unknown, error.to_string()),
    }
}

pub(super) async fn resource(client: &Client, id: &ObjectId) -> Option<Resource> {
    if let Err(error) = client.discovery().learn_missing(client, &[id]).await {
        tracing::debug!(%error, %id, "kind not learned");
    }
    client.discovery().get(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_brings_no_news() {
        for (seen, judged, expected) in [
            ("10", "10", true),
            ("9", "10", true),
            ("11", "10", false),
            ("b", "a", false),
            ("a", "a", true),
        ] {
            assert_eq!(is_judged(seen, judged), expected, "{seen} {judged}");
        }
    }

    #[test]
    fn looks_become_rarer() {
        let now = Instant::now();
        let pause = |looks| {
            let object = Followed {
                looked: Some(now),
                looks,
                ..Followed::new(ObjectId::default(), Footing::Applied, None)
            };
            object.rested().map(|at| (at - now).as_millis())
        };
        let pauses: Vec<_> = (0..6).map(pause).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000].map(Some));
    }
}
