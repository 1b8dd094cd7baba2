//! Eight sums at a time, in the form and with the formulas of the portable engine's `Sum`: what they leave out makes ZZ
//! zero for good. The bounds that `field` asks for stand at each line, in multiples of p; "1" stands for 1 + 2⁻²⁸.

use super::field::Elements;
use super::lanes::Lanes;
use crate::wide::Limbs;

/// An affine point in each lane. Both coordinates are at most 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AffinePoints<L> {
    pub(crate) x: Elements<L>,
    pub(crate) y: Elements<L>,
}

/// A sum in each lane. X and Y are at most 1, ZZ and ZZZ less than 2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums<L> {
    x: Elements<L>,
    y: Elements<L>,
    zz: Elements<L>,
    zzz: Elements<L>,
}

impl<L: Lanes> Sums<L> {
    #[inline(always)]
    pub(crate) fn new(points: &AffinePoints<L>) -> Self {
        Self { x: points.x, y: points.y, zz: Elements::one(), zzz: Elements::one() }
    }

    /// The sum of each lane with the affine point in that lane.
    #[inline(always)]
    pub(crate) fn add(&self, other: &AffinePoints<L>) -> Self {
        let u = other.x.multiply(self.zz); // 1.2
        let s = other.y.multiply(self.zzz); // 1.2
        let zz = (self.zz, self.zzz);
        Self::added(self.x, self.y, u, s, zz)
    }

    /// (u, s) less (x, y) over the denominators `zz`: what all additions end with.
    #[inline(always)]
    fn added(
        x1: Elements<L>,
        y1: Elements<L>,
        u: Elements<L>,
        s: Elements<L>,
        (zz, zzz): (Elements<L>, Elements<L>),
    ) -> Self {
        let p = u.subtract::<2>(x1); // 3.2
        let r = s.subtract::<2>(y1); // 3.2
        let pp = p.square(); // 1.7
        let rr = r.square(); // 1.7
        let ppp = p.multiply(pp); // 1.4
        let q = x1.multiply(pp); // 1.2
        let zz = zz.multiply(pp); // 1.3
        let x = rr.less_and_less_twice(ppp, q); // 1, as 1.4 + 2.4 is less than 4
        let y_ppp = y1.multiply(ppp); // 1.2
        let zzz = zzz.multiply(ppp); // 1.2
        let y = r.multiply(q.subtract::<2>(x)); // 3.2 times 3.2: 1.7
        Self { x, y: y.subtract::<2>(y_ppp).folded(), zz, zzz }
    }

    /// Twice each sum.
    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        let u = self.y.add(self.y); // 2
        let v = u.square(); // 1.3
        let w = u.multiply(v); // 1.2
        let s = self.x.multiply(v); // 1.1
        let m = self.x.subtract::<2>(self.zz).multiply(self.x.add(self.zz)); // 3 times 3: 1.6
        let m = m.triple(); // 4.8
        let mm = m.square(); // 2.5
        let none = Elements([L::splat(0); 5]);
        let x = mm.less_and_less_twice(none, s); // 1
        let w_y = w.multiply(self.y); // 1.1
        let y = m.multiply(s.subtract::<2>(x)); // 4.8 times 3.1: 2
        Self { x, y: y.subtract::<2>(w_y).folded(), zz: v.multiply(self.zz), zzz: w.multiply(self.zzz) } // 1.2, 1.2
    }

    /// The sum of all lanes, in lane 0: each time the lanes from `BY` on are added to those from 0 on.
    #[inline(always)]
    pub(crate) fn total(self) -> Self {
        self.with_rotated::<4>().with_rotated::<2>().with_rotated::<1>()
    }

    #[inline(always)]
    fn with_rotated<const BY: i32>(&self) -> Self {
        let (x2, y2) = (self.x.rotate::<BY>(), self.y.rotate::<BY>());
        let (zz2, zzz2) = (self.zz.rotate::<BY>(), self.zzz.rotate::<BY>());
        let (u1, s1) = (self.x.multiply(zz2), self.y.multiply(zzz2)); // 1.2
        let (u2, s2) = (x2.multiply(self.zz), y2.multiply(self.zzz)); // 1.2
        let zz = (self.zz.multiply(zz2), self.zzz.multiply(zzz2)); // 1.3
        Self::added(u1, s1, u2, s2, zz)
    }

    /// X and ZZ of lane 0, below p.
    #[inline(always)]
    pub(crate) fn first(&self) -> (Limbs, Limbs) {
        (self.x.first(), self.zz.first())
    }
}
