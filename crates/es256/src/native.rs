//! All `unsafe` of the crate: calling what was compiled for instructions that this machine has, and asking its caches.
//!
//! Each line says why it is sound. Everything that computes is safe code elsewhere, inlined into the entries here.

#![expect(unsafe_code, reason = "functions for special instructions may be called only after a look at the machine")]

use crate::comb::Comb;
use crate::point::AffinePoint;
use crate::portable::Decide;
use crate::signature::Question;

/// Asks for the cache line of `point`, without waiting.
#[inline(always)]
pub(crate) fn prefetch(point: &AffinePoint) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch reads nothing: no address makes it fail. This one is valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(point).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = point;
}

/// [`Decide::decide`], compiled for this machine.
pub(crate) fn decide<Key: Decide>(question: &Question, key: &[AffinePoint], base: &[AffinePoint]) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    if has_carry_chains() {
        // SAFETY: the machine has BMI2 and ADX, which is all that the function needs beyond x86-64.
        return unsafe { x86_64::decide::<Key>(question, key, base) };
    }
    Key::decide(question, key, base)
}

/// [`Comb::table`], compiled for this machine.
pub(crate) fn table<const TEETH: usize, const BLOCKS: usize, const SPACING: usize>(
    _: Comb<TEETH, BLOCKS, SPACING>,
    point: &AffinePoint,
) -> Option<Box<[AffinePoint]>> {
    #[cfg(target_arch = "x86_64")]
    if has_carry_chains() {
        // SAFETY: the machine has BMI2 and ADX, which is all that the function needs beyond x86-64.
        return unsafe { x86_64::table::<TEETH, BLOCKS, SPACING>(point) };
    }
    Comb::<TEETH, BLOCKS, SPACING>::table(point)
}

/// True where multiplications may leave the flags alone, so that chains of carries need not be broken for them.
#[cfg(target_arch = "x86_64")]
fn has_carry_chains() -> bool {
    is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx")
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{AffinePoint, Comb, Decide, Question};

    #[target_feature(enable = "bmi2,adx")]
    pub(super) fn decide<Key: Decide>(question: &Question, key: &[AffinePoint], base: &[AffinePoint]) -> Option<bool> {
        Key::decide(question, key, base)
    }

    #[target_feature(enable = "bmi2,adx")]
    pub(super) fn table<const TEETH: usize, const BLOCKS: usize, const SPACING: usize>(
        point: &AffinePoint,
    ) -> Option<Box<[AffinePoint]>> {
        Comb::<TEETH, BLOCKS, SPACING>::table(point)
    }
}
