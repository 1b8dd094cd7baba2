//! All `unsafe` of the crate: calling what was compiled for instructions that this machine has, and asking its caches.
//!
//! Each line says why it is sound. Everything that computes is safe code elsewhere, inlined into the entries here.

#![expect(unsafe_code, reason = "functions for special instructions may be called only after a look at the machine")]

use crate::comb::Comb;
use crate::ifma::{self, Line};
use crate::point::AffinePoint;
use crate::portable::Decide;
use crate::signature::Question;

/// Asks for the cache line of `point`, without waiting.
#[inline(always)]
pub(crate) fn prefetch<Point>(point: &Point) {
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

/// [`ifma::Decide::decide`], eight lanes at a time where the machine can, else undecided.
pub(crate) fn decide_by_ifma<Key: ifma::Decide>(question: &Question, key: &[Line], base: &[Line]) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    if has_ifma() {
        // SAFETY: the machine has AVX-512 F and IFMA, BMI2 and ADX, which is all that the function needs.
        return unsafe { x86_64::decide_by_ifma::<Key>(question, key, base) };
    }
    // Tests run the engine everywhere, on the definition of the instructions.
    #[cfg(test)]
    return Key::decide::<ifma::lanes::Emulated>(question, key, base);
    #[cfg(not(test))]
    None
}

/// True where the IFMA engine can run.
pub(crate) fn has_ifma() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = has_carry_chains() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has
}

/// True where multiplications may leave the flags alone, so that chains of carries need not be broken for them.
#[cfg(target_arch = "x86_64")]
fn has_carry_chains() -> bool {
    is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("adx")
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::x86_64::{
        __m512i, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512, _mm512_loadu_epi64, _mm512_madd52hi_epu64,
        _mm512_madd52lo_epu64, _mm512_set1_epi64, _mm512_shuffle_i64x2, _mm512_slli_epi64, _mm512_srai_epi64,
        _mm512_srli_epi64, _mm512_storeu_epi64, _mm512_sub_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
        _mm512_xor_si512,
    };

    use super::{AffinePoint, Comb, Decide, Line, Question, ifma};
    use crate::ifma::lanes::Lanes;

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

    #[target_feature(enable = "bmi2,adx,avx512f,avx512ifma")]
    pub(super) fn decide_by_ifma<Key: ifma::Decide>(question: &Question, key: &[Line], base: &[Line]) -> Option<bool> {
        Key::decide::<Zmm>(question, key, base)
    }

    /// A register of AVX-512. Its functions may be called only on a machine that has AVX-512 F and IFMA: one is made
    /// in [`decide_by_ifma`] and in tests, after a look.
    #[derive(Clone, Copy)]
    pub(super) struct Zmm(__m512i);

    // SAFETY, for all that follow: what the instructions need is there, as the type says; the two that read and write
    // memory do it in an array of exactly their 64 bytes, and need no alignment.
    impl Lanes for Zmm {
        #[inline(always)]
        fn splat(number: u64) -> Self {
            Self(unsafe { _mm512_set1_epi64(number.cast_signed()) })
        }

        #[inline(always)]
        fn load(numbers: &[u64; 8]) -> Self {
            Self(unsafe { _mm512_loadu_epi64(numbers.as_ptr().cast()) })
        }

        #[inline(always)]
        fn store(self) -> [u64; 8] {
            let mut numbers = [0; 8];
            unsafe { _mm512_storeu_epi64(numbers.as_mut_ptr().cast(), self.0) };
            numbers
        }

        #[inline(always)]
        fn transpose([a, b, c, d, e, f, g, h]: [Self; 8]) -> [Self; 8] {
            // Pairs of lines, then pairs of pairs, then halves: numbers 0 and 1 of a pair stand beside each other in
            // each 128 bits, and 128-bit parts 0, 2 and 1, 3 are taken together twice.
            let even = |a: Self, b: Self| unsafe { _mm512_unpacklo_epi64(a.0, b.0) };
            let odd = |a: Self, b: Self| unsafe { _mm512_unpackhi_epi64(a.0, b.0) };
            let first = |a, b| unsafe { _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b) };
            let second = |a, b| unsafe { _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b) };
            let (ab0, cd0, ef0, gh0) = (even(a, b), even(c, d), even(e, f), even(g, h));
            let (ab1, cd1, ef1, gh1) = (odd(a, b), odd(c, d), odd(e, f), odd(g, h));
            // Parts 0 and 2 are numbers 0 and 4 (1 and 5) of the lines; parts 1 and 3 are 2 and 6 (3 and 7).
            let (low04, high04) = (first(ab0, cd0), first(ef0, gh0));
            let (low26, high26) = (second(ab0, cd0), second(ef0, gh0));
            let (low15, high15) = (first(ab1, cd1), first(ef1, gh1));
            let (low37, high37) = (second(ab1, cd1), second(ef1, gh1));
            [
                Self(first(low04, high04)),
                Self(first(low15, high15)),
                Self(first(low26, high26)),
                Self(first(low37, high37)),
                Self(second(low04, high04)),
                Self(second(low15, high15)),
                Self(second(low26, high26)),
                Self(second(low37, high37)),
            ]
        }

        #[inline(always)]
        fn rotate<const BY: i32>(self) -> Self {
            Self(unsafe { _mm512_alignr_epi64::<BY>(self.0, self.0) })
        }

        #[inline(always)]
        fn add_product_low(self, a: Self, b: Self) -> Self {
            Self(unsafe { _mm512_madd52lo_epu64(self.0, a.0, b.0) })
        }

        #[inline(always)]
        fn add_product_high(self, a: Self, b: Self) -> Self {
            Self(unsafe { _mm512_madd52hi_epu64(self.0, a.0, b.0) })
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_epi64(self.0, other.0) })
        }

        #[inline(always)]
        fn subtract(self, other: Self) -> Self {
            Self(unsafe { _mm512_sub_epi64(self.0, other.0) })
        }

        #[inline(always)]
        fn and(self, other: Self) -> Self {
            Self(unsafe { _mm512_and_si512(self.0, other.0) })
        }

        #[inline(always)]
        fn xor(self, other: Self) -> Self {
            Self(unsafe { _mm512_xor_si512(self.0, other.0) })
        }

        #[inline(always)]
        fn left<const BY: u32>(self) -> Self {
            Self(unsafe { _mm512_slli_epi64::<BY>(self.0) })
        }

        #[inline(always)]
        fn right<const BY: u32>(self) -> Self {
            Self(unsafe { _mm512_srli_epi64::<BY>(self.0) })
        }

        #[inline(always)]
        fn right_signed<const BY: u32>(self) -> Self {
            Self(unsafe { _mm512_srai_epi64::<BY>(self.0) })
        }
    }

    /// On a machine without the instructions these say nothing; the test program `ifma` says so.
    #[cfg(test)]
    mod tests {
        use proptest::prelude::*;

        use super::Zmm;
        use crate::ifma::lanes::{Emulated, Lanes};
        use crate::native::has_ifma;

        fn results<L: Lanes>(lines: &[[u64; 8]; 8]) -> Vec<[u64; 8]> {
            let lines = lines.map(|line| L::load(&line));
            let [a, b, c, ..] = lines;
            let single = [
                L::splat(c.store()[7]),
                a.rotate::<1>(),
                a.rotate::<2>(),
                a.rotate::<4>(),
                a.add_product_low(b, c),
                a.add_product_high(b, c),
                a.add(b),
                a.subtract(b),
                a.and(b),
                a.xor(b),
                a.left::<1>(),
                a.left::<44>(),
                a.right::<52>(),
                a.right_signed::<52>(),
            ];
            single.into_iter().chain(L::transpose(lines)).map(L::store).collect()
        }

        proptest! {
            #[test]
            fn the_instructions_do_what_their_emulation_does(lines in any::<[[u64; 8]; 8]>()) {
                if has_ifma() {
                    prop_assert_eq!(results::<Zmm>(&lines), results::<Emulated>(&lines));
                }
            }
        }
    }
}
