//! `weir get`: what the sources and Kustomizations of a cluster say of themselves.

use anstream::print;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::connection::Connection;
use super::output::{Format, print_values};
use super::{Exit, Failure, Outcome, table};

const EXAMPLES: &str = "\
Examples:
  weir get                          sources and Kustomizations of flux-system
  weir get kustomizations -A        of all namespaces
  weir get sources -o json          for scripts";

/// Show sources and Kustomizations: revision, suspended, ready, message.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to show.
    #[arg(value_enum, default_value_t = What::All)]
    what: What,
    /// One object of that name.
    name: Option<String>,
    /// In all namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Sources and Kustomizations.
    All,
    /// Sources of all kinds.
    #[value(alias = "source")]
    Sources,
    /// Kustomizations.
    #[value(aliases = ["kustomization", "ks"])]
    Kustomizations,
    /// Receivers.
    #[value(alias = "receiver")]
    Receivers,
}

impl What {
    /// Receivers are shown to those who ask for them: their paths are nobody else's business.
    fn covers(self, shown: Self) -> bool {
        self == shown || (self == Self::All && shown != Self::Receivers)
    }
}

/// A kind that is shown, and where its status keeps the revision.
struct Shown {
    what: What,
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    revision: &'static str,
}

const fn source(kind: &'static str, plural: &'static str) -> Shown {
    Shown {
        what: What::Sources,
        group: "source.toolkit.fluxcd.io",
        kind,
        plural,
        revision: "/status/artifact/revision",
    }
}

const KINDS: [Shown; 6] = [
    source("GitRepository", "gitrepositories"),
    source("OCIRepository", "ocirepositories"),
    source("Bucket", "buckets"),
    source("ExternalArtifact", "externalartifacts"),
    Shown {
        what: What::Kustomizations,
        group: "kustomize.toolkit.fluxcd.io",
        kind: "Kustomization",
        plural: "kustomizations",
        revision: "/status/lastAppliedRevision",
    },
    Shown {
        what: What::Receivers,
        group: "notification.toolkit.fluxcd.io",
        kind: "Receiver",
        plural: "receivers",
        // It has none; the message says which path it waits on.
        revision: "/status/revision",
    },
];

/// Kinds without which there is no Weir; the others may be defined or not.
const OWN: [&str; 2] = ["GitRepository", "Kustomization"];

/// Lists and prints.
pub(super) async fn run(args: Args) -> Outcome {
    let client = args.connection.client().await?;
    let shown = KINDS.iter().filter(|shown| args.what.covers(shown.what));
    let mut found = Vec::new();
    for kind in shown {
        found.extend(
            list(&client, kind, &args)
                .await?
                .into_iter()
                .map(|object| (kind, object)),
        );
    }
    if let (Some(name), true) = (&args.name, found.is_empty()) {
        return Err(Failure::new(format!("nothing is named {name} there")));
    }
    match args.output {
        Format::Table => print!("{}", as_table(&found, args.all_namespaces)),
        Format::Name => found.iter().for_each(|(kind, object)| {
            print!("{}/{}\n", kind.kind.to_lowercase(), object.name_any())
        }),
        format => print_values(
            found
                .into_iter()
                .map(|(_, object)| as_value(object))
                .collect(),
            format,
        ),
    }
    Ok(Exit::Success)
}

async fn list(client: &Client, shown: &Shown, args: &Args) -> Result<Vec<DynamicObject>, Failure> {
    let resource = ApiResource {
        group: shown.group.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{}/v1", shown.group),
        kind: shown.kind.to_owned(),
        plural: shown.plural.to_owned(),
    };
    let api: Api<DynamicObject> = if args.all_namespaces {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), &args.connection.namespace, &resource)
    };
    let mut params = ListParams::default();
    if let Some(name) = &args.name {
        params = params.fields(&format!("metadata.name={name}"));
    }
    match api.list(&params).await {
        Ok(objects) => Ok(objects.items),
        Err(kube::Error::Api(status)) if status.code == 404 && !OWN.contains(&shown.kind) => {
            Ok(Vec::new())
        }
        Err(error) => Err(Failure::with_hint(
            format!("listing {}: {error}", shown.plural),
            "are the custom resources installed? kubectl apply -k deploy",
        )),
    }
}

fn as_table(found: &[(&Shown, DynamicObject)], all_namespaces: bool) -> String {
    let mut header = vec!["KIND", "NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE"];
    if all_namespaces {
        header.insert(0, "NAMESPACE");
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(shown, object)| {
            let mut row = row(shown, object);
            if all_namespaces {
                row.insert(0, object.namespace().unwrap_or_default());
            }
            row
        })
        .collect();
    table::render(&header, &rows)
}

fn row(shown: &Shown, object: &DynamicObject) -> Vec<String> {
    let conditions = object.data["status"]["conditions"].as_array();
    let ready = conditions.and_then(|conditions| {
        conditions
            .iter()
            .find(|condition| condition["type"] == "Ready")
    });
    let of_ready = |field: &str| ready.and_then(|ready| ready[field].as_str());
    let revision = object.data.pointer(shown.revision).and_then(Value::as_str);
    vec![
        shown.kind.to_owned(),
        object.name_any(),
        revision.map_or_else(String::new, short_revision),
        if object.data["spec"]["suspend"] == true {
            "True"
        } else {
            "False"
        }
        .to_owned(),
        of_ready("status").unwrap_or("Unknown").to_owned(),
        of_ready("message")
            .unwrap_or("waiting to be reconciled")
            .replace('\n', " "),
    ]
}

/// `main@sha1:0123456789…` → `main@sha1:01234567`, as the flux program prints revisions.
fn short_revision(revision: &str) -> String {
    let digest = ["sha1:", "sha256:"].into_iter();
    let found = digest
        .filter_map(|kind| Some((kind, revision.split_once(kind)?)))
        .next();
    match found {
        Some((kind, (name, hash))) => format!("{name}{kind}{}", hash.get(..8).unwrap_or(hash)),
        None => revision.to_owned(),
    }
}

fn as_value(mut object: DynamicObject) -> Value {
    object.metadata.managed_fields = None;
    // A DynamicObject came from JSON, so it goes back to JSON.
    serde_json::to_value(object).unwrap_or_default()
}
