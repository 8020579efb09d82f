//! What the environment of a CI job says of the pull request that it runs for, on each forge.

use std::path::Path;

use serde_json::Value;

use super::setting;
use crate::forge::Kind;

/// Where GitLab's jobs find the repository of a merge request: that of its target, else their own.
const PROJECTS: [&str; 2] = ["CI_MERGE_REQUEST_PROJECT_PATH", "CI_PROJECT_PATH"];

/// Where the event of an action has the number of a pull request.
const NUMBERS: [&str; 3] = [
    "/pull_request/number",
    "/issue/number",
    "/workflow_run/pull_requests/0/number",
];

/// A CI job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Job {
    /// Whose it is.
    pub(super) kind: Option<Kind>,
    /// Where the API begins.
    pub(super) api: Option<String>,
    /// The repository.
    pub(super) repository: Option<String>,
    /// The pull request that it runs for.
    pub(super) number: Option<u64>,
}

/// The job that this process is part of, if any.
pub(super) fn job() -> Job {
    let event = setting("GITHUB_EVENT_PATH").and_then(|path| std::fs::read(Path::new(&path)).ok());
    let event = event.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read(&setting, event.as_ref())
}

fn read(setting: &dyn Fn(&str) -> Option<String>, event: Option<&Value>) -> Job {
    if setting("GITLAB_CI").is_some() {
        let number = setting("CI_MERGE_REQUEST_IID");
        return Job {
            kind: Some(Kind::GitLab),
            api: setting("CI_API_V4_URL"),
            repository: PROJECTS.into_iter().find_map(setting),
            number: number.and_then(|number| number.parse().ok()),
        };
    }
    if setting("GITHUB_ACTIONS").is_none() {
        return Job::default();
    }
    // Gitea and Forgejo run the same actions, and say where they are by their own API.
    let api = setting("GITHUB_API_URL");
    let is_gitea = api.as_ref().is_some_and(|api| api.ends_with("/api/v1"));
    let of_event = |event: &Value| {
        let mut places = NUMBERS.into_iter();
        places.find_map(|place| event.pointer(place)?.as_u64())
    };
    let of_reference = || {
        let reference = setting("GITHUB_REF")?;
        let rest = reference.strip_prefix("refs/pull/")?.to_owned();
        rest.split('/').next()?.parse().ok()
    };
    Job {
        kind: Some(if is_gitea { Kind::Gitea } else { Kind::GitHub }),
        api,
        repository: setting("GITHUB_REPOSITORY"),
        number: event.and_then(of_event).or_else(of_reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(settings: &[(&str, &str)], event: Option<Value>) -> Job {
        let setting = |name: &str| {
            let found = settings.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(&setting, event.as_ref())
    }

    #[test]
    fn each_forge_says_it_in_its_own_words() {
        let github = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_REPOSITORY", "acme/fleet"),
            ("GITHUB_REF", "refs/pull/7/merge"),
        ];
        let expected = Job {
            kind: Some(Kind::GitHub),
            api: Some("https://api.github.com".to_owned()),
            repository: Some("acme/fleet".to_owned()),
            number: Some(7),
        };
        assert_eq!(job(&github, None), expected);
        let event = json!({"pull_request": {"number": 8}});
        assert_eq!(job(&github, Some(event)).number, Some(8));
        let mut gitea = github;
        gitea[1].1 = "https://codeberg.org/api/v1";
        assert_eq!(job(&gitea, None).kind, Some(Kind::Gitea));
        let gitlab = [
            ("GITLAB_CI", "true"),
            ("CI_API_V4_URL", "https://gitlab.com/api/v4"),
            ("CI_PROJECT_PATH", "mallory/fleet"),
            ("CI_MERGE_REQUEST_PROJECT_PATH", "acme/fleet"),
            ("CI_MERGE_REQUEST_IID", "9"),
        ];
        let job_of_gitlab = job(&gitlab, None);
        assert_eq!(
            (job_of_gitlab.repository.as_deref(), job_of_gitlab.number),
            (Some("acme/fleet"), Some(9))
        );
        assert_eq!(job(&[("CI", "true")], None), Job::default());
    }
}
