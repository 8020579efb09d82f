//! Shamir's secret sharing over GF(2^8), as SOPS splits a data key over key groups. No table, no branch on a secret.

use zeroize::Zeroizing;

use crate::error::ErrorKind;
use crate::random;

/// Multiplies modulo x^8 + x^4 + x^3 + x + 1 without branches.
fn multiply(left: u8, right: u8) -> u8 {
    let (mut left, mut product) = (left, 0);
    for bit in 0..8 {
        product ^= left & ((right >> bit) & 1).wrapping_neg();
        let carry = (left >> 7).wrapping_neg();
        left = (left << 1) ^ (0x1b & carry);
    }
    product
}

/// The inverse, as the 254th power; 0 has none and gives 0.
fn invert(value: u8) -> u8 {
    let mut power = value;
    let mut product = 1;
    for _ in 0..7 {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    product
}

/// Combines shares; the last byte of each is its x.
pub(crate) fn combine(shares: &[Zeroizing<Vec<u8>>]) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let refused = |problem| Err(ErrorKind::Shamir(problem));
    let [first, _, ..] = shares else {
        return refused("it takes two shares or more");
    };
    let length = first.len();
    if length < 2 {
        return refused("a share is too short");
    }
    if shares.iter().any(|share| share.len() != length) {
        return refused("the shares differ in length");
    }
    let xs: Vec<u8> = shares.iter().map(|share| share[length - 1]).collect();
    if (1..xs.len()).any(|index| xs[..index].contains(&xs[index])) {
        return refused("a share is there twice");
    }
    let weights: Vec<u8> = (0..xs.len()).map(|index| weight(&xs, index)).collect();
    let secret = (0..length - 1).map(|at| {
        shares
            .iter()
            .zip(&weights)
            .fold(0, |sum, (share, &weight)| sum ^ multiply(share[at], weight))
    });
    Ok(Zeroizing::new(secret.collect()))
}

/// Lagrange's basis polynomial of one share at 0.
fn weight(xs: &[u8], index: usize) -> u8 {
    let mut weight = 1;
    for (other, &x) in xs.iter().enumerate() {
        if other != index {
            weight = multiply(weight, multiply(x, invert(x ^ xs[index])));
        }
    }
    weight
}

/// Splits a secret into `count` shares of which `threshold` combine.
pub(crate) fn split(
    secret: &[u8],
    count: u8,
    threshold: u8,
) -> Result<Vec<Zeroizing<Vec<u8>>>, ErrorKind> {
    let mut coefficients = Zeroizing::new(vec![0; usize::from(threshold).saturating_sub(1)]);
    let mut shares: Vec<_> = (1..=count)
        .map(|_| Zeroizing::new(Vec::with_capacity(secret.len() + 1)))
        .collect();
    for &byte in secret {
        random::fill(&mut coefficients)?;
        for (share, x) in shares.iter_mut().zip(1..) {
            let high = coefficients
                .iter()
                .fold(0, |sum, &coefficient| multiply(sum, x) ^ coefficient);
            share.push(multiply(high, x) ^ byte);
        }
    }
    for (share, x) in shares.iter_mut().zip(1..=count) {
        share.push(x);
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::{combine, invert, multiply, split};

    #[test]
    fn every_value_but_zero_has_an_inverse() {
        assert!((1..=255).all(|value| multiply(value, invert(value)) == 1));
    }

    #[test]
    fn a_threshold_of_shares_combines_and_fewer_do_not() {
        let shares = split(b"secret", 5, 3).expect("splits");
        let three = [shares[4].clone(), shares[0].clone(), shares[2].clone()];
        assert_eq!(&combine(&three).expect("combines")[..], b"secret");
        assert_ne!(&combine(&three[..2]).expect("combines")[..], b"secret");
        assert!(combine(&three[..1]).is_err());
    }
}
