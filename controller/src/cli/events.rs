//! `weir events`: what has happened to sources, Kustomizations and other objects of Flux's groups.

use anstream::print;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::connection::Connection;
use super::output::{Format, print_values};
use super::{Exit, Failure, Outcome, table};

const EXAMPLES: &str = "\
Examples:
  weir events                              of flux-system, the newest last
  weir events --for Kustomization/apps     of one object
  weir events -A --types Warning           of all namespaces, failures only";

/// The groups whose objects count.
const GROUPS: &str = ".toolkit.fluxcd.io/";

/// As many events as are asked for at a time.
const PAGE: u32 = 500;

/// Show the events of sources and Kustomizations, the newest last.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only those of one object: KIND/NAME.
    #[arg(long = "for", value_name = "KIND/NAME")]
    of: Option<String>,
    /// Only those of these types.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// In all namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    connection: Connection,
}

/// Lists and prints.
pub(super) async fn run(args: Args) -> Outcome {
    let of = args.of.as_deref().map(parse).transpose()?;
    let client = args.connection.client().await?;
    let mut events = list(&client, &args, of.as_ref()).await?;
    events.retain(|event| counts(event, &args, of.as_ref()));
    events.sort_by_key(last_seen);
    match args.output {
        Format::Table => print!("{}", as_table(&events, args.all_namespaces)),
        Format::Name => events
            .iter()
            .for_each(|event| print!("event/{}\n", event.name_any())),
        format => print_values(events.into_iter().map(as_value).collect(), format),
    }
    Ok(Exit::Success)
}

fn parse(text: &str) -> Result<(String, String), Failure> {
    let parts = text.split_once('/');
    let (kind, name) = parts
        .filter(|(kind, name)| !kind.is_empty() && !name.is_empty())
        .ok_or_else(|| {
            Failure::with_hint(
                format!("`{text}` is not KIND/NAME"),
                "for example --for Kustomization/apps",
            )
        })?;
    Ok((kind.to_owned(), name.to_owned()))
}

async fn list(
    client: &Client,
    args: &Args,
    of: Option<&(String, String)>,
) -> Result<Vec<Event>, Failure> {
    let api: Api<Event> = match args.all_namespaces {
        true => Api::all(client.clone()),
        false => Api::namespaced(client.clone(), &args.connection.namespace),
    };
    let mut parameters = ListParams::default().limit(PAGE);
    if let Some((_, name)) = of {
        parameters = parameters.fields(&format!("involvedObject.name={name}"));
    }
    let mut events = Vec::new();
    loop {
        let page = api
            .list(&parameters)
            .await
            .map_err(|error| Failure::new(format!("listing events: {error}")))?;
        events.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(events),
        }
    }
}

fn counts(event: &Event, args: &Args, of: Option<&(String, String)>) -> bool {
    let object = &event.involved_object;
    let kind = object.kind.as_deref().unwrap_or_default();
    let of_group = object
        .api_version
        .as_deref()
        .is_some_and(|version| version.contains(GROUPS));
    let of_object = of.is_none_or(|(wanted, _)| wanted.eq_ignore_ascii_case(kind));
    let type_ = event.type_.as_deref().unwrap_or_default();
    let of_type = args.types.is_empty()
        || args
            .types
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(type_));
    of_group && of_object && of_type
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    let times = [
        series.map(|time| time.0),
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
    ];
    times.into_iter().flatten().max()
}

fn as_table(events: &[Event], all_namespaces: bool) -> String {
    let mut header = vec!["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
    if all_namespaces {
        header.insert(0, "NAMESPACE");
    }
    let now = Timestamp::now();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let row = |event: &Event| {
        let object = &event.involved_object;
        let mut row = vec![
            last_seen(event).map_or_else(|| "unknown".to_owned(), |time| age(now, time)),
            text(&event.type_),
            text(&event.reason),
            format!("{}/{}", text(&object.kind), text(&object.name)),
            text(&event.message).replace('\n', " "),
        ];
        if all_namespaces {
            row.insert(0, text(&object.namespace));
        }
        row
    };
    let rows: Vec<Vec<String>> = events.iter().map(row).collect();
    table::render(&header, &rows)
}

/// How long ago, in the largest unit that says enough.
fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn as_value(mut event: Event) -> Value {
    event.metadata.managed_fields = None;
    // What came from JSON goes back to JSON.
    serde_json::to_value(event).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let then = Timestamp::UNIX_EPOCH;
        let after = |seconds| Timestamp::from_second(seconds).expect("in range");
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (200_000, "2d"),
        ] {
            assert_eq!(age(after(seconds), then), text);
        }
    }

    #[test]
    fn an_object_is_named_by_kind_and_name() {
        assert_eq!(
            parse("Kustomization/apps").ok(),
            Some(("Kustomization".into(), "apps".into()))
        );
        for wrong in ["apps", "/apps", "Kustomization/"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
