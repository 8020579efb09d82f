//! Randomness for keys and nonces, from the operating system.

use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use crate::error::ErrorKind;

/// Bytes that nobody can guess.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, ErrorKind> {
    let mut bytes = Zeroizing::new([0; N]);
    fill(&mut *bytes)?;
    Ok(bytes)
}

/// Fills a buffer.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), ErrorKind> {
    OsRng
        .try_fill_bytes(buffer)
        .map_err(|_| ErrorKind::NoRandomness)
}
