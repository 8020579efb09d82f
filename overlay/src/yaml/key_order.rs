//! The order of keys in the output: go-yaml's natural order, in which `x9` comes before `x10`.

use std::cmp::Ordering;

/// Compares two keys. Not transitive for some odd triples (`a10`, `a1b`, `a2`), as in go-yaml.
pub fn compare_keys(left: &str, right: &str) -> Ordering {
    let (a, b) = (left.as_bytes(), right.as_bytes());
    let Some(mut index) = a.iter().zip(b).position(|(x, y)| x != y) else {
        return a.len().cmp(&b.len());
    };
    while !left.is_char_boundary(index) {
        index -= 1;
    }
    compare_at(left, right, index)
}

/// Compares at the first character that differs.
fn compare_at(left: &str, right: &str, index: usize) -> Ordering {
    let (Some(x), Some(y)) = (left[index..].chars().next(), right[index..].chars().next()) else {
        return left.len().cmp(&right.len());
    };
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => x.cmp(&y),
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare_numbers(left, right, index).then(x.cmp(&y)),
    }
}

/// Compares the digits from there on as numbers, then by how many there are.
fn compare_numbers(left: &str, right: &str, index: usize) -> Ordering {
    let (a, b) = (&left.as_bytes()[index..], &right.as_bytes()[index..]);
    let start = i64::from((a[0] == b'0' || b[0] == b'0') && follows_number(left, index));
    let (a_value, a_digits) = leading_number(a, start);
    let (b_value, b_digits) = leading_number(b, start);
    a_value.cmp(&b_value).then(a_digits.cmp(&b_digits))
}

/// True when the digits right before hold one that is not zero.
fn follows_number(text: &str, index: usize) -> bool {
    text.as_bytes()[..index]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .any(|byte| *byte != b'0')
}

fn leading_number(bytes: &[u8], start: i64) -> (i64, usize) {
    let count = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let value = bytes[..count].iter().fold(start, |sum, byte| {
        sum.wrapping_mul(10).wrapping_add(i64::from(byte - b'0'))
    });
    (value, count)
}

/// Sorts with any comparison, transitive or not, which the standard library's sort may refuse with a panic.
pub(crate) fn sort_keys<T: Copy>(items: &mut [T], key: impl Fn(&T) -> &str + Copy) {
    let in_order = |pair: &[T]| compare_keys(key(&pair[0]), key(&pair[1])) != Ordering::Greater;
    if items.windows(2).all(in_order) {
        return;
    }
    if items.len() <= 24 {
        insertion_sort(items, key);
    } else {
        merge_sort(items, key);
    }
}

fn insertion_sort<T: Copy>(items: &mut [T], key: impl Fn(&T) -> &str + Copy) {
    for end in 1..items.len() {
        let mut index = end;
        while index > 0
            && compare_keys(key(&items[index]), key(&items[index - 1])) == Ordering::Less
        {
            items.swap(index, index - 1);
            index -= 1;
        }
    }
}

fn merge_sort<T: Copy>(items: &mut [T], key: impl Fn(&T) -> &str + Copy) {
    let middle = items.len() / 2;
    sort_keys(&mut items[..middle], key);
    sort_keys(&mut items[middle..], key);
    let left = items[..middle].to_vec();
    let (mut from_left, mut from_right) = (0, middle);
    for target in 0..items.len() {
        let take_right = from_left == left.len()
            || (from_right < items.len()
                && compare_keys(key(&items[from_right]), key(&left[from_left])) == Ordering::Less);
        if take_right {
            items[target] = items[from_right];
            from_right += 1;
        } else {
            items[target] = left[from_left];
            from_left += 1;
        }
    }
}
