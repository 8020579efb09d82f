//! Bech32 without a length limit, as age writes its keys.

use zeroize::Zeroizing;

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECKSUM: usize = 6;

fn checksum(prefix: &str, values: impl Iterator<Item = u8>) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let expanded = prefix
        .bytes()
        .map(|byte| byte >> 5)
        .chain([0])
        .chain(prefix.bytes().map(|byte| byte & 31));
    expanded.chain(values).fold(1, |sum, value| {
        let top = sum >> 25;
        let shifted = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        (0..5).fold(shifted, |sum, bit| {
            sum ^ (GENERATOR[bit] * ((top >> bit) & 1))
        })
    })
}

/// Reads the bytes of a text with the prefix (lower case); the text is in one case throughout.
pub(crate) fn decode(text: &str, prefix: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mixed = text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_uppercase());
    let (have, data) = text.rsplit_once('1')?;
    if mixed || !have.eq_ignore_ascii_case(prefix) {
        return None;
    }
    let values = data
        .bytes()
        .map(|byte| {
            let lower = byte.to_ascii_lowercase();
            LETTERS.iter().position(|&letter| letter == lower)
        })
        .map(|index| Some(index? as u8))
        .collect::<Option<Vec<u8>>>()
        .map(Zeroizing::new)?;
    let length = values.len().checked_sub(CHECKSUM)?;
    (checksum(prefix, values.iter().copied()) == 1).then_some(())?;
    regroup(&values[..length], 5, 8)
}

/// Writes bytes with the prefix, in lower case.
pub(crate) fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    let values = regroup(bytes, 8, 5).unwrap_or_default();
    let padded = values.iter().copied().chain([0; CHECKSUM]);
    let sum = checksum(prefix, padded) ^ 1;
    let tail = (0..CHECKSUM).map(|index| (sum >> (5 * (CHECKSUM - 1 - index))) as u8 & 31);
    let letters = values.iter().copied().chain(tail);
    let mut text = Zeroizing::new(format!("{prefix}1"));
    text.extend(letters.map(|value| char::from(LETTERS[usize::from(value)])));
    text
}

/// Regroups bits. Bits left over are padding: zero, and fewer than a group of the source.
fn regroup(values: &[u8], from: u32, to: u32) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(values.len() * 8 / to as usize + 1));
    let (mut held, mut bits) = (0u32, 0);
    for &value in values {
        held = (held << from | u32::from(value)) & 0xfff;
        bits += from;
        while bits >= to {
            bits -= to;
            out.push((held >> bits & ((1 << to) - 1)) as u8);
        }
    }
    let rest = held & ((1 << bits) - 1);
    if to == 8 {
        (bits < from && rest == 0).then_some(())?;
    } else if bits > 0 {
        out.push((rest << (to - bits)) as u8);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn what_is_encoded_decodes_and_a_changed_letter_does_not() {
        for length in [0, 1, 5, 32, 1216] {
            let bytes: Vec<u8> = (0..length).map(|index| (index * 7) as u8).collect();
            let text = encode("age", &bytes);
            assert_eq!(decode(&text, "age").expect("decodes")[..], bytes);
            assert_eq!(
                decode(&text.to_uppercase(), "age").expect("decodes")[..],
                bytes
            );
            let changed = text.replace("age1", "age1q");
            assert!(decode(&changed, "age").is_none());
        }
    }
}
