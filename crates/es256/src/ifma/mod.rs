//! The IFMA engine: eight sums, one in each lane, added up at the end.
//!
//! Each of its combs has eight blocks, and lane l adds block l's points, so that no lane ever waits. A point is one
//! cache line, its coordinates in Montgomery form with R = 2²⁶⁰.

mod field;
pub(crate) mod lanes;
mod point;

use std::sync::LazyLock;

use self::field::Elements;
use self::lanes::Lanes;
use self::point::{AffinePoints, Sums};
use crate::comb::{Comb, Digit};
use crate::field::Element;
use crate::native;
use crate::point::{AffinePoint, BASE};
use crate::signature::Question;
use crate::wide::Limbs;

/// 64 points, 4 KiB: 8 additions of eight lanes and 7 doublings.
pub(crate) type Small = Comb<4, 8, 8>;
/// 512 points, 32 KiB: 5 additions of eight lanes and 4 doublings.
pub(crate) type Hot = Comb<7, 8, 5>;
/// The base point's, for all keys: 1,024 points, 64 KiB, 4 additions of eight lanes.
pub(crate) type Base = Comb<8, 8, 4>;

/// 2²⁶⁰ modulo p.
const R: Limbs = [0x0000_0000_0000_0010, 0xffff_fff0_0000_0000, 0xffff_ffff_ffff_ffff, 0x0000_000f_ffff_ffef];

/// A point as the engine reads it: the limbs of x, then those of y.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(align(64))]
pub(crate) struct Line([u64; 8]);

impl Line {
    fn new(point: &AffinePoint) -> Self {
        // A product by Montgomery's reduction with R = 2²⁵⁶ takes that one off and puts the other on.
        let [x0, x1, x2, x3] = point.x.multiply(Element(R)).0;
        let [y0, y1, y2, y3] = point.y.multiply(Element(R)).0;
        Self([x0, x1, x2, x3, y0, y1, y2, y3])
    }
}

/// The table of `point` for a comb; `None` as for [`Comb::table`].
pub(crate) fn table<const TEETH: usize, const SPACING: usize>(
    comb: Comb<TEETH, 8, SPACING>,
    point: &AffinePoint,
) -> Option<Box<[Line]>> {
    Some(native::table(comb, point)?.iter().map(Line::new).collect())
}

/// The base point's table, built when it is first needed; empty, so that nothing can be decided, if that failed.
pub(crate) fn base() -> &'static [Line] {
    static TABLE: LazyLock<Box<[Line]>> = LazyLock::new(|| table(Comb::<8, 8, 4>, &BASE).unwrap_or_default());
    &TABLE
}

/// A geometry of key tables.
pub(crate) trait Decide {
    /// Whether the signature is good; `None` when the case is exceptional.
    fn decide<L: Lanes>(question: &Question, key: &[Line], base: &[Line]) -> Option<bool>;
}

impl<const TEETH: usize, const SPACING: usize> Decide for Comb<TEETH, 8, SPACING> {
    #[inline(always)]
    fn decide<L: Lanes>(question: &Question, key: &[Line], base: &[Line]) -> Option<bool> {
        let [u1, u2] = question.s.divide([question.e, question.r])?;
        let key_digits = Self::digits_within(key, u2)?;
        let base_digits = Base::digits_within(base, u1)?;
        let mut sums = Sums::new(&points::<L>(key, &key_digits[SPACING - 1]));
        // One addition and one doubling in the loop's code, which has to fit into the cache of instructions.
        for step in 1..2 * SPACING {
            let round = SPACING - 1 - step / 2;
            let is_base = step % 2 == 1;
            let (table, digits) = match base_digits.get(round) {
                Some(digits) if is_base => (base, digits),
                None if is_base => continue,
                _ => (key, &key_digits[round]),
            };
            if !is_base {
                sums = sums.double();
            }
            sums = sums.add(&points(table, digits));
        }
        let (x, zz) = sums.total().first();
        has_x(Element(x), Element(zz), question)
    }
}

/// Whether x = X / ZZ, read as a number, is r modulo n; `None` if ZZ is zero.
#[inline(always)]
fn has_x(x: Element, zz: Element, question: &Question) -> Option<bool> {
    // A product of r with R = 2²⁵⁶ and ZZ with 2²⁶⁰ has 2²⁶⁰, as X has.
    let is = |number: &Limbs| Element::from_number(*number).multiply(zz) == x;
    (!zz.is_zero()).then(|| is(&question.r.0) || question.r_plus_n().as_ref().is_some_and(is))
}

/// One point for each lane.
#[inline(always)]
fn points<L: Lanes>(table: &[Line], digits: &[Digit; 8]) -> AffinePoints<L> {
    let line = |lane: usize| L::load(&table[usize::from(digits[lane].place)].0);
    let sign = |lane: usize| u64::from(digits[lane].negative).wrapping_neg();
    let lines = [line(0), line(1), line(2), line(3), line(4), line(5), line(6), line(7)];
    let negative = L::load(&[sign(0), sign(1), sign(2), sign(3), sign(4), sign(5), sign(6), sign(7)]);
    let [x0, x1, x2, x3, y0, y1, y2, y3] = L::transpose(lines);
    let x = Elements::from_quarters([x0, x1, x2, x3]);
    let y = Elements::from_quarters([y0, y1, y2, y3]).negated_where(negative);
    AffinePoints { x, y }
}
