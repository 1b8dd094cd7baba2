//! 256-bit numbers as four 64-bit limbs, least significant first, and the few operations that both moduli share.
//!
//! Everything here is inlined into its caller on purpose: an engine's entry is compiled for the instructions that the
//! machine has (`native`), and only what is inlined into it is.

use std::array;

/// Four limbs, least significant first.
pub(crate) type Limbs = [u64; 4];

/// Reads a big-endian number.
pub(crate) fn from_be_bytes(bytes: &[u8; 32]) -> Limbs {
    array::from_fn(|place| u64::from_be_bytes(array::from_fn(|byte| bytes[24 - 8 * place + byte])))
}

/// Writes a big-endian number.
#[cfg(test)]
pub(crate) fn to_be_bytes(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, limb) in limbs.iter().rev().enumerate() {
        bytes[8 * place..8 * place + 8].copy_from_slice(&limb.to_be_bytes());
    }
    bytes
}

/// The sum, and whether it went over 2²⁵⁶.
#[inline(always)]
pub(crate) fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, carry) = a[0].carrying_add(b[0], false);
    let (r1, carry) = a[1].carrying_add(b[1], carry);
    let (r2, carry) = a[2].carrying_add(b[2], carry);
    let (r3, carry) = a[3].carrying_add(b[3], carry);
    ([r0, r1, r2, r3], carry)
}

/// The difference, and whether it went under 0.
#[inline(always)]
pub(crate) fn subtract(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (r0, borrow) = a[0].borrowing_sub(b[0], false);
    let (r1, borrow) = a[1].borrowing_sub(b[1], borrow);
    let (r2, borrow) = a[2].borrowing_sub(b[2], borrow);
    let (r3, borrow) = a[3].borrowing_sub(b[3], borrow);
    ([r0, r1, r2, r3], borrow)
}

/// `yes` where `choice` is true, else `no`, without a branch: which of the two is as good as random.
#[inline(always)]
pub(crate) fn choose(choice: bool, yes: &Limbs, no: &Limbs) -> Limbs {
    let mask = u64::from(choice).wrapping_neg();
    [
        no[0] ^ (mask & (no[0] ^ yes[0])),
        no[1] ^ (mask & (no[1] ^ yes[1])),
        no[2] ^ (mask & (no[2] ^ yes[2])),
        no[3] ^ (mask & (no[3] ^ yes[3])),
    ]
}

/// True when `a` is less than `b`.
#[inline(always)]
pub(crate) fn is_less(a: &Limbs, b: &Limbs) -> bool {
    subtract(a, b).1
}

/// The sum modulo `modulus` of two numbers below it.
#[inline(always)]
pub(crate) fn add_modulo(a: &Limbs, b: &Limbs, modulus: &Limbs) -> Limbs {
    let (sum, over) = add(a, b);
    let (reduced, under) = subtract(&sum, modulus);
    // The sum is at least the modulus when it went over, or when taking the modulus away does not go under.
    choose(under && !over, &sum, &reduced)
}

/// The 512-bit product: one row for each limb of `b`; the low halves of a row and its high halves are two chains of
/// additions, which compilers turn into plain `adc`.
#[inline(always)]
pub(crate) fn multiply(a: &Limbs, b: &Limbs) -> [u64; 8] {
    let mut t = [0_u64; 8];
    let mut row = 0;
    while row < 4 {
        let (l0, h0) = a[0].carrying_mul(b[row], 0);
        let (l1, h1) = a[1].carrying_mul(b[row], 0);
        let (l2, h2) = a[2].carrying_mul(b[row], 0);
        let (l3, h3) = a[3].carrying_mul(b[row], 0);
        let (x0, carry) = t[row].carrying_add(l0, false);
        let (x1, carry) = t[row + 1].carrying_add(l1, carry);
        let (x2, carry) = t[row + 2].carrying_add(l2, carry);
        let (x3, carry) = t[row + 3].carrying_add(l3, carry);
        let x4 = u64::from(carry);
        let (x1, carry) = x1.carrying_add(h0, false);
        let (x2, carry) = x2.carrying_add(h1, carry);
        let (x3, carry) = x3.carrying_add(h2, carry);
        let (x4, _) = x4.carrying_add(h3, carry);
        t[row] = x0;
        t[row + 1] = x1;
        t[row + 2] = x2;
        t[row + 3] = x3;
        t[row + 4] = x4;
        row += 1;
    }
    t
}

/// The 512-bit square: the six mixed products once, doubled, and the four squares.
#[inline(always)]
pub(crate) fn square(a: &Limbs) -> [u64; 8] {
    let (t1, c) = a[0].carrying_mul(a[1], 0);
    let (t2, c) = a[0].carrying_mul_add(a[2], c, 0);
    let (t3, t4) = a[0].carrying_mul_add(a[3], c, 0);
    let (t3, c) = a[1].carrying_mul_add(a[2], t3, 0);
    let (t4, t5) = a[1].carrying_mul_add(a[3], t4, c);
    let (t5, t6) = a[2].carrying_mul_add(a[3], t5, 0);

    let (t1, c) = t1.carrying_add(t1, false);
    let (t2, c) = t2.carrying_add(t2, c);
    let (t3, c) = t3.carrying_add(t3, c);
    let (t4, c) = t4.carrying_add(t4, c);
    let (t5, c) = t5.carrying_add(t5, c);
    let (t6, c) = t6.carrying_add(t6, c);
    let t7 = u64::from(c);

    let (l0, h0) = a[0].carrying_mul(a[0], 0);
    let (l1, h1) = a[1].carrying_mul(a[1], 0);
    let (l2, h2) = a[2].carrying_mul(a[2], 0);
    let (l3, h3) = a[3].carrying_mul(a[3], 0);
    let (t1, c) = t1.carrying_add(h0, false);
    let (t2, c) = t2.carrying_add(l1, c);
    let (t3, c) = t3.carrying_add(h1, c);
    let (t4, c) = t4.carrying_add(l2, c);
    let (t5, c) = t5.carrying_add(h2, c);
    let (t6, c) = t6.carrying_add(l3, c);
    let (t7, _) = t7.carrying_add(h3, c);
    [l0, t1, t2, t3, t4, t5, t6, t7]
}
