//! `weir env create` after models whose names are those of other things, too: what is not the model's own stays.

use std::fs;

use weir_tests::Repository;
use weir_tests::scene::workspace;

use crate::said::{RECIPIENT, kustomization, map, printed, repository, weir};

fn read(work: &Repository, path: &str) -> String {
    fs::read_to_string(work.path().join(path)).unwrap()
}

/// An environment of the name of its stage, with a file of that name, too.
fn namesake() -> Repository {
    let work = repository();
    for stage in ["staging", "qa"] {
        let folder = format!("stages/{stage}");
        work.write(
            &format!("{folder}/kustomization.yaml"),
            "resources: [c.yaml]\n",
        );
        work.write(
            &format!("{folder}/c.yaml"),
            map("config", &format!("{{stage: of-{stage}}}")),
        );
    }
    work.write(
        "envs/staging/kustomization.yaml",
        "resources:\n- ../../stages/staging\n- staging.yaml\nnamespace: staging\n",
    );
    work.write(
        "envs/staging/staging.yaml",
        map("own", "{zone: staging, host: staging.example.com}"),
    );
    work.write(
        "clusters/staging/apps.yaml",
        kustomization("apps", "./envs/staging", ""),
    );
    work.commit("first");
    work
}

#[test]
fn a_stage_or_a_file_that_is_called_as_the_model_stays() {
    for name in ["staging-ap", "qa"] {
        let work = namesake();
        let text = printed(
            work.path(),
            &["env", "create", name, "--like", "staging"],
            0,
        );
        assert!(!text.contains("another repository"), "{text}");
        let apps = read(&work, &format!("clusters/{name}/apps.yaml"));
        assert!(apps.contains(&format!("path: ./envs/{name}\n")), "{apps}");
        let list = read(&work, &format!("envs/{name}/kustomization.yaml"));
        let want =
            format!("resources:\n- ../../stages/staging\n- staging.yaml\nnamespace: {name}\n");
        assert_eq!(list, want);
        let own = read(&work, &format!("envs/{name}/staging.yaml"));
        let want = format!("zone: {name}, host: {name}.example.com");
        assert!(own.contains(&want), "{own}");
    }
}

#[test]
fn the_example_s_staging_is_a_model() {
    let work = repository();
    work.copy(&workspace().join("examples/flux-structure"), "");
    work.commit("the example");
    let arguments = [
        "env",
        "create",
        "staging-ap",
        "--like",
        "staging",
        "--recipient",
        RECIPIENT,
    ];
    let text = printed(work.path(), &arguments, 0);
    assert!(!text.contains("another repository"), "{text}");
    assert!(read(&work, "clusters/staging-ap/apps.yaml").contains("path: ./envs/staging-ap\n"));
    assert!(read(&work, "envs/staging-ap/kustomization.yaml").contains("../../stages/staging\n"));
    let lint = weir(work.path(), &["lint"]);
    assert_eq!(lint.out, "Nothing found in 4 environments\n");
}

#[test]
fn a_model_that_does_not_build_is_no_model() {
    let work = namesake();
    work.write("stages/staging/kustomization.yaml", "resources: [d.yaml]\n");
    work.commit("broken");
    let said = weir(
        work.path(),
        &["env", "create", "staging-ap", "--like", "staging"],
    );
    assert!(
        said.code == 1 && said.err.contains("would not build; nothing was written"),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(work.git(&["status", "--porcelain"]), "");
}

#[test]
fn empty_folders_are_in_nobody_s_way() {
    let work = namesake();
    for folder in ["empty/deep", "envs/staging/none"] {
        fs::create_dir_all(work.path().join(folder)).unwrap();
    }
    let arguments = ["env", "create", "staging-ap", "--like", "staging"];
    printed(work.path(), &[&arguments[..], &["--dry-run"]].concat(), 0);
    printed(work.path(), &["init", "--dry-run"], 0);
    printed(work.path(), &arguments, 0);
}
