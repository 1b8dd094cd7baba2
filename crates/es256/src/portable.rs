//! The portable engine: one sum, all in 64-bit words.
//!
//! The two combs of a verification, one for the base point with its fixed table and one for the key, share their
//! doublings: the key's has at least as many rounds, and the base point joins in the last of them.

use std::sync::LazyLock;

use crate::comb::{Comb, Digit};
use crate::point::{AffinePoint, BASE, Sum};
use crate::signature::Question;

/// 64 points, 4 KiB: 52 additions and 12 doublings.
pub(crate) type Small = Comb<5, 4, 13>;
/// 512 points, 32 KiB: 32 additions and 7 doublings.
pub(crate) type Hot = Comb<8, 4, 8>;
/// The base point's, for all keys: 3,072 points, 192 KiB, 24 additions.
pub(crate) type Base = Comb<11, 3, 8>;

/// A geometry of key tables that the base point's fits.
pub(crate) trait Decide {
    /// Whether the signature is good; `None` when the case is exceptional.
    fn decide(question: &Question, key: &[AffinePoint], base: &[AffinePoint]) -> Option<bool>;
}

impl<const TEETH: usize, const BLOCKS: usize, const SPACING: usize> Decide for Comb<TEETH, BLOCKS, SPACING> {
    #[inline(always)]
    fn decide(question: &Question, key: &[AffinePoint], base: &[AffinePoint]) -> Option<bool> {
        let [u1, u2] = question.s.divide([question.e, question.r])?;
        let key_digits = Self::digits_within(key, u2)?;
        let base_digits = Base::digits_within(base, u1)?;
        sum(key, &key_digits, base, &base_digits).has_x(&question.r.0, question.r_plus_n().as_ref())
    }
}

#[inline(always)]
fn sum<const BLOCKS: usize, const SPACING: usize>(
    key: &[AffinePoint],
    key_digits: &[[Digit; BLOCKS]; SPACING],
    base: &[AffinePoint],
    base_digits: &[[Digit; 3]; 8],
) -> Sum {
    let first = key_digits[SPACING - 1][0];
    let mut sum = Sum::new(&point(key, first));
    let mut skipped = 1;
    for round in (0..SPACING).rev() {
        if round + 1 < SPACING {
            sum = sum.double();
        }
        for &digit in &key_digits[round][skipped..] {
            sum = sum.add(&point(key, digit));
        }
        skipped = 0;
        if let Some(digits) = base_digits.get(round) {
            for &digit in digits {
                sum = sum.add(&point(base, digit));
            }
        }
    }
    sum
}

#[inline(always)]
fn point(table: &[AffinePoint], digit: Digit) -> AffinePoint {
    table[usize::from(digit.place)].negated_if(digit.negative)
}

/// The base point's table, built when it is first needed; empty, so that nothing can be decided, if that failed.
pub(crate) fn base() -> &'static [AffinePoint] {
    static TABLE: LazyLock<Box<[AffinePoint]>> = LazyLock::new(|| Base::table(&BASE).unwrap_or_default());
    &TABLE
}
