//! Refusals that somebody overrides: each with its reason in the record and in the commit, and no other.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use weir_tests::Repository;

use crate::automatic::{Fleet, served};
use crate::fleet::{STAGING, edit, promote, read};

/// Promotes the shop, which is refused for one reason, and then with that reason overridden.
fn overrides(work: &Repository, refusal: &str) {
    let commit = ["staging", "prod", "shop", "--commit"];
    let said = promote(work, &commit).with(1);
    let refused: Vec<&str> = said
        .err
        .lines()
        .filter(|line| line.contains("refused ("))
        .collect();
    assert!(
        refused.len() == 1 && refused[0].contains(&format!("refused ({refusal})")),
        "{refusal}: {}",
        said.err
    );
    let reason = format!("we know of the {refusal}");
    let flag = format!("{refusal}={reason}");
    // What is not refused is not overridden either.
    let needless = match refusal {
        "freeze" => "leak=not needed",
        _ => "freeze=not needed",
    };
    let flags = ["--override", &flag, "--override", needless];
    promote(work, &[&commit[..], &flags].concat()).with(0);
    let record: Value =
        serde_json::from_str(&read(work, ".weir/promotions/prod/shop.json")).unwrap();
    assert_eq!(
        record["overrides"],
        json!([{"refusal": refusal, "reason": reason}])
    );
    let trailers = "--format=%(trailers:key=Weir-Override,valueonly)";
    assert_eq!(
        work.git(&["log", "-1", trailers]),
        format!("{refusal}: {reason}")
    );
}

/// A fleet of whose staging version 2 is known to run well.
fn well(policy: Value) -> Fleet {
    let fleet = served(json!({}));
    let path = fleet.work.path().join("weir.yaml");
    let mut whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let fields = policy.as_object().unwrap().clone();
    whole.as_object_mut().unwrap().extend(fields);
    fleet.work.write("weir.yaml", whole.to_string());
    edit(&fleet.work, STAGING, "tag: v1", "tag: v2");
    fleet.work.commit("version 2");
    fleet.says(Some(&fleet.staging), 0, true);
    fleet
}

#[test]
fn health_that_is_not_known_or_bad() {
    let fleet = served(json!({}));
    edit(&fleet.work, STAGING, "tag: v1", "tag: v2");
    fleet.work.commit("version 2");
    overrides(&fleet.work, "health");
}

#[test]
fn a_soak_that_is_not_over() {
    // It has been healthy for ten minutes.
    let fleet = well(json!({"promote": {"soak": "15m"}}));
    overrides(&fleet.work, "soak");
}

#[test]
fn a_target_that_has_drifted() {
    let fleet = well(json!({}));
    let now = Timestamp::now().to_string();
    let running = json!({
        "tree": fleet.work.git(&["rev-parse", "HEAD:stages/prod/shop"]),
        "healthySince": now, "drifted": "default/apps: HelmRelease/shop .spec.interval",
    });
    let state = json!({
        "version": 1, "environment": "prod-eu", "at": now, "intervalSeconds": 300,
        "folders": {"stages/prod/shop": running},
    });
    fleet.publishes(Some(&fleet.europe), &state);
    overrides(&fleet.work, "drift");
}

#[test]
fn a_freeze() {
    let freeze = json!({
        "name": "holidays", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z",
    });
    let fleet = well(json!({"freezes": [freeze]}));
    overrides(&fleet.work, "freeze");
}

#[test]
fn a_leak() {
    let fleet = well(json!({}));
    let host = "tag: v2\n    url: https://staging.example.com/api";
    edit(&fleet.work, STAGING, "tag: v2", host);
    fleet.work.commit("a host of staging");
    fleet.says(Some(&fleet.staging), 0, true);
    overrides(&fleet.work, "leak");
}

#[test]
fn environments_outside_the_target() {
    let fleet = well(json!({}));
    let work = &fleet.work;
    for stage in ["staging", "prod"] {
        let folder = format!("stages/{stage}/shop/tools");
        work.write(
            &format!("{folder}/kustomization.yaml"),
            "resources: [map.yaml]\n",
        )
        .write(
            &format!("{folder}/map.yaml"),
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tools}\ndata: {a: x}\n",
        );
    }
    edit(
        work,
        "envs/staging/kustomization.yaml",
        "- env-config.yaml",
        "- env-config.yaml\n- ../../stages/prod/shop/tools",
    );
    work.commit("staging takes a tool from prod");
    edit(work, "stages/staging/shop/tools/map.yaml", "a: x", "a: z");
    work.commit("another tool");
    fleet.says(Some(&fleet.staging), 0, true);
    overrides(work, "outside");
}
