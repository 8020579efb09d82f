//! What a controller publishes of its environment, and how often; and that it publishes nothing without a credential.

use std::path::Path;

use serde_json::{Value, json};
use weir_tests::scene::PATIENCE;
use weir_tests::{GitServer, GitServerOptions, Repository, SshKey, eventually};

use crate::automatic::{CONFIG, Cluster, config, fill, state};

/// Seconds between two states when nothing changes.
const INTERVAL: i64 = 6;

/// Seconds between two states when much does.
const AT_MOST_EVERY: i64 = 3;

/// An environment that misses so many of its intervals is taken for ill.
const MISSED: i64 = 3;

fn repository(server: &GitServer, keys: &[SshKey; 3]) -> Repository {
    let work = server.create_repository("fleet");
    fill(&work, ["staging", "prod-eu", "prod-us"], keys);
    work
}

/// Has the server note the time of every state that it is given.
fn noted(server: &GitServer, notes: &Path) {
    let program = format!(
        "#!/bin/sh\nwhile read old new name; do\n  case $name in refs/weir/*) git log -1 --format=%ct $new >> {};; \
         esac\ndone\n",
        notes.display()
    );
    server.hook("fleet", "post-receive", &program);
}

fn times(notes: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(notes).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn gaps(times: &[i64]) -> Vec<i64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_published_once_an_interval_and_not_too_often_when_much_changes() {
    let server = GitServer::start(GitServerOptions::default());
    let keys = [0, 1, 2].map(|_| SshKey::generate("ed25519", ""));
    let work = repository(&server, &keys);
    // No edge and no wave names a folder.
    let policy = json!({
        "environments": {"staging": {"key": keys[0].public}},
        "publish": {"interval": format!("{INTERVAL}s"), "atMostEvery": format!("{AT_MOST_EVERY}s")},
    });
    work.write("weir.yaml", policy.to_string());
    work.publish("version 1");
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    noted(&server, &notes);
    let staging = Cluster::start("staging", &server.url("fleet"), &keys[0], None).await;
    staging.runs("shop", "version", "v1").await;
    let tree = |folder: &str| json!(work.git(&["rev-parse", &format!("HEAD:{folder}")]));
    let told = eventually(PATIENCE, "it is well, and says so", async || {
        let told = state(&work, "staging");
        let folders = &told["folders"];
        let is_well = |folder: &str| {
            folders[folder]["tree"] == tree(folder) && folders[folder]["healthySince"].is_string()
        };
        match is_well("stages/staging") && is_well("stages/staging/shop") {
            true => Ok(told),
            false => Err(told.to_string()),
        }
    })
    .await;
    assert_eq!(told["intervalSeconds"], INTERVAL);
    assert_eq!(
        told["folders"]["stages/prod"],
        Value::Null,
        "it runs nothing of it"
    );

    let settled = times(&notes).len();
    eventually(PATIENCE, "four states without news", async || {
        let times = times(&notes);
        match times.len() >= settled + 4 {
            true => Ok(()),
            false => Err(format!("{times:?}")),
        }
    })
    .await;
    let quiet = gaps(&times(&notes)[settled - 1..]);
    let is_heartbeat = |gap: &i64| (INTERVAL..INTERVAL * MISSED).contains(gap);
    assert!(quiet.iter().all(is_heartbeat), "{quiet:?}");

    let before = times(&notes).len();
    for version in ["v2", "v3", "v4", "v5", "v6"] {
        work.write(CONFIG, config(version));
        work.publish(version);
        staging.runs("shop", "version", version).await;
    }
    eventually(PATIENCE, "the last version is told", async || {
        let told = state(&work, "staging");
        match told["folders"]["stages/staging"]["tree"] == tree("stages/staging") {
            true => Ok(()),
            false => Err(told.to_string()),
        }
    })
    .await;
    let busy = gaps(&times(&notes)[before - 1..]);
    assert!(busy.iter().all(|gap| *gap >= AT_MOST_EVERY), "{busy:?}");
    assert!(busy.iter().any(|gap| *gap < INTERVAL), "{busy:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_to_push_with_nothing_is_promoted_and_that_is_said() {
    let server = GitServer::start(GitServerOptions::default());
    let keys = [0, 1, 2].map(|_| SshKey::generate("ed25519", ""));
    let work = repository(&server, &keys);
    work.publish("version 1");
    let url = server.url("fleet");
    let staging = Cluster::start_with("staging", &url, &Value::Null, &json!({}), None).await;
    let told = "automatic promotion is off: --promotion-secret names no Secret to push with";
    eventually(PATIENCE, "an event says so", async || {
        let events = staging.events().await;
        match events.iter().any(|event| event == told) {
            true => Ok(()),
            false => Err(events.join("\n")),
        }
    })
    .await;
    assert!(staging.log().contains(told));
    work.write(CONFIG, config("v2"));
    let commit = work.publish("version 2");
    // All else goes on.
    staging.fetch().await;
    staging.runs("shop", "version", "v2").await;
    let refs = work.git(&["ls-remote", "origin"]);
    assert!(!refs.contains("refs/weir/"), "{refs}");
    assert!(
        refs.contains(&format!("{commit}\trefs/heads/main")),
        "{refs}"
    );
}
