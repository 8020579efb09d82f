//! `make demo`: the example repository alive in a real API server, from the first deploy to a mended mistake.
//!
//! Everything is real: etcd, kube-apiserver and its controllers, a Git server over HTTP, the `weir` binary. Only
//! the node is simulated, so containers do not run, though their pods become ready.

#![allow(
    clippy::panic,
    reason = "a demo that cannot be set up has nothing to show"
)]

mod cluster;
mod narrator;
mod story;

use std::process::ExitCode;

use weir_tests::{ControlPlane, ControlPlaneOptions, GitServer, GitServerOptions, Weir};

use cluster::Cluster;
use narrator::Narrator;

#[tokio::main]
async fn main() -> ExitCode {
    let keep = std::env::args().any(|argument| argument == "--keep");
    let narrator = Narrator::start();

    narrator.chapter("A control plane and a Git server start");
    let control_plane = ControlPlane::start(ControlPlaneOptions {
        audit: true,
        ..Default::default()
    });
    let server = GitServer::start(GitServerOptions::default());
    let client = control_plane.client(ControlPlane::ADMINISTRATOR).await;
    let cluster = Cluster::prepare(client).await;
    let fleet = story::publish_example(&server);
    narrator.done(&format!("API server at {}", control_plane.server()));
    narrator.done(&format!(
        "the example repository at {}",
        server.url("fleet")
    ));

    let state = tempfile::tempdir().expect("create a folder for Weir");
    let storage = format!("--storage-path={}", state.path().display());
    let arguments = [
        storage.as_str(),
        "--metrics-addr=127.0.0.1:0",
        "--health-addr=127.0.0.1:0",
        "--storage-addr=127.0.0.1:0",
        "--enable-leader-election",
    ];
    let weir = Weir::start(control_plane.kubeconfig(ControlPlane::WEIR), &arguments);

    let told = story::tell(&narrator, &cluster, &fleet).await;
    if told.is_err() {
        eprintln!("{}", weir.log());
    }
    narrator.end(
        control_plane.kubeconfig(ControlPlane::ADMINISTRATOR),
        fleet.path(),
    );
    if keep {
        println!("\nStill running: press Ctrl-C to end.");
        tokio::signal::ctrl_c().await.expect("wait for Ctrl-C");
    }
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("\nthe demo failed: {reason}");
            ExitCode::FAILURE
        }
    }
}
