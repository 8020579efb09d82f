//! The data key of a file: which entry of which key group opens, and what the groups' shares combine to.

use std::collections::{BTreeSet, HashMap};

use zeroize::Zeroizing;

use crate::error::ErrorKind;
use crate::key::{Keyring, Outcome};
use crate::metadata::{Metadata, Recipient, Wrapped};
use crate::shamir;
use crate::time::Time;

/// What key services answered, by the wrapped data key that was asked for.
pub type Answers = HashMap<Wrapped, Answer>;

/// What a key service answered.
#[derive(Clone)]
pub enum Answer {
    /// The plain data key, or a key group's share of it.
    Opened(Zeroizing<Vec<u8>>),
    /// Why there is none, in words that are safe to show to anyone.
    Refused(String),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened(_) => f.write_str("Opened(***)"),
            Self::Refused(reason) => write!(f, "Refused({reason})"),
        }
    }
}

/// How many entries of one key group are worth asking for: a file may name 100,000.
const ASKED: usize = 16;

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

/// The first entry that opens: the keys at hand before the answers of services.
fn open_group(
    group: &[Wrapped],
    keyring: &Keyring,
    answers: &Answers,
    refusals: &mut Vec<String>,
) -> Option<Zeroizing<Vec<u8>>> {
    match keyring.open(group) {
        Outcome::Opened(share) => return Some(share),
        Outcome::Refused(reasons) => refusals.extend(reasons),
    }
    for wrapped in group.iter().filter(|wrapped| wrapped.recipient.is_remote()) {
        match answers.get(wrapped) {
            Some(Answer::Opened(share)) => return Some(share.clone()),
            Some(Answer::Refused(reason)) => refusals.push(reason.clone()),
            None => {}
        }
    }
    None
}

/// What key services are to be asked for, so that a file opens which the keys at hand do not open: for each key group
/// without its share, the entries that were not asked for yet. Any one of a group's entries is enough.
pub fn unasked(metadata: &Metadata, keyring: &Keyring, answers: &Answers) -> Vec<Vec<Wrapped>> {
    let lies_elsewhere =
        |wrapped: &&Wrapped| wrapped.recipient.is_remote() && !answers.contains_key(wrapped);
    metadata
        .groups
        .iter()
        .map(|group| (group, group.iter().filter(lies_elsewhere).take(ASKED)))
        .map(|(group, entries)| (group, entries.cloned().collect::<Vec<_>>()))
        .filter(|(group, entries)| {
            !entries.is_empty() && open_group(group, keyring, answers, &mut Vec::new()).is_none()
        })
        .map(|(_, entries)| entries)
        .collect()
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
    let mut told = BTreeSet::new();
    let refusals = refusals
        .iter()
        .filter(|reason| told.insert(*reason))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::generate;
    use crate::metadata::Rule;

    fn metadata(groups: Vec<Vec<Wrapped>>, shamir_threshold: usize) -> Metadata {
        Metadata {
            groups,
            shamir_threshold,
            last_modified: Time::default(),
            mac: String::new(),
            rule: Rule::default(),
            mac_only_encrypted: false,
            version: String::new(),
        }
    }

    fn wrapped(key_id: &str) -> Wrapped {
        Wrapped {
            recipient: Recipient::HuaweiKms {
                key_id: key_id.to_owned(),
            },
            ciphertext: key_id.to_owned(),
            created_at: None,
        }
    }

    fn opened(share: &[u8]) -> Answer {
        Answer::Opened(Zeroizing::new(share.to_vec()))
    }

    #[test]
    fn a_service_is_asked_once_and_its_refusal_is_told() {
        let keyring = Keyring::default();
        let metadata = metadata(vec![vec![wrapped("a"), wrapped("b")]], 0);
        let mut answers = Answers::new();
        assert_eq!(unasked(&metadata, &keyring, &answers), metadata.groups);
        answers.insert(wrapped("a"), Answer::Refused("a is closed".to_owned()));
        assert_eq!(
            unasked(&metadata, &keyring, &answers),
            [[wrapped("b")]],
            "the other entry is left"
        );
        answers.insert(wrapped("b"), Answer::Refused("b too".to_owned()));
        assert!(unasked(&metadata, &keyring, &answers).is_empty());
        let error = recover(&metadata, &keyring, &answers).expect_err("nothing opens");
        assert!(
            error.to_string().ends_with("; a is closed; b too"),
            "{error}"
        );
        answers.insert(wrapped("b"), opened(&[7; 32]));
        assert_eq!(
            *recover(&metadata, &keyring, &answers).expect("opens"),
            [7; 32]
        );
    }

    #[test]
    fn shares_of_services_and_of_keys_at_hand_combine() {
        let shares = shamir::split(&[9; 32], 3, 2).expect("splits");
        let key = generate(false).expect("a key");
        let mut keyring = Keyring::default();
        keyring.add_age(&key.identity).expect("an age key");
        let recipient = Recipient::Age {
            recipient: key.recipient.clone(),
        };
        let ours = keyring
            .wrap(&recipient, &shares[0], &Time::default())
            .expect("wraps");
        // Of the first group our own key opens one entry: its service is not asked.
        let groups = vec![
            vec![wrapped("not asked"), ours],
            vec![wrapped("vault")],
            vec![wrapped("cloud")],
        ];
        let metadata = metadata(groups, 2);
        let mut answers = Answers::new();
        assert_eq!(
            unasked(&metadata, &keyring, &answers),
            [[wrapped("vault")], [wrapped("cloud")]]
        );
        answers.insert(wrapped("vault"), Answer::Refused("away".to_owned()));
        answers.insert(wrapped("cloud"), opened(&shares[2]));
        assert_eq!(
            *recover(&metadata, &keyring, &answers).expect("two of three"),
            [9; 32]
        );
    }

    #[test]
    fn keys_at_hand_need_no_service() {
        let key = generate(false).expect("a key");
        let mut keyring = Keyring::default();
        keyring.add_age(&key.identity).expect("an age key");
        let recipient = Recipient::Age {
            recipient: key.recipient.clone(),
        };
        let ours = keyring
            .wrap(&recipient, &[3; 32], &Time::default())
            .expect("wraps");
        let metadata = metadata(vec![vec![wrapped("vault"), ours]], 0);
        assert!(unasked(&metadata, &keyring, &Answers::new()).is_empty());
    }
}
