//! Over HTTP.

use controller::source::mirror::NewFile;
use controller::source::push::Pushed;
use controller::source::{Access, Credentials as SourceCredentials};
use weir_tests::{Credentials, GitServer, GitServerOptions, Repository};

use crate::writer::{Writer, blocking};

fn served(options: GitServerOptions) -> (GitServer, Repository) {
    let server = GitServer::start(options);
    let work = server.create_repository("fleet");
    work.write("stages/prod/run.sh", "#!/bin/sh\n")
        .write("stages/prod/helm.yaml", "version: 1\n")
        .write("stages/prod/old/gone.yaml", "old: 1\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(work.path().join("stages/prod/run.sh"), mode).unwrap();
    work.publish("first");
    (server, work)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_commit_reaches_the_branch_and_git_believes_it() {
    let (server, work) = served(GitServerOptions::default());
    let url = server.url("fleet");
    let public = blocking(move || {
        let writer = Writer::new(&url, Access::default());
        writer.fetch();
        let files: [NewFile<'_>; 3] = [
            ("stages/prod/helm.yaml", Some(b"version: 2\n")),
            ("stages/prod/run.sh", Some(b"#!/bin/sh\nexit\n")),
            ("stages/prod/old/gone.yaml", None),
        ];
        let commit = writer.commit(&files, "Promote shop\n\nWith a body.\n");
        let done = writer.push("refs/heads/main", Some(writer.head()), &commit);
        assert_eq!(done.unwrap(), Pushed::Done);
        writer.public
    })
    .await;
    work.git(&["pull", "--quiet", "origin", "main"]);
    let listed = work.git(&["ls-tree", "-r", "HEAD"]);
    assert!(!listed.contains("gone.yaml"), "{listed}");
    assert!(
        listed.contains("100755 blob") && listed.contains("run.sh"),
        "{listed}"
    );
    assert_eq!(
        work.git(&["show", "HEAD:stages/prod/helm.yaml"]),
        "version: 2"
    );
    assert_eq!(
        work.git(&["log", "-1", "--format=%an %ae %s"]),
        "weir of staging weir@staging Promote shop"
    );
    work.write("allowed", format!("weir@staging {public}\n"));
    work.git(&["config", "gpg.ssh.allowedSignersFile", "allowed"]);
    work.git(&["verify-commit", "HEAD"]);
    work.git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_outrun_changes_nothing() {
    let (server, work) = served(GitServerOptions::default());
    let url = server.url("fleet");
    let writer = blocking(move || {
        let writer = Writer::new(&url, Access::default());
        writer.fetch();
        writer
    })
    .await;
    work.write("elsewhere", "1");
    let theirs = work.publish("somebody was faster");
    let writer = blocking(move || {
        let files: [NewFile<'_>; 1] = [("mine", Some(b"1"))];
        let commit = writer.commit(&files, "mine\n");
        let outrun = writer.push("refs/heads/main", Some(writer.head()), &commit);
        assert_eq!(outrun.unwrap(), Pushed::Outrun);
        writer
    })
    .await;
    assert!(
        work.git(&["ls-remote", "origin", "refs/heads/main"])
            .starts_with(&theirs)
    );
    blocking(move || {
        writer.fetch();
        let files: [NewFile<'_>; 1] = [("mine", Some(b"1"))];
        let commit = writer.commit(&files, "mine\n");
        let done = writer.push("refs/heads/main", Some(writer.head()), &commit);
        assert_eq!(done.unwrap(), Pushed::Done);
    })
    .await;
    work.git(&["pull", "--quiet", "origin", "main"]);
    assert!(work.path().join("mine").exists() && work.path().join("elsewhere").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_who_race_fifty_times_lose_nothing() {
    let (server, work) = served(GitServerOptions::default());
    let racers = ["one", "two"].map(|name| {
        let url = server.url("fleet");
        blocking(move || {
            Writer::new(&url, Access::default()).race(name, 25);
        })
    });
    for racer in racers {
        racer.await;
    }
    work.git(&["pull", "--quiet", "origin", "main"]);
    for name in ["one", "two"] {
        assert_eq!(
            std::fs::read_dir(work.path().join(name)).unwrap().count(),
            25
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ref_of_its_own_is_created_and_replaced() {
    let (server, work) = served(GitServerOptions::default());
    let url = server.url("fleet");
    blocking(move || {
        let writer = Writer::new(&url, Access::default());
        let name = "refs/weir/state/staging";
        let specs = ["+refs/weir/state/*:refs/weir/state/*".to_owned()];
        let fetch = || {
            let fetched = writer
                .mirror
                .fetch(&writer.repositories, &writer.remote, &specs);
            fetched.unwrap();
        };
        fetch();
        assert_eq!(writer.mirror.id(name).unwrap(), None);
        let first = writer.make(None, &[("state.json", Some(b"1"))], "first\n");
        assert_eq!(writer.push(name, None, &first).unwrap(), Pushed::Done);
        let second = writer.make(None, &[("state.json", Some(b"2"))], "second\n");
        assert_eq!(writer.push(name, None, &second).unwrap(), Pushed::Outrun);
        fetch();
        assert_eq!(writer.mirror.id(name).unwrap(), Some(first.id));
        assert_eq!(
            writer.push(name, Some(first.id), &second).unwrap(),
            Pushed::Done
        );
    })
    .await;
    work.git(&["fetch", "--quiet", "origin", "refs/weir/state/staging"]);
    assert_eq!(work.git(&["show", "FETCH_HEAD:state.json"]), "2");
    assert_eq!(work.git(&["rev-list", "--count", "FETCH_HEAD"]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_told_in_its_words() {
    let credentials = Credentials {
        username: "weir".to_owned(),
        password: "token".to_owned(),
    };
    let (server, work) = served(GitServerOptions {
        credentials: Some(credentials),
        tls: true,
    });
    let hook = "#!/bin/sh\ncase $1 in refs/weir/*) exit 1;; esac\n";
    server.hook("fleet", "update", hook);
    let url = server.url("fleet");
    let certificate = std::fs::read(server.certificate().unwrap()).unwrap();
    blocking(move || {
        let access = |password: &str| Access {
            credentials: SourceCredentials::Basic {
                username: "weir".to_owned(),
                password: password.to_owned(),
            },
            authorities: Some(certificate.clone()),
            ..Access::default()
        };
        let writer = Writer::new(&url, access("token"));
        writer.fetch();
        let commit = writer.make(None, &[("state.json", Some(b"1"))], "state\n");
        let refused = writer
            .push("refs/weir/state/staging", None, &commit)
            .unwrap();
        assert_eq!(refused, Pushed::Refused("hook declined".to_owned()));
        let branch = writer.push("refs/heads/weir/state/staging", None, &commit);
        assert_eq!(branch.unwrap(), Pushed::Done);
        let stranger = Writer::new(&url, access("wrong"));
        let commit = stranger.make(None, &[("state.json", Some(b"1"))], "state\n");
        let error = stranger
            .push("refs/weir/state/staging", None, &commit)
            .unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("unable to push to") && said.ends_with("authentication required"),
            "{said}"
        );
        assert!(!said.contains("wrong"), "{said}");
    })
    .await;
    assert!(
        work.git(&["ls-remote", "origin"])
            .contains("refs/heads/weir/state/staging")
    );
}
