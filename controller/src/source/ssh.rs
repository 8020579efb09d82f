//! Git over SSH in this process: no `ssh` program is started and no key lies on disk.
//!
//! russh runs on the runtime and gix asks for a blocking transport, so every read and write waits on a blocking thread
//! for what the connection's task hands over. One connection serves the look-up and the fetch after it, each on a
//! channel of its own.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection;
use russh::client::{Config, Handle, Handler, Msg, connect, connect_stream};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Preferred};
use tokio::runtime::Handle as Runtime;
use tokio::time::Instant;

use super::access::{Proxy, SshIdentity};
use super::error::SourceError;
use super::failure::{Failure, Noted};
use super::known_hosts::{HostKeys, Verdict};
use super::remote::SshAddress;
use super::tunnel::Tunnel;

/// As much of what the server's program complains about as is kept.
const COMPLAINT_LIMIT: usize = 2048;

/// A server that is reached by SSH, and what lets us in.
pub(super) struct SshServer {
    address: SshAddress,
    /// The proxy on the way.
    tunnel: Option<Tunnel>,
    key: Arc<PrivateKey>,
    hosts: HostKeys,
    connection: Mutex<Option<Arc<Handle<Doorkeeper>>>>,
}

/// What a server runs for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// Gives.
    UploadPack,
    /// Takes.
    ReceivePack,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

/// How long one exchange may take, and where it runs.
#[derive(Clone)]
pub(super) struct Patience {
    pub(super) runtime: Runtime,
    pub(super) deadline: Instant,
}

impl Patience {
    fn wait<T>(&self, for_what: impl Future<Output = T>) -> Result<T, Failure> {
        let limited = async { tokio::time::timeout_at(self.deadline, for_what).await };
        self.runtime.block_on(limited).map_err(|_| Failure::Timeout)
    }
}

/// Lets only servers with known keys in, and remembers why one was turned away.
struct Doorkeeper {
    hosts: HostKeys,
    verdict: Arc<OnceLock<Verdict>>,
}

impl Handler for Doorkeeper {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let verdict = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.hosts.judge(key),
            PublicKeyOrCertificate::Certificate(_) => Verdict::Unknown,
        };
        // Nobody reads it but for the first key; a later one is refused all the same.
        let _ = self.verdict.set(verdict);
        Ok(verdict == Verdict::Known)
    }
}

impl SshServer {
    /// Reads what leads there; the key was read before.
    pub(super) fn new(
        address: SshAddress,
        known_hosts: &str,
        key: Arc<PrivateKey>,
        proxy: Option<&Proxy>,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            tunnel: proxy.map(Tunnel::through).transpose()?,
            hosts: HostKeys::of(known_hosts, &address.host, address.port),
            key,
            address,
            connection: Mutex::default(),
        })
    }

    /// A line for gix to fetch over.
    pub(super) fn open(
        &self,
        patience: &Patience,
        failure: Noted,
    ) -> Result<Connection<Incoming, Outgoing>, Failure> {
        let (incoming, outgoing) = self.start(Program::UploadPack, patience, failure)?;
        let path = self.address.path.as_str();
        let no_virtual_host = None::<(&str, Option<u16>)>;
        Ok(Connection::new(
            incoming,
            outgoing,
            Protocol::V2,
            path,
            no_virtual_host,
            ConnectMode::Process,
            false,
        ))
    }

    /// Starts a program of the server on a channel of its own.
    pub(super) fn start(
        &self,
        program: Program,
        patience: &Patience,
        failure: Noted,
    ) -> Result<(Incoming, Outgoing), Failure> {
        let connection = self.connection(patience)?;
        let command = format!("{} {}", program.name(), quoted(&self.address.path));
        let channel = patience.wait(async {
            let channel = connection.channel_open_session().await?;
            if program == Program::UploadPack {
                // Servers that do not take it answer in the first version of the protocol.
                channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
            }
            channel.exec(true, command).await?;
            Ok::<_, russh::Error>(channel)
        })?;
        let (read, write) = channel.map_err(|error| said(&error))?.split();
        let incoming = Incoming {
            program,
            channel: read,
            chunk: Bytes::new(),
            complaint: Vec::new(),
            ended: false,
            answered: false,
            patience: patience.clone(),
            failure: failure.clone(),
        };
        let outgoing = Outgoing {
            channel: write,
            patience: patience.clone(),
            failure,
        };
        Ok((incoming, outgoing))
    }

    fn connection(&self, patience: &Patience) -> Result<Arc<Handle<Doorkeeper>>, Failure> {
        let mut kept = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let fresh = Arc::new(patience.wait(self.connect())??);
        *kept = Some(fresh.clone());
        Ok(fresh)
    }

    async fn connect(&self) -> Result<Handle<Doorkeeper>, Failure> {
        let mut preferred = Preferred::default();
        let known = self.hosts.algorithms();
        if !known.is_empty() {
            preferred.key = known.into();
        }
        let config = Config {
            preferred,
            nodelay: true,
            ..Config::default()
        };
        let verdict = Arc::new(OnceLock::new());
        let doorkeeper = Doorkeeper {
            hosts: self.hosts.clone(),
            verdict: verdict.clone(),
        };
        let (host, port) = (self.address.host.as_str(), self.address.port);
        let config = Arc::new(config);
        let connected = match &self.tunnel {
            None => connect(config, (host, port), doorkeeper).await,
            Some(tunnel) => {
                let stream = tunnel.open(host, port).await?;
                connect_stream(config, stream, doorkeeper).await
            }
        };
        let mut connection = connected.map_err(|error| match verdict.get() {
            Some(verdict) if *verdict != Verdict::Known => Failure::HostKey(*verdict),
            _ => said(&error),
        })?;
        let hash = match self.key.algorithm().is_rsa() {
            true => connection.best_supported_rsa_hash().await,
            false => Ok(None),
        };
        let hash = hash.map_err(|error| said(&error))?.flatten();
        let key = PrivateKeyWithHashAlg::new(self.key.clone(), hash);
        let answer = connection
            .authenticate_publickey(&self.address.user, key)
            .await
            .map_err(|error| said(&error))?;
        match answer.success() {
            true => Ok(connection),
            false => Err(Failure::KeyNotLetIn),
        }
    }
}

fn said(error: &russh::Error) -> Failure {
    match error {
        russh::Error::IO(problem) => Failure::Network(problem.to_string()),
        other => Failure::Network(format!("ssh: {other}")),
    }
}

/// Reads a key; one that is encrypted takes a moment.
pub(super) fn private_key(identity: &SshIdentity) -> Result<PrivateKey, SourceError> {
    let refuse = |problem: String| Err(SourceError::Authentication(problem));
    let passphrase = identity.passphrase.as_deref();
    match decode_secret_key(&identity.private_key, passphrase) {
        Ok(key) if key.is_encrypted() => refuse(no_passphrase()),
        Ok(key) => Ok(key),
        Err(russh::keys::Error::KeyIsEncrypted) => refuse(no_passphrase()),
        // What the library says may quote what it could not read.
        Err(_) if passphrase.is_some() => refuse(
            "failed to configure authentication options: 'identity' cannot be read, or 'password' does not open it"
                .to_owned(),
        ),
        Err(_) => refuse(
            "failed to configure authentication options: 'identity' is no private key in a known format"
                .to_owned(),
        ),
    }
}

fn no_passphrase() -> String {
    "SSH identity key is encrypted but no 'password' field was provided in the secret".to_owned()
}

/// A word of a shell's command line, as Git quotes it.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''").replace('!', r"'\!'"))
}

/// What the server's program says.
pub(super) struct Incoming {
    program: Program,
    channel: ChannelReadHalf,
    chunk: Bytes,
    complaint: Vec<u8>,
    ended: bool,
    /// Whether it ever said anything but complaints.
    answered: bool,
    patience: Patience,
    failure: Noted,
}

impl Incoming {
    /// The next piece; empty at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        while !self.ended {
            let message = self
                .patience
                .wait(self.channel.wait())
                .map_err(|failure| self.failure.note(failure))?;
            match message {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => {
                    self.answered = true;
                    return Ok(data);
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = COMPLAINT_LIMIT.saturating_sub(self.complaint.len());
                    self.complaint
                        .extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(ChannelMsg::Failure) => {
                    let refused = format!("the server does not run {} for us", self.program.name());
                    return Err(self.failure.note(Failure::Complaint(refused)));
                }
                // The program's complaints may come after the end of its output.
                Some(ChannelMsg::Close) | None => self.ended = true,
                Some(_) => {}
            }
        }
        match self.answered {
            true => Ok(Bytes::new()),
            false => Err(self.failure.note(complained(&self.complaint))),
        }
    }
}

/// Why a program ended without an answer.
fn complained(complaint: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(complaint);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let absent = [
        "not found",
        "does not appear to be a git repository",
        "does not exist",
    ];
    match text.as_str() {
        "" => Failure::Protocol("the server closed the connection".to_owned()),
        text if absent
            .iter()
            .any(|words| text.to_lowercase().contains(words)) =>
        {
            Failure::NotFound
        }
        text => Failure::Complaint(text.to_owned()),
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk = self.next()?;
        }
        let length = self.chunk.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// What we say to it.
pub(super) struct Outgoing {
    channel: ChannelWriteHalf<Msg>,
    patience: Patience,
    failure: Noted,
}

impl Outgoing {
    /// Says that this was all.
    pub(super) fn end(&self) -> Result<(), Failure> {
        let ended = self.patience.wait(self.channel.eof())?;
        ended.map_err(|error| said(&error))
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self
            .patience
            .wait(self.channel.data_bytes(Bytes::copy_from_slice(bytes)))
            .and_then(|sent| sent.map_err(|error| said(&error)));
        sent.map_err(|failure| self.failure.note(failure))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted("/srv/a b.git"), "'/srv/a b.git'");
        assert_eq!(quoted("/a'; rm -rf /; '!"), r"'/a'\''; rm -rf /; '\'''\!''");
    }
}
