//! `weir env create NAME --like MODEL`: a new environment beside its model.

use std::fmt::Write as _;
use std::path::PathBuf;

use anstream::{eprintln, print};
use overlay::Tree;
use overlay::path::is_within;
use sops::Keyring;

use super::key::KeyFlags;
use crate::cli::fleet::{Fleet, unreadable};
use crate::cli::promote::git::Git;
use crate::cli::secrets::{Keys, now};
use crate::cli::{Exit, Failure, Outcome};
use crate::comparison::show::visible;
use crate::comparison::text::{self, Detail};
use crate::comparison::{Problem, Scope, compare};
use crate::environments::{self, Environment, Graph, Settings};
use crate::new_environment::{
    Draft, DraftError, Places, Request, Values, clash, draft, places, sides,
};
use crate::promotion::overlaid::Overlaid;

const EXAMPLES: &str = "\
Examples:
  weir env create prod-ap --like prod-eu --key-out ~/prod-ap.agekey    with a key of its own, in a file
  weir env create prod-ap --like prod-eu --context prod-ap             with its key in its cluster
  weir env create prod-ap --like prod-eu --recipient age1…             for a key that there is already
  weir env create prod-ap --like prod-eu --dry-run                     what would be written, and nothing else

Secrets of the model are not copied: each becomes a file of the same keys whose values are WEIR-FILL-IN, encrypted for the
new key, which the controller refuses to apply until somebody has filled them in (`weir secrets edit FILE`).
Nothing is committed. Exit codes: 0 written, 1 error, and nothing was written.";

/// Make a new environment like another one: its folders, its key, its rule for secrets.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The new environment.
    name: String,
    /// The environment that it is to be like.
    #[arg(long, value_name = "ENVIRONMENT")]
    like: String,
    /// The folder of its cluster; default beside the model's, after the name.
    #[arg(long, value_name = "PATH")]
    cluster: Option<String>,
    #[command(flatten)]
    key: KeyFlags,
    /// The kubeconfig file of `--context`; default `$KUBECONFIG`, then `~/.kube/config`.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Take over the values of the model's secrets, opened with your keys and encrypted for the new environment.
    #[arg(long)]
    copy_secrets: bool,
    #[command(flatten)]
    keys: Keys,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    fleet: Fleet,
}

/// Drafts, shows, keeps the key, and then writes.
pub(super) async fn run(args: &Args) -> Outcome {
    let folder = args.fleet.folder()?;
    let tree = args.fleet.open(None)?;
    let settings = args.fleet.settings()?;
    let graph = environments::graph(tree.as_ref(), &settings).map_err(unreadable)?;
    let model = find(&graph, &args.like)?;
    if graph.environments.iter().any(|it| it.name == args.name) {
        return Err(Failure::new(format!(
            "there is an environment {} already",
            args.name
        )));
    }
    let places = places(
        tree.as_ref(),
        &graph,
        model,
        &args.name,
        args.cluster.as_deref(),
    )
    .map_err(refused)?;
    let is_shown = args.dry_run && places.shared_cluster().is_none();
    let key = match args.key.is_given() || is_shown {
        true => Some(args.key.key()?),
        false => None,
    };
    let recipient = key.as_ref().map(|key| key.recipient.as_str());
    let draft = make(args, tree.as_ref(), &graph, model, &places, recipient)?;
    let difference = difference(
        tree.as_ref(),
        &graph,
        model,
        args,
        &places,
        &draft,
        &settings,
    )?;
    print!("{difference}");
    if !args.dry_run {
        if let Some(key) = &key
            && let Some(kept) = args
                .key
                .keep(key, model, args.kubeconfig.as_deref())
                .await?
        {
            eprintln!("{kept}");
        }
        Git::at(&folder).write(&draft.changes)?;
    }
    print!("{}", told(args, &draft, &places, recipient));
    Ok(Exit::Success)
}

fn find<'a>(graph: &'a Graph, name: &str) -> Result<&'a Environment, Failure> {
    let names: Vec<&str> = graph
        .environments
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let found = graph.environments.iter().find(|it| it.name == name);
    found.ok_or_else(|| {
        let hint = match overlay::suggest::nearest(name, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        Failure::with_hint(format!("there is no environment {name}"), hint)
    })
}

fn refused(error: DraftError) -> Failure {
    let hint = match &error {
        DraftError::NoRecipient(_) => {
            "--key-out FILE or --context CONTEXT makes one, --recipient takes one"
        }
        DraftError::Secret(_, error)
            if matches!(error.kind, sops::ErrorKind::NoMatchingKey { .. }) =>
        {
            "give a key that opens it with --key FILE, or leave --copy-secrets out"
        }
        _ => return Failure::new(error.to_string()),
    };
    Failure::with_hint(error.to_string(), hint)
}

fn make(
    args: &Args,
    tree: &dyn Tree,
    graph: &Graph,
    model: &Environment,
    places: &Places,
    recipient: Option<&str>,
) -> Result<Draft, Failure> {
    let keys = match args.copy_secrets {
        true => args.keys.keyring()?,
        false => Keyring::default(),
    };
    let request = Request {
        name: &args.name,
        model,
        places,
        recipient,
        values: match args.copy_secrets {
            true => Values::Copied(&keys),
            false => Values::Blank,
        },
        keyring: &keys,
        now: now(),
    };
    draft(tree, graph, &request).map_err(refused)
}

/// What the new environment renders otherwise than its model. One that does not build is not written.
fn difference(
    tree: &dyn Tree,
    graph: &Graph,
    model: &Environment,
    args: &Args,
    places: &Places,
    draft: &Draft,
    settings: &Settings,
) -> Result<String, Failure> {
    let overlaid = Overlaid::new(tree, &draft.changes);
    let after = environments::graph(&overlaid, settings).map_err(unreadable)?;
    let lies = |it: &&Environment| match places.shared_cluster() {
        Some(platform) => it.path == platform.path && it.name == args.name,
        None => places.pairs.iter().any(|(_, to)| it.path == *to),
    };
    let Some(new) = after.environments.iter().find(lies) else {
        return Err(Failure::new(format!(
            "{} would be no environment: nothing leads to its folders",
            args.name
        )));
    };
    if let Some(folder) = unreached(new, places) {
        return Err(Failure::new(format!(
            "nothing of {} would lead to {folder}; nothing was written",
            new.name
        )));
    }
    if let Some((id, ours, theirs)) = clash(&after, new) {
        return Err(Failure::with_hint(
            format!(
                "{}: {id} would be brought by {ours} and by {theirs}; nothing was written",
                new.path
            ),
            "let each environment of the cluster have a namespace of its own (`namespace:` in its kustomization), or name a folder for a cluster of its own with --cluster",
        ));
    }
    let (old, own) = sides(model, new, &args.name, places);
    let (before, after) = (
        graph.only(&old, &new.name, &new.path),
        after.only(&own, &new.name, &new.path),
    );
    let comparison = compare(&before, &after, &settings.marker, &Scope::All);
    // What the model does not build either is no model of it, and what leaves the repository was not found in it.
    if comparison
        .leaves()
        .any(|leaf| is_broken(leaf.problem.as_ref()))
    {
        eprintln!("{}", text::render(&comparison, Detail::Leaves));
        return Err(Failure::new(format!(
            "{} would not build; nothing was written",
            new.name
        )));
    }
    let head = format!(
        "What {} gets otherwise than {}:\n\n",
        visible(&new.name),
        visible(&model.name)
    );
    Ok(head + &text::render(&comparison, Detail::Leaves))
}

fn is_broken(problem: Option<&Problem>) -> bool {
    matches!(
        problem,
        Some(Problem::Breaks(_) | Problem::StaysBroken(_) | Problem::MovesOut(_))
    )
}

/// A new folder that the environment is not made of.
fn unreached<'p>(new: &Environment, places: &'p Places) -> Option<&'p str> {
    let is_reached = |to: &str| {
        let mut leaves = new.leaves.iter();
        is_within(&new.path, to) || leaves.any(|leaf| is_within(&leaf.path, to))
    };
    let folders = places.pairs.iter().map(|(_, to)| to.as_str());
    folders.into_iter().find(|to| !is_reached(to))
}

/// What was written, and what is left to do.
fn told(args: &Args, draft: &Draft, places: &Places, recipient: Option<&str>) -> String {
    let mut text = String::new();
    let verb = if args.dry_run {
        "would be written"
    } else {
        "written"
    };
    let _ = writeln!(text, "\n{verb}:");
    for path in draft.changes.keys() {
        let _ = writeln!(text, "  {}", visible(path));
    }
    if let Some(recipient) = recipient.filter(|_| {
        !args.dry_run
            && draft
                .changes
                .keys()
                .any(|path| path.ends_with(sops::RULES_FILE))
    }) {
        let _ = writeln!(text, "its secrets are for {recipient}");
    }
    if !draft.open.is_empty() {
        text.push_str("\nto fill in, or to look at:\n");
    }
    let mut open = draft.open.clone();
    open.sort();
    for open in &open {
        let place = match open.line {
            0 => open.file.clone(),
            line => format!("{}:{line}", open.file),
        };
        let _ = writeln!(text, "  {}: {}", visible(&place), visible(&open.what));
    }
    if !args.dry_run {
        text.push_str(&then(places));
    }
    text
}

/// How the new environment comes to life.
fn then(places: &Places) -> String {
    match (&places.cluster, places.shared_cluster()) {
        (Some(cluster), _) => format!(
            "\nthen commit, push, and bring its cluster up: weir bootstrap --path {}\n",
            visible(cluster)
        ),
        (None, Some(platform)) => format!(
            "\nthen commit and push: {} brings it\n",
            visible(&platform.path)
        ),
        (None, None) => String::new(),
    }
}
