//! Eight elements of the field at a time, for the IFMA engine.
//!
//! An element is five limbs of 52 bits, which are less than 2⁵² between operations (the instructions read no more), in
//! Montgomery form with R = 2²⁶⁰ and not always below p: what stands beside each operation is by how many p its result
//! is bounded. 2²⁶⁰ is a little more than 16 p, and nothing may reach that. A product of elements below a·p and b·p is
//! below (a·b / 16 + 1)·p.
//!
//! The lowest limb of p is −1, so the digit of a quotient in Montgomery's reduction is the lowest limb itself.

use super::lanes::Lanes;
use crate::wide::{self, Limbs};

/// The lower 52 bits.
const MASK: u64 = (1 << 52) - 1;
/// p.
const P: [u64; 5] = [MASK, (1 << 44) - 1, 0, 1 << 36, (1 << 48) - (1 << 16)];

/// One element in each lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elements<L>(pub(crate) [L; 5]);

impl<L: Lanes> Elements<L> {
    /// 1 in every lane: 2²⁶⁰ modulo p. Below p.
    #[inline(always)]
    pub(crate) fn one() -> Self {
        let [a, b, c, d, e] = to_fifths(&super::R);
        Self([L::splat(a), L::splat(b), L::splat(c), L::splat(d), L::splat(e)])
    }

    /// From four limbs of 64 bits, each in a number of all lanes. As far below p as they are.
    #[inline(always)]
    pub(crate) fn from_quarters([a, b, c, d]: [L; 4]) -> Self {
        let mask = L::splat(MASK);
        Self([
            a.and(mask),
            a.right::<52>().xor(b.left::<12>()).and(mask),
            b.right::<40>().xor(c.left::<24>()).and(mask),
            c.right::<28>().xor(d.left::<36>()).and(mask),
            d.right::<16>(),
        ])
    }

    /// p − self in the lanes where `mask` is all ones, self where it is 0. Below p, from what is not above p.
    #[inline(always)]
    pub(crate) fn negated_where(self, mask: L) -> Self {
        let own = |place: usize| {
            let negative = self.0[place].xor(mask).subtract(mask);
            negative.add(L::splat(P[place]).and(mask))
        };
        Self([own(0), own(1), own(2), own(3), own(4)]).carried()
    }

    /// Below the sum of both bounds.
    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        let at = |place: usize| self.0[place].add(other.0[place]);
        Self([at(0), at(1), at(2), at(3), at(4)]).carried()
    }

    /// self − other + `TIMES` · p, which is more than other can be. Below self's bound and `TIMES` · p together.
    #[inline(always)]
    pub(crate) fn subtract<const TIMES: u64>(self, other: Self) -> Self {
        let at = |place: usize| self.0[place].add(L::splat(TIMES * P[place])).subtract(other.0[place]);
        Self([at(0), at(1), at(2), at(3), at(4)]).carried()
    }

    /// self − b − 2c + 4p, below (1 + 2⁻²⁸)·p, for b + 2c below 4p.
    #[inline(always)]
    pub(crate) fn less_and_less_twice(self, b: Self, c: Self) -> Self {
        let at = |place: usize| {
            let plus = self.0[place].add(L::splat(4 * P[place]));
            plus.subtract(b.0[place]).subtract(c.0[place].left::<1>())
        };
        Self([at(0), at(1), at(2), at(3), at(4)]).carried().folded()
    }

    /// Three times self. Below three times its bound.
    #[inline(always)]
    pub(crate) fn triple(self) -> Self {
        let at = |place: usize| self.0[place].add(self.0[place].left::<1>());
        Self([at(0), at(1), at(2), at(3), at(4)]).carried()
    }

    /// The same modulo p, below (1 + 2⁻²⁸)·p: what stands above 2²⁵⁶, up to 15 times, is taken off as that many p.
    #[inline(always)]
    pub(crate) fn folded(self) -> Self {
        let [a, b, c, d, e] = self.0;
        let above = e.right::<48>();
        // p = 2²⁵⁶ − 2²²⁴ + 2¹⁹² + 2⁹⁶ − 1.
        Self([
            a.add(above),
            b.subtract(above.left::<44>()),
            c,
            d.subtract(above.left::<36>()),
            e.and(L::splat((1 << 48) - 1)).add(above.left::<16>()),
        ])
        .carried()
    }

    /// Below (a·b / 16 + 1)·p, for bounds of a·p and b·p.
    #[cfg_attr(not(test), inline(always))] // tests compile it once, or they would take minutes to build
    pub(crate) fn multiply(self, other: Self) -> Self {
        let zero = L::splat(0);
        let mut t = [zero; 10];
        for row in 0..5 {
            for place in 0..5 {
                t[row + place] = t[row + place].add_product_low(self.0[place], other.0[row]);
                t[row + place + 1] = t[row + place + 1].add_product_high(self.0[place], other.0[row]);
            }
        }
        Self::reduced(t)
    }

    /// As a product with itself.
    #[cfg_attr(not(test), inline(always))] // tests compile it once, or they would take minutes to build
    pub(crate) fn square(self) -> Self {
        let zero = L::splat(0);
        let mut t = [zero; 10];
        for row in 0..5 {
            for place in row + 1..5 {
                t[row + place] = t[row + place].add_product_low(self.0[place], self.0[row]);
                t[row + place + 1] = t[row + place + 1].add_product_high(self.0[place], self.0[row]);
            }
        }
        for sum in &mut t {
            *sum = sum.left::<1>();
        }
        for row in 0..5 {
            t[2 * row] = t[2 * row].add_product_low(self.0[row], self.0[row]);
            t[2 * row + 1] = t[2 * row + 1].add_product_high(self.0[row], self.0[row]);
        }
        Self::reduced(t)
    }

    /// Montgomery's reduction of ten limbs, each a sum of at most ten halves of products.
    #[inline(always)]
    fn reduced(mut t: [L; 10]) -> Self {
        let (p1, p3, p4) = (L::splat(1 << 44), L::splat(1 << 36), L::splat(P[4]));
        let mask = L::splat(MASK);
        for step in 0..5 {
            // Adds digit · p, where p + 1 has the limbs 0, 2⁴⁴, 0, 2³⁶ and p's last, and moves up by a limb.
            let digit = t[step].and(mask);
            t[step + 1] = t[step + 1].add(t[step].right::<52>()).add_product_low(digit, p1);
            t[step + 2] = t[step + 2].add_product_high(digit, p1);
            t[step + 3] = t[step + 3].add_product_low(digit, p3);
            t[step + 4] = t[step + 4].add_product_high(digit, p3).add_product_low(digit, p4);
            t[step + 5] = t[step + 5].add_product_high(digit, p4);
        }
        Self([t[5], t[6], t[7], t[8], t[9]]).carried()
    }

    /// Every limb but the last brought to less than 2⁵², by its signed carry. The whole is not negative and below
    /// 2²⁶⁰, so the last is too.
    #[inline(always)]
    fn carried(self) -> Self {
        let mask = L::splat(MASK);
        let [a, b, c, d, e] = self.0;
        let b = b.add(a.right_signed::<52>());
        let c = c.add(b.right_signed::<52>());
        let d = d.add(c.right_signed::<52>());
        let e = e.add(d.right_signed::<52>());
        Self([a.and(mask), b.and(mask), c.and(mask), d.and(mask), e])
    }

    /// Lane l takes the element of lane l + `BY`.
    #[inline(always)]
    pub(crate) fn rotate<const BY: i32>(self) -> Self {
        let [a, b, c, d, e] = self.0;
        Self([a.rotate::<BY>(), b.rotate::<BY>(), c.rotate::<BY>(), d.rotate::<BY>(), e.rotate::<BY>()])
    }

    /// The limbs of lane 0, below p.
    #[inline(always)]
    pub(crate) fn first(self) -> Limbs {
        let [a, b, c, d, e] = self.folded().0;
        let [a, b, c, d, e] = [a.store()[0], b.store()[0], c.store()[0], d.store()[0], e.store()[0]];
        // Less than 2²⁵⁶ + 2²²⁸ now: once more for what is above, then p itself once at most.
        let whole = [a | b << 52, b >> 12 | c << 40, c >> 24 | d << 28, d >> 36 | e << 16];
        let (less, under) = wide::subtract(&whole, &crate::field::P);
        if e >> 48 == 0 && under { whole } else { less }
    }
}

/// Four limbs of 64 bits as five of 52.
const fn to_fifths(&[a, b, c, d]: &Limbs) -> [u64; 5] {
    [a & MASK, (a >> 52 | b << 12) & MASK, (b >> 40 | c << 24) & MASK, (c >> 28 | d << 36) & MASK, d >> 16]
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::super::lanes::Emulated;
    use super::Elements;
    use crate::reference::{any_below, less, number, p};

    type Eight = [[u64; 4]; 8];

    fn any_eight() -> impl Strategy<Value = Eight> {
        // Up to the largest that an operand may be, just below 2²⁶⁰ would not fit in four limbs; 2²⁵⁶ does.
        proptest::array::uniform8(prop_oneof![any_below(p()), crate::reference::any_limbs()])
    }

    fn elements(eight: &Eight) -> Elements<Emulated> {
        let quarter = |place: usize| Emulated(std::array::from_fn(|lane| eight[lane][place]));
        Elements::from_quarters([quarter(0), quarter(1), quarter(2), quarter(3)])
    }

    /// Each lane's value, and that its limbs are as they have to be.
    fn values(elements: &Elements<Emulated>) -> Vec<BigUint> {
        let lane = |lane: usize| {
            elements.0.iter().rev().fold(BigUint::ZERO, |value, limb| {
                assert!(limb.0[lane] < 1 << 52, "a limb of {:x}", limb.0[lane]);
                (value << 52_u32) + limb.0[lane]
            })
        };
        (0..8).map(lane).collect()
    }

    #[expect(clippy::large_types_passed_by_value, reason = "results are given as they come")]
    fn check(found: Elements<Emulated>, bound: u32, expected: impl Fn(usize) -> BigUint) {
        for (lane, value) in values(&found).into_iter().enumerate() {
            assert!(value < p() * bound, "lane {lane} is not below {bound} p: {value:x}");
            assert_eq!(value % p(), expected(lane) % p(), "lane {lane}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn eight_at_a_time_are_what_one_at_a_time_is(a in any_eight(), b in any_eight(), c in any_eight()) {
            let inverse_of_r = (BigUint::from(1_u32) << 260_u32).modinv(&p()).unwrap();
            let (x, y, z) = (elements(&a), elements(&b), elements(&c));
            let (a, b, c) = (a.map(|a| number(&a)), b.map(|b| number(&b)), c.map(|c| number(&c)));
            check(x, 2, |lane| a[lane].clone());
            check(x.multiply(y), 2, |lane| &a[lane] * &b[lane] * &inverse_of_r);
            check(x.square(), 2, |lane| &a[lane] * &a[lane] * &inverse_of_r);
            check(x.add(y), 4, |lane| &a[lane] + &b[lane]);
            check(x.subtract::<2>(y), 4, |lane| less(&a[lane], &b[lane], &p()));
            check(x.less_and_less_twice(y, z), 2, |lane| less(&a[lane], &(&b[lane] + &c[lane] * 2_u32), &p()));
            check(x.triple(), 6, |lane| &a[lane] * 3_u32);
            check(x.rotate::<3>(), 2, |lane| a[(lane + 3) % 8].clone());
            // Large operands: up to 4 p and 4 p make a product below 2 p, up to 12 p a fold below 2 p.
            let (large, larger) = (x.add(y), x.add(y).triple());
            check(large.multiply(x.add(z)), 3, |lane| (&a[lane] + &b[lane]) * (&a[lane] + &c[lane]) * &inverse_of_r);
            check(large.square(), 3, |lane| (&a[lane] + &b[lane]) * (&a[lane] + &b[lane]) * &inverse_of_r);
            check(larger.folded(), 2, |lane| (&a[lane] + &b[lane]) * 3_u32);
            prop_assert_eq!(number(&larger.first()), (&a[0] + &b[0]) * 3_u32 % p());
            prop_assert_eq!(number(&x.first()), &a[0] % p());
        }

        #[test]
        fn negatives_are_right(a in proptest::array::uniform8(any_below(p())), signs in any::<[bool; 8]>()) {
            let mask = Emulated(signs.map(|sign| u64::from(sign).wrapping_neg()));
            let value = |lane: usize| {
                let value = number(&a[lane]);
                if signs[lane] { p() - value } else { value }
            };
            check(elements(&a).negated_where(mask), 2, value);
        }
    }

    #[test]
    fn one_is_one() {
        check(Elements::one(), 1, |_| BigUint::from(1_u32) << 260_u32);
    }
}
