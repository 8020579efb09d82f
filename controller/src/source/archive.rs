//! A snapshot as a tar.gz with Flux's layout: the same files make the same bytes, whenever and wherever.
//!
//! The stream is a row of gzip members, each a few files of one folder. The next archive copies the members whose
//! files did not change from the one before, and compresses only the others.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use overlay::ObjectHash;
use sha2::{Digest, Sha256};

use super::filtered::Kept;

/// Files in a member at most.
const FILES: usize = 64;

/// Goes into the keys of members; another number when their bytes would be others.
const FORMAT: &str = "weir archive 1";

const BLOCK: usize = 512;

/// Modes of Flux's artifacts.
const FILE_MODE: u32 = 0o600;
const EXECUTABLE_MODE: u32 = 0o700;
const FOLDER_MODE: u32 = 0o750;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// `sha256:…` of the whole file.
    pub(super) digest: String,
    /// Its length.
    pub(super) size: u64,
    /// Its members in order.
    pub(super) members: Vec<Member>,
}

impl Written {
    /// An archive that somebody else has written.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            digest: format!("sha256:{:x}", Sha256::digest(bytes)),
            size: bytes.len() as u64,
            members: Vec::new(),
        }
    }
}

/// One gzip member of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// What it is made of.
    pub(super) key: ObjectHash,
    /// Its length, compressed.
    pub(super) length: u64,
}

/// An earlier archive and what it is made of.
pub(super) struct Earlier {
    file: File,
    /// Offset and length by key.
    members: HashMap<ObjectHash, (u64, u64)>,
}

impl Earlier {
    pub(super) fn new(file: File, members: &[Member]) -> Self {
        let mut offset = 0;
        let members = members
            .iter()
            .map(|member| {
                let at = offset;
                offset += member.length;
                (member.key, (at, member.length))
            })
            .collect();
        Self { file, members }
    }
}

/// What goes into one member: files of one folder, and the folders that begin with it.
struct Part<'a> {
    folders: Vec<String>,
    files: &'a [Kept],
}

/// How the bytes of a file are had.
pub(super) type ReadFile<'a> = dyn Fn(&Kept) -> io::Result<Vec<u8>> + 'a;

/// Writes the archive of files.
pub(super) fn write(
    files: &[Kept],
    read: &ReadFile<'_>,
    target: File,
    earlier: Option<Earlier>,
) -> io::Result<Written> {
    let mut out = Hashed::new(BufWriter::with_capacity(1 << 20, target));
    let mut members = Vec::new();
    let mut earlier = earlier;
    for part in parts(files) {
        let key = part.key();
        let before = out.length;
        if !copied(key, earlier.as_mut(), &mut out)? {
            compress(&mut out, |member| part.write(read, member))?;
        }
        let length = out.length - before;
        members.push(Member { key, length });
    }
    compress(&mut out, |member| member.write_all(&[0; 2 * BLOCK]))?;
    out.inner.flush()?;
    Ok(Written {
        digest: format!("sha256:{:x}", out.digest.finalize()),
        size: out.length,
        members,
    })
}

/// Cuts the files into members: never across folders, so that a change in one leaves the others as they are.
fn parts(files: &[Kept]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut named = HashSet::new();
    for run in files.chunk_by(|a, b| folder(&a.path) == folder(&b.path)) {
        let mut folders = new_folders(folder(&run[0].path), &mut named);
        for files in run.chunks(FILES) {
            parts.push(Part {
                folders: std::mem::take(&mut folders),
                files,
            });
        }
    }
    parts
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The folders on the way to one that no entry has named yet.
fn new_folders<'a>(to: &'a str, named: &mut HashSet<&'a str>) -> Vec<String> {
    let ends = to.match_indices('/').map(|(at, _)| at).chain([to.len()]);
    ends.map(|end| &to[..end])
        .filter(|path| !path.is_empty() && named.insert(path))
        .map(str::to_owned)
        .collect()
}

impl Part<'_> {
    fn key(&self) -> ObjectHash {
        let mut bytes = FORMAT.as_bytes().to_vec();
        for folder in &self.folders {
            bytes.extend_from_slice(folder.as_bytes());
            bytes.push(0);
        }
        for file in self.files {
            bytes.extend_from_slice(file.path.as_bytes());
            bytes.extend_from_slice(&[0, u8::from(file.executable)]);
            bytes.extend_from_slice(file.id.as_bytes());
        }
        ObjectHash::of("member", &bytes)
    }

    fn write(&self, read: &ReadFile<'_>, out: &mut dyn Write) -> io::Result<()> {
        for folder in &self.folders {
            entry(out, folder, tar::EntryType::Directory, FOLDER_MODE, &[])?;
        }
        for file in self.files {
            let bytes = read(file)?;
            let mode = if file.executable {
                EXECUTABLE_MODE
            } else {
                FILE_MODE
            };
            entry(out, &file.path, tar::EntryType::Regular, mode, &bytes)?;
        }
        Ok(())
    }
}

/// One entry: its header, its bytes, and zeros up to the end of the block.
fn entry(
    out: &mut dyn Write,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    if header.set_path(path).is_err() {
        long_name(out, path)?;
        // Readers take the name from the entry before; this one is for those who do not.
        let end = (0..=99)
            .rev()
            .find(|end| path.is_char_boundary(*end))
            .unwrap_or(0);
        header.set_path(&path[..end])?;
    }
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    padded(out, bytes)
}

/// GNU's way to write a name that does not fit its field.
fn long_name(out: &mut dyn Write, path: &str) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink")?;
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(path.len() as u64 + 1);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    padded(out, &[path.as_bytes(), &[0]].concat())
}

fn padded(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    let rest = bytes.len().next_multiple_of(BLOCK) - bytes.len();
    out.write_all(&[0; BLOCK][..rest])
}

/// Writes one gzip member, without a time or a name in it.
fn compress<W: Write>(
    out: &mut W,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut encoder = GzBuilder::new().mtime(0).write(out, Compression::new(6));
    write(&mut encoder)?;
    encoder.finish().map(drop)
}

/// Copies a member from the earlier archive, if it is there.
fn copied(
    key: ObjectHash,
    earlier: Option<&mut Earlier>,
    out: &mut impl Write,
) -> io::Result<bool> {
    let Some(earlier) = earlier else {
        return Ok(false);
    };
    let Some((offset, length)) = earlier.members.get(&key).copied() else {
        return Ok(false);
    };
    earlier.file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut earlier.file)
        .take(length)
        .read_to_end(&mut bytes)?;
    out.write_all(&bytes)?;
    Ok(true)
}

/// Hashes and counts what passes.
struct Hashed<W> {
    inner: W,
    digest: Sha256,
    length: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            digest: Sha256::new(),
            length: 0,
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The members of an archive as the file beside it holds them.
pub(super) fn write_members(path: &Path, members: &[Member]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(members.len() * 28);
    for member in members {
        bytes.extend_from_slice(&member.key.0);
        bytes.extend_from_slice(&member.length.to_le_bytes());
    }
    std::fs::write(path, bytes)
}

/// Reads what [`write_members`] wrote; `None` when it is not there or not whole.
pub(super) fn read_members(path: &Path) -> Option<Vec<Member>> {
    let bytes = std::fs::read(path).ok()?;
    bytes
        .chunks(28)
        .map(|chunk| {
            Some(Member {
                key: ObjectHash(chunk.get(..20)?.try_into().ok()?),
                length: u64::from_le_bytes(chunk.get(20..28)?.try_into().ok()?),
            })
        })
        .collect()
}
