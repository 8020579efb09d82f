//! `weir promote --auto --dry-run`: what controllers would promote, by what environments have published and signed.

use controller::environments::{Settings, graph};
use controller::promotion::auto::running::running;
use controller::promotion::auto::waves;
use controller::promotion::health::Reported;
use controller::source::History;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_tests::forge_server::{ForgeServer, Kind, REPOSITORY, TOKEN};
use weir_tests::{GitServer, GitServerOptions, Repository, Signer, publish_state};

use crate::fleet::{PROD, STAGING, Said, edit, fill, fleet, promote, weir};

/// The address of a fleet on a server, and a clone of it.
pub(crate) struct Fleet {
    pub(crate) server: GitServer,
    pub(crate) work: Repository,
    pub(crate) staging: Signer,
    pub(crate) europe: Signer,
    pub(crate) ada: Signer,
}

/// A fleet whose `weir.yaml` has one edge, with more fields.
pub(crate) fn served(edge: Value) -> Fleet {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    fill(&work);
    let [staging, europe, ada] = [0, 1, 2].map(|_| Signer::ssh("ed25519"));
    let mut full = json!({"from": "staging", "to": "prod", "driver": "staging", "apps": ["shop"]});
    let fields = full.as_object_mut().unwrap();
    fields.extend(edge.as_object().unwrap().clone());
    let policy = json!({
        "environments": {"staging": {"key": staging.public}, "prod-eu": {"key": europe.public}},
        "people": {"ada": ada.public},
        "edges": [full],
    });
    work.write("weir.yaml", policy.to_string());
    work.publish("first");
    Fleet {
        server,
        work,
        staging,
        europe,
        ada,
    }
}

impl Fleet {
    /// Publishes the state of staging, with the tree of the shop at the head, as its controller would.
    pub(crate) fn says(&self, signer: Option<&Signer>, ago: i64, healthy: bool) {
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
        self.publishes(signer, &state);
    }

    /// Publishes a state as it is.
    pub(crate) fn publishes(&self, signer: Option<&Signer>, state: &Value) {
        publish_state(&self.server.url("fleet"), signer, state);
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
    // What counts is the server's default branch, whatever is checked out.
    fleet.work.branch("something-else");
    waits("waits: staging publishes no state");
    fleet.work.switch("main");
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
    release(&fleet, &["v1", "v2", "v3"]);
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
fn a_failure_that_was_overcome_is_not_what_is_wrong_later() {
    let work = fleet();
    let history = History::discover(work.path()).unwrap();
    let head = history.point("HEAD").unwrap();
    let graph = graph(&head.tree, &Settings::default()).unwrap();
    let named = graph.environments.iter().find(|it| it.name == "staging");
    let staging = named.unwrap();
    let path = staging.leaves[0].path.clone();
    let mut before = None;
    for (minute, is_ready, has_failed, healthy, failed) in [
        (0, false, true, None, Some(0)),
        (1, false, true, None, Some(0)),
        (2, true, false, Some(2), Some(0)),
        (3, true, false, Some(2), Some(0)),
        (4, false, false, None, None), // under way: what failed before says nothing of it
        (5, false, true, None, Some(5)), // the same again is another failure
    ] {
        let at = |minute: i64| Timestamp::from_second(60 * minute).unwrap();
        let reported = Reported {
            path: path.clone(),
            message: "the shop is shut".to_owned(),
            commit: Some(head.commit.id.to_string()),
            is_ready,
            has_failed,
            ..Reported::default()
        };
        let earlier = before.as_ref();
        let folder = "stages/staging/shop";
        let now = running(&history, staging, &[reported], folder, earlier, at(minute)).unwrap();
        assert_eq!(now.healthy_since, healthy.map(at), "{minute}");
        let told = now.failure.as_ref().map(|failure| failure.at);
        assert_eq!(told, failed.map(at), "{minute}");
        before = Some(now);
    }
}

#[test]
fn the_command_goes_by_what_the_source_has_published() {
    let fleet = served(json!({"soak": "15m"}));
    let work = &fleet.work;
    edit(work, STAGING, "tag: v1", "tag: v2");
    work.commit("v2");
    let commit = ["staging", "prod", "shop", "--commit"];
    let refused = |want: &str| {
        let said = promote(work, &commit).with(1);
        assert!(said.err.contains(want), "{want}\n{}", said.err);
    };
    refused("refused (health): staging publishes no state");
    fleet.says(Some(&fleet.ada), 0, true);
    refused("refused (health): staging publishes a state that its key has not signed");
    fleet.says(Some(&fleet.staging), 901, true);
    refused("refused (health): staging has not been heard of since");
    fleet.says(Some(&fleet.staging), 0, false);
    refused("refused (health): staging is not healthy: the shop is shut");
    // It has been healthy for ten minutes.
    fleet.says(Some(&fleet.staging), 0, true);
    refused("refused (soak): staging soaks until");
    let known = ["--override", "soak=tried by hand"];
    promote(work, &[&commit[..], &known].concat()).with(0);
    let message = work.git(&["log", "-1", "--format=%B"]);
    assert!(message.contains("Weir-Override: "), "{message}");
    edit(work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    refused("refused (health): staging runs another version of stages/staging/shop");
    let tree = work.git(&["rev-parse", "HEAD:stages/staging/shop"]);
    let now = Timestamp::now();
    let since = Timestamp::from_second(now.as_second() - 1000).unwrap();
    let running = json!({"tree": tree, "healthySince": since.to_string()});
    fleet.publishes(
        Some(&fleet.staging),
        &json!({
            "version": 1, "environment": "staging", "at": now.to_string(), "intervalSeconds": 300,
            "folders": {"stages/staging/shop": running},
        }),
    );
    promote(work, &commit).with(0);
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

/// Promotes version after version.
fn release(fleet: &Fleet, tags: &[&str]) {
    let work = &fleet.work;
    for pair in tags.windows(2) {
        let [old, new] = [pair[0], pair[1]].map(|tag| format!("tag: {tag}"));
        edit(work, STAGING, &old, &new);
        work.commit(pair[1]);
        fleet.says(Some(&fleet.staging), 0, true);
        promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
    }
    work.push();
}

#[test]
fn a_rollback_goes_to_the_last_version_that_ran_well() {
    let fleet = served(json!({}));
    let work = &fleet.work;
    release(&fleet, &["v1", "v2", "v3", "v4"]);
    let tree = |back: usize| {
        // A release is a commit by hand and a promotion.
        let revision = format!("HEAD~{}:stages/prod/shop", 2 * back);
        work.git(&["rev-parse", &revision])
    };
    let state = |proven: &[String]| {
        let now = Timestamp::now().to_string();
        json!({
            "version": 1, "environment": "prod-eu", "at": now, "intervalSeconds": 300,
            "folders": {"stages/prod/shop": {"tree": tree(0), "failure": {"at": now, "message": "the shop is shut"}}},
            "proven": {"stages/prod/shop": proven},
            "decisions": [{"at": now, "about": "prod", "sentence": "has the newest, 0123"}],
        })
    };
    let shown = || weir(work.path(), &["rollback", "prod", "shop"]).with(2).out;
    assert!(shown().contains("No health is known here"), "{}", shown());
    fleet.publishes(Some(&fleet.europe), &state(&[]));
    let said = shown();
    assert!(
        said.contains("v4 → v3") && said.contains("Of none before it all environments say"),
        "{said}"
    );
    fleet.publishes(Some(&fleet.europe), &state(&[tree(2)]));
    let said = shown();
    assert!(
        said.contains("v4 → v2")
            && said.contains("It is the last one that all environments have run well."),
        "{said}"
    );
    let said = weir(work.path(), &["rollback", "prod", "shop", "--to", "1"])
        .with(2)
        .out;
    assert!(said.contains("v4 → v3"), "{said}");

    let said = weir(work.path(), &["history", "prod", "--fetch"])
        .with(0)
        .out;
    assert!(
        said.contains("decision") && said.contains("prod: has the newest, 0123"),
        "{said}"
    );
    assert!(
        said.contains("failure") && said.contains("the shop is shut"),
        "{said}"
    );
    let rows = said.lines().skip(1).count();
    assert_eq!(
        rows, 6,
        "four commits to the stage and two sentences\n{said}"
    );
}

#[test]
fn the_branch_of_a_promotion_has_one_pull_request() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let fleet = served(json!({}));
        let work = &fleet.work;
        let forge = ForgeServer::start(kind);
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let name = format!("{kind:?}").to_lowercase();
        let api = forge.api();
        let open = || {
            fleet.says(Some(&fleet.staging), 0, true);
            let arguments = [
                "staging",
                "prod",
                "shop",
                "--pull-request",
                "--forge",
                &name,
                "--forge-api",
                &api,
                "--forge-repository",
                REPOSITORY,
                "--forge-token-file",
                token.to_str().unwrap(),
            ];
            promote(work, &arguments).with(0).out
        };
        edit(work, STAGING, "tag: v1", "tag: v2");
        work.publish("v2");
        let said = open();
        assert!(said.contains("Pull request opened: "), "{said}");
        let request = forge.state().requests[0].clone();
        assert_eq!(request.source, "weir/promote/shop/staging-prod");
        assert_eq!(
            (&*request.target, &*request.title),
            ("main", "Promote shop from staging to prod")
        );
        assert!(
            request.body.contains("spec.values.image.tag: v1 → v2"),
            "{}",
            request.body
        );
        assert!(
            request.body.contains("prod-us  (stage prod)"),
            "{}",
            request.body
        );
        let said = open();
        assert!(
            said.contains("is up to date.") && said.contains("Pull request says so already"),
            "{said}"
        );
        edit(work, STAGING, "tag: v2", "tag: v3");
        work.publish("v3");
        let said = open();
        assert!(said.contains("Pull request brought up to date"), "{said}");
        assert_eq!(forge.state().requests.len(), 1);
        assert!(forge.state().requests[0].body.contains("v1 → v3"));
    }
}

#[test]
fn a_target_that_has_drifted_is_not_written_over() {
    let fleet = served(json!({}));
    let work = &fleet.work;
    let now = Timestamp::now().to_string();
    let tree = work.git(&["rev-parse", "HEAD:stages/prod/shop"]);
    let drifted = "default/apps: HelmRelease/shop .spec.interval";
    let state = json!({
        "version": 1, "environment": "prod-eu", "at": now, "intervalSeconds": 300,
        "folders": {"stages/prod/shop": {"tree": tree, "healthySince": now, "drifted": drifted}},
    });
    fleet.publishes(Some(&fleet.europe), &state);
    edit(work, STAGING, "tag: v1", "tag: v2");
    work.publish("v2");
    fleet.says(Some(&fleet.staging), 0, true);
    let said = fleet.explain().with(0);
    let waits = format!("waits: prod-eu has drifted: {drifted}");
    assert!(said.out.contains(&waits), "{}", said.out);
    let said = promote(work, &["staging", "prod", "shop", "--commit"]).with(1);
    let refused = format!("refused (drift): prod-eu has drifted: {drifted}");
    assert!(said.err.contains(&refused), "{}", said.err);
    let known = [
        "staging",
        "prod",
        "shop",
        "--commit",
        "--override",
        "drift=it is meant",
    ];
    promote(work, &known).with(0);
}

#[test]
fn a_new_file_that_may_be_run_stays_so() {
    let fleet = served(json!({}));
    let work = &fleet.work;
    work.write("stages/staging/shop/run.sh", "#!/bin/sh\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(work.path().join("stages/staging/shop/run.sh"), mode).unwrap();
    work.commit("a program");
    fleet.says(Some(&fleet.staging), 0, true);
    promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
    let listed = work.git(&["ls-tree", "HEAD", "stages/prod/shop/run.sh"]);
    assert!(listed.starts_with("100755 blob"), "{listed}");
}

#[test]
fn commits_may_pass_all_waves_at_once_if_all_of_them_say_so() {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    fill(&work);
    work.commit("first");
    let tree = work.git(&["rev-parse", "HEAD:stages/prod"]);
    let skips = || {
        let history = History::discover(work.path()).unwrap();
        let head = history.point("HEAD").unwrap();
        waves::skips(&history, &head, "stages/prod", &tree).unwrap()
    };
    assert_eq!(skips(), None);
    edit(&work, PROD, "tag: v1", "tag: v2");
    work.commit("a typo\n\nWeir-Waves: skip only a typo");
    work.write("elsewhere", "1");
    work.commit("another folder");
    assert_eq!(skips().as_deref(), Some("only a typo"));
    edit(&work, PROD, "tag: v2", "tag: v3");
    work.commit("a version");
    assert_eq!(skips(), None);
    edit(&work, PROD, "tag: v3", "tag: v4");
    work.commit("one more\n\nWeir-Waves: skip this too");
    assert_eq!(skips(), None, "the one before goes along");
    edit(&work, PROD, "tag: v4", "tag: v1");
    work.commit("back\n\nWeir-Waves: skip   ");
    assert_eq!(skips(), None, "it is as it was released");
}
