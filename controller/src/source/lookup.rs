//! Where a reference points now: the refs of a server, asked for by prefix, and the one that is wanted among them.

use gix::bstr::{BString, ByteSlice};
use gix::progress::Discard;
use gix::protocol::LsRefsCommand;
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::transport::client::blocking_io::Transport;
use semver::Version;

use super::cache::Held;
use super::error::SourceError;
use super::reference::Reference;
use super::server::{AGENT, Server, said};
use super::version;

/// What a reference stands for at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// What to ask the server for: the full name of a ref, or a commit's id.
    pub(super) wanted: String,
    /// The commit, where the server said which; an annotated tag counts as the commit that it names.
    pub(super) commit: gix::ObjectId,
    /// The annotated tag that leads to it.
    pub(super) tag: Option<gix::ObjectId>,
    /// The revision as conditions show it.
    pub(super) revision: String,
}

impl Head {
    /// The ref moved between the look-up and the fetch.
    pub(super) fn moved_to(&mut self, held: Held) {
        self.revision = self
            .revision
            .replace(&self.commit.to_string(), &held.commit.to_string());
        (self.commit, self.tag) = (held.commit, held.tag);
    }

    /// The name of the tag that was asked for or chosen, light or annotated.
    pub(super) fn tag_name(&self) -> Option<&str> {
        self.wanted.strip_prefix("refs/tags/")
    }

    /// Whether that is what is held.
    pub(super) fn is(&self, held: Held) -> bool {
        held.commit == self.commit && (self.tag.is_none() || self.tag == held.tag)
    }
}

/// A ref with what it points to, tags followed to their commit.
struct Pointer {
    name: String,
    commit: gix::ObjectId,
    tag: Option<gix::ObjectId>,
}

/// Asks where the reference points. One request; none for a commit, which points to itself.
pub(super) fn look_up(server: &Server<'_>, reference: &Reference) -> Result<Head, SourceError> {
    if let Reference::Commit { id, branch } = reference {
        return commit(id, branch.as_deref());
    }
    let name = full_name(reference);
    if let Some(problem) = name.as_deref().and_then(invalid) {
        return Err(SourceError::Git(problem));
    }
    let pointers = list(server, Some(name.as_deref().unwrap_or("refs/tags/")))?;
    let found = match reference {
        Reference::Semver(range) => newest(range, &pointers)?,
        _ => pointers
            .iter()
            .find(|pointer| Some(&pointer.name) == name.as_ref()),
    };
    match found {
        Some(pointer) => Ok(Head {
            wanted: pointer.name.clone(),
            commit: pointer.commit,
            tag: pointer.tag,
            revision: format!(
                "{}@sha1:{}",
                shown(reference, &pointer.name),
                pointer.commit
            ),
        }),
        None if list(server, None)?.is_empty() => Err(SourceError::Empty),
        None => Err(missing(
            server,
            reference,
            name.as_deref().unwrap_or_default(),
        )),
    }
}

fn commit(id: &str, branch: Option<&str>) -> Result<Head, SourceError> {
    let commit = gix::ObjectId::from_hex(id.as_bytes()).map_err(|_| {
        SourceError::Git(format!(
            "unable to resolve commit object for '{id}': object not found"
        ))
    })?;
    let prefix = branch
        .map(|branch| format!("{branch}@"))
        .unwrap_or_default();
    Ok(Head {
        wanted: commit.to_string(),
        commit,
        tag: None,
        revision: format!("{prefix}sha1:{commit}"),
    })
}

/// The ref that is wanted; `None` where it must be chosen.
fn full_name(reference: &Reference) -> Option<String> {
    match reference {
        Reference::Branch(branch) => Some(format!("refs/heads/{branch}")),
        Reference::Tag(tag) => Some(format!("refs/tags/{tag}")),
        Reference::Name(name) => Some(name.trim_end_matches("^{}").to_owned()),
        Reference::Semver(_) | Reference::Commit { .. } => None,
    }
}

/// The name in the revision: branches and tags go by their short names.
fn shown(reference: &Reference, name: &str) -> String {
    match reference {
        Reference::Name(asked) => asked.clone(),
        _ => name
            .trim_start_matches("refs/heads/")
            .trim_start_matches("refs/tags/")
            .to_owned(),
    }
}

/// What Git says of a name that no ref can have.
fn invalid(name: &str) -> Option<String> {
    if name.starts_with('/') || name.ends_with('/') {
        return Some(format!(
            "ref {name} is invalid; Git refs cannot begin or end with a slash '/'"
        ));
    }
    <&gix::refs::FullNameRef>::try_from(name)
        .err()
        .map(|error| format!("ref {name} is invalid; {error}"))
}

fn missing(server: &Server<'_>, reference: &Reference, name: &str) -> SourceError {
    SourceError::Git(match reference {
        Reference::Semver(range) => format!("no match found for semver: {range}"),
        Reference::Name(asked) => format!("unable to resolve ref '{asked}' to a specific commit"),
        _ => format!(
            "unable to clone '{}': couldn't find remote ref \"{name}\"",
            server.url
        ),
    })
}

/// The newest tag in the range. Versions that differ in build metadata only go by it, as there is no time to go by
/// before the tags are fetched.
fn newest<'a>(range: &str, pointers: &'a [Pointer]) -> Result<Option<&'a Pointer>, SourceError> {
    let range = version::Range::parse(range)
        .map_err(|problem| SourceError::Git(format!("semver parse error: {problem}")))?;
    let mut versions: Vec<(Version, &Pointer)> = pointers
        .iter()
        .filter_map(|pointer| {
            Some((
                version::of_tag(pointer.name.strip_prefix("refs/tags/")?)?,
                pointer,
            ))
        })
        .filter(|(version, _)| range.holds(version))
        .collect();
    versions.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(versions.pop().map(|(_, pointer)| pointer))
}

/// The refs whose names begin with the prefix; all without one.
fn list(server: &Server<'_>, prefix: Option<&str>) -> Result<Vec<Pointer>, SourceError> {
    let line = server.line()?;
    let refs = ask(line.transport, prefix)
        .map_err(|error| server.error(line.failure.first(), &said(&error)))?;
    Ok(refs
        .into_iter()
        .filter_map(pointer)
        .filter(|pointer| prefix.is_none_or(|prefix| pointer.name.starts_with(prefix)))
        .collect())
}

fn ask(mut transport: Box<dyn Transport>, prefix: Option<&str>) -> gix::Result<Vec<Ref>> {
    let mut handshake = gix::protocol::handshake(
        &mut transport,
        Service::UploadPack,
        |_| Ok(None),
        Vec::new(),
        &mut Discard,
    )?;
    if let Some(refs) = handshake.refs.take() {
        return Ok(refs);
    }
    let prefixes = prefix.map(|prefix| {
        let mut prefixes = RefPrefixes::new();
        prefixes.extend([BString::from(prefix)]);
        prefixes
    });
    let agent = ("agent", Some(AGENT.into()));
    LsRefsCommand::new(prefixes, &handshake.capabilities, agent).invoke_blocking(
        &mut transport,
        &mut Discard,
        false,
    )
}

fn pointer(found: Ref) -> Option<Pointer> {
    let (name, commit, tag) = match found {
        Ref::Peeled {
            full_ref_name,
            object,
            tag,
        } => (full_ref_name, object, Some(tag)),
        Ref::Direct {
            full_ref_name,
            object,
        } => (full_ref_name, object, None),
        Ref::Symbolic {
            full_ref_name,
            object,
            tag,
            ..
        } => (full_ref_name, object, tag),
        Ref::Unborn { .. } => return None,
    };
    Some(Pointer {
        name: name.to_str().ok()?.to_owned(),
        commit,
        tag,
    })
}
