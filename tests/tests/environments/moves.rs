//! What becomes of objects and environments that move, go, come, or do not build.

use weir_tests::Repository;

use crate::said::{json, kustomization, map, printed, repository, weir};

/// One cluster with two Kustomizations.
fn cluster() -> Repository {
    let work = repository();
    work.write("clusters/one/a.yaml", kustomization("a", "./a", ""))
        .write("clusters/one/b.yaml", kustomization("b", "./b", ""))
        .write("a/map.yaml", map("first", "{x: y}"))
        .write("b/map.yaml", map("second", "{x: y}"));
    work.commit("before");
    work
}

fn plan(work: &Repository, code: i32) -> String {
    printed(work.path(), &["plan", "--from", "main"], code)
}

#[test]
fn an_object_that_changes_hands_is_not_pruned() {
    let work = cluster();
    work.write("a/map.yaml", map("other", "{x: y}"))
        .write("b/more.yaml", map("first", "{x: y}"));
    let text = plan(&work, 2);
    assert!(
        text.contains("  flux-system/b\n    ~ ConfigMap first  (moves here from flux-system/a)"),
        "{text}"
    );
    assert!(text.contains("Plan: 1 add, 1 change,"), "{text}");
}

#[test]
fn an_object_that_two_want_is_told() {
    let work = cluster();
    work.write("b/more.yaml", map("first", "{x: z}"));
    let text = plan(&work, 2);
    assert!(
        text.contains("warning: ConfigMap/first is wanted by flux-system/a and flux-system/b"),
        "{text}"
    );
}

#[test]
fn what_a_kustomization_leaves_behind_is_its_policy_s_choice() {
    let work = cluster();
    work.write(
        "clusters/one/a.yaml",
        kustomization("a", "./a", "  deletionPolicy: Orphan\n"),
    );
    work.commit("orphans");
    work.remove("clusters/one/a.yaml");
    let text = plan(&work, 3);
    assert!(
        text.contains(
            "· ConfigMap first  (of flux-system/a; stays in the cluster: deletionPolicy: Orphan)"
        ),
        "{text}"
    );
    assert!(
        text.contains("- Kustomization flux-system/a  (of clusters/one)"),
        "{text}"
    );
    work.git(&["checkout", "--quiet", "main", "--", "clusters"]);
    let kept = kustomization("b", "./b", "").replace("prune: true", "prune: false");
    work.write("clusters/one/b.yaml", kept)
        .remove("b/map.yaml")
        .write("b/new.yaml", map("new", "{}"));
    let text = plan(&work, 2);
    assert!(
        text.contains("· ConfigMap second  (of flux-system/b; stays in the cluster: prune: false)"),
        "{text}"
    );
}

#[test]
fn an_environment_comes_and_another_goes() {
    let work = cluster();
    work.git(&["mv", "clusters/one", "clusters/two"]);
    let text = plan(&work, 2);
    assert!(text.contains("clusters/one  (goes)\n"), "{text}");
    assert!(text.contains("clusters/two  (new)\n"), "{text}");
    assert!(
        text.contains("stays in the cluster: the environment goes; nobody prunes it"),
        "{text}"
    );
    assert!(
        text.ends_with("Plan: 4 add, 4 left behind · 2 of 2 environments\n"),
        "{text}"
    );
}

#[test]
fn what_was_broken_before_is_no_error_of_the_change() {
    let work = cluster();
    work.write("a/map.yaml", "kind: [");
    work.commit("broken");
    work.write("b/map.yaml", map("second", "{x: z}"));
    let text = plan(&work, 2);
    assert!(text.contains("Plan: 1 change"), "{text}");
    work.write("a/map.yaml", "kind: {");
    let text = plan(&work, 2);
    assert!(
        text.contains("! does not build, nor did before: a/map.yaml"),
        "{text}"
    );
    work.write("a/map.yaml", map("first", "{x: y}"));
    let text = plan(&work, 2);
    assert!(
        text.contains("! builds again") && text.contains("+ ConfigMap first"),
        "{text}"
    );
}

#[test]
fn an_immutable_field_changes_where_that_is_allowed() {
    let work = cluster();
    let role = |to: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: r, namespace: n}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {to}}}\n"
        )
    };
    work.write("a/role.yaml", role("one")).write(
        "clusters/one/a.yaml",
        kustomization("a", "./a", "  force: true\n"),
    );
    work.commit("a role");
    work.write("a/role.yaml", role("two"));
    let text = plan(&work, 3);
    assert!(
        text.contains("-/+ RoleBinding n/r  (replaced: roleRef.name cannot change)"),
        "{text}"
    );
}

#[test]
fn a_folder_without_environments_says_what_to_do() {
    let work = repository();
    work.write("README.md", "nothing yet\n");
    work.commit("first");
    let said = weir(work.path(), &["envs"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("no environment was found") && said.err.contains("--root"),
        "{}",
        said.err
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let said = weir(elsewhere.path(), &["envs"]);
    assert!(said.err.contains("in no Git work tree"), "{}", said.err);
}

/// What becomes of objects whose files lie in another repository cannot be told, and is not said to be pruned.
#[test]
fn a_kustomization_of_another_repository_is_a_leaf_by_its_name() {
    let work = cluster();
    let other = kustomization("b", "./b", "").replace("name: flux-system}\n", "name: elsewhere}\n");
    work.write(
        "clusters/one/flux-system/gotk-sync.yaml",
        kustomization("flux-system", "./clusters/one", ""),
    )
    .write(
        "clusters/one/kustomization.yaml",
        "resources: [a.yaml, b.yaml, flux-system/gotk-sync.yaml]\n",
    );
    work.commit("a source of its own");
    work.write("clusters/one/b.yaml", other);
    let text = plan(&work, 2);
    let told = "! its files lie in another repository now, GitRepository/flux-system/elsewhere";
    assert!(text.contains(told), "{text}");
    assert!(!text.contains("no longer wanted"), "{text}");
    let envs = json(work.path(), &["envs"], 0);
    let external = &envs[0]["external"];
    assert_eq!(
        external,
        &serde_json::json!([{
            "kustomization": "flux-system/b", "repository": "GitRepository/flux-system/elsewhere",
        }])
    );
}
