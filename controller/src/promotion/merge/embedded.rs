//! A ConfigMap's value that is a file itself: YAML, JSON, properties or env text, merged by its own leaves.

use overlay::yaml::{LaidValue, Tag};

use super::place::Place;
use super::rules::Rules;
use super::tree::{Pair, Past};
use super::{Base, Format, Merged, merge_text};

/// Endings of keys, and what is in them.
const FORMATS: [(&str, Format); 9] = [
    (".yaml", Format::Yaml),
    (".yml", Format::Yaml),
    (".json", Format::Yaml),
    (".properties", Format::Lines),
    (".env", Format::Lines),
    (".conf", Format::Lines),
    (".cfg", Format::Lines),
    (".ini", Format::Lines),
    (".txt", Format::Lines),
];

/// Merges the texts in a value; nothing when it is no file of a known form in all its versions.
pub(super) fn merge(
    place: &Place,
    past: Past<'_>,
    pair: Pair<'_>,
    rules: &Rules,
) -> Option<Merged> {
    let is_data = place.kind == "ConfigMap" && place.fields.len() == 2 && place.fields[0] == "data";
    let source = text(&pair.source.value.value).filter(|_| is_data)?;
    let target = text(&pair.target.value.value)?;
    let base = match past {
        Past::Unknown => Base::Unknown,
        Past::Absent => Base::Absent,
        Past::Was(laid) => Base::Was(text(&laid.value)?),
    };
    let by_name = FORMATS
        .iter()
        .find(|(ending, _)| place.field().ends_with(ending));
    let formats: &[Format] = match by_name {
        Some((_, format)) => &[*format],
        None if source.contains('\n') && target.contains('\n') => &[Format::Lines, Format::Yaml],
        None => &[],
    };
    formats
        .iter()
        .find_map(|format| merge_text(*format, &place.inside(), base, [source, target], rules).ok())
}

fn text(value: &LaidValue) -> Option<&str> {
    match value {
        LaidValue::Scalar {
            text,
            tag: Tag::Str,
            ..
        } => Some(text),
        _ => None,
    }
}
