//! What never travels although it is no secret: links, submodules, policies, what leads back to the source.

use std::fs;
use std::os::unix::fs::symlink;

use weir_tests::Repository;

use crate::fleet::{HELM, PROD, STAGING, edit, exists, fleet, promote, read};

/// Promotes version 2 of the shop, and gives what was said.
fn release(work: &Repository) -> String {
    edit(work, STAGING, "tag: v1", "tag: v2");
    work.commit("version 2");
    let said = promote(work, &["staging", "prod", "shop", "--commit"]).with(0);
    assert!(read(work, PROD).contains("tag: v2"), "{}", said.out);
    said.out
}

/// Adds a submodule that nobody has checked out.
fn submodule(work: &Repository, path: &str) {
    fs::create_dir_all(work.path().join(path)).unwrap();
    let entry = format!("160000,{},{path}", work.head());
    work.git(&["update-index", "--add", "--cacheinfo", &entry]);
}

#[test]
fn links_are_not_followed_not_carried_and_not_written_through() {
    let work = fleet();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("notes.md"), "not of the repository").unwrap();
    let at = |path: &str| work.path().join(path);
    symlink("/etc/passwd", at("stages/staging/shop/link.yaml")).unwrap();
    symlink("../../../envs/staging", at("stages/staging/shop/folder")).unwrap();
    symlink(
        outside.path().join("notes.md"),
        at("stages/prod/shop/notes.md"),
    )
    .unwrap();
    work.write("stages/staging/shop/notes.md", "of staging\n");
    let said = release(&work);
    for name in ["link.yaml", "folder", "notes.md"] {
        let line = format!("{name}  stays: a link");
        assert!(said.contains(&line), "{line}\n{said}");
    }
    for name in ["link.yaml", "folder"] {
        assert!(
            !at(&format!("stages/prod/shop/{name}")).is_symlink(),
            "{name}"
        );
    }
    assert!(at("stages/prod/shop/notes.md").is_symlink());
    let text = fs::read_to_string(outside.path().join("notes.md")).unwrap();
    assert_eq!(text, "not of the repository");
}

#[test]
fn submodules_are_not_carried_and_not_replaced() {
    let work = fleet();
    work.write(
        "stages/staging/shop/vendored",
        "a file here, a submodule there\n",
    );
    submodule(&work, "stages/staging/shop/charts");
    submodule(&work, "stages/prod/shop/vendored");
    let said = release(&work);
    for name in ["charts", "vendored"] {
        let line = format!("{name}  stays: a submodule");
        assert!(said.contains(&line), "{line}\n{said}");
    }
    let listed = work.git(&["ls-tree", "-r", "HEAD", "stages/prod/shop"]);
    let submodules: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("160000"))
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    assert_eq!(submodules, ["stages/prod/shop/vendored"], "{listed}");
}

#[test]
fn policies_stay_in_each_stage() {
    let work = fleet();
    let names = [
        ".sops.yaml",
        "CODEOWNERS",
        "OWNERS",
        "weir.yaml",
        ".weir.lock",
    ];
    let path = |stage: &str, name: &str| format!("stages/{stage}/shop/{name}");
    for name in names {
        work.write(&path("staging", name), "# of staging\n");
    }
    work.write(&path("prod", ".sops.yaml"), "# of prod\n");
    work.write(&path("prod", "CODEOWNERS"), "# of prod\n");
    let said = release(&work);
    for name in names {
        let line = format!("{name}  stays: a policy");
        assert!(said.contains(&line), "{line}\n{said}");
    }
    for name in &names[..2] {
        assert_eq!(read(&work, &path("prod", name)), "# of prod\n");
    }
    for name in &names[2..] {
        assert!(!exists(&work, &path("prod", name)), "{name}");
    }
}

#[test]
fn entries_that_lead_back_to_the_stage_or_the_environments_of_the_source_stay_there() {
    let work = fleet();
    let component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {tier: test}}]\n";
    work.write("stages/staging/debug/kustomization.yaml", "namePrefix: a-\n")
        .write("envs/staging/extra/kustomization.yaml", "namePrefix: b-\n")
        .write("envs/staging/old/kustomization.yaml", "namePrefix: c-\n")
        .write("envs/staging/option/kustomization.yaml", component)
        .write(
            "stages/staging/shop/kustomization.yaml",
            "resources:\n- ../../staging/debug\n- helm.yaml\n- ../../../envs/staging/extra\n- app-config.yaml\n\
             bases:\n- ../../../envs/staging/old\ncomponents:\n- ../../../envs/staging/option\n",
        );
    let before = read(&work, "stages/prod/shop/kustomization.yaml");
    release(&work);
    assert_eq!(read(&work, "stages/prod/shop/kustomization.yaml"), before);
}

#[test]
fn where_each_app_has_its_stages_all_of_them_are_the_source() {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    work.git(&["config", "user.name", "Ada"]);
    work.git(&["config", "user.email", "ada@example.org"]);
    for app in ["shop", "billing"] {
        for stage in ["staging", "prod"] {
            let helm = HELM.replace("name: shop", &format!("name: {app}"));
            work.write(&format!("apps/{app}/{stage}/helm.yaml"), helm);
            let file = format!("apps/{app}/{stage}/kustomization.yaml");
            work.write(&file, "resources:\n- helm.yaml\n");
        }
    }
    work.commit("two apps");
    let file = "apps/shop/staging/kustomization.yaml";
    edit(
        &work,
        file,
        "- helm.yaml\n",
        "- helm.yaml\n- ../../billing/staging\n",
    );
    edit(&work, "apps/shop/staging/helm.yaml", "tag: v1", "tag: v2");
    work.commit("the shop takes billing along in staging");
    promote(&work, &["staging", "prod", "shop", "--commit"]).with(0);
    assert!(read(&work, "apps/shop/prod/helm.yaml").contains("tag: v2"));
    let carried = read(&work, "apps/shop/prod/kustomization.yaml");
    assert_eq!(carried, "resources:\n- helm.yaml\n");
}

/// The kustomization file of the shop, with a generator that is given a password.
fn generating(password: &str, more: &str) -> String {
    format!(
        "resources:\n- helm.yaml\n- app-config.yaml\nsecretGenerator:\n- name: access\n{more}  literals:\n  - \
         password={password}\n"
    )
}

#[test]
fn what_a_generator_of_a_secret_is_given_in_place_is_its_stage_s_own() {
    let work = fleet();
    let [source, target] =
        ["staging", "prod"].map(|stage| format!("stages/{stage}/shop/kustomization.yaml"));
    work.write(&source, generating("of-staging", ""))
        .write(&target, generating("of-prod", ""));
    work.commit("a password for each");
    work.write(&source, generating("of-staging-2", "  type: Opaque\n"));
    let said = release(&work);
    assert_eq!(
        read(&work, &target),
        generating("of-prod", "  type: Opaque\n")
    );
    assert!(
        !said.contains("of-staging") && !said.contains("of-prod"),
        "{said}"
    );
}

#[test]
fn a_generator_of_a_secret_does_not_come_without_what_it_is_given() {
    let work = fleet();
    let [source, target] =
        ["staging", "prod"].map(|stage| format!("stages/{stage}/shop/kustomization.yaml"));
    work.write(&source, generating("of-staging", ""));
    let commit = work.commit("a password in staging");
    let said = promote(&work, &["staging", "prod", "shop", "--commit"]).with(1);
    let named =
        format!("{target} has the secretGenerator `access` with literals, which never travel");
    assert!(said.err.contains(&named), "{}", said.err);
    assert!(!said.out.contains("of-staging"), "{}", said.out);
    assert_eq!(work.head(), commit);
    work.write(&target, generating("of-prod", ""));
    release(&work);
    assert_eq!(read(&work, &target), generating("of-prod", ""));
}

#[test]
fn generators_of_secrets_in_files_of_their_own_stay_with_their_inputs() {
    let work = fleet();
    for (stage, value) in [("staging", "one"), ("prod", "two")] {
        let folder = format!("stages/{stage}/shop");
        let generator = format!(
            "apiVersion: builtin\nkind: SecretGenerator\nmetadata: {{name: access}}\nliterals: [a={value}]\n\
             files: [token.txt]\n"
        );
        work.write(&format!("{folder}/access.yaml"), generator)
            .write(&format!("{folder}/token.txt"), value)
            .write(
                &format!("{folder}/kustomization.yaml"),
                "resources:\n- helm.yaml\n- app-config.yaml\ngenerators:\n- access.yaml\n",
            );
    }
    let path = |name: &str| format!("stages/prod/shop/{name}");
    let names = ["access.yaml", "token.txt"];
    let before = names.map(|name| read(&work, &path(name)));
    let said = release(&work);
    assert_eq!(names.map(|name| read(&work, &path(name))), before);
    assert!(
        said.contains("access.yaml  stays: a generator of a Secret"),
        "{said}"
    );
}

#[test]
fn a_generator_of_a_secret_that_is_written_in_place_is_refused() {
    let work = fleet();
    let file = |stage: &str| format!("stages/{stage}/shop/kustomization.yaml");
    let content = "resources:\n- helm.yaml\n- app-config.yaml\ngenerators:\n- |-\n  apiVersion: builtin\n  kind: SecretGenerator\n  \
                   metadata: {name: access}\n  literals: [a=of-staging]\n";
    work.write(&file("staging"), content);
    let commit = work.commit("a password in place");
    let said = promote(&work, &["staging", "prod", "shop", "--commit"]).with(1);
    let named = format!(
        "{} would get the SecretGenerator `access` as a text",
        file("prod")
    );
    assert!(said.err.contains(&named), "{}", said.err);
    assert!(!said.out.contains("of-staging"), "{}", said.out);
    assert_eq!(work.head(), commit);
}

#[test]
fn what_clusters_take_variables_from_is_their_stage_s_own() {
    let work = fleet();
    work.write(
        "clusters/prod/apps.yaml",
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps, namespace: flux-system}\n\
         spec:\n  interval: 10m\n  path: ./envs/prod-eu\n  prune: true\n  sourceRef: {kind: GitRepository, name: \
         flux-system}\n  postBuild:\n    substituteFrom:\n    - {kind: ConfigMap, name: written}\n    - {kind: ConfigMap, \
         name: read}\n    - {kind: ConfigMap, name: cluster-vars}\n",
    );
    let file = |size: &str, more: &str| {
        format!(
            "resources:\n- helm.yaml\n- app-config.yaml\n- written.yaml\nconfigMapGenerator:\n- name: read\n  envs: \
             [facts]\n- name: cluster-vars\n  literals:\n  - size={size}\n- name: plain\n  literals:\n  - a={more}\n"
        )
    };
    let path = |stage: &str, name: &str| format!("stages/{stage}/shop/{name}");
    let write = |stage: &str, size: &str, more: &str| {
        let map =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: written}\ndata: {size: SIZE}\n";
        work.write(&path(stage, "kustomization.yaml"), file(size, more))
            .write(&path(stage, "written.yaml"), map.replace("SIZE", size))
            .write(&path(stage, "facts"), format!("zone={size}\n"));
    };
    write("staging", "small", "1");
    write("prod", "large", "1");
    work.commit("variables");
    write("staging", "tiny", "2");
    let said = release(&work);
    assert_eq!(
        read(&work, &path("prod", "kustomization.yaml")),
        file("large", "2")
    );
    for (name, why) in [
        ("written.yaml", "variables of a cluster"),
        ("facts", "input of a generator of secrets or variables"),
    ] {
        assert!(read(&work, &path("prod", name)).contains("large"), "{name}");
        assert!(said.contains(&format!("{name}  stays: {why}")), "{said}");
    }
}
