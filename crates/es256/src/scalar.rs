//! Numbers modulo n, the order of P-256 (SP 800-186 §3.2.1.3).

use crate::inverse::Modulus;
use crate::wide::{self, Limbs};

/// n.
pub(crate) const N: Limbs =
    [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000];
/// R² modulo n, with R = 2²⁵⁶.
const R_SQUARED: Limbs = [0x8324_4c95_be79_eea2, 0x4699_799c_49bd_6fa6, 0x2845_b239_2b6b_ec59, 0x66e1_2d94_f3d9_5620];
/// −1 / n modulo 2⁶⁴.
const NEGATIVE_INVERSE: u64 = 0xccd1_c8aa_ee00_bc4f;
static INVERSION: Modulus = Modulus::new(N);

/// A plain number below n.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scalar(pub(crate) Limbs);

impl Scalar {
    /// A number from 1 to n − 1; `None` for any other: what r and s of a signature have to be (FIPS 186-5 §6.4.2).
    pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let number = wide::from_be_bytes(bytes);
        (number != [0; 4] && wide::is_less(&number, &N)).then_some(Self(number))
    }

    /// The number modulo n: what becomes of a message's hash.
    pub(crate) fn from_be_bytes_reduced(bytes: &[u8; 32]) -> Self {
        // 2²⁵⁶ is less than 2n, so that once is enough.
        let number = wide::from_be_bytes(bytes);
        let (reduced, under) = wide::subtract(&number, &N);
        Self(if under { number } else { reduced })
    }

    /// `numerators` / self, each; `None` if self is zero. Takes a time that depends on the number.
    #[inline(always)]
    pub(crate) fn divide<const COUNT: usize>(self, numerators: [Self; COUNT]) -> Option<[Self; COUNT]> {
        // The inverse times R: a product with it by Montgomery's reduction is a plain quotient.
        let inverse = montgomery(&INVERSION.invert(&self.0), &R_SQUARED);
        let mut quotients = numerators;
        for quotient in &mut quotients {
            quotient.0 = montgomery(&quotient.0, &inverse);
        }
        // The longest of the computations proves itself.
        (montgomery(&self.0, &inverse) == [1, 0, 0, 0]).then_some(quotients)
    }

    /// (self + `addend`) / 2 modulo n, for an addend below n.
    #[inline(always)]
    pub(crate) fn half_of_sum(self, addend: &Limbs) -> Limbs {
        let sum = wide::add_modulo(&self.0, addend, &N);
        let (odd, over) = wide::add(&sum, &N);
        let is_odd = sum[0] & 1 == 1;
        let [a, b, c, d] = wide::choose(is_odd, &odd, &sum);
        let top = u64::from(over & is_odd);
        [a >> 1 | b << 63, b >> 1 | c << 63, c >> 1 | d << 63, d >> 1 | top << 63]
    }
}

/// a · b / R modulo n, below n.
#[inline(always)]
fn montgomery(a: &Limbs, b: &Limbs) -> Limbs {
    let mut t = wide::multiply(a, b);
    let mut over = 0;
    let mut step = 0;
    while step < 4 {
        let digit = t[step].wrapping_mul(NEGATIVE_INVERSE);
        let (_, carry) = digit.carrying_mul_add(N[0], t[step], 0);
        let (r1, carry) = digit.carrying_mul_add(N[1], t[step + 1], carry);
        let (r2, carry) = digit.carrying_mul_add(N[2], t[step + 2], carry);
        let (r3, carry) = digit.carrying_mul_add(N[3], t[step + 3], carry);
        let (r4, carry) = t[step + 4].carrying_add(carry, over == 1);
        t[step + 1] = r1;
        t[step + 2] = r2;
        t[step + 3] = r3;
        t[step + 4] = r4;
        over = u64::from(carry);
        step += 1;
    }
    let sum = [t[4], t[5], t[6], t[7]];
    let (reduced, under) = wide::subtract(&sum, &N);
    wide::choose(under && over == 0, &sum, &reduced)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::{N, R_SQUARED, Scalar, montgomery};
    use crate::reference::{any_below, bytes, n, number};

    #[test]
    fn constants_are_what_they_say() {
        assert_eq!(number(&N), n());
        let r = BigUint::from(1_u32) << 256_u32;
        assert_eq!(number(&R_SQUARED), &r * &r % n());
        assert_eq!(super::NEGATIVE_INVERSE.wrapping_mul(N[0]), u64::MAX);
    }

    #[test]
    fn takes_numbers_from_1_to_n_less_1() {
        let read = |number: BigUint| Scalar::from_be_bytes(&bytes(&number)).is_some();
        assert!(!read(BigUint::ZERO));
        assert!(read(BigUint::from(1_u32)));
        assert!(read(n() - 1_u32));
        assert!(!read(n()));
        assert!(!read(n() + 1_u32));
        assert!(!read((BigUint::from(1_u32) << 256_u32) - 1_u32));
    }

    #[test]
    fn reduces_every_hash() {
        let largest = (BigUint::from(1_u32) << 256_u32) - 1_u32;
        for hash in [BigUint::ZERO, n() - 1_u32, n(), n() + 1_u32, largest] {
            assert_eq!(number(&Scalar::from_be_bytes_reduced(&bytes(&hash)).0), hash % n());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn products_are_right(a in any_below(n()), b in any_below(n())) {
            let inverse_of_r = (BigUint::from(1_u32) << 256_u32).modinv(&n()).unwrap();
            prop_assert_eq!(number(&montgomery(&a, &b)), number(&a) * number(&b) * inverse_of_r % n());
        }

        #[test]
        fn quotients_are_right(a in any_below(n()), b in any_below(n()), c in any_below(n())) {
            let found = Scalar(a).divide([Scalar(b), Scalar(c)]);
            let inverse = number(&a).modinv(&n());
            prop_assert_eq!(found.is_some(), inverse.is_some());
            if let (Some(found), Some(inverse)) = (found, inverse) {
                prop_assert_eq!(number(&found[0].0), number(&b) * &inverse % n());
                prop_assert_eq!(number(&found[1].0), number(&c) * &inverse % n());
            }
        }

        #[test]
        fn halves_of_sums_are_right(a in any_below(n()), b in any_below(n())) {
            let half = number(&Scalar(a).half_of_sum(&b));
            prop_assert!(half < n());
            prop_assert_eq!(half * 2_u32 % n(), (number(&a) + number(&b)) % n());
        }
    }
}
