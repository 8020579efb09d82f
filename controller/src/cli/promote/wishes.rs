//! The flags with which people decide: `--adopt`, `--take`, `--pin`, `--override`.

use crate::cli::Failure;
use crate::promotion::merge::Side;
use crate::promotion::prepare::{Settlement, Wishes};
use crate::promotion::record::{Override, Pin};
use crate::promotion::refusal::OVERRIDABLE;

#[derive(clap::Args)]
#[command(next_help_heading = "Deciding")]
pub(super) struct WishFlags {
    /// At a first promotion: whose files, or places in a file, count. Put behind the names.
    #[arg(long, num_args = 1..=2, value_names = ["source|target", "FILE[:PATH]"])]
    adopt: Vec<String>,
    /// Where both sides changed: whose version counts. `--take source` also replaces what only the target changed, and
    /// ends a pin.
    #[arg(long, num_args = 2, value_names = ["source|target", "FILE[:PATH]"])]
    take: Vec<String>,
    /// The target keeps its own here, now and from now on.
    #[arg(long, value_name = "FILE:PATH", requires = "reason")]
    pin: Vec<String>,
    /// Why the target keeps its own.
    #[arg(long, value_name = "WHY")]
    reason: Option<String>,
}

impl WishFlags {
    pub(super) fn wishes(&self) -> Result<Wishes, Failure> {
        let reason = self.reason.clone().unwrap_or_default();
        let pin = |text: &String| {
            let (file, path) = place(text);
            Pin {
                file: file.to_owned(),
                path: path.to_owned(),
                reason: reason.clone(),
            }
        };
        Ok(Wishes {
            adopted: settlements("--adopt", &self.adopt)?,
            taken: settlements("--take", &self.take)?,
            pins: self.pin.iter().map(pin).collect(),
        })
    }
}

/// Sides, each with the place behind it, if one is.
fn settlements(flag: &str, words: &[String]) -> Result<Vec<Settlement>, Failure> {
    let mut settlements: Vec<Settlement> = Vec::new();
    for word in words {
        let side = match word.as_str() {
            "source" => Some(Side::Source),
            "target" => Some(Side::Target),
            _ => None,
        };
        match (side, settlements.last_mut()) {
            (Some(side), _) => settlements.push(Settlement {
                side,
                file: None,
                path: String::new(),
            }),
            (None, Some(last)) if last.file.is_none() => {
                let (file, path) = place(word);
                last.file = Some(file.to_owned());
                last.path = path.to_owned();
            }
            _ => {
                return Err(Failure::new(format!(
                    "{flag}: `{word}` is neither `source` nor `target`"
                )));
            }
        }
    }
    Ok(settlements)
}

/// `FILE:PATH`, or a file alone.
fn place(text: &str) -> (&str, &str) {
    let (file, path) = text.split_once(':').unwrap_or((text, ""));
    (file.trim_start_matches("./"), path)
}

/// `REFUSAL=REASON`.
pub(super) fn overridden(text: &str) -> Result<Override, Failure> {
    let hint = format!(
        "write `--override NAME=REASON`, with one of {}",
        OVERRIDABLE.join(", ")
    );
    let parts = text
        .split_once('=')
        .filter(|(_, reason)| !reason.trim().is_empty());
    match parts {
        Some((name, reason)) if OVERRIDABLE.contains(&name) => Ok(Override {
            refusal: name.to_owned(),
            reason: reason.trim().to_owned(),
        }),
        Some((name, _)) => Err(Failure::with_hint(
            format!("`{name}` cannot be overridden"),
            hint,
        )),
        None => Err(Failure::with_hint(
            format!("`{text}` gives no reason"),
            hint,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_may_have_places() {
        let words = ["source", "target", "shop/helm.yaml:spec.x"].map(str::to_owned);
        let found = settlements("--adopt", &words).expect("sides");
        assert_eq!((found[0].side, &found[0].file), (Side::Source, &None));
        assert_eq!(found[1].file.as_deref(), Some("shop/helm.yaml"));
        assert_eq!(found[1].path, "spec.x");
        assert!(settlements("--adopt", &["prod".to_owned()]).is_err());
    }

    #[test]
    fn an_override_has_a_name_and_a_reason() {
        assert!(overridden("leak=public").is_ok());
        for text in ["leak", "leak=", "conflict=no"] {
            assert!(overridden(text).is_err(), "{text}");
        }
    }
}
