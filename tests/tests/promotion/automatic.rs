//! `weir promote --auto --dry-run`: what controllers would promote, by what environments have published and signed.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_tests::{GitServer, GitServerOptions, Repository, Signer};

use crate::fleet::{STAGING, Said, edit, fill, promote, weir};

/// The address of a fleet on a server, and a clone of it.
struct Fleet {
    server: GitServer,
    work: Repository,
    staging: Signer,
    ada: Signer,
}

/// A fleet whose `weir.yaml` has one edge, with more fields.
fn served(edge: Value) -> Fleet {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    fill(&work);
    let (staging, ada) = (Signer::ssh("ed25519"), Signer::ssh("ed25519"));
    let mut full = json!({"from": "staging", "to": "prod", "driver": "staging", "apps": ["shop"]});
    let fields = full.as_object_mut().unwrap();
    fields.extend(edge.as_object().unwrap().clone());
    let policy = json!({
        "environments": {"staging": {"key": staging.public}},
        "people": {"ada": ada.public},
        "edges": [full],
    });
    work.write("weir.yaml", policy.to_string());
    work.publish("first");
    Fleet {
        server,
        work,
        staging,
        ada,
    }
}

impl Fleet {
    /// Publishes the state of staging, with the tree of the shop at the head, as its controller would.
    fn says(&self, signer: Option<&Signer>, ago: i64, healthy: bool) {
        let tree = self.work.git(&["rev-parse", "HEAD:stages/staging/shop"]);
        let at = |ago: i64| {
            let then = Timestamp::from_second(Timestamp::now().as_second() - ago);
            then.unwrap().to_string()
        };
        let mut running = json!({"tree": tree});
        match healthy {
            true => running["healthySince"] = json!(at(ago + 600)),
            false => running["failure"] = json!({"at": at(ago), "message": "the shop is shut"}),
        }
        let state = json!({
            "version": 1, "environment": "staging", "at": at(ago), "intervalSeconds": 300,
            "folders": {"stages/staging/shop": running},
        });
        let own = Repository::create(&self.server.url("fleet"), None);
        own.write("state.json", state.to_string());
        match signer {
            Some(signer) => drop(signer.commit(&own, "state")),
            None => drop(own.commit("state")),
        }
        own.git(&[
            "push",
            "--quiet",
            "--force",
            "origin",
            "HEAD:refs/weir/state/staging",
        ]);
    }

    fn explain(&self) -> Said {
        promote(&self.work, &["--auto", "--dry-run"])
    }
}

#[test]
fn every_edge_says_what_it_waits_for() {
    let fleet = served(json!({"soak": "5m"}));
    let said = fleet.explain().with(0);
    assert!(said.out.contains("already there"), "{}", said.out);
    edit(&fleet.work, STAGING, "tag: v1", "tag: v2");
    fleet.work.publish("v2");
    let waits = |want: &str| {
        let said = fleet.explain().with(0);
        assert!(said.out.contains(want), "{want}\n{}", said.out);
    };
    waits("waits: staging publishes no state");
    fleet.says(None, 0, true);
    waits("waits: staging publishes a state that its key has not signed");
    fleet.says(Some(&fleet.ada), 0, true);
    waits("waits: staging publishes a state that its key has not signed");
    fleet.says(Some(&fleet.staging), 901, true);
    waits("waits: staging has not been heard of since");
    fleet.says(Some(&fleet.staging), 0, false);
    waits("waits: staging is not healthy: the shop is shut");
    fleet.says(Some(&fleet.staging), 0, true);
    let said = fleet.explain().with(2);
    assert!(
        said.out
            .contains("promotes now: stages/prod/shop/helm.yaml"),
        "{}",
        said.out
    );
    assert_eq!(
        fleet.work.git(&["status", "--porcelain"]),
        "",
        "nothing is written"
    );
    edit(&fleet.work, STAGING, "tag: v2", "tag: v3");
    fleet.work.publish("v3");
    waits("waits: staging runs another version of stages/staging/shop");
}

#[test]
fn a_rollback_holds_until_somebody_lifts_it() {
    let fleet = served(json!({}));
    let work = &fleet.work;
    edit(work, STAGING, "tag: v1", "tag: v2");
    work.commit("v2");
    promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
    edit(work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
    weir(
        work.path(),
        &[
            "rollback", "prod", "shop", "--reason", "it fails", "--commit",
        ],
    )
    .with(0);
    work.push();
    fleet.says(Some(&fleet.staging), 0, true);
    let said = fleet.explain().with(0);
    assert!(
        said.out
            .contains("stopped: held: Ada <ada@example.org> rolled")
            && said.out.contains("(it fails)"),
        "{}",
        said.out
    );
    edit(work, STAGING, "tag: v3", "tag: v4");
    work.commit("the fix");
    weir(
        work.path(),
        &["rollback", "prod", "shop", "--lift", "--commit"],
    )
    .with(0);
    work.push();
    fleet.says(Some(&fleet.staging), 0, true);
    let said = fleet.explain().with(2);
    assert!(said.out.contains("promotes now"), "{}", said.out);
}

#[test]
fn only_signed_commits_of_those_who_may_travel() {
    let fleet = served(json!({"whoMay": ["ada"]}));
    let work = &fleet.work;
    edit(work, STAGING, "tag: v1", "tag: v2");
    work.publish("nobody signed it");
    fleet.says(Some(&fleet.staging), 0, true);
    let said = fleet.explain().with(0);
    assert!(
        said.out
            .contains("(nobody signed it) is not signed by ada, and only they may"),
        "{}",
        said.out
    );
    let said = promote(work, &["staging", "prod", "shop"]).with(2);
    assert!(
        said.err.contains("warning: ") && said.err.contains("is not signed by ada"),
        "{}",
        said.err
    );
    edit(work, STAGING, "tag: v2", "tag: v3");
    fleet.ada.commit(work, "Ada signed it");
    work.push();
    fleet.says(Some(&fleet.staging), 0, true);
    let said = fleet.explain().with(2);
    assert!(said.out.contains("promotes now"), "{}", said.out);
}

#[test]
fn mistakes_in_weir_yaml_are_named() {
    let fleet = served(json!({}));
    for (policy, named) in [
        (
            json!({"edges": [{"from": "a", "to": "b", "driver": "c"}]}),
            "driven by c, which",
        ),
        (
            json!({"environments": {"a": {"key": "none"}}}),
            "the key of a is no public SSH key",
        ),
        (
            json!({"stages": {"prod": {"waves": [{"environments": ["x"]}]}}}),
            "x is named, but",
        ),
        (
            json!({"publish": {"interval": "soon"}}),
            "\"soon\" is no duration",
        ),
    ] {
        fleet.work.write("weir.yaml", policy.to_string());
        fleet.work.publish("a mistake");
        let said = fleet.explain().with(1);
        assert!(said.err.contains(named), "{named}\n{}", said.err);
    }
    let said = promote(&fleet.work, &["--auto"]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.err.contains("--dry-run"), "{}", said.err);
}
