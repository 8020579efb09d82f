//! Variables: names, values, who set them, and what stands for those that nobody has set.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::steps::STEPS;
use crate::error::Error;
use crate::unknown::{Marker, Unknown};

/// The value of a variable and where it was set.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    value: Zeroizing<String>,
    /// The value must not be shown; nor what it is inserted in.
    pub secret: bool,
    /// Who set it, for messages: `inline`, `ConfigMap/cluster-config`.
    pub source: String,
    /// What the value stands for, where it is not known.
    unknown: Option<StandIn>,
}

/// A value that is not known, and the caller's marker.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct StandIn {
    marker: Marker,
    unknown: Unknown,
}

impl StandIn {
    /// The text that stands for what an operator makes of the value: another unknown one, the same wherever operator
    /// and arguments are. Hashed, as arguments may be long, or secret.
    pub(super) fn under(self, operator: &str, arguments: &[String]) -> String {
        let Self {
            marker,
            mut unknown,
        } = self;
        if !operator.is_empty() {
            let mut hash = Sha256::new();
            let identity = |text: &String| marker.shown(text, |inner| inner.identity.clone());
            let arguments: Vec<String> = arguments.iter().map(identity).collect();
            let parts = [unknown.identity.as_str(), operator].into_iter();
            for part in parts.chain(arguments.iter().map(String::as_str)) {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
            unknown.identity = format!("{:x}", hash.finalize());
        }
        marker.token(&unknown)
    }
}

impl Variable {
    /// The value, in the clear.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether the value is a text that stands for one that is not known.
    pub fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if self.secret {
            "***"
        } else {
            self.value.as_str()
        };
        write!(f, "{value:?} from {}", self.source)
    }
}

/// What stands for variables that nobody has set, where they may yet be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// The caller's marker.
    pub marker: Marker,
    /// Who may set them, for the reason: `cluster-secrets`. Defaults then do not hold either. Without anyone only
    /// those are unknown that strict mode would refuse.
    pub source: Option<String>,
    /// What tells their values from those that the same source may set elsewhere: of what it is made, say.
    pub identity: String,
}

impl Unset {
    fn stand_in(&self, name: &str) -> StandIn {
        let reason = match &self.source {
            Some(source) => format!("{source}.{name}"),
            None => format!("${{{name}}}, which nothing sets"),
        };
        let identity = format!("{reason}{}", self.identity);
        StandIn {
            marker: self.marker.clone(),
            unknown: Unknown { reason, identity },
        }
    }
}

/// Variables by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    /// How many steps a substitution may take: bytes that expressions bring in, and comparisons of their operators.
    pub steps: usize,
    by_name: BTreeMap<String, Variable>,
    unset: Option<Unset>,
}

impl Default for Variables {
    fn default() -> Self {
        Self {
            steps: STEPS,
            by_name: BTreeMap::new(),
            unset: None,
        }
    }
}

impl Variables {
    /// Sets a variable; a later source overrides an earlier one. Line breaks are taken out, as Flux does.
    pub fn set(&mut self, name: &str, value: &str, secret: bool, source: &str) {
        let variable = Variable {
            value: Zeroizing::new(value.replace('\n', "")),
            secret,
            source: source.to_owned(),
            unknown: None,
        };
        self.by_name.insert(name.to_owned(), variable);
    }

    /// Sets a variable whose value is not known.
    pub fn set_unknown(&mut self, name: &str, unknown: Unknown, marker: &Marker, source: &str) {
        let variable = Variable {
            value: Zeroizing::new(marker.token(&unknown)),
            secret: false,
            source: source.to_owned(),
            unknown: Some(StandIn {
                marker: marker.clone(),
                unknown,
            }),
        };
        self.by_name.insert(name.to_owned(), variable);
    }

    /// Says what stands for variables that are not set, so that strict mode does not refuse them.
    pub fn stand_in_for_unset(&mut self, unset: Unset) {
        self.unset = Some(unset);
    }

    /// What stands for a variable that is not known; `has_default` where an expression says what it is when
    /// it is not set.
    pub(super) fn stand_in(&self, name: &str, has_default: bool) -> Option<StandIn> {
        match (self.get(name), &self.unset) {
            (Some(variable), _) => variable.unknown.clone(),
            (None, Some(unset)) if unset.source.is_some() || !has_default => {
                Some(unset.stand_in(name))
            }
            (None, _) => None,
        }
    }

    /// The variable of a name.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.by_name.get(name)
    }

    /// True without variables. Flux then substitutes nothing, unless its strategy is `Always`.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Names and variables.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.by_name
            .iter()
            .map(|(name, variable)| (name.as_str(), variable))
    }

    /// Names that no expression can use; a single one stops all substitution.
    pub(super) fn check_names(&self) -> Vec<Error> {
        self.iter()
            .filter(|(name, _)| !is_valid_name(name))
            .map(|(name, variable)| {
                Error::new(format!(
                    "variable name {name:?} of {} is invalid",
                    variable.source
                ))
                .hint("a name is letters, digits and `_`, and begins with no digit")
            })
            .collect()
    }
}

fn is_valid_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next();
    first.is_some_and(|c| c == b'_' || c.is_ascii_alphabetic())
        && bytes.all(|c| c == b'_' || c.is_ascii_alphanumeric())
}
