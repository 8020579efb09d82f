//! "Did you mean …?": the known name nearest to a mistyped one.

/// The known name that is at most two edits (one, for short names) away, the nearest first.
pub fn nearest<'a>(typed: &str, known: &[&'a str]) -> Option<&'a str> {
    let allowed = match typed.len() {
        0..=2 => return None,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    known
        .iter()
        .map(|name| (distance(&typed.to_lowercase(), &name.to_lowercase()), *name))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Edits between two words: insertions, deletions, substitutions and swaps of neighbours.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut edits = (last[j] + usize::from(a != b))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                edits = edits.min(before[j - 1] + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["namePrefix", "namespace", "resources", "images"];
        for (typed, want) in [
            ("namePrefx", Some("namePrefix")),
            ("resource", Some("resources")),
            ("recources", Some("resources")),
            ("iamges", Some("images")),
            ("replicas", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, &known), want, "{typed}");
        }
    }
}
