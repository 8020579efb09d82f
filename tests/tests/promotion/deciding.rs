//! What people decide: conflicts, pins, apps and stages by name.

use weir_tests::Repository;

use crate::fleet::{HELM, PROD, STAGING, edit, exists, fleet, promote, read};

/// Both stages changed the number of replicas.
fn conflict() -> Repository {
    let work = fleet();
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    edit(&work, STAGING, "replicas: 2", "replicas: 3");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("both sides");
    work
}

#[test]
fn a_conflict_shows_both_sides_and_writes_nothing() {
    let work = conflict();
    let commit = work.head();
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(
        said.out
            .contains("! spec.values.replicas: was 2, staging made it 3, prod made it 5"),
        "{}",
        said.out
    );
    assert!(
        said.err
            .contains("refused (conflict): 1 place changed on both sides"),
        "{}",
        said.err
    );
    assert_eq!(
        (work.head(), work.git(&["status", "--porcelain"])),
        (commit, String::new())
    );
}

#[test]
fn a_side_is_taken() {
    for (side, replicas) in [("source", "3"), ("target", "5")] {
        let work = conflict();
        promote(
            &work,
            &[
                "staging",
                "prod",
                "--commit",
                "--take",
                side,
                "shop/helm.yaml:spec.values",
            ],
        )
        .with(0);
        let want = HELM
            .replace("replicas: 2", &format!("replicas: {replicas}"))
            .replace("tag: v1", "tag: v2");
        // What only the source changed stays in the target, when all of these places are the target's.
        let want = if side == "target" {
            want.replace("tag: v2", "tag: v1")
        } else {
            want
        };
        assert_eq!(read(&work, PROD), want, "{side}");
    }
}

#[test]
fn a_pin_holds_until_it_is_taken_back() {
    let work = conflict();
    let pin = [
        "staging",
        "prod",
        "--commit",
        "--pin",
        "shop/helm.yaml:spec.values.replicas",
        "--reason",
        "prod is larger",
    ];
    promote(&work, &pin).with(0);
    assert_eq!(
        read(&work, PROD),
        HELM.replace("replicas: 2", "replicas: 5")
            .replace("tag: v1", "tag: v2")
    );
    let record = read(&work, ".weir/promotions/prod/shop.json");
    assert!(record.contains("prod is larger"), "{record}");
    edit(&work, STAGING, "replicas: 3", "replicas: 4");
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("more in staging");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(
        said.out
            .contains("= spec.values.replicas: pinned in prod at 5 (staging has 4)"),
        "{}",
        said.out
    );
    assert!(read(&work, PROD).contains("replicas: 5") && read(&work, PROD).contains("tag: v3"));
    promote(
        &work,
        &[
            "staging",
            "prod",
            "--commit",
            "--take",
            "source",
            "shop/helm.yaml:spec.values.replicas",
        ],
    )
    .with(0);
    assert!(read(&work, PROD).contains("replicas: 4"));
    assert!(!read(&work, ".weir/promotions/prod/shop.json").contains("pins"));
}

#[test]
fn an_editor_gets_markers_and_no_commit() {
    let work = conflict();
    let commit = work.head();
    promote(&work, &["staging", "prod", "--edit"]).with(0);
    assert_eq!(work.head(), commit);
    let marked = read(&work, PROD);
    let want = "<<<<<<< prod\n    replicas: 5\n=======\n    replicas: 3\n>>>>>>> staging\n";
    assert!(
        marked.contains(want) && marked.contains("tag: v2"),
        "{marked}"
    );
    work.write(PROD, marked.replace(want, "    replicas: 4\n"));
    work.commit("settled by hand");
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(
        said.out.contains("prod keeps its own 4 (staging has 3)"),
        "{}",
        said.out
    );
    assert!(read(&work, PROD).contains("tag: v3"));
}

#[test]
fn names_that_stand_for_nothing_are_answered_with_those_that_do() {
    let work = fleet();
    for (arguments, parts) in [
        (
            vec!["staging", "prd"],
            vec!["no stage or environment `prd`", "did you mean `prod`?"],
        ),
        (
            vec!["staging", "prod", "shp"],
            vec!["no app `shp`", "did you mean `shop`?"],
        ),
        (
            vec!["staging", "prod-eu"],
            vec!["envs/prod-eu extends stages/prod", "`prod`"],
        ),
        (vec!["staging", "stages/staging"], vec!["into itself"]),
    ] {
        let said = promote(&work, &arguments).with(1);
        assert!(
            parts.iter().all(|part| said.err.contains(part)),
            "{arguments:?}: {}",
            said.err
        );
    }
}

#[test]
fn an_environment_that_takes_one_app_of_a_stage_has_none_of_its_own() {
    let work = fleet();
    let file = "resources: [../../stages/prod/shop, env-config.yaml]\n";
    work.write("envs/prod-eu/kustomization.yaml", file);
    work.commit("only the shop");
    let said = promote(&work, &["staging", "prod-eu"]).with(1);
    let named = "envs/prod-eu extends stages/prod,";
    assert!(said.err.contains(named), "{}", said.err);
}

#[test]
fn folders_of_environments_are_promoted_where_there_are_no_stages() {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    work.git(&["config", "user.name", "Ada"]);
    work.git(&["config", "user.email", "ada@example.org"]);
    for environment in ["staging", "prod"] {
        work.write(&format!("envs/{environment}/kustomization.yaml"), "resources: [helm.yaml, env-config.yaml]\n")
            .write(&format!("envs/{environment}/helm.yaml"), HELM)
            .write(
                &format!("envs/{environment}/env-config.yaml"),
                format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: env}}\ndata: {{HOST: {environment}}}\n"),
            );
    }
    work.commit("two environments");
    edit(&work, "envs/staging/helm.yaml", "tag: v1", "tag: v2");
    work.commit("v2");
    promote(&work, &["envs/staging", "envs/prod", "--commit"]).with(0);
    assert_eq!(
        read(&work, "envs/prod/helm.yaml"),
        HELM.replace("tag: v1", "tag: v2")
    );
    assert!(read(&work, "envs/prod/env-config.yaml").contains("HOST: prod"));
    // The whole folder is one app, by the folder's name.
    assert!(read(&work, ".weir/promotions/prod/prod.json").contains("envs/prod/helm.yaml"));
}

#[test]
fn each_app_may_have_a_folder_for_each_stage_and_the_policy_may_name_files() {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    work.git(&["config", "user.name", "Ada"]);
    work.git(&["config", "user.email", "ada@example.org"]);
    for app in ["shop", "billing"] {
        for stage in ["staging", "prod"] {
            work.write(
                &format!("apps/{app}/{stage}/kustomization.yaml"),
                "resources: [helm.yaml]\n",
            )
            .write(
                &format!("apps/{app}/{stage}/helm.yaml"),
                HELM.replace("name: shop", &format!("name: {app}")),
            );
        }
    }
    for stage in ["staging", "prod"] {
        work.write(&format!("values/{stage}/search.yaml"), "version: 1\n");
    }
    work.write(
        "weir.yaml",
        "apps:\n  search: ['values/{stage}/search.yaml']\n",
    );
    work.commit("apps by stage");
    for app in ["shop", "billing"] {
        edit(
            &work,
            &format!("apps/{app}/staging/helm.yaml"),
            "tag: v1",
            "tag: v2",
        );
    }
    work.write("values/staging/search.yaml", "version: 2\n");
    work.commit("new versions");
    promote(&work, &["staging", "prod", "billing", "--commit"]).with(0);
    let tag = |app: &str| read(&work, &format!("apps/{app}/prod/helm.yaml")).contains("tag: v2");
    assert!(tag("billing") && !tag("shop"));
    promote(&work, &["staging", "prod", "search", "--commit"]).with(0);
    assert_eq!(read(&work, "values/prod/search.yaml"), "version: 2\n");
}

#[test]
fn a_file_that_one_side_deleted_and_the_other_edited_waits_for_a_word() {
    let work = fleet();
    let map = |name: &str, value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: {value}\n")
    };
    let path = |stage: &str, name: &str| format!("stages/{stage}/shop/{name}.yaml");
    let list = "resources:\n- helm.yaml\n- app-config.yaml\n- gone.yaml\n- own.yaml\n";
    for stage in ["staging", "prod"] {
        work.write(&path(stage, "kustomization"), list);
        for name in ["gone", "own"] {
            work.write(&path(stage, name), map(name, "x"));
        }
    }
    work.commit("two files more");
    let without = |name: &str| list.replace(&format!("- {name}.yaml\n"), "");
    work.remove(&path("staging", "gone"))
        .remove(&path("prod", "own"))
        .write(&path("staging", "kustomization"), without("gone"))
        .write(&path("prod", "kustomization"), without("own"))
        .write(&path("prod", "gone"), map("gone", "hotfix"));
    let commit = work.commit("each side deletes one, and prod edits what staging deleted");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(said.err.contains("refused (conflict)"), "{}", said.err);
    for part in [
        "stages/prod/shop/gone.yaml\n    ! the file: was",
        "= the file: stays deleted in prod",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    assert_eq!(work.head(), commit);
    let take = [
        "staging",
        "prod",
        "--commit",
        "--take",
        "source",
        "shop/gone.yaml",
    ];
    promote(&work, &take).with(0);
    assert!(!exists(&work, &path("prod", "gone")) && !exists(&work, &path("prod", "own")));
    let left = "resources:\n- helm.yaml\n- app-config.yaml\n";
    assert_eq!(read(&work, &path("prod", "kustomization")), left);
}
