//! Building the table of a comb.
//!
//! All is affine, because an addition of affine points is the cheapest there is if only the division is shared: sums
//! and differences are made in levels, and each level has one inversion. A sum A + B and a difference A − B share their
//! denominator too: together they take nine multiplications.
//!
//! Nothing here can be exceptional, for any key: which multiples of the point are added is the same for every point, and
//! every point but infinity has the prime order n. That no two of those multiples meet is therefore a fact about the
//! geometry alone, and the tests show it by building the table of one point.

use crate::comb::Comb;
use crate::field::Element;
use crate::point::{AffinePoint, JacobianPoint};

impl<const TEETH: usize, const BLOCKS: usize, const SPACING: usize> Comb<TEETH, BLOCKS, SPACING> {
    /// The table of `point`, block after block; `None` if a division by zero came up, which the geometry excludes.
    #[inline(always)]
    pub(crate) fn table(point: &AffinePoint) -> Option<Box<[AffinePoint]>> {
        let teeth = Self::teeth(point)?;
        let mut groups: Vec<Group> = Vec::with_capacity(2 * BLOCKS);
        for block in teeth.chunks_exact(TEETH) {
            let (low, high) = block.split_at(TEETH / 2);
            groups.push(Group::new(high));
            groups.push(Group::new(low));
        }
        let mut scratch = Scratch::with_capacity(Self::POINTS / 2);
        while groups.iter().any(Group::is_growing) {
            grow(&mut groups, &mut scratch)?;
        }
        Self::combine(&groups, &mut scratch)
    }

    /// 2^(j · spacing) · point for every tooth j of all blocks.
    #[inline(always)]
    fn teeth(point: &AffinePoint) -> Option<Vec<AffinePoint>> {
        let mut doubled = JacobianPoint::new(point);
        let mut teeth = Vec::with_capacity(TEETH * BLOCKS);
        teeth.push(doubled);
        while teeth.len() < TEETH * BLOCKS {
            for _ in 0..SPACING {
                doubled = doubled.double();
            }
            teeth.push(doubled);
        }
        let mut inverses: Vec<Element> = teeth.iter().map(|tooth| tooth.z).collect();
        invert_all(&mut inverses)?;
        Some(teeth.iter().zip(inverses).map(|(tooth, inverse)| tooth.to_affine(inverse)).collect())
    }

    /// Every sum and difference of a point of the high group and one of the low group, at its place.
    #[inline(always)]
    fn combine(groups: &[Group], scratch: &mut Scratch) -> Option<Box<[AffinePoint]>> {
        let half = 1 << (TEETH / 2 - 1);
        scratch.clear();
        for pair in groups.chunks_exact(2) {
            for high in &pair[0].points {
                for low in &pair[1].points {
                    scratch.push(high, low);
                }
            }
        }
        scratch.invert()?;
        let mut table = vec![*scratch.first()?; Self::POINTS].into_boxed_slice();
        for (number, (sum, difference)) in scratch.results().enumerate() {
            let (high, low) = (number / half, number % half);
            table[high * 2 * half + half + low] = sum;
            table[high * 2 * half + (half - 1 - low)] = difference;
        }
        Some(table)
    }
}

/// Some neighbouring teeth, and all ± combinations of those taken so far, the highest positive: at a place whose bits
/// are the signs of the lower ones.
struct Group<'a> {
    left: &'a [AffinePoint],
    points: Vec<AffinePoint>,
}

impl<'a> Group<'a> {
    fn new(teeth: &'a [AffinePoint]) -> Self {
        let (highest, left) =
            teeth.split_last().map_or((&[][..], teeth), |(highest, left)| (std::slice::from_ref(highest), left));
        Self { left, points: highest.to_vec() }
    }

    fn is_growing(&self) -> bool {
        !self.left.is_empty()
    }
}

/// Takes the next lower tooth of every group into all its combinations.
#[inline(always)]
fn grow(groups: &mut [Group], scratch: &mut Scratch) -> Option<()> {
    scratch.clear();
    for group in groups.iter() {
        if let Some(next) = group.left.last() {
            for point in &group.points {
                scratch.push(point, next);
            }
        }
    }
    scratch.invert()?;
    let mut results = scratch.results();
    for group in groups.iter_mut() {
        if let Some((_, left)) = group.left.split_last() {
            group.left = left;
            let count = group.points.len();
            group.points.clear();
            for (sum, difference) in results.by_ref().take(count) {
                group.points.push(difference);
                group.points.push(sum);
            }
        }
    }
    Some(())
}

/// Pairs of points of which sums and differences are wanted.
struct Scratch {
    pairs: Vec<(AffinePoint, AffinePoint)>,
    inverses: Vec<Element>,
}

impl Scratch {
    fn with_capacity(pairs: usize) -> Self {
        Self { pairs: Vec::with_capacity(pairs), inverses: Vec::with_capacity(pairs) }
    }

    fn clear(&mut self) {
        self.pairs.clear();
        self.inverses.clear();
    }

    #[inline(always)]
    fn push(&mut self, a: &AffinePoint, b: &AffinePoint) {
        self.pairs.push((*a, *b));
        self.inverses.push(b.x.subtract(a.x));
    }

    fn first(&self) -> Option<&AffinePoint> {
        self.pairs.first().map(|(first, _)| first)
    }

    #[inline(always)]
    fn invert(&mut self) -> Option<()> {
        invert_all(&mut self.inverses)
    }

    /// The sum and the difference of each pair, in order.
    #[inline(always)]
    fn results(&self) -> impl Iterator<Item = (AffinePoint, AffinePoint)> {
        self.pairs.iter().zip(&self.inverses).map(
            #[inline(always)]
            |((a, b), &inverse)| {
                let x = a.x.add(b.x);
                let through = |y: Element| {
                    let slope = y.subtract(a.y).multiply(inverse);
                    let x = slope.square().subtract(x);
                    AffinePoint { x, y: slope.multiply(a.x.subtract(x)).subtract(a.y) }
                };
                (through(b.y), through(b.y.negated_if(true)))
            },
        )
    }
}

/// The inverse of each element by one inversion; `None` if one is zero.
#[inline(always)]
fn invert_all(elements: &mut [Element]) -> Option<()> {
    let mut before = Vec::with_capacity(elements.len());
    let mut product = Element::ONE;
    for &element in elements.iter() {
        before.push(product);
        product = product.multiply(element);
    }
    if product.is_zero() {
        return None;
    }
    let mut inverse = product.invert();
    for (element, before) in elements.iter_mut().zip(before).rev() {
        let own = inverse.multiply(before);
        inverse = inverse.multiply(*element);
        *element = own;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Element, invert_all};
    use crate::comb::{Comb, Digit};
    use crate::point::{AffinePoint, BASE};
    use crate::reference::{self, number};

    /// That this succeeds for one point shows that it does for all: see the module.
    fn check<const TEETH: usize, const BLOCKS: usize, const SPACING: usize>(_: Comb<TEETH, BLOCKS, SPACING>) {
        let table = Comb::<TEETH, BLOCKS, SPACING>::table(&BASE).expect("no exceptional case");
        assert_eq!(table.len(), Comb::<TEETH, BLOCKS, SPACING>::POINTS);
        assert!(table.iter().all(AffinePoint::is_on_curve));
        let places: HashSet<_> = table.iter().map(|point| point.x.0).collect();
        assert_eq!(places.len(), table.len(), "all points differ, and are not each other's negatives");
        for (place, point) in table.iter().enumerate().step_by(table.len() / 16 + 1) {
            let digit = Digit { place: u16::try_from(place).unwrap(), negative: false };
            let multiple = Comb::<TEETH, BLOCKS, SPACING>::multiple(digit);
            let expected = reference::times(&multiple, &reference::base());
            let found = (number(&point.x.to_number()), number(&point.y.to_number()));
            assert_eq!(Some(found), expected, "{place}");
        }
    }

    #[test]
    fn tables_hold_the_multiples_that_their_places_say() {
        check(Comb::<5, 4, 13>);
        check(Comb::<8, 4, 8>);
        check(Comb::<11, 3, 8>);
        check(Comb::<4, 8, 8>);
        check(Comb::<7, 8, 5>);
        check(Comb::<8, 8, 4>);
    }

    #[test]
    fn nothing_is_inverted_beside_a_zero() {
        let mut elements = [Element::ONE, Element::ZERO, Element::ONE];
        assert_eq!(invert_all(&mut elements), None);
        let two = Element::ONE.double();
        let mut elements = [two, Element::ONE, two];
        assert_eq!(invert_all(&mut elements), Some(()));
        assert_eq!(elements.map(|element| element.multiply(two)), [Element::ONE, two, Element::ONE]);
    }
}
