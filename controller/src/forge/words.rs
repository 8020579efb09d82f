//! What each forge calls things: paths, fields, and what they hold.

use reqwest::Method;

use super::{Forge, Kind};

/// The words of one API.
pub(super) struct Words {
    /// The first part of a repository's path.
    pub(super) repositories: &'static str,
    /// Whether a repository's name is one part of the path, its slashes escaped.
    pub(super) is_one_part: bool,
    /// The part of the path of pull requests.
    pub(super) requests: &'static str,
    /// What comments of a pull request hang on.
    pub(super) commented: &'static str,
    /// The part of the path of comments.
    pub(super) comments: &'static str,
    /// Whether one comment's path names its pull request.
    pub(super) is_below_request: bool,
    /// How a comment, or a pull request, is changed.
    pub(super) update: Method,
    /// The state of a pull request that is open.
    pub(super) open: &'static str,
    /// The fields of a pull request: the branch that it brings, the one that it is to be merged into, its text.
    pub(super) source: &'static str,
    pub(super) target: &'static str,
    pub(super) body: &'static str,
    /// Where an answer has these: number, page, both branches, both commits, whose branches these are.
    pub(super) number: &'static str,
    pub(super) page: &'static str,
    pub(super) source_branch: &'static str,
    pub(super) target_branch: &'static str,
    pub(super) source_commit: &'static str,
    pub(super) source_repository: &'static str,
    pub(super) target_repository: &'static str,
    /// Where a comment has its author, and an account its name.
    pub(super) author: &'static str,
    pub(super) account: &'static str,
}

const GITHUB: Words = Words {
    repositories: "repos",
    is_one_part: false,
    requests: "pulls",
    commented: "issues",
    comments: "comments",
    is_below_request: false,
    update: Method::PATCH,
    open: "open",
    source: "head",
    target: "base",
    body: "body",
    number: "/number",
    page: "/html_url",
    source_branch: "/head/ref",
    target_branch: "/base/ref",
    source_commit: "/head/sha",
    source_repository: "/head/repo/full_name",
    target_repository: "/base/repo/full_name",
    author: "/user/login",
    account: "/login",
};

const GITLAB: Words = Words {
    repositories: "projects",
    is_one_part: true,
    requests: "merge_requests",
    commented: "merge_requests",
    comments: "notes",
    is_below_request: true,
    update: Method::PUT,
    open: "opened",
    source: "source_branch",
    target: "target_branch",
    body: "description",
    number: "/iid",
    page: "/web_url",
    source_branch: "/source_branch",
    target_branch: "/target_branch",
    source_commit: "/sha",
    source_repository: "/source_project_id",
    target_repository: "/target_project_id",
    author: "/author/username",
    account: "/username",
};

impl Forge {
    /// The words of its API.
    pub(super) fn words(&self) -> &'static Words {
        match self.kind {
            Kind::GitHub | Kind::Gitea => &GITHUB,
            Kind::GitLab => &GITLAB,
        }
    }

    /// The path of something in the repository.
    pub(super) fn path(&self, below: &[&str]) -> Vec<String> {
        let words = self.words();
        let mut path = vec![words.repositories.to_owned()];
        match words.is_one_part {
            true => path.push(self.repository.clone()),
            false => path.extend(self.repository.split('/').map(str::to_owned)),
        }
        path.extend(below.iter().map(|part| (*part).to_owned()));
        path
    }
}
