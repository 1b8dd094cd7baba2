//! The field of P-256, modulo p = 2²⁵⁶ − 2²²⁴ + 2¹⁹² + 2⁹⁶ − 1 (SP 800-186 §3.2.1.3), for the portable engine.
//!
//! Elements are in Montgomery form with R = 2²⁵⁶ and always below p, so that each has one form only: equality is
//! equality of limbs. The lowest limb of p is −1, so the digit of a quotient in Montgomery's reduction is the lowest
//! limb itself.

use crate::inverse::Modulus;
use crate::wide::{self, Limbs};

/// p.
pub(crate) const P: Limbs = [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001];
/// R² modulo p.
const R_SQUARED: Element =
    Element([0x0000_0000_0000_0003, 0xffff_fffb_ffff_ffff, 0xffff_ffff_ffff_fffe, 0x0000_0004_ffff_fffd]);
/// R³ modulo p.
const R_CUBED: Element =
    Element([0xffff_fffd_0000_000a, 0xffff_ffed_ffff_fff7, 0x0000_0005_ffff_fffc, 0x0000_0018_0000_0001]);
static INVERSION: Modulus = Modulus::new(P);

/// An element of the field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Element(pub(crate) Limbs);

impl Element {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const ONE: Self =
        Self([0x0000_0000_0000_0001, 0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_fffe]);
    /// b of y² = x³ − 3x + b.
    pub(crate) const B: Self =
        Self([0xd89c_df62_29c4_bddf, 0xacf0_05cd_7884_3090, 0xe5a2_20ab_f721_2ed6, 0xdc30_061d_0487_4834]);

    /// The element that is the number `limbs`, which is below p.
    #[inline(always)]
    pub(crate) fn from_number(limbs: Limbs) -> Self {
        Self(reduce(wide::multiply(&limbs, &R_SQUARED.0)))
    }

    /// As [`Self::from_number`]; `None` for a number that is p or more.
    pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let number = wide::from_be_bytes(bytes);
        wide::is_less(&number, &P).then(|| Self::from_number(number))
    }

    /// The number that the element is.
    #[cfg(test)]
    pub(crate) fn to_number(self) -> Limbs {
        let [a, b, c, d] = self.0;
        reduce([a, b, c, d, 0, 0, 0, 0])
    }

    #[inline(always)]
    pub(crate) fn add(self, other: Self) -> Self {
        Self(wide::add_modulo(&self.0, &other.0, &P))
    }

    #[inline(always)]
    pub(crate) fn double(self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    pub(crate) fn subtract(self, other: Self) -> Self {
        let (difference, under) = wide::subtract(&self.0, &other.0);
        // Adds p back where it went under; the limbs of p are made of the mask.
        let mask = u64::from(under).wrapping_neg();
        let (r0, carry) = difference[0].carrying_add(mask, false);
        let (r1, carry) = difference[1].carrying_add(mask >> 32, carry);
        let (r2, carry) = difference[2].carrying_add(0, carry);
        let (r3, _) = difference[3].carrying_add(mask & P[3], carry);
        Self([r0, r1, r2, r3])
    }

    /// −self where `negative`, else self.
    #[inline(always)]
    pub(crate) fn negated_if(self, negative: bool) -> Self {
        Self(wide::choose(negative, &Self::ZERO.subtract(self).0, &self.0))
    }

    #[inline(always)]
    pub(crate) fn multiply(self, other: Self) -> Self {
        Self(reduce(wide::multiply(&self.0, &other.0)))
    }

    #[inline(always)]
    pub(crate) fn square(self) -> Self {
        Self(reduce(wide::square(&self.0)))
    }

    pub(crate) fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// 1 / self; zero for zero. Takes a time that depends on the element.
    #[inline(always)]
    pub(crate) fn invert(self) -> Self {
        // The limbs are aR; their inverse is a⁻¹R⁻¹; a product with R³ is a⁻¹R⁻¹ · R³ · R⁻¹ = a⁻¹R.
        Self(INVERSION.invert(&self.0)).multiply(R_CUBED)
    }
}

/// Montgomery's reduction: `t` / R modulo p, below p. `t` is below p·R.
#[inline(always)]
fn reduce(t: [u64; 8]) -> Limbs {
    let mut low = [t[0], t[1], t[2], t[3]];
    let mut step = 0;
    while step < 4 {
        // Adds digit · p, where p + 1 = 2⁹⁶ + 2¹⁹² · p₃, and moves down by a limb.
        let digit = low[0];
        let (product_low, product_high) = digit.carrying_mul(P[3], 0);
        let (r0, carry) = low[1].carrying_add(digit << 32, false);
        let (r1, carry) = low[2].carrying_add(digit >> 32, carry);
        let (r2, carry) = low[3].carrying_add(product_low, carry);
        low = [r0, r1, r2, product_high + u64::from(carry)];
        step += 1;
    }
    let (sum, over) = wide::add(&low, &[t[4], t[5], t[6], t[7]]);
    let (reduced, under) = wide::subtract(&sum, &P);
    wide::choose(under && !over, &sum, &reduced)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    use super::Element;
    use crate::reference::{any_below, any_limbs, bytes, less, limbs, number, p};
    use crate::wide;

    fn value(element: Element) -> BigUint {
        assert!(number(&element.0) < p(), "one form only");
        number(&element.to_number())
    }

    #[test]
    fn constants_are_what_they_say() {
        assert_eq!(number(&super::P), p());
        let r = BigUint::from(1_u32) << 256_u32;
        assert_eq!(number(&Element::ONE.0), &r % p());
        assert_eq!(number(&super::R_SQUARED.0), &r * &r % p());
        assert_eq!(number(&super::R_CUBED.0), &r * &r * &r % p());
        assert_eq!(value(Element::B), crate::reference::b());
    }

    #[test]
    fn refuses_elements_that_are_not_canonical() {
        for distance in 0_u32..3 {
            assert_eq!(Element::from_be_bytes(&bytes(&(p() + distance))), None);
        }
        assert_eq!(Element::from_be_bytes(&[0xff; 32]), None);
        assert_eq!(Element::from_be_bytes(&bytes(&(p() - 1_u32))).map(value), Some(p() - 1_u32));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn products_of_any_limbs_are_right(a in any_limbs(), b in any_limbs()) {
            prop_assert_eq!(number(&wide::multiply(&a, &b)), number(&a) * number(&b));
            prop_assert_eq!(number(&wide::square(&a)), number(&a) * number(&a));
            prop_assert_eq!(wide::from_be_bytes(&wide::to_be_bytes(&a)), a);
            prop_assert_eq!(wide::is_less(&a, &b), number(&a) < number(&b));
        }

        #[test]
        fn arithmetic_on_limbs_at_their_borders_is_right(a in any_below(p()), b in any_below(p())) {
            // The limbs as they are, so that the borders are those of the computation.
            let (x, y) = (Element(a), Element(b));
            let (a, b) = (number(&a), number(&b));
            let inverse_of_r = (BigUint::from(1_u32) << 256_u32).modinv(&p()).unwrap();
            prop_assert_eq!(number(&x.multiply(y).0), &a * &b * &inverse_of_r % p());
            prop_assert_eq!(number(&x.square().0), &a * &a * &inverse_of_r % p());
            prop_assert_eq!(number(&x.add(y).0), (&a + &b) % p());
            prop_assert_eq!(number(&x.subtract(y).0), less(&a, &b, &p()));
            prop_assert_eq!(number(&x.negated_if(true).0), less(&BigUint::ZERO, &a, &p()));
            prop_assert_eq!(x.negated_if(false), x);
        }

        #[test]
        fn numbers_go_in_and_out(a in any_below(p())) {
            prop_assert_eq!(Element::from_number(a).to_number(), a);
            prop_assert_eq!(value(Element::from_be_bytes(&wide::to_be_bytes(&a)).unwrap()), number(&a));
        }

        #[test]
        fn inverses_are_right(a in any_below(p())) {
            let expected = number(&a).modinv(&p()).unwrap_or_default();
            prop_assert_eq!(value(Element::from_number(a).invert()), expected);
            prop_assert_eq!(Element(limbs(&number(&a))).invert().multiply(Element(a)) == Element::ONE, a != [0; 4]);
        }
    }
}
