//! What travels, what stays, and that the target keeps its form.

use crate::fleet::{CONFIG, HELM, PROD, STAGING, edit, exists, fleet, promote, read};

#[test]
fn a_release_and_its_settings_travel_and_the_target_keeps_its_form() {
    let work = fleet();
    let written = HELM
        .replace("version: 1.0.0", "version: 1.0.0   # by the platform team")
        .replace("spec:\n  interval", "spec:\n  # how often\n  interval");
    work.write(PROD, &written);
    work.commit("comments in prod");
    edit(&work, STAGING, "version: 1.0.0", "version: 1.1.0");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    edit(
        &work,
        "stages/staging/shop/app-config.yaml",
        "cache=off",
        "cache=on",
    );
    let commit = work.commit("shop 1.1.0");

    let shown = promote(&work, &["staging", "prod"]).with(2);
    for line in [
        "~ spec.chart.spec.version: 1.0.0 → 1.1.0",
        "~ spec.values.image.tag: v1 → v2",
        "~ data.\"shop.properties\".cache: off → on",
        "prod-eu, prod-us  (stage prod)",
    ] {
        assert!(shown.out.contains(line), "{line}\n{}", shown.out);
    }
    assert_eq!(
        work.head(),
        commit,
        "nothing is written before it is asked for"
    );

    promote(&work, &["staging", "prod", "--commit"]).with(0);
    let want = written
        .replace("version: 1.0.0", "version: 1.1.0")
        .replace("tag: v1", "tag: v2");
    assert_eq!(read(&work, PROD), want);
    let config = read(&work, "stages/prod/shop/app-config.yaml");
    assert_eq!(config, CONFIG.replace("cache=off", "cache=on"));
    let record: serde_json::Value =
        serde_json::from_str(&read(&work, ".weir/promotions/prod/shop.json")).unwrap();
    assert_eq!(record["commit"], commit.as_str());
    assert_eq!(
        record["files"][PROD]["target"],
        work.git(&["rev-parse", &format!("HEAD:{PROD}")])
    );
    let message = work.git(&["log", "-1", "--format=%B"]);
    let trailer = format!("Weir-Promotion: app=shop from=stages/staging@{commit} to=stages/prod");
    assert!(message.contains(&trailer), "{message}");

    let again = promote(&work, &["staging", "prod"]).with(0);
    assert!(again.out.contains("already there"), "{}", again.out);
}

#[test]
fn hotfixes_of_the_target_stay_and_are_named() {
    let work = fleet();
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    work.commit("more replicas in prod");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("v2");
    let said = promote(&work, &["staging", "prod", "shop", "--commit"]).with(0);
    let named = "= spec.values.replicas: prod keeps its own 5 (staging has 2)";
    assert!(said.out.contains(named), "{}", said.out);
    assert_eq!(
        read(&work, PROD),
        HELM.replace("replicas: 2", "replicas: 5")
            .replace("tag: v1", "tag: v2")
    );
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    promote(&work, &["staging", "prod", "shop", "--commit"]).with(0);
    assert!(
        read(&work, PROD).contains("replicas: 5"),
        "also the next time"
    );
}

#[test]
fn secrets_settings_of_environments_and_what_the_policy_names_never_travel() {
    let work = fleet();
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: plain\nstringData:\n  key: {value}\n"
        )
    };
    let sealed = "a: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\nsops:\n  mac: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\n  \
                  lastmodified: '2026-01-01T00:00:00Z'\n  version: 3.9.0\n";
    for (stage, value) in [("staging", "one"), ("prod", "two")] {
        work.write(&format!("stages/{stage}/shop/plain.yaml"), secret(value))
            .write(
                &format!("stages/{stage}/shop/sealed.yaml"),
                format!("{sealed}# {value}\n"),
            )
            .write(
                &format!("stages/{stage}/shop/env-config.yaml"),
                format!("# {value}\n"),
            )
            .write(
                &format!("stages/{stage}/shop/db.env.yaml"),
                format!("# {value}\n"),
            )
            .write(&format!("stages/{stage}/shop/password.txt"), value)
            .write(&format!("stages/{stage}/shop/notes.md"), "same\n");
        let file = "resources:\n- helm.yaml\n- app-config.yaml\nsecretGenerator:\n- name: generated\n  files: [password.txt]\n";
        work.write(&format!("stages/{stage}/shop/kustomization.yaml"), file);
    }
    work.write(
        "weir.yaml",
        "promote:\n  never: ['*.yaml:spec.values.replicas', '**/notes.md']\n",
    );
    work.commit("much that stays");
    edit(&work, STAGING, "replicas: 2", "replicas: 1");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.write("stages/staging/shop/notes.md", "other\n");
    work.commit("changes in staging");
    let files = [
        "plain.yaml",
        "sealed.yaml",
        "env-config.yaml",
        "db.env.yaml",
        "password.txt",
        "notes.md",
    ];
    let path = |file: &str| format!("stages/prod/shop/{file}");
    let before = files.map(|file| read(&work, &path(file)));
    let said = promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert_eq!(files.map(|file| read(&work, &path(file))), before);
    assert_eq!(read(&work, PROD), HELM.replace("tag: v1", "tag: v2"));
    for why in [
        "plain.yaml  stays: a Secret",
        "sealed.yaml  stays: encrypted",
        "env-config.yaml  stays: settings of an environment",
        "password.txt  stays: input of a generator of secrets or variables",
        "notes.md  stays: weir.yaml says so",
    ] {
        assert!(said.out.contains(why), "{why}\n{}", said.out);
    }
}

#[test]
fn what_a_generator_elsewhere_closes_over_stays_too() {
    let work = fleet();
    for (stage, value) in [("staging", "one"), ("prod", "two")] {
        let file =
            "resources: [shop]\nsecretGenerator:\n- name: above\n  files: [shop/token.txt]\n";
        let listed = format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: listed}}\n  \
             stringData: {{key: {value}}}\n"
        );
        work.write(&format!("stages/{stage}/kustomization.yaml"), file)
            .write(&format!("stages/{stage}/shop/token.txt"), value)
            .write(&format!("stages/{stage}/shop/list.yaml"), listed)
            .write(
                &format!("stages/{stage}/shop/patch.yaml"),
                format!(
                    "kind: Secret\nmetadata: {{name: generated}}\nstringData: {{key: {value}}}\n"
                ),
            );
    }
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("secrets in many forms");
    let files = ["token.txt", "list.yaml", "patch.yaml"];
    let path = |file: &str| format!("stages/prod/shop/{file}");
    let before = files.map(|file| read(&work, &path(file)));
    promote(&work, &["staging", "prod", "shop", "--commit"]).with(0);
    assert_eq!(files.map(|file| read(&work, &path(file))), before);
    assert_eq!(read(&work, PROD), HELM.replace("tag: v1", "tag: v2"));
}

#[test]
fn a_file_is_the_first_app_s_that_names_it() {
    let work = fleet();
    work.write(
        "weir.yaml",
        "apps:\n  settings: ['stages/{stage}/shop/app-config.yaml']\n",
    );
    edit(&work, STAGING, "tag: v1", "tag: v2");
    edit(
        &work,
        "stages/staging/shop/app-config.yaml",
        "info",
        "debug",
    );
    work.commit("a version and a setting");
    promote(&work, &["staging", "prod", "shop", "--commit"]).with(0);
    let settings = |stage: &str| read(&work, &format!("stages/{stage}/shop/app-config.yaml"));
    assert!(settings("prod").contains("info"));
    promote(&work, &["staging", "prod", "settings", "--commit"]).with(0);
    assert_eq!(settings("prod"), settings("staging"));
}

#[test]
fn a_reference_to_a_file_that_stays_behind_is_refused() {
    let work = fleet();
    work.write(
        "stages/staging/shop/secrets.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
    );
    edit(
        &work,
        "stages/staging/shop/kustomization.yaml",
        "- app-config.yaml\n",
        "- app-config.yaml\n- secrets.yaml\n",
    );
    work.commit("a secret in staging");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    let named = "stages/prod/shop/kustomization.yaml names stages/prod/shop/secrets.yaml";
    assert!(said.err.contains(named), "{}", said.err);
    work.write(
        "stages/prod/shop/secrets.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n",
    );
    work.commit("its own secret in prod");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(read(&work, "stages/prod/shop/kustomization.yaml").contains("- secrets.yaml"));
}

#[test]
fn files_come_go_and_change_their_names_with_their_entries() {
    let work = fleet();
    let map = |name: &str, value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: {value}\n  b: x\n"
        )
    };
    for stage in ["staging", "prod"] {
        work.write(&format!("stages/{stage}/shop/old.yaml"), map("old", "x"))
            .write(
                &format!("stages/{stage}/shop/moved.yaml"),
                map("moved", "x"),
            )
            .write(
                &format!("stages/{stage}/shop/kustomization.yaml"),
                "resources:\n- helm.yaml\n- app-config.yaml\n- old.yaml\n- moved.yaml\n",
            );
    }
    work.commit("two files more");
    edit(&work, "stages/prod/shop/moved.yaml", "a: x", "a: hotfix");
    work.commit("hotfix in prod");
    work.remove("stages/staging/shop/old.yaml")
        .remove("stages/staging/shop/moved.yaml");
    work.write(
        "stages/staging/shop/renamed.yaml",
        map("moved", "x").replace("b: x", "b: y"),
    )
    .write("stages/staging/shop/new.yaml", map("new", "x"))
    .write(
        "stages/staging/shop/kustomization.yaml",
        "resources:\n- helm.yaml\n- app-config.yaml\n- renamed.yaml\n- new.yaml\n",
    );
    work.commit("files come, go and change their names");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(
        !exists(&work, "stages/prod/shop/old.yaml")
            && !exists(&work, "stages/prod/shop/moved.yaml")
    );
    assert_eq!(read(&work, "stages/prod/shop/new.yaml"), map("new", "x"));
    let renamed = read(&work, "stages/prod/shop/renamed.yaml");
    assert_eq!(renamed, map("moved", "hotfix").replace("b: x", "b: y"));
    let list = read(&work, "stages/prod/shop/kustomization.yaml");
    assert_eq!(
        list,
        "resources:\n- helm.yaml\n- app-config.yaml\n- renamed.yaml\n- new.yaml\n"
    );
}

#[test]
fn entries_of_all_lists_move_with_their_files() {
    let work = fleet();
    let path = |stage: &str, name: &str| format!("stages/{stage}/shop/{name}");
    let patch = |days: u32| {
        format!(
            "kind: ConfigMap\napiVersion: v1\nmetadata: {{name: shop-config}}\ndata: {{DAYS: '{days}'}}\n"
        )
    };
    let option = "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nlabels: [{pairs: {tier: web}}]\n";
    let lists = |patch: &str, component: &str, file: &str| {
        format!(
            "resources:\n- helm.yaml\n- app-config.yaml\npatches:\n- path: {patch}\ncomponents:\n- {component}\n\
             configMapGenerator:\n- name: texts\n  files:\n  - {file}\n"
        )
    };
    for stage in ["staging", "prod"] {
        work.write(
            &path(stage, "kustomization.yaml"),
            lists("week.yaml", "web", "old.txt"),
        )
        .write(&path(stage, "week.yaml"), patch(7))
        .write(&path(stage, "web/kustomization.yaml"), option)
        .write(&path(stage, "old.txt"), "old");
    }
    work.commit("files of many lists");
    for gone in ["week.yaml", "web", "old.txt"] {
        work.remove(&path("staging", gone));
    }
    let after = lists("month.yaml", "site", "new.txt");
    work.write(&path("staging", "kustomization.yaml"), &after)
        .write(&path("staging", "month.yaml"), patch(30))
        .write(&path("staging", "site/kustomization.yaml"), option)
        .write(&path("staging", "new.txt"), "new");
    work.commit("others in their place");
    promote(&work, &["staging", "prod", "shop", "--commit"]).with(0);
    assert_eq!(read(&work, &path("prod", "kustomization.yaml")), after);
    for name in ["month.yaml", "site/kustomization.yaml", "new.txt"] {
        let both = ["staging", "prod"].map(|stage| read(&work, &path(stage, name)));
        assert_eq!(both[0], both[1], "{name}");
    }
    for name in ["week.yaml", "web", "old.txt"] {
        assert!(!exists(&work, &path("prod", name)), "{name}");
    }
}

#[test]
fn a_new_app_comes_with_its_entry_above() {
    let work = fleet();
    edit(
        &work,
        "stages/staging/kustomization.yaml",
        "- shop\n",
        "- billing\n- shop\n",
    );
    work.write(
        "stages/prod/kustomization.yaml",
        "# prod\nresources:\n- shop\n- ../_extra\n",
    )
    .write("stages/_extra/kustomization.yaml", "resources: []\n")
    .write(
        "stages/staging/billing/kustomization.yaml",
        "resources: [map.yaml]\n",
    )
    .write(
        "stages/staging/billing/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: billing}\n",
    );
    work.commit("billing");
    let said = promote(&work, &["staging", "prod", "billing", "--commit"]).with(0);
    assert!(said.out.contains("+ ConfigMap billing"), "{}", said.out);
    assert_eq!(
        read(&work, "stages/prod/kustomization.yaml"),
        "# prod\nresources:\n- billing\n- shop\n- ../_extra\n"
    );
    assert!(exists(&work, "stages/prod/billing/map.yaml"));

    edit(
        &work,
        "stages/staging/kustomization.yaml",
        "- billing\n",
        "",
    );
    work.remove("stages/staging/billing");
    work.commit("no more billing");
    promote(&work, &["staging", "prod", "billing", "--commit"]).with(0);
    assert_eq!(
        read(&work, "stages/prod/kustomization.yaml"),
        "# prod\nresources:\n- shop\n- ../_extra\n"
    );
    assert!(!exists(&work, "stages/prod/billing"));
}

#[test]
fn an_app_that_only_the_target_has_stays() {
    let work = fleet();
    edit(
        &work,
        "stages/prod/kustomization.yaml",
        "- shop\n",
        "- shop\n- legacy\n",
    );
    work.write(
        "stages/prod/legacy/kustomization.yaml",
        "resources: [map.yaml]\n",
    )
    .write(
        "stages/prod/legacy/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: legacy}\n",
    );
    let commit = work.commit("legacy");
    for apps in [&["legacy"][..], &[]] {
        let arguments: Vec<&str> = ["staging", "prod", "--commit"]
            .iter()
            .chain(apps)
            .copied()
            .collect();
        let said = promote(&work, &arguments).with(0);
        assert!(said.out.contains("already there"), "{}", said.out);
        assert_eq!(work.head(), commit);
    }
}
