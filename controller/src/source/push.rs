//! Pushing over smart HTTP: a ref of a server is set to a new commit if it still is what it was, in this process and with
//! no program.
//!
//! What is sent is a pack of whole objects, which the caller made and therefore knows: nothing is searched for.

use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::objs::Kind;
use overlay::ObjectHash;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sha1::{Digest, Sha1};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::error::SourceError;
use super::failure::{Failure, Noted};
use super::http::{Exchange, GitHttp, parsed};
use super::refresh::Repositories;
use super::remote::{Remote, RemoteUrl};
use super::server::Way;

/// What a server may say about a push.
const ANSWER: u64 = 1024 * 1024;

/// The id of what is not there.
const NOTHING: ObjectHash = ObjectHash([0; 20]);

/// A ref, what it must be, and what it becomes.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// Its full name.
    pub name: &'a str,
    /// What it is now; none when it is to be created.
    pub old: Option<ObjectHash>,
    /// What it becomes.
    pub new: ObjectHash,
}

/// An object that the server may not have.
#[derive(Clone, Debug)]
pub struct NewObject {
    /// What it is.
    pub kind: Kind,
    /// Its content, without Git's header.
    pub bytes: Vec<u8>,
}

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The server has it.
    Done,
    /// Somebody else was faster.
    Outrun,
    /// The server does not want it, in its own words.
    Refused(String),
}

/// Sets a ref of the server, if it still is what it was. To be called where blocking is allowed.
pub fn push(
    repositories: &Repositories,
    remote: &Remote,
    update: &Update<'_>,
    objects: &[NewObject],
) -> Result<Pushed, SourceError> {
    let RemoteUrl::Http(url) = &remote.url else {
        let text = "pushing needs an http:// or https:// address";
        return Err(SourceError::Git(text.to_owned()));
    };
    let failed =
        |failure: Failure| SourceError::Git(format!("unable to push to '{url}': {failure}"));
    let exchange = exchange(repositories, remote)?;
    let (base, advertised) = advertised(&exchange, url).map_err(failed)?;
    let known = advertised.iter().find(|(name, _)| name == update.name);
    if known.map(|(_, id)| *id) != update.old {
        return Ok(Pushed::Outrun);
    }
    let body = body(update, objects).map_err(|error| SourceError::cache("packing", error))?;
    let answer = send(&exchange, url, &base, body).map_err(failed)?;
    verdict(&answer, update.name).map_err(failed)
}

fn exchange(repositories: &Repositories, remote: &Remote) -> Result<Exchange, SourceError> {
    let Way::Http(http) = repositories.way(remote)? else {
        let text = "pushing needs an http:// or https:// address";
        return Err(SourceError::Git(text.to_owned()));
    };
    Ok(Exchange {
        client: http.client,
        runtime: Handle::current(),
        authorization: http.authorization,
        deadline: Instant::now() + remote.timeout,
        // What is said of receiving is asked for each time: it holds the refs.
        advertisements: Arc::default(),
        failure: Noted::default(),
    })
}

/// Where the server wants to be asked, and the refs that it has.
fn advertised(
    exchange: &Exchange,
    url: &str,
) -> Result<(String, Vec<(String, ObjectHash)>), Failure> {
    let asked = format!("{url}/info/refs?service=git-receive-pack");
    let mut http = GitHttp::new(exchange.clone());
    let answer = http.advertisement(&asked, url, HeaderMap::new())?;
    let mut refs = Vec::new();
    for line in lines(&answer.bytes)? {
        let text = String::from_utf8_lossy(line);
        let text = text.split('\0').next().unwrap_or_default().trim_end();
        if let Some((id, name)) = text.split_once(' ')
            && let Ok(id) = gix::ObjectId::from_hex(id.as_bytes())
        {
            refs.push((name.to_owned(), super::git_tree::hash(&id)));
        }
    }
    Ok((answer.moved.unwrap_or_else(|| url.to_owned()), refs))
}

fn send(exchange: &Exchange, url: &str, base: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let to = parsed(&format!("{base}/git-receive-pack"))?;
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-git-receive-pack-request");
    headers.insert(CONTENT_TYPE, form);
    let response = exchange.send(Method::POST, &to, &parsed(url)?, &headers, Some(body))?;
    if response.status().is_redirection() {
        let refusal = "refused a redirect of a request with a body";
        return Err(Failure::Protocol(refusal.to_owned()));
    }
    let mut answer = Vec::new();
    exchange
        .body(response)
        .take(ANSWER)
        .read_to_end(&mut answer)
        .map_err(|error| Failure::Network(error.to_string()))?;
    Ok(answer)
}

/// The command, then the pack.
fn body(update: &Update<'_>, objects: &[NewObject]) -> std::io::Result<Vec<u8>> {
    let (old, new, name) = (update.old.unwrap_or(NOTHING), update.new, update.name);
    let agent = concat!("weir/", env!("CARGO_PKG_VERSION"));
    let command = format!("{old} {new} {name}\0report-status agent={agent}");
    let mut body = format!("{:04x}{command}0000", command.len() + 4).into_bytes();
    body.extend(pack(objects)?);
    Ok(body)
}

/// A pack of whole objects.
fn pack(objects: &[NewObject]) -> std::io::Result<Vec<u8>> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    let count = u32::try_from(objects.len()).map_err(std::io::Error::other)?;
    pack.extend(count.to_be_bytes());
    for object in objects {
        head(&mut pack, object);
        let mut encoder = ZlibEncoder::new(&mut pack, Compression::default());
        encoder.write_all(&object.bytes)?;
        encoder.finish()?;
    }
    let digest = Sha1::digest(&pack);
    pack.extend(digest);
    Ok(pack)
}

/// Kind and size: four bits of the size first, then seven in each byte.
fn head(pack: &mut Vec<u8>, object: &NewObject) {
    let kind: u8 = match object.kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let mut size = object.bytes.len();
    let mut byte = kind << 4 | (size & 0x0f) as u8;
    size >>= 4;
    while size > 0 {
        pack.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    pack.push(byte);
}

/// What the server says of a ref.
fn verdict(answer: &[u8], name: &str) -> Result<Pushed, Failure> {
    let mut told = Vec::new();
    for line in lines(answer)? {
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        if line == format!("ok {name}") {
            return Ok(Pushed::Done);
        }
        if let Some(why) = line.strip_prefix(&format!("ng {name} ")) {
            return Ok(refused(why));
        }
        told.push(line);
    }
    match told.iter().find_map(|line| line.strip_prefix("unpack ")) {
        Some(why) if why != "ok" => Ok(Pushed::Refused(format!("unpacking failed: {why}"))),
        _ => Err(Failure::Protocol("no report of the push".to_owned())),
    }
}

/// What several servers say when the ref is not what it was.
fn refused(why: &str) -> Pushed {
    let outrun = [
        "cannot lock ref",
        "failed to update ref",
        "fetch first",
        "non-fast-forward",
        "stale info",
        "reference already exists",
        "incorrect old value",
    ];
    match outrun.iter().any(|sign| why.contains(sign)) {
        true => Pushed::Outrun,
        false => Pushed::Refused(why.to_owned()),
    }
}

/// Git's lines, each with its length before it.
fn lines(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Failure> {
    let broken = || Failure::Protocol("an answer that is cut off".to_owned());
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let length = std::str::from_utf8(length)
            .ok()
            .and_then(|hex| usize::from_str_radix(hex, 16).ok())
            .ok_or_else(broken)?;
        let line = length.saturating_sub(4);
        let (line, rest) = rest.split_at_checked(line).ok_or_else(broken)?;
        if length > 4 {
            found.push(line);
        }
        bytes = rest;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_read_by_git() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |arguments: &[&str]| {
            std::process::Command::new("git")
                .args(arguments)
                .current_dir(folder.path())
                .output()
                .expect("git runs")
        };
        git(&["init", "--quiet", "--bare", "."]);
        let sizes = [0, 1, 15, 16, 2047, 2048, 300_000];
        let objects: Vec<NewObject> = sizes
            .map(|size| NewObject {
                kind: Kind::Blob,
                bytes: (0..size).map(|at| (at % 251) as u8).collect(),
            })
            .into();
        let pack = pack(&objects).expect("a pack");
        std::fs::write(folder.path().join("new.pack"), pack).expect("written");
        let output = git(&["index-pack", "--strict", "new.pack"]);
        assert!(output.status.success(), "{output:?}");
        let listed = git(&["verify-pack", "-v", "new.idx"]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for object in &objects {
            let id = ObjectHash::of_blob(&object.bytes).to_string();
            assert!(listed.contains(&id), "{id}\n{listed}");
        }
    }

    #[test]
    fn what_servers_answer() {
        let answer = |lines: &[&str]| -> Vec<u8> {
            let lines = lines
                .iter()
                .map(|line| format!("{:04x}{line}\n", line.len() + 5));
            (lines.collect::<String>() + "0000").into_bytes()
        };
        let name = "refs/heads/main";
        for (lines, want) in [
            (&["unpack ok", "ok refs/heads/main"][..], Some(Pushed::Done)),
            (
                &["unpack ok", "ng refs/heads/main failed to update ref"],
                Some(Pushed::Outrun),
            ),
            (
                &["unpack ok", "ng refs/heads/main pre-receive hook declined"],
                Some(Pushed::Refused("pre-receive hook declined".to_owned())),
            ),
            (
                &["unpack index-pack abnormal exit"],
                Some(Pushed::Refused(
                    "unpacking failed: index-pack abnormal exit".to_owned(),
                )),
            ),
            (&[], None),
        ] {
            assert_eq!(verdict(&answer(lines), name).ok(), want, "{lines:?}");
        }
        assert!(verdict(b"00ffunpack ok", name).is_err());
        assert!(verdict(b"zzzz", name).is_err());
    }
}
