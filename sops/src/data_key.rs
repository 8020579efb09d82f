//! The data key of a file: which entry of which key group opens, and what the groups' shares combine to.

use std::collections::HashMap;

use zeroize::Zeroizing;

use crate::error::ErrorKind;
use crate::key::{Keyring, Outcome};
use crate::metadata::{Metadata, Recipient, Wrapped};
use crate::shamir;
use crate::time::Time;

/// What key services answered: the plain data key, or share, of each wrapped one that was asked for.
pub type Answers = HashMap<Wrapped, Zeroizing<Vec<u8>>>;

/// How many recipients an error names.
const NAMED: usize = 3;
const NAME_LENGTH: usize = 80;

/// Recovers the data key.
pub(crate) fn recover(
    metadata: &Metadata,
    keyring: &Keyring,
    answers: &Answers,
) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let mut refusals = Vec::new();
    let mut shares: Vec<_> = metadata
        .groups
        .iter()
        .filter_map(|group| open_group(group, keyring, answers, &mut refusals))
        .collect();
    let needed = match metadata.groups.len() {
        1 => 1,
        _ => metadata.shamir_threshold.max(1),
    };
    if shares.len() < needed {
        return Err(no_matching_key(metadata, &refusals));
    }
    match metadata.groups.len() {
        1 => Ok(shares.remove(0)),
        _ => shamir::combine(&shares),
    }
}

/// The first entry that opens: answers of services before age before OpenPGP.
fn open_group(
    group: &[Wrapped],
    keyring: &Keyring,
    answers: &Answers,
    refusals: &mut Vec<String>,
) -> Option<Zeroizing<Vec<u8>>> {
    if let Some(answer) = group.iter().find_map(|wrapped| answers.get(wrapped)) {
        return Some(answer.clone());
    }
    match keyring.open(group) {
        Outcome::Opened(share) => Some(share),
        Outcome::Refused(reasons) => {
            refusals.extend(reasons);
            None
        }
    }
}

/// Wraps a data key for each member of each group: whole for a single group, else a share for each.
pub(crate) fn wrap(
    data_key: &[u8],
    groups: &[Vec<Recipient>],
    threshold: usize,
    keyring: &Keyring,
    now: &Time,
) -> Result<Vec<Vec<Wrapped>>, ErrorKind> {
    let shares = match groups {
        [] => return Err(ErrorKind::NoRecipients),
        [_] => vec![Zeroizing::new(data_key.to_vec())],
        _ => split(data_key, groups.len(), threshold)?,
    };
    groups
        .iter()
        .zip(&shares)
        .map(|(group, share)| {
            if group.is_empty() {
                return Err(ErrorKind::NoRecipients);
            }
            let wrap = |recipient: &Recipient| keyring.wrap(recipient, share, now);
            group.iter().map(wrap).collect()
        })
        .collect()
}

fn split(
    data_key: &[u8],
    count: usize,
    threshold: usize,
) -> Result<Vec<Zeroizing<Vec<u8>>>, ErrorKind> {
    let threshold = if threshold == 0 { count } else { threshold };
    match (u8::try_from(count), u8::try_from(threshold)) {
        (Ok(count), Ok(threshold)) if (2..=count).contains(&threshold) => {
            shamir::split(data_key, count, threshold)
        }
        _ => Err(ErrorKind::Shamir(
            "the threshold is at least 2 and at most the number of groups",
        )),
    }
}

fn no_matching_key(metadata: &Metadata, refusals: &[String]) -> ErrorKind {
    let mut names: Vec<String> = metadata
        .wrapped()
        .map(|wrapped| shown(wrapped.recipient.name()))
        .collect();
    names.dedup();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let mut recipients = names.join(", ");
    if more > 0 {
        recipients.push_str(&format!(" and {more} more"));
    }
    let refusals = refusals
        .iter()
        .map(|reason| format!("; {reason}"))
        .collect();
    ErrorKind::NoMatchingKey {
        recipients,
        refusals,
    }
}

/// A recipient as an error shows it: one line, cut short, since hybrid keys have 2,000 letters.
fn shown(name: &str) -> String {
    let mut shown: String = name
        .chars()
        .filter(|letter| !letter.is_control())
        .take(NAME_LENGTH)
        .collect();
    if name.len() > shown.len() {
        shown.push('…');
    }
    shown
}

/// The wrapped data keys that lie with key services, for the caller to unwrap.
pub fn wrapped(metadata: &Metadata) -> Vec<&Wrapped> {
    metadata
        .wrapped()
        .filter(|wrapped| Recipient::is_remote(&wrapped.recipient))
        .collect()
}
