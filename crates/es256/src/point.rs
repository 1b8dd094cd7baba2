//! Points of P-256, y² = x³ − 3x + b, for the portable engine.
//!
//! Sums are kept as (X, Y, ZZ, ZZZ) with x = X / ZZ, y = Y / ZZZ and ZZ³ = ZZZ² ("XYZZ": additions of affine points take
//! ten multiplications). The formulas are not complete, and need not be: where they do not hold (two points with the
//! same x: a doubling inside an addition, a sum that is the point at infinity, an operand that is) ZZ of the sum is 0,
//! and every sum and double of a point whose ZZ is 0 has a ZZ of 0 again, because it is a product with it. So one look
//! at ZZ at the very end says whether anything on the way was exceptional.

use crate::field::Element;
use crate::wide::Limbs;

/// The base point G.
pub(crate) const BASE: AffinePoint = AffinePoint {
    x: Element([0x79e7_30d4_18a9_143c, 0x75ba_95fc_5fed_b601, 0x79fb_732b_7762_2510, 0x1890_5f76_a537_55c6]),
    y: Element([0xddf2_5357_ce95_560a, 0x8b4a_b8e4_ba19_e45c, 0xd2e8_8688_dd21_f325, 0x8571_ff18_2588_5d85]),
};

/// A point that is not at infinity. One line of a cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(align(64))]
pub(crate) struct AffinePoint {
    pub(crate) x: Element,
    pub(crate) y: Element,
}

impl AffinePoint {
    /// True for a solution of the curve's equation.
    pub(crate) fn is_on_curve(&self) -> bool {
        let three = self.x.double().add(self.x);
        let right = self.x.square().multiply(self.x).subtract(three).add(Element::B);
        self.y.square() == right
    }

    /// −self where `negative`, else self.
    #[inline(always)]
    pub(crate) fn negated_if(&self, negative: bool) -> Self {
        Self { x: self.x, y: self.y.negated_if(negative) }
    }
}

/// A sum on its way; exceptional when `zz` is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sum {
    x: Element,
    y: Element,
    zz: Element,
    zzz: Element,
}

impl Sum {
    #[inline(always)]
    pub(crate) fn new(point: &AffinePoint) -> Self {
        Self { x: point.x, y: point.y, zz: Element::ONE, zzz: Element::ONE }
    }

    /// The sum with an affine point. Products that do not need each other stand side by side.
    #[inline(always)]
    pub(crate) fn add(&self, other: &AffinePoint) -> Self {
        let u = other.x.multiply(self.zz);
        let s = other.y.multiply(self.zzz);
        let p = u.subtract(self.x);
        let r = s.subtract(self.y);
        let pp = p.square();
        let rr = r.square();
        let ppp = p.multiply(pp);
        let q = self.x.multiply(pp);
        let zz = self.zz.multiply(pp);
        let x = rr.subtract(ppp).subtract(q.double());
        let y_ppp = self.y.multiply(ppp);
        let zzz = self.zzz.multiply(ppp);
        let y = r.multiply(q.subtract(x)).subtract(y_ppp);
        Self { x, y, zz, zzz }
    }

    /// Twice the sum.
    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        let u = self.y.double();
        let v = u.square();
        let sum = self.x.add(self.zz);
        let m = self.x.subtract(self.zz).multiply(sum);
        let m = m.double().add(m);
        let w = u.multiply(v);
        let s = self.x.multiply(v);
        let mm = m.square();
        let zz = self.zz.multiply(v);
        let x = mm.subtract(s.double());
        let w_y = w.multiply(self.y);
        let zzz = self.zzz.multiply(w);
        let y = m.multiply(s.subtract(x)).subtract(w_y);
        Self { x, y, zz, zzz }
    }

    /// Whether the sum's x, read as a number, is `r` modulo n (FIPS 186-5 §6.4.2); `None` if the sum is exceptional.
    /// `also` is r + n where that is below p.
    #[inline(always)]
    pub(crate) fn has_x(&self, r: &Limbs, also: Option<&Limbs>) -> Option<bool> {
        let is = |number: &Limbs| Element::from_number(*number).multiply(self.zz) == self.x;
        (!self.zz.is_zero()).then(|| is(r) || also.is_some_and(is))
    }
}

/// A point in Jacobian coordinates, x = X / Z², y = Y / Z³: the cheapest to double many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JacobianPoint {
    pub(crate) x: Element,
    pub(crate) y: Element,
    pub(crate) z: Element,
}

impl JacobianPoint {
    pub(crate) fn new(point: &AffinePoint) -> Self {
        Self { x: point.x, y: point.y, z: Element::ONE }
    }

    /// Twice the point.
    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        let delta = self.z.square();
        let gamma = self.y.square();
        let alpha = self.x.subtract(delta).multiply(self.x.add(delta));
        let beta = self.x.multiply(gamma);
        let alpha = alpha.double().add(alpha);
        let z = self.y.multiply(self.z).double();
        let four_beta = beta.double().double();
        let x = alpha.square().subtract(four_beta.double());
        let eight_gamma_squared = gamma.double().square().double();
        let y = alpha.multiply(four_beta.subtract(x)).subtract(eight_gamma_squared);
        Self { x, y, z }
    }

    /// The same point by the inverse of its Z.
    #[inline(always)]
    pub(crate) fn to_affine(self, z_inverse: Element) -> AffinePoint {
        let squared = z_inverse.square();
        AffinePoint { x: self.x.multiply(squared), y: self.y.multiply(squared.multiply(z_inverse)) }
    }
}
