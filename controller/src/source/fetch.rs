//! Fetching one commit, without history, into a bare repository.

use std::sync::atomic::AtomicBool;

use gix::progress::Discard;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::remote::fetch::{Shallow, Tags};
use gix::remote::{Direction, ref_map};

use super::error::SourceError;
use super::server::{Server, said};

/// The ref of a cache that names what was fetched last; it moves only after all objects are there.
pub(super) const FETCHED: &str = "refs/weir/fetched";

/// How much of the past comes along.
#[derive(Clone, Copy)]
pub(super) enum Depth {
    /// Nothing.
    Commit,
    /// All of it; a server that has none of the refs is asked for nothing.
    Whole,
}

/// Whose fault it is that a fetch failed.
pub(super) enum Trouble {
    /// The server's, or that of the way there.
    Server(SourceError),
    /// Perhaps that of the objects that we have.
    Objects(SourceError),
}

impl Trouble {
    pub(super) fn into_error(self) -> SourceError {
        match self {
            Self::Server(error) | Self::Objects(error) => error,
        }
    }
}

/// Fetches what is wanted (the full name of a ref, or a commit's id) and moves a ref of the cache to it. Only what the
/// repository does not have yet travels, as far as the server can tell.
pub(super) fn fetch(
    repository: &gix::Repository,
    server: &Server<'_>,
    (wanted, into): (&str, &str),
    interrupt: &AtomicBool,
) -> Result<(), Trouble> {
    let refspec = format!("+{wanted}:{into}");
    fetch_all(repository, server, &[&refspec], Depth::Commit, interrupt)
}

/// Fetches by several refspecs at once.
pub(super) fn fetch_all(
    repository: &gix::Repository,
    server: &Server<'_>,
    refspecs: &[&str],
    depth: Depth,
    interrupt: &AtomicBool,
) -> Result<(), Trouble> {
    let line = server.line().map_err(Trouble::Server)?;
    let received = receive(
        repository,
        (server.url, line.transport),
        refspecs,
        depth,
        interrupt,
    );
    received.map_err(|error| {
        let first = line.failure.first();
        let reached = first.is_none();
        let error = server.error(first, &said(&error));
        match reached {
            true => Trouble::Objects(error),
            false => Trouble::Server(error),
        }
    })
}

fn receive(
    repository: &gix::Repository,
    (url, transport): (&str, Box<dyn Transport>),
    refspecs: &[&str],
    depth: Depth,
    interrupt: &AtomicBool,
) -> gix::Result<()> {
    let remote = repository
        .remote_at(url)?
        .with_fetch_tags(Tags::None)
        .with_refspecs(refspecs.iter().copied(), Direction::Fetch)?;
    let prepared = remote
        .to_connection_with_transport(transport)
        .with_credentials(|_| Ok(None))
        .with_transport_options(Box::new(()))
        .prepare_fetch(Discard, ref_map::Options::default())?;
    if matches!(depth, Depth::Whole) && prepared.ref_map().mappings.is_empty() {
        return Ok(());
    }
    prepared
        .with_shallow(match depth {
            Depth::Commit => Shallow::DepthAtRemote(std::num::NonZeroU32::MIN),
            Depth::Whole => Shallow::NoChange,
        })
        .receive(Discard, interrupt)
        .map(drop)
}
