//! A forge in small: bare repositories served over smart HTTP by `git http-backend`.

mod backend;
mod certificate;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::http_server::{self, Body, Handler, answer};
use crate::listening::Listening;
use crate::repository::{Repository, git};

/// A Git server with its repositories in a temporary folder.
#[derive(Debug)]
pub struct GitServer {
    folder: TempDir,
    http: Listening,
    forge: Forge,
    certificate: Option<PathBuf>,
}

/// How a Git server is started.
#[derive(Clone, Debug, Default)]
pub struct GitServerOptions {
    /// Who is let in; anybody when absent.
    pub credentials: Option<Credentials>,
    /// Serve HTTPS, with a certificate of its own making.
    pub tls: bool,
}

/// A user name and a password, for basic authentication.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl GitServer {
    /// Starts a server on a free port.
    pub fn start(options: GitServerOptions) -> GitServer {
        let folder = tempfile::tempdir().expect("create a folder for repositories");
        let forge = Forge {
            root: folder.path().to_owned(),
            credentials: options.credentials,
            token: Arc::default(),
            requests: Arc::default(),
            holds: Arc::new(watch::Sender::new(None)),
            held: Arc::default(),
        };
        let (acceptor, certificate) = match options.tls {
            false => (None, None),
            true => {
                let path = folder.path().join("server.crt");
                (Some(certificate::self_signed(&path)), Some(path))
            }
        };
        let http = http_server::start(acceptor, forge.clone());
        GitServer {
            folder,
            http,
            forge,
            certificate,
        }
    }

    /// The URL of a repository, without credentials.
    pub fn url(&self, repository: &str) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}/{repository}.git", self.http.address)
    }

    /// The server's certificate as a PEM file, when it serves HTTPS.
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_deref()
    }

    /// Creates a repository on the server and a working repository that pushes to it over HTTP.
    pub fn create_repository(&self, name: &str) -> Repository {
        let bare = self.folder.path().join(format!("{name}.git"));
        std::fs::create_dir_all(&bare).expect("create a folder for a repository");
        git(
            &bare,
            &["init", "--quiet", "--bare", "--initial-branch=main"],
        );
        git(&bare, &["config", "http.receivepack", "true"]);
        // As forges do: a commit can be asked for by its id.
        git(
            &bare,
            &["config", "uploadpack.allowReachableSHA1InWant", "true"],
        );
        let mut remote = self.url(name);
        if let Some(Credentials { username, password }) = &self.forge.credentials {
            remote = remote.replacen("://", &format!("://{username}:{password}@"), 1);
        }
        Repository::create(&remote, self.certificate())
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.http.address.to_string()
    }

    /// Lets in nobody but who shows this token, from now on.
    pub fn admit_bearer(&self, token: &str) {
        *self.forge.token.lock().unwrap() = Some(token.to_owned());
    }

    /// Installs a hook in a repository: a program that Git runs on the server.
    pub fn hook(&self, repository: &str, name: &str, program: &str) {
        let hooks = self.folder.path().join(format!("{repository}.git/hooks"));
        let path = hooks.join(name);
        std::fs::write(&path, program).expect("write a hook");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("make a hook executable");
    }

    /// Sends no more than so many bytes of every pack from now on, and then nothing, without an end. Without a number all
    /// are sent again, and what was held goes on.
    pub fn hold_packs_after(&self, bytes: Option<usize>) {
        self.forge.holds.send_replace(bytes);
    }

    /// How many packs were held so far.
    pub fn held(&self) -> usize {
        self.forge.held.load(Ordering::Relaxed)
    }

    /// What was asked of the server so far, as method, path and query.
    pub fn requests(&self) -> Vec<String> {
        self.forge.requests.lock().unwrap().clone()
    }
}

/// The part of the server that answers requests.
#[derive(Clone, Debug)]
struct Forge {
    root: PathBuf,
    credentials: Option<Credentials>,
    token: Arc<Mutex<Option<String>>>,
    requests: Arc<Mutex<Vec<String>>>,
    holds: Arc<watch::Sender<Option<usize>>>,
    held: Arc<AtomicUsize>,
}

impl Handler for Forge {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let line = format!("{} {}", request.method(), request.uri());
        self.requests.lock().unwrap().push(line);
        if !self.lets_in(&request) {
            let mut refusal = answer(StatusCode::UNAUTHORIZED, "who are you?\n");
            let challenge = HeaderValue::from_static("Basic realm=\"git\"");
            refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return Ok(refusal);
        }
        let is_pack = request.uri().path().ends_with("/git-upload-pack");
        let answer = backend::run(&self.root, request).await?;
        let after = *self.holds.borrow();
        match after.filter(|_| is_pack) {
            Some(after) => self.hold(answer, after).await,
            None => Ok(answer),
        }
    }
}

impl Forge {
    /// The beginning of an answer with a pack; any other as it is.
    async fn hold(&self, answer: Response<Body>, after: usize) -> io::Result<Response<Body>> {
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let is_pack = bytes.windows(4).any(|four| four == b"PACK");
        let sent = match is_pack {
            true => after.min(bytes.len()),
            false => bytes.len(),
        };
        let (bytes, rest) = (bytes.slice(..sent), bytes.slice(sent..));
        let mut holds = self.holds.subscribe();
        let rest = async move {
            if is_pack {
                let _ = holds.wait_for(Option::is_none).await;
            }
            Ok(Frame::data(rest))
        };
        self.held.fetch_add(usize::from(is_pack), Ordering::Relaxed);
        let frames = stream::once(async { Ok(Frame::data(bytes)) }).chain(stream::once(rest));
        Ok(Response::from_parts(
            head,
            StreamBody::new(frames).boxed_unsync(),
        ))
    }

    fn lets_in(&self, request: &Request<Incoming>) -> bool {
        let token = self.token.lock().unwrap().clone();
        let wanted = match (token, &self.credentials) {
            (Some(token), _) => format!("Bearer {token}"),
            (None, None) => return true,
            (None, Some(Credentials { username, password })) => {
                format!("Basic {}", BASE64.encode(format!("{username}:{password}")))
            }
        };
        request
            .headers()
            .get(AUTHORIZATION)
            .is_some_and(|given| given == wanted.as_str())
    }
}
