//! Conflict markers: both sides of what people must decide, in the file, for an editor.

use similar::{ChangeTag, TextDiff};

use super::base::Past;
use super::file::{Fate, Versions, outcome};
use super::merge::{Choice, Rules, Side};

/// The merged file with both versions of every conflict in it. It is the difference between the two merges that settle
/// all conflicts for one side; all else is the same in both.
pub fn marked(
    path: &str,
    past: &Past,
    [source, target]: [&[u8]; 2],
    rules: &Rules,
    names: [&str; 2],
) -> String {
    let open = outcome(path, versions(past, source, target), rules);
    let places: Vec<String> = open
        .findings
        .iter()
        .filter(|finding| finding.is_open())
        .map(|finding| finding.path.clone())
        .collect();
    let settled = |side: Side| {
        let mut rules = rules.clone();
        let choice = |path: &String| Choice {
            path: path.clone(),
            side,
        };
        rules.choices.extend(places.iter().map(choice));
        let bytes = match outcome(path, versions(past, source, target), &rules).fate {
            Fate::Written(bytes) => bytes,
            Fate::Same => target.to_vec(),
            Fate::Deleted => Vec::new(),
        };
        String::from_utf8_lossy(&bytes).into_owned()
    };
    woven(&settled(Side::Target), &settled(Side::Source), names)
}

fn versions<'a>(past: &'a Past, source: &'a [u8], target: &'a [u8]) -> Versions<'a> {
    Versions {
        past,
        source: Some(source),
        target: Some(target),
    }
}

/// Two texts in one: what differs between markers, the target's first.
fn woven(target: &str, source: &str, [from, to]: [&str; 2]) -> String {
    let diff = TextDiff::from_lines(target, source);
    let mut out = String::new();
    for group in diff.ops() {
        let changes: Vec<_> = diff.iter_changes(group).collect();
        let lines = |tag: ChangeTag| -> String {
            let found = changes.iter().filter(|change| change.tag() == tag);
            found.map(|change| change.value()).collect()
        };
        let (old, new) = (lines(ChangeTag::Delete), lines(ChangeTag::Insert));
        if old.is_empty() && new.is_empty() {
            out.push_str(&lines(ChangeTag::Equal));
            continue;
        }
        let ended = |text: String| match text.is_empty() || text.ends_with('\n') {
            true => text,
            false => format!("{text}\n"),
        };
        out.push_str(&format!(
            "<<<<<<< {to}\n{}=======\n{}>>>>>>> {from}\n",
            ended(old),
            ended(new)
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_a_conflict_stand_in_the_file_and_nothing_else() {
        let past = Past::Was(b"a: 1\nb: 1\nc: 1\n".to_vec());
        let (source, target) = (
            b"a: 2\nb: 2\nc: 1\n".as_slice(),
            b"a: 1\nb: 3 # mine\nc: 4\n".as_slice(),
        );
        let text = marked(
            "x.yaml",
            &past,
            [source, target],
            &Rules::default(),
            ["staging", "prod"],
        );
        let want = "a: 2\n<<<<<<< prod\nb: 3 # mine\n=======\nb: 2 # mine\n>>>>>>> staging\nc: 4\n";
        assert_eq!(text, want);
    }
}
