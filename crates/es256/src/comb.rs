//! Signed combs: which points of a table add up to a multiple of its point.
//!
//! A scalar k is written with L = blocks · teeth · spacing digits that are all 1 or −1: k ≡ Σ dᵢ 2ⁱ (mod n). With
//! c = (k + 2ᴸ − 1) / 2 modulo n that is dᵢ = 2cᵢ − 1, where cᵢ are the bits of c. Block b, tooth t and round r stand at
//! place i = (b · teeth + t) · spacing + r. In each round, each block adds the one point Σₜ ±2^((b · teeth + t) ·
//! spacing) · Q that its teeth say, and between two rounds the sum is doubled. A table holds those points for each
//! block, with the highest tooth positive, so that it has half of them; the others are their negatives. No digit is 0,
//! so every scalar takes the same additions, and none begins at infinity.

use crate::native;
use crate::scalar::{N, Scalar};
use crate::wide::Limbs;

/// A geometry. More points make for fewer additions (`blocks · spacing`) and doublings (`spacing − 1`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Comb<const TEETH: usize, const BLOCKS: usize, const SPACING: usize>;

/// Which point of a block, and whether its negative.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Digit {
    pub(crate) place: u16,
    pub(crate) negative: bool,
}

impl<const TEETH: usize, const BLOCKS: usize, const SPACING: usize> Comb<TEETH, BLOCKS, SPACING> {
    /// Points in one block of a table.
    pub(crate) const BLOCK: usize = 1 << (TEETH - 1);
    /// Points in a table.
    pub(crate) const POINTS: usize = BLOCKS * Self::BLOCK;
    const LENGTH: usize = TEETH * BLOCKS * SPACING;
    /// 2ᴸ − 1 modulo n.
    const ALL: Limbs = {
        assert!(Self::LENGTH >= 256 && TEETH * SPACING <= 128 && TEETH >= 3 && TEETH <= 16);
        power_less_one(Self::LENGTH)
    };

    /// The digits of `scalar`; `None` if `table` is not of this geometry. A table may be anywhere in memory: the points
    /// are asked for while other work is done.
    #[inline(always)]
    pub(crate) fn digits_within<Point>(table: &[Point], scalar: Scalar) -> Option<[[Digit; BLOCKS]; SPACING]> {
        if table.len() != Self::POINTS {
            return None;
        }
        let digits = Self::digits(scalar);
        for digit in digits.as_flattened() {
            native::prefetch(&table[usize::from(digit.place)]);
        }
        Some(digits)
    }

    /// The digits of `scalar`: by round, and in a round by block. Places are within the whole table.
    #[inline(always)]
    pub(crate) fn digits(scalar: Scalar) -> [[Digit; BLOCKS]; SPACING] {
        let bits = scalar.half_of_sum(&Self::ALL);
        let mut digits = [[Digit::default(); BLOCKS]; SPACING];
        for block in 0..BLOCKS {
            let mut own = bits_from(&bits, block * TEETH * SPACING);
            for round in &mut digits {
                round[block] = Self::digit(block, own);
                own >>= 1;
            }
        }
        digits
    }

    /// The digit whose bits stand at every `SPACING`th place of `own`.
    #[inline(always)]
    fn digit(block: usize, own: u128) -> Digit {
        let mut teeth = 0;
        for tooth in 0..TEETH {
            teeth |= low_bit(own >> (tooth * SPACING)) << tooth;
        }
        let negative = teeth >> (TEETH - 1) == 0;
        // With the highest tooth negative, the point is the negative of the one whose teeth are all turned round.
        let turned = teeth ^ u16::from(negative).wrapping_neg();
        let within = usize::from(turned) & (Self::BLOCK - 1);
        #[expect(clippy::cast_possible_truncation, reason = "a table has at most 2^15 points")]
        Digit { place: (block * Self::BLOCK + within) as u16, negative }
    }
}

/// 2^`exponent` − 1 modulo n. For constants: slow, by one doubling after the other.
const fn power_less_one(exponent: usize) -> Limbs {
    let (mut power, mut place) = ([1, 0, 0, 0], 0);
    while place < exponent {
        let [a, b, c, d]: Limbs = power;
        let doubled = [a << 1, b << 1 | a >> 63, c << 1 | b >> 63, d << 1 | c >> 63];
        let (reduced, under) = less(doubled, N);
        power = if d >> 63 == 1 || !under { reduced } else { doubled };
        place += 1;
    }
    less(power, [1, 0, 0, 0]).0
}

/// The difference, and whether it went under 0, for constants.
const fn less(a: Limbs, b: Limbs) -> (Limbs, bool) {
    let (mut difference, mut under, mut place) = (a, false, 0);
    while place < 4 {
        let (without, first) = a[place].overflowing_sub(b[place]);
        let (limb, second) = without.overflowing_sub(under as u64);
        difference[place] = limb;
        under = first || second;
        place += 1;
    }
    (difference, under)
}

#[inline(always)]
fn low_bit(bits: u128) -> u16 {
    u16::from(bits & 1 == 1)
}

/// 128 bits from `place` on; 0 beyond the 256th.
#[inline(always)]
fn bits_from(limbs: &Limbs, place: usize) -> u128 {
    let limb = |place: usize| u128::from(limbs.get(place).copied().unwrap_or_default());
    let (first, shift) = (place / 64, place % 64);
    let low = limb(first) | limb(first + 1) << 64;
    if shift == 0 { low } else { low >> shift | limb(first + 2) << (128 - shift) }
}

#[cfg(test)]
pub(crate) mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::{Comb, Digit};
    use crate::portable::{Base, Hot, Small};
    use crate::reference::{any_below, less, n, number};
    use crate::scalar::Scalar;

    impl<const TEETH: usize, const BLOCKS: usize, const SPACING: usize> Comb<TEETH, BLOCKS, SPACING> {
        /// What the point at a digit's place is a multiple by.
        pub(crate) fn multiple(digit: Digit) -> BigUint {
            let (block, within) = (usize::from(digit.place) / Self::BLOCK, usize::from(digit.place) % Self::BLOCK);
            let tooth = |tooth: usize| BigUint::from(1_u32) << ((block * TEETH + tooth) * SPACING);
            let (mut plus, mut minus) = (tooth(TEETH - 1), BigUint::ZERO);
            for place in 0..TEETH - 1 {
                *(if within >> place & 1 == 1 { &mut plus } else { &mut minus }) += tooth(place);
            }
            if digit.negative { less(&minus, &plus, &n()) } else { less(&plus, &minus, &n()) }
        }

        /// The scalar that the digits add up to.
        fn total(digits: &[[Digit; BLOCKS]; SPACING]) -> BigUint {
            let round = |round: &[Digit; BLOCKS]| round.iter().map(|digit| Self::multiple(*digit)).sum::<BigUint>();
            digits.iter().rev().fold(BigUint::ZERO, |total, digits| (total * 2_u32 + round(digits)) % n())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn digits_add_up_to_the_scalar(scalar in any_below(n())) {
            let expected = number(&scalar);
            prop_assert_eq!(&Small::total(&Small::digits(Scalar(scalar))), &expected);
            prop_assert_eq!(&Hot::total(&Hot::digits(Scalar(scalar))), &expected);
            prop_assert_eq!(&Base::total(&Base::digits(Scalar(scalar))), &expected);
            prop_assert_eq!(&Comb::<4, 8, 8>::total(&Comb::<4, 8, 8>::digits(Scalar(scalar))), &expected);
            prop_assert_eq!(&Comb::<7, 8, 5>::total(&Comb::<7, 8, 5>::digits(Scalar(scalar))), &expected);
            prop_assert_eq!(&Comb::<8, 8, 4>::total(&Comb::<8, 8, 4>::digits(Scalar(scalar))), &expected);
        }
    }
}
