//! What a signature asks: the numbers of FIPS 186-5 §6.4.2, read and within their bounds.

use crate::scalar::{N, Scalar};
use crate::wide::{self, Limbs};

/// A signature's length: r and s, big-endian (RFC 7518 §3.4).
pub const SIGNATURE_LENGTH: usize = 64;

/// p − n: r may stand for x = r + n if it is below.
const P_LESS_N: Limbs = [0x0c46_353d_039c_daae, 0x4319_0553_58e8_617b, 0, 0];

/// r and s of a signature, from 1 to n − 1, and the hash e of what it is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) e: Scalar,
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
}

impl Question {
    /// `None` for a signature of another length or with a number out of bounds, which is no signature.
    pub(crate) fn read(digest: &[u8; 32], signature: &[u8]) -> Option<Self> {
        let (r, s) = signature.split_first_chunk::<32>()?;
        let s: &[u8; 32] = s.try_into().ok()?;
        let (r, s) = (Scalar::from_be_bytes(r)?, Scalar::from_be_bytes(s)?);
        Some(Self { e: Scalar::from_be_bytes_reduced(digest), r, s })
    }

    /// The other number below p that is r modulo n, if there is one: once in about 2¹²⁸ honest signatures.
    #[inline(always)]
    pub(crate) fn r_plus_n(&self) -> Option<Limbs> {
        wide::is_less(&self.r.0, &P_LESS_N).then(|| wide::add(&self.r.0, &N).0)
    }
}
