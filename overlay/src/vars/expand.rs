//! A template and variables become a text.

use zeroize::Zeroizing;

use super::Variables;
use super::functions::{Failure, apply};
use super::steps::Steps;
use super::template::{Expansion, Fault, Part, parse};

/// Why a text cannot be substituted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The text cannot be read as a template.
    #[error("{fault}")]
    Template {
        /// What is wrong.
        fault: Fault,
        /// The byte of the text at which it was noticed.
        at: usize,
    },
    /// Strict mode, and nobody set the variable.
    #[error("variable not set (strict mode): {0:?}")]
    NotSet(String),
    /// An operator cannot do its work.
    #[error("{failure}: {name:?}")]
    Operator {
        /// The variable.
        name: String,
        /// What its operator cannot do.
        failure: Failure,
    },
}

/// Operators that say what an unset variable is; the others need one that is set, in strict mode.
const DEFAULTS: [&str; 5] = ["=", ":=", ":-", ":?", ":+"];

/// The text with everything between `${` and `}` replaced.
pub(super) fn expand(
    text: &str,
    variables: &Variables,
    strict: bool,
    steps: &Steps,
) -> Result<Zeroizing<String>, Refusal> {
    let parts = parse(text).map_err(|(fault, at)| Refusal::Template { fault, at })?;
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    for part in &parts {
        write(&mut out, part, variables, strict, steps)?;
    }
    Ok(out)
}

fn write(
    out: &mut String,
    part: &Part,
    variables: &Variables,
    strict: bool,
    steps: &Steps,
) -> Result<(), Refusal> {
    match part {
        Part::Text(text) => out.push_str(text),
        Part::Expansion(expansion) => {
            out.push_str(&value_of(expansion, variables, strict, steps)?);
        }
    }
    Ok(())
}

fn value_of(
    expansion: &Expansion,
    variables: &Variables,
    strict: bool,
    steps: &Steps,
) -> Result<Zeroizing<String>, Refusal> {
    let Expansion {
        name,
        operator,
        arguments,
    } = expansion;
    let has_default = DEFAULTS.contains(&operator.as_str());
    let mut texts = Zeroizing::new(Vec::with_capacity(arguments.len()));
    for argument in arguments {
        let mut text = String::new();
        write(&mut text, argument, variables, strict, steps)?;
        texts.push(text);
    }
    if let Some(stand_in) = variables.stand_in(name, has_default) {
        return Ok(Zeroizing::new(stand_in.under(operator, &texts)));
    }
    let value = variables.get(name).map(|variable| variable.value());
    if value.is_none() && strict && !has_default {
        return Err(Refusal::NotSet(name.clone()));
    }
    apply(operator, value.unwrap_or_default(), &texts, steps)
        .map(Zeroizing::new)
        .map_err(|failure| Refusal::Operator {
            name: name.clone(),
            failure,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unknown::{Marker, Unknown};
    use crate::vars::Unset;

    fn check(text: &str, strict: bool) -> Result<String, Refusal> {
        let mut variables = Variables::default();
        for (name, value) in [
            ("name", "world"),
            ("empty", ""),
            ("path", "/home/weir/example.tar.gz"),
            ("ext", ".tar.gz"),
            ("n", "2"),
            ("slashes", "a/b/c"),
        ] {
            variables.set(name, value, false, "inline");
        }
        expand(text, &variables, strict, &Steps::new(10_000)).map(|text| text.to_string())
    }

    #[test]
    fn texts_expand() {
        let cases = [
            ("hello ${name}!", "hello world!"),
            ("$name $${name} $$", "$name ${name} $"),
            ("$$$${name}|$$${name}", "$${name}|$world"),
            ("${#name}", "5"),
            ("${name^}${name^^}", "WorldWORLD"),
            ("${name:1:${n}}", "or"),
            ("${name: -1}", "world"),
            ("${path##*/}", "example.tar.gz"),
            ("${path#*/}", "home/weir/example.tar.gz"),
            ("${path%.*}", "/home/weir/example.tar"),
            ("${path%${ext}}", "/home/weir/example"),
            ("${path%%.*}", "/home/weir/example"),
            ("${unset:=a ${name} b}", "a world b"),
            ("${unset:-$${name}}", "$world"),
            ("${unset=x}${empty=y}${empty:-z}", "xyz"),
            ("${name:+other}", "world"),
            ("${unset:?message}", "message"),
            ("${unset:=}", ""),
            ("${unset:=${unset:-${name}}}", "world"),
            ("${slashes/\\//-}", "a-b/c"),
            ("${slashes//\\//-}", "a-b-c"),
            ("${slashes/b/}", "a//c"),
            ("${slashes/b//x}", "a/x/c"),
            ("${slashes/#a/\\\\}", "\\/b/c"),
            ("a\\\\b \\/", "a\\\\b \\/"),
            ("${empty}", ""),
        ];
        for (text, want) in cases {
            assert_eq!(check(text, true).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_stays_so_under_every_operator() {
        let marker = Marker::new(3);
        let unset = |source: Option<&str>| Unset {
            marker: marker.clone(),
            source: source.map(str::to_owned),
            identity: String::new(),
        };
        let expanded = |text: &str, unset: Unset| {
            let mut variables = Variables::default();
            variables.set("name", "world", false, "inline");
            let unknown = Unknown {
                reason: "map.key".to_owned(),
                identity: "1".to_owned(),
            };
            variables.set_unknown("key", unknown, &marker, "ConfigMap/map");
            variables.stand_in_for_unset(unset);
            let text = expand(text, &variables, true, &Steps::new(10_000)).expect("it expands");
            marker.shown(&text, |unknown| format!("<{}>", unknown.reason))
        };
        for (text, with_source, without) in [
            ("${name^^}", "WORLD", "WORLD"),
            (
                "a${key:0:2}${#key}",
                "a<map.key><map.key>",
                "a<map.key><map.key>",
            ),
            ("${key:=x}", "<map.key>", "<map.key>"),
            ("${x}", "<late.x>", "<${x}, which nothing sets>"),
            ("${x:=${key}}", "<late.x>", "<map.key>"),
            ("${x:-no}", "<late.x>", "no"),
        ] {
            assert_eq!(expanded(text, unset(Some("late"))), with_source, "{text}");
            assert_eq!(expanded(text, unset(None)), without, "{text}");
        }
    }

    #[test]
    fn what_operators_make_of_the_unknown_is_the_same_only_where_they_are() {
        let expanded = |text: &str, name: &str| {
            let mut variables = Variables::default();
            variables.set("name", name, false, "inline");
            variables.stand_in_for_unset(Unset {
                marker: Marker::new(3),
                source: Some("late".to_owned()),
                identity: String::new(),
            });
            expand(text, &variables, true, &Steps::new(10_000)).expect("it expands")
        };
        let texts = [
            "${x}",
            "${x:=a}",
            "${x:=b}",
            "${x:0:3}",
            "${x/a/b}",
            "${x/ab/}",
            "${y}",
            "${x:=${y}}",
        ];
        for one in texts {
            for other in texts {
                let same = expanded(one, "n") == expanded(other, "n");
                assert_eq!(same, one == other, "{one} {other}");
            }
        }
        let text = "${x:=${name}}";
        assert_ne!(expanded(text, "one"), expanded(text, "two"));
    }

    #[test]
    fn strictness_asks_for_every_variable_without_a_default() {
        for text in [
            "${x}",
            "${#x}",
            "${x^}",
            "${x,,}",
            "${x:0}",
            "${x/a/b}",
            "${x//a/b}",
            "${x#a}",
            "${x%%a}",
            "${name:=${x}}",
        ] {
            assert_eq!(
                check(text, true),
                Err(Refusal::NotSet("x".into())),
                "{text}"
            );
            assert!(check(text, false).is_ok(), "{text}");
        }
        assert_eq!(check("[${x}]", false).as_deref(), Ok("[]"));
        assert_eq!(check("${#x}", false).as_deref(), Ok("0"));
    }
}
