//! Two lists whose items are told apart by something, in the order in which the API server unites them.

use serde_json::Value;

/// The items of what is there and of what is wanted. Those that both have stand as they are wanted; those that are only
/// there keep their place before what followed them.
pub(super) fn united(
    there: &[Value],
    wanted: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
    merged: impl Fn(Option<&Value>, &Value) -> Value,
) -> Vec<Value> {
    let partner = |item: &Value| there.iter().position(|other| same(other, item));
    let partners: Vec<Option<usize>> = wanted.iter().map(partner).collect();
    let merged = |at: usize| merged(partners[at].map(|other| &there[other]), &wanted[at]);
    let mut all = Vec::with_capacity(there.len() + wanted.len());
    let mut next = 0;
    for (index, item) in there.iter().enumerate() {
        let Some(at) = partners.iter().position(|other| *other == Some(index)) else {
            all.push(item.clone());
            continue;
        };
        // One that is wanted later than another that both have comes with that.
        if at >= next && partners[next..at].iter().all(Option::is_none) {
            all.extend((next..=at).map(&merged));
            next = at + 1;
        }
    }
    all.extend((next..wanted.len()).map(merged));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_united_as_the_server_does_it() {
        for (there, wanted, expected) in [
            ("ab", "ab", "ab"),
            ("xab", "ab", "xab"),
            ("axb", "ab", "axb"),
            ("abx", "abc", "abxc"),
            ("ab", "ba", "ba"),
            ("axb", "ba", "xba"),
            ("ab", "cab", "cab"),
            ("xab", "cab", "xcab"),
            ("", "ab", "ab"),
            ("x", "", "x"),
        ] {
            let list = |text: &str| -> Vec<Value> {
                text.chars().map(|it| it.to_string().into()).collect()
            };
            let all = united(
                &list(there),
                &list(wanted),
                |a, b| a == b,
                |_, it| it.clone(),
            );
            assert_eq!(all, list(expected), "{there} {wanted}");
        }
    }
}
