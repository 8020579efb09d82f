//! SOPS documents: find, decrypt, check the MAC.
//!
//! A file is read into a tree without regard to its format, its data key recovered with the keys at hand, every value
//! opened under its key path, and the MAC checked over the file as stored. No network, no environment, no home folder:
//! keys are given, and data keys that lie with a key service are listed for the caller to unwrap.
//!
//! ```text
//! bytes ──store──▶ Document ──data_key──▶ Cipher ──decrypt, mac──▶ Plain ──store──▶ bytes
//! ```

mod age;
mod blank;
mod cache;
mod canonical;
#[cfg(test)]
mod conformance;
mod data_key;
mod decrypt;
mod document;
mod encrypt;
mod error;
mod flat;
mod format;
mod gcm;
mod key;
mod mac;
mod metadata;
mod nodes;
mod opener;
mod pattern;
mod random;
mod rules;
mod secret_data;
mod selection;
mod shamir;
mod store;
mod time;
pub mod tree;
mod value;

pub use blank::{FILL_IN, blank};
pub use cache::Cache;
pub use data_key::{Answer, Answers, unasked};
pub use decrypt::{Decrypted, decrypt, decrypt_to_change, decrypt_with};
pub use document::{Document, Plain, SIZE_LIMIT};
pub use encrypt::{Recipe, edit, encrypt, rotate, update_keys};
pub use error::{Error, ErrorKind, Position};
pub use format::{Format, is_encrypted};
pub use key::{Keyring, NewKey, Outcome, generate};
pub use mac::MacPolicy;
pub use metadata::{Metadata, Recipient, Rule, Wrapped};
pub use opener::{Asked, Opener, is_left_closed};
pub use rules::{RULES_FILE, recipe};
pub use secret_data::sealed_value;
pub use time::Time;
