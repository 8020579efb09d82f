//! Apps of GitHub: the claim, the token, and that it is asked for no oftener than need be.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use controller::source::github_app::{App, credentials};
use controller::source::{
    Access, Credentials as Found, Reference, Remote, RemoteUrl, Repositories, SourceError, refresh,
};
use weir_tests::github::{APP, GitHub, INSTALLATION, OWNER, PRIVATE_KEY, TOKEN};
use weir_tests::{Credentials, GitServer, GitServerOptions};

const PATIENCE: Duration = Duration::from_secs(20);
const LATER: &str = "2100-01-01T00:00:00Z";

fn app(server: &GitHub, more: &[(&str, &str)]) -> Result<App, SourceError> {
    let mut data = BTreeMap::from([
        ("githubAppID".to_owned(), APP.as_bytes().to_vec()),
        (
            "githubAppPrivateKey".to_owned(),
            PRIVATE_KEY.as_bytes().to_vec(),
        ),
        ("githubAppBaseURL".to_owned(), server.url().into_bytes()),
    ]);
    for (key, value) in more {
        data.insert((*key).to_owned(), value.as_bytes().to_vec());
    }
    App::from_secret(&data).map(Option::unwrap)
}

fn repositories() -> (tempfile::TempDir, Arc<Repositories>) {
    let storage = tempfile::tempdir().unwrap();
    let repositories = Arc::new(Repositories::new(storage.path().to_owned()));
    (storage, repositories)
}

#[tokio::test]
async fn the_token_of_an_installation_opens_a_repository() {
    let git = GitServer::start(GitServerOptions {
        credentials: Some(Credentials {
            username: "x-access-token".to_owned(),
            password: TOKEN.to_owned(),
        }),
        ..GitServerOptions::default()
    });
    let commit = git
        .create_repository("app")
        .write("a", "b")
        .publish("first");
    let github = GitHub::start(LATER);
    let (_storage, repositories) = repositories();
    for installation in [
        ("githubAppInstallationID", INSTALLATION),
        ("githubAppInstallationOwner", OWNER),
    ] {
        let app = app(&github, &[installation]).unwrap();
        for _ in 0..3 {
            let access = Access::default();
            let credentials = credentials(&repositories, &app, &access, PATIENCE)
                .await
                .unwrap();
            let remote = Remote {
                url: RemoteUrl::parse(&git.url("app")).unwrap().0,
                access: Access {
                    credentials,
                    ..access
                },
                timeout: PATIENCE,
            };
            let reference = Reference::Branch("main".to_owned());
            let fetched = refresh(&repositories, "ns/name", &remote, &reference)
                .await
                .unwrap();
            assert_eq!(fetched.revision, format!("main@sha1:{commit}"));
        }
    }
    let token = format!("POST /api/v3/app/installations/{INSTALLATION}/access_tokens");
    let expected = [
        token.clone(),
        format!("GET /api/v3/orgs/{OWNER}/installation"),
        format!("GET /api/v3/users/{OWNER}/installation"),
        token,
    ];
    assert_eq!(github.requests(), expected);
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_not_used() {
    let github = GitHub::start("2020-01-01T00:00:00Z");
    let (_storage, repositories) = repositories();
    let app = app(&github, &[("githubAppInstallationID", INSTALLATION)]).unwrap();
    for _ in 0..2 {
        let found = credentials(&repositories, &app, &Access::default(), PATIENCE)
            .await
            .unwrap();
        assert!(matches!(found, Found::Basic { password, .. } if password == TOKEN));
    }
    assert_eq!(github.requests().len(), 2);
}

#[tokio::test]
async fn apps_that_are_wrong_are_refused() {
    let github = GitHub::start(LATER);
    let id = ("githubAppInstallationID", INSTALLATION);
    for (more, problem) in [
        (&[][..], "app installation owner or ID must be provided"),
        (
            &[id, ("githubAppInstallationOwner", OWNER)][..],
            "only one of",
        ),
        (
            &[("githubAppInstallationOwner", "../ada")][..],
            "is not one",
        ),
        (
            &[id, ("githubAppPrivateKey", "")][..],
            "private key must be provided",
        ),
    ] {
        let error = app(&github, more).map(|_| ()).unwrap_err();
        assert_eq!(error.reason(), "AuthenticationFailed");
        assert!(error.to_string().contains(problem), "{error}");
    }
    let (_storage, repositories) = repositories();
    for (more, problem) in [
        (
            &[id, ("githubAppPrivateKey", "hush-hush")][..],
            "the private key is not PEM",
        ),
        (&[id, ("githubAppID", "4321")][..], "unexpected status 401"),
        (
            &[("githubAppInstallationOwner", "bob")][..],
            "unexpected status 404",
        ),
    ] {
        let app = app(&github, more).unwrap();
        let error = credentials(&repositories, &app, &Access::default(), PATIENCE).await;
        let error = error.map(|_| ()).unwrap_err();
        assert_eq!(error.reason(), "AuthenticationFailed");
        let text = error.to_string();
        assert!(text.contains(problem) && !text.contains("hush"), "{text}");
    }
    assert!(
        !format!(
            "{:?}",
            Found::Basic {
                username: String::new(),
                password: TOKEN.to_owned()
            }
        )
        .contains(TOKEN)
    );
}
