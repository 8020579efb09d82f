//! `weir trace`: where an object comes from, from the object to the commit, and in a clone of the repository to the file
//! and line.

use anstream::print;
use kube::core::{ApiResource, DynamicObject};
use kube::discovery::{Discovery, Scope};
use kube::{Api, Client, ResourceExt};
use overlay::{Options, Place};
use serde_json::{Map, Value};

use super::connection::Connection;
use super::output::{Format, print_values};
use super::{Exit, Failure, Outcome};
use crate::source::{Commit, GitTree};

const EXAMPLES: &str = "\
Examples:
  weir trace Deployment/shop -n apps       in a clone of the repository: with author, file and line
  weir trace Namespace/apps -o json        for scripts";

/// Where an artifact of a registry says which commit it was made of.
const ORIGIN: &str = "/status/artifact/metadata/org.opencontainers.image.revision";

/// How many owners are followed before it is a ring.
const OWNERS: usize = 20;

const LABEL: &str = "kustomize.toolkit.fluxcd.io";

/// Show where an object comes from: Kustomization, source, commit; and in a clone its author, file and line.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The object: KIND/NAME or KIND.GROUP/NAME.
    object: String,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    output: Format,
    #[command(flatten)]
    connection: Connection,
}

/// One part of the way: a name for what it is, and what is known of it.
struct Part {
    title: &'static str,
    lines: Vec<(&'static str, String)>,
}

impl Part {
    fn new(title: &'static str) -> Self {
        Self {
            title,
            lines: Vec::new(),
        }
    }

    /// Adds a line, unless there is nothing to say.
    fn line(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.lines.push((name, value));
        }
        self
    }
}

/// Follows the object and prints the way.
pub(super) async fn run(args: Args) -> Outcome {
    let client = args.connection.client().await?;
    let namespace = &args.connection.namespace;
    let object = find(&client, &args.object, namespace).await?;
    let managed = managed(&client, object.clone(), namespace).await?;
    let mut parts = vec![described(&object, &managed)];
    let labels = managed.labels();
    let label = |name: &str| labels.get(&format!("{LABEL}/{name}")).cloned();
    let (Some(name), Some(of)) = (label("name"), label("namespace")) else {
        print(&parts, args.output);
        let message = format!("{} is managed by no Kustomization", args.object);
        return Err(Failure::new(message));
    };
    let kustomization = get(
        &client,
        "kustomize.toolkit.fluxcd.io",
        "Kustomization",
        &of,
        &name,
    )
    .await?;
    parts.push(of_kustomization(&kustomization));
    let reference = &kustomization.data["spec"]["sourceRef"];
    let text = |field: &str| reference[field].as_str().map(str::to_owned);
    let kind = text("kind").unwrap_or_default();
    let place = text("namespace").unwrap_or(of);
    let source = get(
        &client,
        "source.toolkit.fluxcd.io",
        &kind,
        &place,
        &text("name").unwrap_or_default(),
    )
    .await?;
    parts.push(of_source(&source));
    parts.extend(in_clone(&kustomization, &managed));
    print(&parts, args.output);
    Ok(Exit::Success)
}

fn print(parts: &[Part], format: Format) {
    if format != Format::Table {
        let mut way = Map::new();
        for part in parts {
            let lines = part.lines.iter();
            let fields: Map<String, Value> = lines
                .map(|(name, value)| (name.to_lowercase(), Value::from(value.as_str())))
                .collect();
            way.insert(part.title.to_lowercase(), fields.into());
        }
        return print_values(vec![way.into()], format);
    }
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            print!("---\n");
        }
        for (name, value) in &part.lines {
            print!("{:15}{}\n", format!("{name}:"), value.replace('\n', " "));
        }
    }
}

/// Finds the object whose kind, in any version, goes by this name.
async fn find(client: &Client, wanted: &str, namespace: &str) -> Result<DynamicObject, Failure> {
    let Some((kind, name)) = wanted.split_once('/') else {
        return Err(Failure::with_hint(
            format!("`{wanted}` is not KIND/NAME"),
            "for example weir trace Deployment/shop -n apps",
        ));
    };
    let failed = |error: kube::Error| Failure::new(format!("asking what kinds there are: {error}"));
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        Err(_) => Discovery::new(client.clone()).run().await.map_err(failed)?,
    };
    let (kind, group) = kind
        .split_once('.')
        .map_or((kind, None), |(kind, group)| (kind, Some(group)));
    let is_named = |resource: &ApiResource| {
        let named = [&resource.kind, &resource.plural]
            .iter()
            .any(|own| own.eq_ignore_ascii_case(kind));
        named && group.is_none_or(|group| resource.group == group)
    };
    let mut found = discovery
        .groups()
        .flat_map(|group| group.recommended_resources());
    let (resource, capabilities) = found
        .find(|(resource, _)| is_named(resource))
        .ok_or_else(|| Failure::new(format!("the cluster has no kind `{kind}`")))?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
        Scope::Cluster => Api::all_with(client.clone(), &resource),
    };
    let object = api.get(name).await.map_err(|error| {
        Failure::with_hint(format!("{wanted}: {error}"), "name its namespace with -n")
    })?;
    Ok(with_types(object, &resource))
}

fn with_types(mut object: DynamicObject, resource: &ApiResource) -> DynamicObject {
    object.types.get_or_insert_with(|| kube::core::TypeMeta {
        api_version: resource.api_version.clone(),
        kind: resource.kind.clone(),
    });
    object
}

/// The object itself, or the nearest of its owners that a Kustomization has applied.
async fn managed(
    client: &Client,
    mut object: DynamicObject,
    namespace: &str,
) -> Result<DynamicObject, Failure> {
    for _ in 0..OWNERS {
        let is_managed = object.labels().contains_key(&format!("{LABEL}/name"));
        let owner = object.owner_references().first().cloned();
        let Some(owner) = owner.filter(|_| !is_managed) else {
            break;
        };
        let (group, _) = owner.api_version.split_once('/').unwrap_or(("", ""));
        let wanted = match group {
            "" => format!("{}/{}", owner.kind, owner.name),
            group => format!("{}.{group}/{}", owner.kind, owner.name),
        };
        let place = object.namespace().unwrap_or_else(|| namespace.to_owned());
        object = find(client, &wanted, &place).await?;
    }
    Ok(object)
}

async fn get(
    client: &Client,
    group: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<DynamicObject, Failure> {
    let kind = kube::core::GroupVersionKind::gvk(group, "v1", kind);
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let object = api.get(name).await;
    let object = object
        .map_err(|error| Failure::new(format!("{} {namespace}/{name}: {error}", kind.kind)))?;
    Ok(with_types(object, &resource))
}

fn title(object: &DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map(|types| types.kind.as_str())
        .unwrap_or_default();
    format!("{kind}/{}", object.name_any())
}

fn described(object: &DynamicObject, managed: &DynamicObject) -> Part {
    let part = Part::new("Object")
        .line("Object", title(object))
        .line("Namespace", object.namespace().unwrap_or_default());
    match object.uid() == managed.uid() {
        true => part,
        false => part.line("Owner", title(managed)),
    }
}

fn text(object: &DynamicObject, pointer: &str) -> String {
    let value = object.data.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn message(object: &DynamicObject, condition: &str) -> String {
    let conditions = object.data["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|found| found["type"] == condition);
    found
        .and_then(|found| found["message"].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn of_kustomization(object: &DynamicObject) -> Part {
    let ready = message(object, "Ready");
    Part::new("Kustomization")
        .line("Kustomization", object.name_any())
        .line("Namespace", object.namespace().unwrap_or_default())
        .line("Target", text(object, "/spec/targetNamespace"))
        .line("Path", text(object, "/spec/path"))
        .line("Revision", text(object, "/status/lastAppliedRevision"))
        .line(
            "Status",
            if ready.is_empty() {
                "waiting to be reconciled".to_owned()
            } else {
                ready
            },
        )
}

fn of_source(object: &DynamicObject) -> Part {
    let reference = ["branch", "tag", "semver", "name", "commit", "digest"];
    let reference = reference.iter().find_map(|field| {
        let value = text(object, &format!("/spec/ref/{field}"));
        (!value.is_empty()).then(|| format!("{field} {value}"))
    });
    Part::new("Source")
        .line("Source", title(object))
        .line("Namespace", object.namespace().unwrap_or_default())
        .line("URL", text(object, "/spec/url"))
        .line("Endpoint", text(object, "/spec/endpoint"))
        .line("Bucket", text(object, "/spec/bucketName"))
        .line("Reference", reference.unwrap_or_default())
        .line("Revision", text(object, "/status/artifact/revision"))
        .line("Origin", text(object, ORIGIN))
        .line("Signature", message(object, "SourceVerified"))
        .line("Status", message(object, "Ready"))
}

/// What the clone at hand says of the commit that was applied, and of the file that the object stands in.
fn in_clone(kustomization: &DynamicObject, object: &DynamicObject) -> Option<Part> {
    let revision = text(kustomization, "/status/lastAppliedRevision");
    let (_, id) = revision.rsplit_once("sha1:")?;
    let here = std::env::current_dir().ok()?;
    let (tree, commit) = GitTree::local(&here, id).ok()?;
    let Commit {
        author, subject, ..
    } = commit;
    let part = Part::new("Commit")
        .line("Commit", id)
        .line("Author", author)
        .line("Subject", subject);
    Some(match file(&tree, kustomization, object) {
        Some((file, cause)) => part.line("File", file).line("By", cause),
        None => part,
    })
}

/// The file and line that the object stands at, and the entry that brought it in.
fn file(
    tree: &GitTree,
    kustomization: &DynamicObject,
    object: &DynamicObject,
) -> Option<(String, String)> {
    let path = text(kustomization, "/spec/path");
    let path = path.trim_start_matches("./").trim_matches('/');
    let options = Options {
        flux: true,
        record_history: true,
        ..Options::default()
    };
    let build = overlay::build(tree, path, &options).ok()?;
    let answer = build.why(&title(object), None).ok()?;
    let Place { file, line, .. } = &answer.object.origin.place;
    let cause = answer.history.causes.first().map(ToString::to_string);
    Some((format!("{file}:{line}"), cause.unwrap_or_default()))
}
