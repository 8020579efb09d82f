//! A file as read: encrypted with its metadata, or plain again.

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::format::Format;
use crate::metadata::Metadata;
use crate::store::{self, Inline};
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
        let mut branches = store::read(bytes, format)?;
        let metadata = store::take_metadata(&mut branches, format)?;
        Ok(Self {
            format,
            branches,
            metadata: Metadata::read(&metadata)?,
        })
    }
}

impl Plain {
    /// Writes the plain file, byte for byte as `sops decrypt` prints it.
    pub fn write(&self, format: Format) -> Result<Zeroizing<Vec<u8>>, Error> {
        store::write(&self.branches, format, Inline::Above).map_err(Error::from)
    }

    /// Writes the plain file for editing: comments stay on their lines.
    pub fn write_to_edit(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        store::write(&self.branches, self.format, Inline::Beside).map_err(Error::from)
    }
}
