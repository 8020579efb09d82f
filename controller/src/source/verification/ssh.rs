//! Signatures of SSH keys, as `ssh-keygen -Y sign -n git` makes them.

use russh::keys::HashAlg;
use russh::keys::ssh_key::SshSig;
use russh::keys::ssh_key::authorized_keys::Entry;

use super::signed::Signed;

/// What Git signs for.
const NAMESPACE: &str = "git";

/// The fingerprint of the trusted key that signed.
pub(super) fn verify(authorized: &[String], signed: &Signed) -> Result<String, String> {
    let signature = SshSig::from_pem(signed.signature.trim_ascii())
        .map_err(|error| format!("unable to unarmor SSH signature: {error}"))?;
    let mut unreadable = None;
    for line in authorized
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
    {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.parse::<Entry>() {
            Ok(entry) => {
                let key = entry.public_key();
                if key.verify(NAMESPACE, &signed.payload, &signature).is_ok() {
                    return Ok(key.fingerprint(HashAlg::Sha256).to_string());
                }
            }
            Err(error) => unreadable = Some(error),
        }
    }
    let none = "unable to verify payload with any of the given authorized keys";
    Err(match unreadable {
        Some(error) => format!("{none}, one of which cannot be read: {error}"),
        None => none.to_owned(),
    })
}

/// Whether a line names one key that can be read.
pub(super) fn is_key(line: &str) -> bool {
    line.lines().count() == 1 && line.trim().parse::<Entry>().is_ok()
}
