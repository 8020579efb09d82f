//! Promotion that nobody starts, in the controller: what this environment runs is published, edges that it drives are
//! promoted over, and what a stage with waves has new waits for its turn.
//!
//! ```text
//! mirror ──fetch──▶ repository (weir.yaml, pending) ┐
//! Kustomizations ──▶ facts ──publish──▶ refs/weir/state/<environment>
//! what others published ──hear──▶ decide ──drive──▶ commit, push ┘ ; waves ──▶ what the GitRepository gives out
//! ```

mod drive;
mod facts;
mod look;
mod publish;
mod repository;
mod tell;
mod turns;
pub mod waves;
mod way;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::context::Context;
use super::schedule::Key;

pub use facts::reported;

/// What the command line says of automatic promotion.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The environment that this cluster is, as `weir envs` calls it.
    pub environment: String,
    /// The GitRepository that holds the environments and `weir.yaml`.
    pub source: Key,
    /// The Secret, beside it, with the credential to push with and the key to sign with; without one all of this is off.
    pub secret: Option<String>,
    /// How often is looked.
    pub every: Duration,
    /// Where the mirror lies.
    pub mirror: PathBuf,
}

/// Looks again and again until the process stops.
pub async fn run(context: Arc<Context>, settings: Settings, mut stopping: watch::Receiver<bool>) {
    context.listed.both().await;
    let mut state = look::State::default();
    loop {
        let problem = look::look(&context, &settings, &mut state).await.err();
        state.tell_problem(&context, &settings, problem);
        tokio::select! {
            () = tokio::time::sleep(settings.every) => {}
            _ = stopping.changed() => return,
        }
    }
}
