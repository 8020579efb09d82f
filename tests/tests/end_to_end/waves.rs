//! A stage with waves, as the controller of a later wave keeps to it, whatever the environments before it say.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_tests::scene::PATIENCE;
use weir_tests::{
    GitServer, GitServerOptions, Repository, Signer, SshKey, eventually, publish_state,
};

use crate::automatic::{Cluster, config, fill, region, says};
use crate::guarded_edges::amend;

const STAGE: &str = "stages/prod";
const CONFIG: &str = "stages/prod/shop/config.yaml";
const REGION: &str = "envs/prod-us/env-config.yaml";

/// The cluster of the second wave; what the first one says is up to the test.
struct Site {
    america: Cluster,
    europe: Signer,
    work: Repository,
    server: GitServer,
}

async fn site() -> Site {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    let keys = [0, 1, 2].map(|_| SshKey::generate("ed25519", ""));
    fill(&work, ["staging", "prod-eu", "prod-us"], &keys);
    let europe = Signer::ssh("ed25519");
    let key = json!({"environments": {"prod-eu": {"key": europe.public}}});
    amend(&work, key, json!({}));
    work.publish("version 1");
    let america = Cluster::start("prod-us", &server.url("fleet"), &keys[2], None).await;
    america.runs("shop", "version", "v1").await;
    says(&work, "prod-us", "prod", "has the newest").await;
    Site {
        america,
        europe,
        work,
        server,
    }
}

impl Site {
    /// Says of the first wave that it runs the newest version of the stage, with more to say of that.
    fn europe_says(&self, ago: i64, interval: u64, more: Value) {
        let mut running = json!({"tree": self.newest()});
        let fields = more.as_object().unwrap().clone();
        running.as_object_mut().unwrap().extend(fields);
        let state = json!({
            "version": 1, "environment": "prod-eu", "at": at(ago), "intervalSeconds": interval,
            "folders": {STAGE: running},
        });
        publish_state(&self.server.url("fleet"), Some(&self.europe), &state);
    }

    /// The newest version of the stage.
    fn newest(&self) -> String {
        self.work.git(&["rev-parse", &format!("HEAD:{STAGE}")])
    }

    /// Waits until the second wave says something of the stage, and is still at a version then.
    async fn stays(&self, version: &str, part: &str) -> String {
        let said = says(&self.work, "prod-us", "prod", part).await;
        assert_eq!(
            self.america.value("shop", "version").await,
            version,
            "{said}"
        );
        said
    }
}

/// So many seconds ago.
fn at(ago: i64) -> String {
    let then = Timestamp::from_second(Timestamp::now().as_second() - ago);
    then.unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_wave_waits_for_a_state_of_the_one_before_that_is_signed_fresh_and_well() {
    let site = site().await;
    site.work.write(CONFIG, config("v2"));
    site.work.publish("version 2");
    let said = site.stays("v1", "waits: prod-eu publishes no state").await;
    assert!(said.starts_with("stays at "), "{said}");
    let told = format!("prod: {said}");
    eventually(PATIENCE, "an event tells of it", async || {
        let events = site.america.events().await;
        match events.contains(&told) {
            true => Ok(()),
            false => Err(events.join("\n")),
        }
    })
    .await;
    let failure = json!({"failure": {"at": at(0), "message": "apps: the shop is shut"}});
    site.europe_says(0, 300, failure);
    site.stays(
        "v1",
        "waits: prod-eu is not healthy: apps: the shop is shut",
    )
    .await;
    let running = json!({"tree": site.newest(), "healthySince": at(1000)});
    let forged = json!({
        "version": 1, "environment": "prod-eu", "at": at(0), "intervalSeconds": 300, "folders": {STAGE: running},
    });
    publish_state(&site.server.url("fleet"), None, &forged);
    site.stays(
        "v1",
        "waits: prod-eu publishes a state that its key has not signed",
    )
    .await;
    // Three times what it declares itself is all that counts.
    site.europe_says(100, 33, json!({"healthySince": at(1000)}));
    site.stays("v1", "waits: prod-eu has not been heard of since")
        .await;
    site.europe_says(100, 300, json!({"healthySince": at(1000)}));
    site.america.runs("shop", "version", "v2").await;
    says(
        &site.work,
        "prod-us",
        "prod",
        "the wave before runs it well",
    )
    .await;

    site.work.write(CONFIG, config("v3"));
    site.work.publish("version 3");
    site.stays("v2", "waits: prod-eu runs another version")
        .await;
    // Version 3 has not said so, and goes along: all that is not released yet must.
    site.work.write(CONFIG, config("v4"));
    site.work
        .publish("version 4\n\nWeir-Waves: skip a typo in the name");
    let tree = site.newest();
    let about = format!("{} waits: prod-eu", &tree[..12]);
    site.stays("v2", &about).await;
    site.europe_says(0, 300, json!({"healthySince": at(1000)}));
    site.america.runs("shop", "version", "v4").await;
    site.work.write(CONFIG, config("v5"));
    site.work
        .publish("version 5\n\nWeir-Waves: skip the shop is down everywhere");
    site.america.runs("shop", "version", "v5").await;
    let reason = "its commits are for all waves at once (the shop is down everywhere)";
    says(&site.work, "prod-us", "prod", reason).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_repository_has_no_more_keeps_the_environment_at_what_it_runs() {
    let mut site = site().await;
    let released = site.newest();
    // Somebody rewrites the branch, and what was released is in none of its commits, and in no other folder.
    site.work
        .git(&["checkout", "--quiet", "--orphan", "rewritten"]);
    site.work
        .write(CONFIG, config("v2"))
        .write("stages/staging/shop/config.yaml", config("v2"))
        .write(REGION, region("us-west"));
    site.work.commit("another past");
    site.work
        .git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
    site.america.runs("env-config", "region", "us-west").await;
    site.stays("v1", "waits: prod-eu publishes no state").await;

    site.america.restart_elsewhere();
    let told = format!(
        "{STAGE} stays at {}, which the repository has no more",
        &released[..12]
    );
    eventually(PATIENCE, "the GitRepository says so", async || {
        let status = site.america.source().await;
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        let says_so = |condition: &Value| {
            condition["reason"] == "ReleasedTreeMissing"
                && condition["message"]
                    .as_str()
                    .is_some_and(|text| text.contains(&told))
        };
        match conditions.iter().any(says_so) {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    })
    .await;
    site.work
        .write(CONFIG, config("v3"))
        .write(REGION, region("us-east"));
    site.work.commit("version 3");
    site.work.git(&["push", "--quiet", "origin", "HEAD:main"]);
    let tree = site.newest();
    site.stays("v1", &format!("{} waits: prod-eu", &tree[..12]))
        .await;
    assert_eq!(site.america.value("env-config", "region").await, "us-west");

    // What nobody holds back needs no earlier version.
    site.europe_says(0, 300, json!({"healthySince": at(1000)}));
    site.america.runs("shop", "version", "v3").await;
    site.america.runs("env-config", "region", "us-east").await;
}
