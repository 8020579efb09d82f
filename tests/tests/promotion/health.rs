//! The health of the source, as a real cluster with a real controller says it.

use serde_json::json;
use weir_tests::{ControlPlane, Scene};

use crate::fleet::{edit, fill, promote, read};

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_source_runs_well_is_promoted() {
    let scene = Scene::start("promote").await;
    let work = &scene.repository;
    fill(work);
    for stage in ["staging", "prod"] {
        // The cluster of the tests has no Helm releases.
        work.write(
            &format!("stages/{stage}/shop/kustomization.yaml"),
            "resources: [app-config.yaml]\n",
        );
    }
    let first = work.publish("first");
    scene.source(json!({})).await;
    scene.sync("shop", "./envs/staging", json!({})).await;
    scene.ready("shop", &first).await;
    let kubeconfig = ControlPlane::shared().kubeconfig(ControlPlane::ADMINISTRATOR);
    let ask = |more: &[&str]| {
        let mut arguments = vec![
            "staging",
            "prod",
            "--source-kubeconfig",
            kubeconfig.to_str().unwrap(),
        ];
        arguments.extend(more);
        promote(work, &arguments)
    };

    let config = "stages/staging/shop/app-config.yaml";
    edit(work, config, "LOG_LEVEL: info", "LOG_LEVEL: debug");
    work.commit("not pushed yet");
    let said = ask(&["--commit"]).with(1);
    assert!(
        said.err.contains("refused (health)")
            && said.err.contains("in which stages/staging is another"),
        "{}",
        said.err
    );

    let commit = scene.publish("pushed").await;
    scene.ready("shop", &commit).await;
    work.write("weir.yaml", "promote:\n  soak: 24h\n");
    work.commit("a soak");
    let said = ask(&["--commit"]).with(1);
    assert!(
        said.err.contains("refused (soak)") && said.err.contains("left to soak"),
        "{}",
        said.err
    );
    work.write("weir.yaml", "promote:\n  soak: 1ms\n");
    work.commit("a short soak");
    ask(&["--commit"]).with(0);
    assert!(read(work, "stages/prod/shop/app-config.yaml").contains("LOG_LEVEL: debug"));

    edit(work, config, "apiVersion: v1", "apiVersion: v0");
    scene.publish("broken").await;
    scene.until_not_ready("shop").await;
    let said = ask(&["--commit"]).with(1);
    assert!(said.err.contains("is not Ready"), "{}", said.err);
    ask(&["--commit", "--override", "health=known"]).with(0);
}
