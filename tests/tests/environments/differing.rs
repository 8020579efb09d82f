//! What counts as a difference of an object, what is certain of it, and how it is told.

use weir_tests::Repository;

use crate::said::{json, kustomization, map, printed, repository, weir};

/// One cluster with one Kustomization, which builds one file.
fn cluster(rest: &str, text: &str) -> Repository {
    let work = repository();
    work.write("clusters/one/a.yaml", kustomization("a", "./a", rest))
        .write("a/all.yaml", text);
    work.commit("before");
    work
}

/// The plan for another text of that file.
fn plan(work: &Repository, text: &str) -> String {
    work.write("a/all.yaml", text);
    printed(work.path(), &["plan", "--from", "main"], 2)
}

#[test]
fn items_in_another_order_are_a_change() {
    let flow = |steps: &str| {
        format!(
            "apiVersion: x.io/v1\nkind: Flow\nmetadata: {{name: f}}\nspec: {{steps: [{steps}]}}\n"
        )
    };
    let work = cluster("", &flow("{name: build}, {name: test}"));
    let text = plan(&work, &flow("{name: test}, {name: build}"));
    assert!(
        text.contains(
            "    ~ Flow f\n        ~ spec.steps: order changes: build, test → test, build\n"
        ),
        "{text}"
    );
    let plan = json(work.path(), &["plan", "--from", "main"], 2);
    let change = &plan["environments"][0]["kustomizations"][0]["objects"][0]["changes"][0];
    assert_eq!(change["path"], "spec.steps");
    assert_eq!(
        change["after"]["value"],
        serde_json::json!(["test", "build"])
    );
}

#[test]
fn all_that_somebody_wrote_of_an_object_counts() {
    let with = |more: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{more}}}\ndata: {{x: y}}\n")
    };
    let work = cluster("", &with(""));
    for (more, line) in [
        (
            ", finalizers: [example.org/x]",
            "+ metadata.finalizers[0]: example.org/x",
        ),
        (
            ", creationTimestamp: \"2026-01-01\"",
            "+ metadata.creationTimestamp: 2026-01-01",
        ),
    ] {
        let text = plan(&work, &with(more));
        assert!(
            text.contains(&format!("    ~ ConfigMap m\n        {line}\n")),
            "{text}"
        );
    }
}

const UNKNOWN: &str = "  postBuild:\n    substituteFrom: [{kind: ConfigMap, name: elsewhere}]\n";

#[test]
fn what_becomes_of_unknown_values_may_change() {
    let with = |value: &str| map("m", &format!("{{x: '{value}'}}"));
    let work = cluster(UNKNOWN, &with("${host:=one}"));
    for value in ["${host:=two}", "${host:0:3}", "${host/a/b}", "${host}"] {
        let text = plan(&work, &with(value));
        assert!(
            text.contains("        ? data.x: may change: (known after apply: elsewhere.host)\n"),
            "{value}: {text}"
        );
    }
    for (before, after, sign) in [
        ("${p}-${q}", "${q}-${p}", '?'),
        ("${p}", "${p}${p}", '?'),
        ("x${p}", "${p}x", '?'),
        ("a-${p}", "b-${p}", '~'),
        ("${p}/a", "${p}/b", '~'),
    ] {
        let work = cluster(UNKNOWN, &with(before));
        let text = plan(&work, &with(after));
        assert!(
            text.contains(&format!("        {sign} data.x: ")),
            "{before}: {text}"
        );
    }
}

#[test]
fn secret_values_are_shown_in_no_name_and_no_path() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: vars, namespace: flux-system}\nstringData: {nm: s3cret-name-of-it}\n";
    let variables = "  postBuild:\n    substituteFrom: [{kind: Secret, name: vars}]\n";
    let with = |value: &str| {
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, env: [{name: '${nm}'";
        let data = map("'n-${nm}'", &format!("{{x: {value}}}"));
        format!("{data}{pod}, value: {value}}}]}}]}}\n")
    };
    let work = cluster(variables, &with("one"));
    work.write("clusters/one/secret.yaml", secret);
    work.commit("with a secret");
    let text = plan(&work, &with("two"));
    assert!(text.contains("~ ConfigMap n-***\n"), "{text}");
    assert!(
        text.contains("spec.containers[c].env[***].value: "),
        "{text}"
    );
    for arguments in [
        &["plan", "--from", "main"][..],
        &["plan", "--from", "main", "flux-system/a"],
        &["plan", "--from", "main", "-o", "json"],
        &["plan", "--from", "main", "-o", "html"],
        &["plan", "--from", "main", "-o", "markdown"],
        &["affected", "--from", "main", "-o", "json"],
        &["build", "--kustomization", "clusters/one/a.yaml#a"],
    ] {
        let said = weir(work.path(), arguments);
        assert!(
            said.out.contains("n-***"),
            "{arguments:?}: {}{}",
            said.out,
            said.err
        );
        assert!(!said.out.contains("s3cret"), "{arguments:?}: {}", said.out);
    }
}

#[test]
fn lines_that_stay_are_marked_by_no_sign_of_their_own() {
    let with = |item: &str| {
        let text = format!("items:\n    - kept\n    - {item}\n    ~ kept\n    + kept");
        map("m", &format!("\n  list: |\n    {text}\n"))
    };
    let work = cluster("", &with("old"));
    work.write("a/all.yaml", with("new"));
    let text = printed(
        work.path(),
        &["plan", "--from", "main", "-o", "markdown"],
        2,
    );
    for (line, is_there) in [
        ("               - kept\n", true),
        ("-             -- old\n", true),
        ("+             +- new\n", true),
        ("               ~ kept\n", true),
        ("\n-              - kept", false),
    ] {
        assert_eq!(text.contains(line), is_there, "{line:?}: {text}");
    }
}
