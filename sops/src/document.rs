//! A file as read: encrypted with its metadata, or plain again.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::format::Format;
use crate::metadata::Metadata;
use crate::store;
use crate::tree::Branch;

/// The largest file that is read, as in Flux.
pub const SIZE_LIMIT: usize = 5 * 1024 * 1024;

/// An encrypted file, read and not yet opened.
pub struct Document {
    /// The format that it was read in.
    pub format: Format,
    /// Its documents (one, save in YAML), without the metadata.
    pub branches: Vec<Branch>,
    /// What SOPS wrote about it.
    pub metadata: Metadata,
}

/// A file that was opened.
pub struct Plain {
    /// The format that it was read in.
    pub format: Format,
    /// Its documents, without the metadata.
    pub branches: Vec<Branch>,
    /// What SOPS wrote about it.
    pub metadata: Metadata,
    /// What is wrong with its MAC, when the policy was to open it all the same.
    pub mac_problem: Option<ErrorKind>,
}

impl Document {
    /// Reads an encrypted file.
    pub fn read(bytes: &[u8], format: Format) -> Result<Self, Error> {
        let mut branches = read_branches(bytes, format)?;
        let metadata = store::take_metadata(&mut branches, format)?;
        Ok(Self {
            format,
            branches,
            metadata: Metadata::read(&metadata)?,
        })
    }
}

/// Reads the documents of a file, metadata and all.
pub(crate) fn read_branches(bytes: &[u8], format: Format) -> Result<Vec<Branch>, Error> {
    if bytes.len() > SIZE_LIMIT {
        return Err(ErrorKind::TooLarge {
            size: bytes.len(),
            limit: SIZE_LIMIT,
        }
        .error());
    }
    store::read(bytes, format)
}

impl Plain {
    /// Writes the plain file, byte for byte as `sops decrypt` prints it.
    pub fn write(&self, format: Format) -> Result<Zeroizing<Vec<u8>>, Error> {
        store::write(&self.branches, format).map_err(Error::from)
    }
}
