//! What holds an edge although its source runs well: who may, windows, freezes and what it requires, as its controller keeps
//! to them.

use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use weir_tests::scene::PATIENCE;
use weir_tests::{
    GitServer, GitServerOptions, Repository, Signer, SshKey, eventually, publish_state,
};

use crate::automatic::{CONFIG, Cluster, config, fill, says, weir};

const EDGE: &str = "staging → prod: shop";
const TARGET: &str = "stages/prod/shop/config.yaml";

/// A cluster that drives the edge, and the repository that it does so in.
struct Site {
    staging: Cluster,
    work: Repository,
    server: GitServer,
}

/// Starts it with more fields in `weir.yaml` and in its edge.
async fn site(more: Value, edge: Value) -> Site {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    let keys = [0, 1, 2].map(|_| SshKey::generate("ed25519", ""));
    fill(&work, ["staging", "prod-eu", "prod-us"], &keys);
    amend(&work, more, edge);
    work.publish("version 1");
    let staging = Cluster::start("staging", &server.url("fleet"), &keys[0], None).await;
    staging.runs("shop", "version", "v1").await;
    says(&work, "staging", EDGE, "already there").await;
    Site {
        staging,
        work,
        server,
    }
}

/// Sets fields of `weir.yaml` and of its edge.
pub(crate) fn amend(work: &Repository, more: Value, edge: Value) {
    let text = std::fs::read(work.path().join("weir.yaml")).unwrap();
    let mut policy: Value = serde_json::from_slice(&text).unwrap();
    set(&mut policy, &more);
    set(&mut policy["edges"][0], &edge);
    work.write("weir.yaml", policy.to_string());
}

/// Sets fields of a value, and of the mappings in it.
fn set(on: &mut Value, fields: &Value) {
    for (key, value) in fields.as_object().unwrap() {
        match value.is_object() && on[key].is_object() {
            true => set(&mut on[key], value),
            false => on[key] = value.clone(),
        }
    }
}

impl Site {
    /// The version that the target has on the server.
    fn target(&self) -> String {
        self.work.git(&["fetch", "--quiet", "origin", "main"]);
        self.work.git(&["show", &format!("FETCH_HEAD:{TARGET}")])
    }

    /// Waits until a version was promoted, and takes on the commit.
    async fn promoted(&self, version: &str) {
        let what = format!("{version} is promoted");
        eventually(PATIENCE, &what, async || {
            let text = self.target();
            match text.contains(&format!("version: {version}")) {
                true => Ok(()),
                false => Err(text),
            }
        })
        .await;
        self.work
            .git(&["merge", "--quiet", "--ff-only", "FETCH_HEAD"]);
    }

    /// What the edge is held by: published, told as an event, and shown as a line of the history.
    async fn held(&self, part: &str) -> String {
        let sentence = says(&self.work, "staging", EDGE, part).await;
        let line = format!("{EDGE}: {sentence}");
        eventually(PATIENCE, "an event tells of it", async || {
            let told = self.staging.events().await;
            match told.contains(&line) {
                true => Ok(()),
                false => Err(told.join("\n")),
            }
        })
        .await;
        let history = weir(self.work.path(), &["history", "prod", "--fetch"]);
        let is_line = |row: &str| row.contains("decision") && row.contains(&line);
        assert!(history.lines().any(is_line), "{history}");
        sentence
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_those_have_signed_who_may_is_promoted() {
    let [ada, bob] = [0, 1].map(|_| Signer::ssh("ed25519"));
    let people = json!({"people": {"ada": ada.public}});
    let site = site(people, json!({"whoMay": ["ada"]})).await;
    let work = &site.work;
    work.write(CONFIG, config("v2"));
    ada.commit(work, "version 2");
    work.push();
    site.promoted("v2").await;

    work.write(CONFIG, config("v3"));
    let refused = bob.commit(work, "version 3");
    work.push();
    site.staging.runs("shop", "version", "v3").await;
    let sentence = site.held("is not signed by ada").await;
    assert_eq!(
        sentence,
        format!(
            "stopped: commit {} (version 3) is not signed by ada, and only they may",
            &refused[..12]
        )
    );
    assert!(site.target().contains("version: v2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_and_freezes_hold_an_edge_that_would_go() {
    let now = Timestamp::now();
    let day = SignedDuration::from_hours(24);
    let away = now + day * 3;
    let weekday = away.to_zoned(TimeZone::UTC).strftime("%a").to_string();
    let closed = json!([{
        "days": [weekday.to_lowercase()], "from": "00:00", "to": "23:59", "timeZone": "Europe/Berlin",
    }]);
    let freeze = json!({
        "name": "holidays", "stages": ["prod"], "from": (now - day).to_string(), "to": (now + day).to_string(),
    });
    let site = site(json!({"freezes": [freeze]}), json!({"windows": closed})).await;
    let work = &site.work;
    work.write(CONFIG, config("v2"));
    work.publish("version 2");
    site.staging.runs("shop", "version", "v2").await;
    let both = site.held("waits: it is outside the windows").await;
    assert!(
        both.contains("prod is frozen until ") && both.ends_with(": holidays"),
        "{both}"
    );

    amend(work, json!({}), json!({"windows": []}));
    work.publish("no windows");
    let frozen = site.held("waits: prod is frozen until ").await;
    assert!(frozen.ends_with(": holidays"), "{frozen}");
    assert!(site.target().contains("version: v1"));

    amend(work, json!({"freezes": []}), json!({}));
    work.publish("no freeze");
    site.promoted("v2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_waits_for_all_that_it_requires() {
    let europe = Signer::ssh("ed25519");
    let more = json!({
        "environments": {"prod-eu": {"key": europe.public}}, "groups": {"both": ["staging", "prod-eu"]},
    });
    let site = site(more, json!({"requires": ["both"]})).await;
    let work = &site.work;
    work.write(CONFIG, config("v2"));
    work.publish("version 2");
    site.staging.runs("shop", "version", "v2").await;
    site.held("waits: prod-eu publishes no state").await;
    assert!(site.target().contains("version: v1"));
    let now = Timestamp::now().to_string();
    let tree = work.git(&["rev-parse", "HEAD:stages/staging/shop"]);
    let state = json!({
        "version": 1, "environment": "prod-eu", "at": now, "intervalSeconds": 300,
        "folders": {"stages/staging/shop": {"tree": tree, "healthySince": now}},
    });
    publish_state(&site.server.url("fleet"), Some(&europe), &state);
    site.promoted("v2").await;
}
