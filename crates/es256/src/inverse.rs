//! Inverses modulo an odd number by the division steps of Bernstein and Yang ("Fast constant-time gcd computation and
//! modular inversion", 2019), in the form whose time depends on the number: everything here is public.
//!
//! Two numbers f (odd; at first the modulus) and g (at first the number) are taken through steps that keep their
//! greatest common divisor and halve g, until g is 0 and f is ±1. 62 steps at a time work on the lowest limbs only and
//! are kept as a 2 × 2 matrix, 2⁶² times the transition; it is then applied to the whole of f and g, and modulo the
//! modulus to d and e, for which d · number = f and e · number = g modulo the modulus hold throughout.

use crate::wide::Limbs;

const MASK: u64 = u64::MAX >> 2;
const MASK_I128: i128 = MASK as i128;

/// A signed number in five digits of 62 bits, least significant first; the last has the sign.
type Digits = [i64; 5];

/// An odd modulus above 2²⁵⁵, ready to invert by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modulus {
    digits: Digits,
    /// 1 / modulus modulo 2⁶².
    inverse: u64,
}

impl Modulus {
    pub(crate) const fn new(modulus: Limbs) -> Self {
        // Newton's iteration: each round doubles the number of right bits, of which an odd number's own are three.
        let mut inverse = modulus[0];
        let mut round = 0;
        while round < 5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(modulus[0].wrapping_mul(inverse)));
            round += 1;
        }
        Self { digits: to_digits(&modulus), inverse: inverse & MASK }
    }

    /// The inverse of `number`, which is below the modulus and without a common divisor; 0 for 0.
    #[inline(always)]
    pub(crate) fn invert(&self, number: &Limbs) -> Limbs {
        let mut f = self.digits;
        let mut g = to_digits(number);
        let mut d = [0; 5];
        let mut e = [1, 0, 0, 0, 0];
        let mut length = 5;
        let mut eta = -1;
        while g[..length].iter().any(|&digit| digit != 0) {
            let (next, matrix) = division_steps(eta, f[0], g[0]);
            eta = next;
            self.apply(&mut d, &mut e, matrix);
            shorten(&mut f, &mut g, &mut length, matrix);
        }
        self.normalized(d, f[length - 1])
    }

    /// (d, e) becomes matrix · (d, e) / 2⁶² modulo the modulus; both stay between −2 · modulus and the modulus.
    #[inline(always)]
    fn apply(&self, d: &mut Digits, e: &mut Digits, [[u, v], [q, r]]: Matrix) {
        // Multiples of the modulus that make up for negative d and e, and that make the lowest digit 0.
        let (d_sign, e_sign) = (d[4] >> 63, e[4] >> 63);
        let mut d_times = (u & d_sign) + (v & e_sign);
        let mut e_times = (q & d_sign) + (r & e_sign);
        let mut d_carry = product(u, d[0]) + product(v, e[0]);
        let mut e_carry = product(q, d[0]) + product(r, e[0]);
        d_times -= self.times(d_carry, d_times);
        e_times -= self.times(e_carry, e_times);
        d_carry = (d_carry + product(self.digits[0], d_times)) >> 62;
        e_carry = (e_carry + product(self.digits[0], e_times)) >> 62;
        for place in 1..5 {
            d_carry += product(u, d[place]) + product(v, e[place]) + product(self.digits[place], d_times);
            e_carry += product(q, d[place]) + product(r, e[place]) + product(self.digits[place], e_times);
            d[place - 1] = low_digit(d_carry);
            e[place - 1] = low_digit(e_carry);
            d_carry >>= 62;
            e_carry >>= 62;
        }
        d[4] = whole(d_carry);
        e[4] = whole(e_carry);
    }

    /// inverse · sum + times modulo 2⁶²: what is to be taken away from `times`.
    #[inline(always)]
    fn times(&self, sum: i128, times: i64) -> i64 {
        let lowest = low_digit(sum).cast_unsigned();
        (self.inverse.wrapping_mul(lowest).wrapping_add(times.cast_unsigned()) & MASK).cast_signed()
    }

    /// ±d, by the sign of f, from 0 to the modulus.
    fn normalized(&self, mut d: Digits, f: i64) -> Limbs {
        if d[4] < 0 {
            d = carried(sum(&d, &self.digits));
        }
        if f < 0 {
            d = carried(d.map(|digit| -digit));
        }
        if d[4] < 0 {
            d = carried(sum(&d, &self.digits));
        }
        from_digits(&d)
    }
}

/// 2⁶² times a transition: the first row makes the next f (and d), the second the next g (and e).
type Matrix = [[i64; 2]; 2];

/// 62 division steps by the lowest 62 bits of `f` and `g`. `eta` is −δ of the paper.
#[inline(always)]
fn division_steps(mut eta: i64, f: i64, g: i64) -> (i64, Matrix) {
    let (mut f, mut g) = (f.cast_unsigned(), g.cast_unsigned());
    let (mut u, mut v, mut q, mut r) = (1_u64, 0_u64, 0_u64, 1_u64);
    let mut left = 62_u32;
    loop {
        // While g is even a step only halves it; the bits above make it stop after those that are left.
        let zeros = (g | (u64::MAX << left)).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        eta -= i64::from(zeros);
        left -= zeros;
        if left == 0 {
            break;
        }
        // g is odd: take off so large a multiple of f that as many of its bits become 0 as steps of one kind follow.
        let multiple;
        if eta < 0 {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
            // −g / f modulo 2⁶.
            multiple = f.wrapping_mul(g).wrapping_mul(f.wrapping_mul(f).wrapping_sub(2)) & bits(eta, left, 63);
        } else {
            // −g / f modulo 2⁴.
            let inverse = f.wrapping_add((f.wrapping_add(1) & 4) << 1);
            multiple = inverse.wrapping_neg().wrapping_mul(g) & bits(eta, left, 15);
        }
        g = g.wrapping_add(f.wrapping_mul(multiple));
        q = q.wrapping_add(u.wrapping_mul(multiple));
        r = r.wrapping_add(v.wrapping_mul(multiple));
    }
    (eta, [[u.cast_signed(), v.cast_signed()], [q.cast_signed(), r.cast_signed()]])
}

/// As many low bits as steps may be taken at once: until eta changes its sign, while some are left, and within `most`.
#[inline(always)]
fn bits(eta: i64, left: u32, most: u64) -> u64 {
    let steps = (eta + 1).min(i64::from(left)).cast_unsigned();
    (u64::MAX >> (64 - steps)) & most
}

/// (f, g) becomes matrix · (f, g) / 2⁶², exactly; and shorter by a digit when both fit.
#[inline(always)]
fn shorten(f: &mut Digits, g: &mut Digits, length: &mut usize, [[u, v], [q, r]]: Matrix) {
    let mut f_carry = (product(u, f[0]) + product(v, g[0])) >> 62;
    let mut g_carry = (product(q, f[0]) + product(r, g[0])) >> 62;
    for place in 1..*length {
        f_carry += product(u, f[place]) + product(v, g[place]);
        g_carry += product(q, f[place]) + product(r, g[place]);
        f[place - 1] = low_digit(f_carry);
        g[place - 1] = low_digit(g_carry);
        f_carry >>= 62;
        g_carry >>= 62;
    }
    let last = *length - 1;
    f[last] = whole(f_carry);
    g[last] = whole(g_carry);
    let is_sign = |digit: i64| digit == 0 || digit == -1;
    if last > 0 && is_sign(f[last]) && is_sign(g[last]) {
        f[last - 1] |= f[last] << 62;
        g[last - 1] |= g[last] << 62;
        *length = last;
    }
}

#[inline(always)]
fn product(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

#[inline(always)]
fn low_digit(number: i128) -> i64 {
    (number & MASK_I128) as i64
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the bounds of f, g, d and e leave a last digit of 62 bits")]
fn whole(number: i128) -> i64 {
    number as i64
}

fn sum(a: &Digits, b: &Digits) -> Digits {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4]]
}

/// Every digit but the last made to lie from 0 to 2⁶² − 1.
fn carried(mut digits: Digits) -> Digits {
    for place in 0..4 {
        digits[place + 1] += digits[place] >> 62;
        digits[place] &= MASK.cast_signed();
    }
    digits
}

const fn to_digits(limbs: &Limbs) -> Digits {
    let [a, b, c, d] = *limbs;
    [
        (a & MASK).cast_signed(),
        ((a >> 62 | b << 2) & MASK).cast_signed(),
        ((b >> 60 | c << 4) & MASK).cast_signed(),
        ((c >> 58 | d << 6) & MASK).cast_signed(),
        (d >> 56).cast_signed(),
    ]
}

fn from_digits(digits: &Digits) -> Limbs {
    let [a, b, c, d, e] = digits.map(i64::cast_unsigned);
    [a | b << 62, b >> 2 | c << 60, c >> 4 | d << 58, d >> 6 | e << 56]
}
