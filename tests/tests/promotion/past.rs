//! Where the base comes from: records, copies by hand, squashed merges, shallow clones, first meetings.

use weir_tests::{GitServer, GitServerOptions, Repository};

use crate::fleet::{HELM, PROD, STAGING, edit, fill, fleet, promote, read};

#[test]
fn at_a_first_meeting_every_difference_waits_for_a_word() {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    fill(&work);
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("all at once");
    let refused = promote(&work, &["staging", "prod", "--commit"]).with(1);
    assert!(
        refused
            .err
            .contains("refused (first-meeting): 2 places differ"),
        "{}",
        refused.err
    );
    assert!(
        refused
            .out
            .contains("? spec.values.replicas: staging has 2, prod has 5"),
        "{}",
        refused.out
    );
    let arguments = [
        "staging",
        "prod",
        "--commit",
        "--adopt",
        "source",
        "--adopt",
        "target",
        "shop/helm.yaml:spec.values.replicas",
    ];
    promote(&work, &arguments).with(0);
    assert_eq!(
        read(&work, PROD),
        HELM.replace("tag: v1", "tag: v2")
            .replace("replicas: 2", "replicas: 5")
    );
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    let want = HELM
        .replace("tag: v1", "tag: v3")
        .replace("replicas: 2", "replicas: 5");
    assert_eq!(read(&work, PROD), want, "after it nothing is asked again");
}

#[test]
fn what_is_adopted_as_it_stands_is_remembered_without_a_change() {
    let work = Repository::create("http://127.0.0.1:1/none.git", None);
    fill(&work);
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    work.commit("all at once");
    promote(&work, &["staging", "prod", "--commit", "--adopt", "target"]).with(0);
    let said = promote(&work, &["staging", "prod"]).with(0);
    assert!(
        said.out.contains("prod keeps its own 5") && said.out.contains("already there"),
        "{}",
        said.out
    );
}

#[test]
fn a_copy_by_hand_is_as_good_as_a_promotion() {
    let work = fleet();
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("v2");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    work.write(PROD, read(&work, STAGING));
    work.commit("copied by hand");
    edit(&work, STAGING, "tag: v3", "tag: v4");
    edit(&work, STAGING, "version: 1.0.0", "version: 2.0.0");
    work.commit("v4");
    let said = promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert!(
        said.out.contains("~ spec.values.image.tag: v3 → v4"),
        "{}",
        said.out
    );
    assert_eq!(
        read(&work, PROD),
        HELM.replace("tag: v1", "tag: v4").replace("1.0.0", "2.0.0")
    );
}

#[test]
fn a_squashed_merge_keeps_the_base() {
    let work = fleet();
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.commit("v2, and a hotfix");
    work.branch("topic");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    work.switch("main");
    work.git(&["merge", "--quiet", "--squash", "topic"]);
    work.commit("squashed");
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.commit("v3");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    assert_eq!(
        read(&work, PROD),
        HELM.replace("tag: v1", "tag: v3")
            .replace("replicas: 2", "replicas: 5")
    );
}

#[test]
fn a_shallow_clone_says_which_fetch_it_needs() {
    let server = GitServer::start(GitServerOptions::default());
    let work = server.create_repository("fleet");
    fill(&work);
    work.commit("first");
    edit(&work, STAGING, "tag: v1", "tag: v2");
    work.publish("v2");
    let shallow = clone(&server, &["--depth=1"]);
    let cut = promote(&shallow, &["staging", "prod"]).with(1);
    assert!(
        cut.err.contains("shallow clone") && cut.err.contains("git fetch --unshallow"),
        "{}",
        cut.err
    );
    shallow.git(&["fetch", "--quiet", "--unshallow", "origin", "main"]);
    promote(&shallow, &["staging", "prod"]).with(2);

    // After a promotion its record says enough; only the version that it names may be missing.
    edit(&work, PROD, "replicas: 2", "replicas: 5");
    work.commit("hotfix");
    promote(&work, &["staging", "prod", "--commit"]).with(0);
    let promoted = work.git(&["rev-parse", "HEAD^"]);
    edit(&work, STAGING, "tag: v2", "tag: v3");
    work.publish("v3");
    let shallow = clone(&server, &["--depth=1"]);
    let missing = promote(&shallow, &["staging", "prod", "shop"]).with(1);
    let hint = format!("git fetch --depth=1 origin {promoted}");
    assert!(missing.err.contains(&hint), "{}", missing.err);
    shallow.git(&["fetch", "--quiet", "--depth=1", "origin", &promoted]);
    let said = promote(&shallow, &["staging", "prod", "shop"]).with(2);
    assert!(
        said.out.contains("~ spec.values.image.tag: v2 → v3"),
        "{}",
        said.out
    );
}

/// A clone of the server's repository, with more arguments for the fetch.
pub(crate) fn clone(server: &GitServer, arguments: &[&str]) -> Repository {
    let clone = Repository::create(&server.url("fleet"), None);
    clone.git(&["config", "user.name", "Bob"]);
    clone.git(&["config", "user.email", "bob@example.org"]);
    let mut fetch = vec!["fetch", "--quiet"];
    fetch.extend(arguments);
    fetch.extend(["origin", "main"]);
    clone.git(&fetch);
    clone.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
    clone
}
