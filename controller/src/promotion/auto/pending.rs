//! What the tree says of every edge and app: what would be promoted, and what stands against it whatever the time is.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use overlay::Tree;

use crate::environments::{Graph, Settings};
use crate::promotion::effect::reached;
use crate::promotion::plan::{PlanError, Request, plan_upon};
use crate::promotion::policy::Policy;
use crate::promotion::refusal::FREEZE;
use crate::promotion::route::Edge;
use crate::promotion::scope::{App, Scope, scope};
use crate::promotion::{prepare, record};
use crate::source::history::{History, Point};

/// What is known of an edge and an app before anybody is heard.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The edge.
    pub edge: Edge,
    /// The app.
    pub app: String,
    /// The target's name, as freezes call it.
    pub stage: String,
    /// The folder that must have soaked, and its tree.
    pub source: (String, String),
    /// The folder in the target, where there is one.
    pub target: Option<String>,
    /// The environments that must run it.
    pub environments: BTreeSet<String>,
    /// The environments that get it.
    pub targets: BTreeSet<String>,
    /// How long they must have been healthy.
    pub soak: Duration,
    /// What would happen.
    pub change: Change,
}

/// What a promotion would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the target has it all.
    None,
    /// These files would be written.
    Files(Vec<String>),
    /// A person must decide first: sentences.
    Stopped(Vec<String>),
}

/// What a look at the tree is made from.
pub struct Site<'a> {
    /// The repository.
    pub history: &'a History,
    /// The newest commit of the default branch.
    pub head: &'a Point,
    /// Its environments.
    pub graph: &'a Graph,
    /// Its `weir.yaml`.
    pub policy: &'a Policy,
    /// How graphs are built.
    pub settings: &'a Settings,
    /// The environment whose edges are looked at closely: of others nothing is promoted. All when none is named.
    pub driver: Option<&'a str>,
}

/// Looks at every edge and app. What is wrong with one stops none of the others.
pub fn pending(site: &Site<'_>) -> Vec<Pending> {
    let mut found = Vec::new();
    for edge in &site.policy.edges {
        let names = [edge.from.as_str(), edge.to.as_str()];
        let folders = &site.graph.folders;
        let scope = match scope(&site.head.tree, folders, site.policy, names, &edge.apps) {
            Ok(scope) => scope,
            Err(error) => {
                let apps = match edge.apps.is_empty() {
                    true => "all apps".to_owned(),
                    false => edge.apps.join(", "),
                };
                found.push(stopped(edge, &apps, &error));
                continue;
            }
        };
        for app in &scope.apps {
            let pending = of_app(site, edge, &scope, app);
            found.push(pending.unwrap_or_else(|error| stopped(edge, &app.name, &error)));
        }
    }
    found
}

/// What cannot be looked at.
fn stopped(edge: &Edge, app: &str, error: &dyn std::fmt::Display) -> Pending {
    Pending {
        edge: edge.clone(),
        app: app.to_owned(),
        stage: edge.to.clone(),
        source: Default::default(),
        target: None,
        environments: BTreeSet::new(),
        targets: BTreeSet::new(),
        soak: Duration::ZERO,
        change: Change::Stopped(vec![error.to_string()]),
    }
}

fn of_app(site: &Site<'_>, edge: &Edge, scope: &Scope, app: &App) -> Result<Pending, PlanError> {
    let folder = scope.source_folder(app);
    let tree = site.head.tree.id(&folder)?;
    let routes = site.policy.routes();
    Ok(Pending {
        edge: edge.clone(),
        app: app.name.clone(),
        stage: scope.to.name.clone(),
        environments: match edge.requires.as_slice() {
            [] => reached(site.graph, std::slice::from_ref(&folder)),
            names => routes.members(names),
        },
        source: (
            folder.clone(),
            tree.map(|id| id.to_string()).unwrap_or_default(),
        ),
        targets: reached(site.graph, &[scope.target_folder(app)]),
        target: Some(scope.target_folder(app)),
        soak: edge.soak.unwrap_or_else(|| site.policy.soak()),
        change: match site.driver.is_none_or(|driver| driver == edge.driver) {
            true => change(site, edge, scope, app)?,
            false => Change::None,
        },
    })
}

fn change(site: &Site<'_>, edge: &Edge, scope: &Scope, app: &App) -> Result<Change, PlanError> {
    let path = record::path(&scope.to.name, &app.name);
    let recorded = record::read(&site.head.tree, &path).map_err(prepare::PrepareError::from)?;
    let request = request(edge, &app.name);
    let upon = prepare::Site {
        history: site.history,
        head: site.head,
        trunk: site.head,
        graph: site.graph,
        policy: site.policy,
    };
    let promotion = plan_upon(&upon, &request, site.settings, Timestamp::now())?;
    if promotion.changes.is_empty() && promotion.refusals.is_empty() {
        return Ok(Change::None);
    }
    if let Some(hold) = recorded.as_ref().and_then(|record| record.hold.as_ref()) {
        let refused: String = hold.refused.chars().take(12).collect();
        return Ok(Change::Stopped(vec![format!(
            "held: {} rolled {refused} back ({}); `weir promote` or `weir rollback {} {} --lift` ends it",
            hold.who, hold.why, scope.to.name, app.name
        )]));
    }
    // The time is looked at later.
    let refusals = promotion.refusals.iter().filter(|it| it.name != FREEZE);
    let mut stops: Vec<String> = refusals
        .map(|refusal| format!("refused ({}): {}", refusal.name, refusal.message))
        .collect();
    stops.extend(promotion.unsigned);
    let files = promotion.changes.into_keys();
    Ok(match stops.is_empty() {
        true => Change::Files(files.filter(|path| !path.starts_with('.')).collect()),
        false => Change::Stopped(stops),
    })
}

/// What is asked of the promotion of an app over an edge.
pub fn request(edge: &Edge, app: &str) -> Request {
    Request {
        from: edge.from.clone(),
        to: edge.to.clone(),
        apps: vec![app.to_owned()],
        ..Request::default()
    }
}
