//! One comment of ours on a pull request, found again by its first line, and changed instead of repeated.

use reqwest::Method;
use serde_json::{Value, json};

use super::request::Request;
use super::{Forge, ForgeError};

/// A comment on a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What the forge knows it by.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// Its text.
    pub body: String,
}

/// What became of our comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    Created,
    /// It was there, and says something else now.
    Updated,
    /// It was there, and says the same.
    Unchanged,
}

/// Sees to it that a pull request has exactly this comment: one that begins with the marker line is changed, else one
/// is written. A comment that begins with the marker and is not ours to change is somebody else's, and left alone.
pub async fn keep_comment(
    forge: &Forge,
    number: u64,
    marker: &str,
    body: &str,
) -> Result<Kept, ForgeError> {
    let own = account(forge).await;
    let begins = |comment: &Comment| comment.body.trim_start().starts_with(marker);
    let is_own = |comment: &Comment| own.as_ref().is_none_or(|own| *own == comment.author);
    let comments = comments(forge, number).await?;
    for comment in comments.iter().filter(|it| begins(it) && is_own(it)) {
        if comment.body.trim_end() == body.trim_end() {
            return Ok(Kept::Unchanged);
        }
        match update(forge, number, comment.id, body).await {
            Err(error) if error.is_refusal() => {}
            other => return other.map(|()| Kept::Updated),
        }
    }
    create(forge, number, body).await?;
    Ok(Kept::Created)
}

/// The name of the account that the token is of; none where the token may not ask, as in GitHub's own actions.
async fn account(forge: &Forge) -> Option<String> {
    let request = Request {
        method: Method::GET,
        path: &["user".to_owned()],
        query: &[],
        body: None,
    };
    let answer = forge.ask(&request).await.ok()?;
    let name = answer.pointer(forge.words().account)?.as_str()?;
    Some(name.to_owned())
}

/// All comments on a pull request, the earliest first.
async fn comments(forge: &Forge, number: u64) -> Result<Vec<Comment>, ForgeError> {
    let path = all(forge, number);
    // Only GitLab gives the latest first unless asked.
    let listed = forge.list(&path, &[("sort", "asc")]).await?;
    let comment = |value: &Value| {
        let author = value.pointer(forge.words().author).and_then(Value::as_str);
        Some(Comment {
            id: value["id"].as_u64()?,
            author: author.unwrap_or_default().to_owned(),
            body: value["body"].as_str()?.to_owned(),
        })
    };
    Ok(listed.iter().filter_map(comment).collect())
}

fn all(forge: &Forge, number: u64) -> Vec<String> {
    let words = forge.words();
    forge.path(&[words.commented, &number.to_string(), words.comments])
}

async fn create(forge: &Forge, number: u64, body: &str) -> Result<(), ForgeError> {
    let path = all(forge, number);
    let request = Request {
        method: Method::POST,
        path: &path,
        query: &[],
        body: Some(&json!({ "body": body })),
    };
    forge.ask(&request).await.map(drop)
}

async fn update(forge: &Forge, number: u64, id: u64, body: &str) -> Result<(), ForgeError> {
    let words = forge.words();
    let (number, id) = (number.to_string(), id.to_string());
    let path = match words.is_below_request {
        true => forge.path(&[words.commented, &number, words.comments, &id]),
        false => forge.path(&[words.commented, words.comments, &id]),
    };
    let request = Request {
        method: words.update.clone(),
        path: &path,
        query: &[],
        body: Some(&json!({ "body": body })),
    };
    forge.ask(&request).await.map(drop)
}
