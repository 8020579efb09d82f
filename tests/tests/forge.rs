//! Pull requests and comments on a forge: the same for GitHub, GitLab and Gitea, each in its own words.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use controller::forge::{
    Forge, ForgeError, Kept, Kind, Made, Proposal, find_or_create_pull_request, find_pull_request,
    keep_comment, pull_request,
};
use controller::source::client::EnvironmentProxies;
use weir_tests::forge_server::{self, ACCOUNT, ForgeServer, PullRequest, REPOSITORY, TOKEN};

const KINDS: [(Kind, forge_server::Kind); 3] = [
    (Kind::GitHub, forge_server::Kind::GitHub),
    (Kind::GitLab, forge_server::Kind::GitLab),
    (Kind::Gitea, forge_server::Kind::Gitea),
];
const MARKER: &str = "<!-- weir plan -->";

fn forge(server: &ForgeServer, kind: Kind, token: &str) -> Forge {
    let token = token.to_owned().into();
    Forge::new(
        kind,
        &server.api(),
        REPOSITORY,
        token,
        &EnvironmentProxies::default(),
    )
    .unwrap()
}

fn proposal(title: &str) -> Proposal {
    Proposal {
        source: "weir/promote/all".to_owned(),
        target: "main".to_owned(),
        title: title.to_owned(),
        body: "what it does".to_owned(),
    }
}

#[tokio::test]
async fn a_pull_request_is_opened_once_and_brought_up_to_date() {
    for (kind, words) in KINDS {
        let server = ForgeServer::start(words);
        // Others have many open, one of the same branch from a fork among them.
        let other = |source: &str, repository: &str| PullRequest {
            source: source.to_owned(),
            target: "main".to_owned(),
            repository: repository.to_owned(),
            ..PullRequest::default()
        };
        server.state().requests.extend([
            other("a", REPOSITORY),
            other("weir/promote/all", "acme2/fleet"),
            other("c", REPOSITORY),
        ]);
        let forge = forge(&server, kind, TOKEN);
        for (title, made) in [
            ("one", Made::Created),
            ("one", Made::Unchanged),
            ("two", Made::Updated),
        ] {
            let proposal = proposal(title);
            let outcome = find_or_create_pull_request(&forge, &proposal).await;
            let (request, told) = outcome.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            assert_eq!((told, request.number), (made, 4), "{kind:?}");
            assert_eq!(request.page, "https://forge/4");
            assert_eq!(
                (&request.title, &request.body),
                (&proposal.title, &proposal.body)
            );
            assert!(!request.is_from_fork, "{kind:?}");
        }
        assert_eq!(server.state().requests[3].title, "two");
        let other = find_pull_request(&forge, "weir/promote/all", "release")
            .await
            .unwrap();
        assert_eq!(other, None, "{kind:?}");
        assert!(
            pull_request(&forge, 2).await.unwrap().is_from_fork,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn a_comment_is_found_by_its_first_line_and_its_author_and_changed() {
    for (kind, words) in KINDS {
        for is_nobody in [false, true] {
            let server = ForgeServer::start(words);
            let text = |said: &str| format!("{MARKER}\n{said}\n");
            let from = |who: &str, body: String| (1, who.to_owned(), body);
            {
                let mut state = server.state();
                state.is_nobody = is_nobody;
                state.requests.push(PullRequest::default());
                state.comments.extend([
                    from("mallory", text("mine looks like yours")),
                    from("ada", format!("> {MARKER}\nI quote")),
                    from(ACCOUNT, "another tool".to_owned()),
                ]);
            }
            let forge = forge(&server, kind, TOKEN);
            for (said, kept) in [
                ("one", Kept::Created),
                ("one", Kept::Unchanged),
                ("two", Kept::Updated),
            ] {
                let told = keep_comment(&forge, 1, MARKER, &text(said)).await;
                let told = told.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
                assert_eq!(told, kept, "{kind:?} {said}");
            }
            let comments = server.state().comments.clone();
            assert_eq!(comments.len(), 4, "{kind:?}: {comments:?}");
            assert_eq!(comments[3], from(ACCOUNT, text("two")));
            assert_eq!(comments[0], from("mallory", text("mine looks like yours")));
        }
    }
}

#[tokio::test]
async fn a_refusal_says_what_was_asked_and_no_token() {
    for (kind, words) in KINDS {
        let server = ForgeServer::start(words);
        let forge = forge(&server, kind, "wrong-token-4711");
        let error = pull_request(&forge, 1).await.unwrap_err();
        assert!(matches!(error, ForgeError::Refused { status: 401, .. }));
        let text = format!("{error} {error:?} {forge:?}");
        assert!(
            text.contains("Bad credentials") && !text.contains("4711"),
            "{text}"
        );
    }
}
