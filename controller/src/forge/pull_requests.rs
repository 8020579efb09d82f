//! Pull requests, which GitLab calls merge requests: found by their branches, opened, brought up to date.

use reqwest::Method;
use serde_json::{Value, json};

use super::request::Request;
use super::{Forge, ForgeError};

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number in the repository.
    pub number: u64,
    /// The page that people look at.
    pub page: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// The branch that it brings.
    pub source: String,
    /// The branch that it is to be merged into.
    pub target: String,
    /// The commit at the end of the branch that it brings.
    pub commit: String,
    /// Whether its branch lies in another repository, whoever can write to that; one that is gone counts too.
    pub is_from_fork: bool,
}

/// What a pull request is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The branch that it brings, of the same repository.
    pub source: String,
    /// The branch that it is to be merged into.
    pub target: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
}

/// What was done for a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The pull request is new.
    Created,
    /// It was open, and its title or text is another now.
    Updated,
    /// It was open, and says so already.
    Unchanged,
}

/// The open pull request from one branch of the repository into another, brought up to date; else a new one.
pub async fn find_or_create_pull_request(
    forge: &Forge,
    proposal: &Proposal,
) -> Result<(PullRequest, Made), ForgeError> {
    let found = find_pull_request(forge, &proposal.source, &proposal.target).await?;
    let Some(found) = found else {
        let created = create_pull_request(forge, proposal).await?;
        return Ok((created, Made::Created));
    };
    let is_same =
        found.title == proposal.title && found.body.trim_end() == proposal.body.trim_end();
    if is_same {
        return Ok((found, Made::Unchanged));
    }
    let (title, body) = (&proposal.title, &proposal.body);
    let updated = update_pull_request(forge, found.number, title, body).await?;
    Ok((updated, Made::Updated))
}

/// The open pull request from one branch of the repository into another.
pub async fn find_pull_request(
    forge: &Forge,
    source: &str,
    target: &str,
) -> Result<Option<PullRequest>, ForgeError> {
    let words = forge.words();
    let owner = forge.repository.split('/').next().unwrap_or_default();
    // GitHub wants to know whose branch it is; Gitea filters by neither, so all that comes is looked at.
    let branch = match words.is_one_part {
        true => source.to_owned(),
        false => format!("{owner}:{source}"),
    };
    let query = [
        ("state", words.open),
        (words.source, &*branch),
        (words.target, target),
    ];
    let listed = forge.list(&forge.path(&[words.requests]), &query).await?;
    let requests = listed.iter().filter_map(|value| read(forge, value));
    let is_meant = |request: &PullRequest| {
        request.source == source && request.target == target && !request.is_from_fork
    };
    let mut found = requests.filter(is_meant);
    Ok(found.next())
}

/// The pull request of a number.
pub async fn pull_request(forge: &Forge, number: u64) -> Result<PullRequest, ForgeError> {
    call(forge, Method::GET, Some(number), None).await
}

/// Opens a pull request.
pub async fn create_pull_request(
    forge: &Forge,
    proposal: &Proposal,
) -> Result<PullRequest, ForgeError> {
    let words = forge.words();
    let body = json!({
        "title": proposal.title,
        words.body: proposal.body,
        words.source: proposal.source,
        words.target: proposal.target,
    });
    call(forge, Method::POST, None, Some(&body)).await
}

/// Gives a pull request another title and text.
pub async fn update_pull_request(
    forge: &Forge,
    number: u64,
    title: &str,
    body: &str,
) -> Result<PullRequest, ForgeError> {
    let words = forge.words();
    let change = json!({ "title": title, words.body: body });
    call(forge, words.update.clone(), Some(number), Some(&change)).await
}

/// A request that is answered with one pull request.
async fn call(
    forge: &Forge,
    method: Method,
    number: Option<u64>,
    body: Option<&Value>,
) -> Result<PullRequest, ForgeError> {
    let mut path = forge.path(&[forge.words().requests]);
    path.extend(number.map(|number| number.to_string()));
    let request = Request {
        method,
        path: &path,
        query: &[],
        body,
    };
    let answer = forge.ask(&request).await?;
    read(forge, &answer).ok_or_else(|| ForgeError::Answer {
        request: format!("/{}", path.join("/")),
        problem: "is no pull request".to_owned(),
    })
}

/// Reads a pull request as the forge describes it.
fn read(forge: &Forge, value: &Value) -> Option<PullRequest> {
    let words = forge.words();
    let text = |pointer: &str| {
        let text = value.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let repository = |pointer: &str| value.pointer(pointer).filter(|it| !it.is_null());
    let (source, target) = (
        repository(words.source_repository),
        repository(words.target_repository),
    );
    Some(PullRequest {
        number: value.pointer(words.number)?.as_u64()?,
        page: text(words.page),
        title: text("/title"),
        body: text(&format!("/{}", words.body)),
        source: text(words.source_branch),
        target: text(words.target_branch),
        commit: text(words.source_commit),
        is_from_fork: source.is_none() || source != target,
    })
}
