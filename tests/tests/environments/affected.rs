//! The blast radius, and the way from a file to an object.

use crate::example::example;
use crate::said::{json, printed, weir};

#[test]
fn a_file_is_followed_to_the_objects_that_it_changes() {
    let work = example();
    let file = "stages/prod/shop/deployment.yaml";
    let text = std::fs::read_to_string(work.path().join(file)).unwrap();
    work.write(file, text.replace("shop:2.3.1", "shop:2.4.0"))
        .write("README.md", "new\n");
    work.commit("second");
    let sides = ["affected", "--from", "HEAD~1", "--to", "HEAD"];
    let affected = json(work.path(), &sides, 2);
    assert_eq!(affected["stages"], serde_json::json!(["prod"]));
    assert_eq!(affected["unread"], serde_json::json!(["README.md"]));
    assert_eq!(affected["untouched"], 1);
    let changed = &affected["environments"][0]["changed"];
    assert_eq!(changed.as_array().unwrap().len(), 1, "{affected:#}");
    assert_eq!(changed[0]["kustomization"], "flux-system/apps");
    assert_eq!(changed[0]["because"][0]["files"], serde_json::json!([file]));
    assert_eq!(changed[0]["objects"][0]["name"], "shop");
}

#[test]
fn what_only_changes_a_comment_is_built_anew_and_stays_the_same() {
    let work = example();
    let file = "platform/cert-manager/_base/kustomization.yaml";
    let text = std::fs::read_to_string(work.path().join(file)).unwrap();
    work.write(file, text + "# a comment\n");
    let text = printed(work.path(), &["affected", "--from", "main"], 0);
    assert!(
        text.contains("flux-system/cert-manager: built anew, the same"),
        "{text}"
    );
    assert!(text.contains(&format!("because of {file}")), "{text}");
    assert!(
        text.ends_with(
            "Affected: 0 objects in 0 of 3 environments, 3 more are built anew and stay the same\n"
        ),
        "{text}"
    );
}

#[test]
fn variables_are_followed_and_files_picked() {
    let work = example();
    let file = "clusters/prod/eu/platform/cluster-config.yaml";
    let text = std::fs::read_to_string(work.path().join(file)).unwrap();
    work.write(file, text.replace("eu.example.com", "europe.example.com"));
    let other = "stages/staging/shop/deployment.yaml";
    let text = std::fs::read_to_string(work.path().join(other)).unwrap();
    work.write(other, text.replace("2.4.0", "2.5.0"));
    let both = weir(work.path(), &["affected", "--from", "main"]);
    assert_eq!(both.code, 3, "two stages: {}", both.out);
    let one = printed(
        work.path(),
        &["affected", "--from", "main", "--files", file],
        2,
    );
    assert!(
        one.contains(&format!(
            "because of {file} → variables of flux-system/apps: cluster_domain"
        )),
        "{one}"
    );
    assert!(!one.contains("staging"), "{one}");
    let none = weir(
        work.path(),
        &["affected", "--from", "main", "--files", "nowhere.yaml"],
    );
    assert_eq!(none.code, 0, "{}", none.out);
    assert!(
        none.err
            .contains("nowhere.yaml is not among the touched files"),
        "{}",
        none.err
    );
}
