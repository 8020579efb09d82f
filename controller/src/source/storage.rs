//! Where artifacts lie, what they are called, who may fetch them, and when they go.
//!
//! ```text
//! <storage>/<kind>/<namespace>/<name>/<revision>.tar.gz     served under the same path
//!                                     <revision>.members    what the archive is made of
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use overlay::Tree;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use super::archive::{self, Earlier};
use super::filtered::{Filtered, Kept};
use super::unpacked::{Budget, Unpacked};
use crate::api::meta::Artifact;

/// How an archive's file name ends, and that of the file beside it.
const ARCHIVE: &str = ".tar.gz";
const MEMBERS: &str = ".members";

/// Bytes that are read at a time to be sent.
const CHUNK: usize = 64 * 1024;

/// Where artifacts are kept, and for how long.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The folder that they lie in.
    pub root: PathBuf,
    /// Host and port under which others reach the artifact server.
    pub address: String,
    /// An artifact that was replaced stays at least this long, for those who are about to fetch it.
    pub retention: Duration,
    /// How many artifacts of an object are kept besides the newest.
    pub records: usize,
}

/// Why an artifact could not be stored. The reason is the condition's.
#[derive(Debug, thiserror::Error)]
#[error("{act}: {problem}")]
pub struct StorageError {
    /// The reason of the condition StorageOperationFailed.
    pub reason: &'static str,
    /// What was being done.
    pub act: &'static str,
    /// What the system said.
    pub problem: io::Error,
}

fn failed(reason: &'static str, act: &'static str) -> impl Fn(io::Error) -> StorageError {
    move |problem| StorageError {
        reason,
        act,
        problem,
    }
}

/// Where the artifacts of one object lie.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// Its kind, in small letters.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Shelf {
    /// The path below the root.
    fn path(&self) -> String {
        format!("{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// What an artifact holds.
pub enum Content<'a> {
    /// The files of a commit.
    Commit(&'a Filtered),
    /// Files in memory.
    Files(&'a Unpacked),
    /// An archive that is kept as it is.
    Archive(&'a [u8]),
}

impl Storage {
    /// A storage with Flux's retention: a minute, and one artifact besides the newest.
    pub fn new(root: PathBuf, address: String) -> Self {
        Self {
            root,
            address,
            retention: Duration::from_secs(60),
            records: 1,
        }
    }

    /// Where a path leads on disk; `None` when it is no artifact's.
    fn locate(&self, path: &str) -> Option<PathBuf> {
        let plain = Path::new(path)
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        (plain && path.ends_with(ARCHIVE)).then(|| self.root.join(path))
    }

    /// Whether the artifact is there as it was stored.
    pub fn holds(&self, artifact: &Artifact) -> bool {
        let Some(path) = self.locate(&artifact.path) else {
            return false;
        };
        let size = fs::metadata(path).map(|file| file.len()).ok();
        size.is_some() && size == artifact.size.and_then(|size| u64::try_from(size).ok())
    }

    /// Whether the artifact's bytes still have its digest.
    pub fn verify(&self, artifact: &Artifact) -> bool {
        let digest = || {
            let mut file = File::open(self.locate(&artifact.path)?).ok()?;
            let mut digest = Sha256::new();
            io::copy(&mut file, &mut digest).ok()?;
            Some(format!("sha256:{:x}", digest.finalize()))
        };
        self.holds(artifact) && digest().as_deref() == Some(artifact.digest.as_str())
    }

    /// The files of an artifact that is as it was stored.
    pub fn unpack(&self, artifact: &Artifact) -> Option<Unpacked> {
        let file = File::open(self.locate(&artifact.path)?).ok()?;
        let is_whole = self.verify(artifact);
        is_whole.then(|| Unpacked::read(io::BufReader::new(file), Budget::default()).ok())?
    }

    /// The URL of an artifact, under the address of today.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

/// Stores the artifact of an object under a file's name, and clears away those that it replaces.
pub fn store(
    storage: &Storage,
    shelf: &Shelf,
    revision: &str,
    file: &str,
    content: &Content<'_>,
) -> Result<Artifact, StorageError> {
    let path = format!("{}/{file}{ARCHIVE}", shelf.path());
    let target = storage.root.join(&path);
    let folder = target.parent().unwrap_or(&storage.root).to_owned();
    fs::create_dir_all(&folder).map_err(failed(
        "DirectoryCreationFailed",
        "creating the artifact's folder",
    ))?;
    let archive = failed("ArchiveOperationFailed", "archiving the files");
    let written = written(content, &folder, &target).map_err(archive)?;
    collect(storage, &folder, &target);
    Ok(Artifact {
        url: storage.url(&path),
        path,
        revision: revision.to_owned(),
        digest: written.digest,
        last_update_time: Time(crate::report::conditions::now()),
        size: i64::try_from(written.size).ok(),
        metadata: Default::default(),
    })
}

/// Writes beside the target and moves there, so that no reader sees half an archive.
fn written(content: &Content<'_>, folder: &Path, target: &Path) -> io::Result<archive::Written> {
    let earlier = newest(folder).and_then(|path| earlier(&path));
    let new = tempfile::Builder::new()
        .prefix(".new")
        .tempfile_in(folder)?;
    let written = match content {
        Content::Commit(tree) => {
            let files = tree.files().map_err(io::Error::other)?;
            archive::write(&files, &|file| tree.bytes(file), new.reopen()?, earlier)?
        }
        Content::Files(files) => {
            let read = |file: &Kept| files.read(&file.path).map(|bytes| bytes.to_vec());
            let read = |file: &Kept| read(file).map_err(io::Error::other);
            archive::write(&files.files(), &read, new.reopen()?, earlier)?
        }
        Content::Archive(bytes) => {
            new.as_file().write_all(bytes)?;
            archive::Written::of(bytes)
        }
    };
    // Members never describe an archive that they were not written with, whenever the process is killed.
    let members = members_of(target);
    let _ = fs::remove_file(&members);
    new.persist(target).map_err(|error| error.error)?;
    archive::write_members(&members, &written.members)?;
    Ok(written)
}

fn members_of(archive: &Path) -> PathBuf {
    let name = archive
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let stem = name.unwrap_or_default();
    archive.with_file_name(format!("{}{MEMBERS}", stem.trim_end_matches(ARCHIVE)))
}

fn earlier(archive: &Path) -> Option<Earlier> {
    let members = archive::read_members(&members_of(archive))?;
    let file = File::open(archive).ok()?;
    // An archive that is not as long as its members say was not written with them.
    let length: u64 = members.iter().map(|member| member.length).sum();
    (file.metadata().ok()?.len() >= length).then(|| Earlier::new(file, &members))
}

/// The archives of a folder, newest first.
fn archives(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let mut archives: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let is_archive = entry.file_name().to_string_lossy().ends_with(ARCHIVE);
            Some((entry.metadata().ok()?.modified().ok()?, entry.path())).filter(|_| is_archive)
        })
        .collect();
    archives.sort();
    archives.reverse();
    archives
}

fn newest(folder: &Path) -> Option<PathBuf> {
    archives(folder).into_iter().next().map(|(_, path)| path)
}

/// Removes archives that were replaced long enough ago, and half-written files of a process that was killed.
fn collect(storage: &Storage, folder: &Path, current: &Path) {
    let now = SystemTime::now();
    let others = archives(folder)
        .into_iter()
        .filter(|(_, path)| path != current);
    for (index, (since, path)) in others.enumerate() {
        let old = now
            .duration_since(since)
            .is_ok_and(|age| age > storage.retention);
        if old || index >= storage.records {
            let _ = fs::remove_file(members_of(&path));
            let _ = fs::remove_file(path);
        }
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(".new") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes all artifacts of an object that is gone.
pub fn remove(storage: &Storage, shelf: &Shelf) {
    let _ = fs::remove_dir_all(storage.root.join(shelf.path()));
}

/// Serves the artifacts.
pub fn router(storage: Storage) -> Router {
    Router::new()
        .route("/{*path}", get(send))
        .with_state(storage)
}

async fn send(State(storage): State<Storage>, UrlPath(path): UrlPath<String>) -> Response<Body> {
    let file = match storage.locate(&path) {
        Some(path) => tokio::fs::File::open(path).await.ok(),
        None => None,
    };
    let Some(file) = file else {
        return status(StatusCode::NOT_FOUND);
    };
    let Ok(metadata) = file.metadata().await else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::from_stream(chunks(file)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/gzip"),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(metadata.len()));
    response
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn chunks(file: tokio::fs::File) -> impl futures::Stream<Item = io::Result<Bytes>> {
    futures::stream::try_unfold(file, |mut file| async move {
        let mut chunk = vec![0; CHUNK];
        let length = file.read(&mut chunk).await?;
        chunk.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(chunk), file)))
    })
}
