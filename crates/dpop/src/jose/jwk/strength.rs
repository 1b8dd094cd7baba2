//! Keys that are well formed and still no good.

use crate::error::KeyError;
use crate::jose::PublicJwk;

/// Takes the modulus and exponent as big-endian bytes.
///
/// An exponent of 3 is taken: with sound padding, which is all there is here, it is not weaker. The upper bound keeps
/// verifying cheap.
pub(crate) fn rsa_key(n: Vec<u8>, e: Vec<u8>) -> Result<PublicJwk, KeyError> {
    if n.first().is_none_or(|&byte| byte == 0) {
        return Err(KeyError::BadMember { member: "n" });
    }
    if e.first().is_none_or(|&byte| byte == 0) {
        return Err(KeyError::BadMember { member: "e" });
    }
    let weak = |reason| Err(KeyError::Weak { reason });
    let bits = n.len() * 8 - n[0].leading_zeros() as usize;
    if !(2_048..=4_096).contains(&bits) {
        return weak("an RSA modulus outside 2048 to 4096 bits");
    }
    if n[n.len() - 1].is_multiple_of(2) {
        return weak("an even RSA modulus");
    }
    if e.len() > 5 || e.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)) >= 1 << 33 {
        return weak("an RSA exponent of 2^33 or more");
    }
    if e[e.len() - 1].is_multiple_of(2) || e == [1] {
        return weak("an RSA exponent that is even or below 3");
    }
    if has_roca_pattern(&n) {
        return weak("an RSA modulus with the pattern of CVE-2017-15361");
    }
    Ok(PublicJwk::Rsa { n, e })
}

/// The primes of the ROCA generator (CVE-2017-15361) were powers of 65537 modulo many small primes, and so are the
/// moduli made of them; such a modulus can be factored. A sound one is refused once in 2^27.
fn has_roca_pattern(n: &[u8]) -> bool {
    // Those below 167 for which not everything is a power of 65537, most telling first: the first line is enough for
    // all but one modulus in 16,000.
    has_pattern::<{ 97 * 37 * 79 * 11 * 61 }>(n, &[97, 37, 79, 11, 61])
        && has_pattern::<{ 73 * 127 * 151 * 13 * 17 }>(n, &[73, 127, 151, 13, 17])
        && has_pattern::<{ 19 * 53 * 71 * 103 * 107 }>(n, &[19, 53, 71, 103, 107])
        && has_pattern::<{ 109 * 157 }>(n, &[109, 157])
}

/// Divides by the product of the primes, which is known to the compiler and below 2^30, and asks the remainder.
fn has_pattern<const PRODUCT: u64>(n: &[u8], primes: &[u64]) -> bool {
    let (head, words) = n.as_rchunks::<4>();
    let head = head.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
    let residue = words.iter().fold(head, |value, &word| (value << 32 | u64::from(u32::from_be_bytes(word))) % PRODUCT);
    primes.iter().all(|&prime| is_power_of_65537(residue % prime, prime))
}

fn is_power_of_65537(residue: u64, prime: u64) -> bool {
    let mut power = 1;
    for _ in 1..prime {
        if power == residue {
            return true;
        }
        power = power * 65_537 % prime;
    }
    false
}

/// Takes an encoded point (RFC 8032 §5.1.2). With a point of low order a signature fits any message; a point with a
/// second encoding would have a second thumbprint.
pub(crate) fn ed25519_key(x: [u8; 32]) -> Result<PublicJwk, KeyError> {
    let mut y = x;
    y[31] &= 0x7f;
    if y.iter().rev().ge(PRIME.iter().rev()) {
        return Err(KeyError::BadMember { member: "x" });
    }
    if LOW_ORDER.contains(&y) {
        return Err(KeyError::Weak { reason: "an Ed25519 point of low order" });
    }
    Ok(PublicJwk::Ed25519 { x })
}

/// 2^255 − 19, little-endian.
const PRIME: [u8; 32] = ends(0xed, 0xff, 0x7f);

/// The y coordinates of the eight points whose order divides 8, little-endian: 0, 1, −1, and the two of order 8.
pub(super) const LOW_ORDER: [[u8; 32]; 5] = [
    ends(0, 0, 0),
    ends(1, 0, 0),
    ends(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}
