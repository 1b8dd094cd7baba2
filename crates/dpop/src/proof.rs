//! A proof as it was sent: parsed and typed once, nothing in it believed yet.

use std::borrow::Cow;

use crate::error::Rejection;
use crate::jose::{Algorithm, Algorithms, CompactJws, Jkt, JwsBuffer, PublicJwk};
use crate::time::NumericDate;

/// The longest proof that is read, in bytes of its compact form.
#[cfg(not(feature = "ml-dsa"))]
pub const MAX_PROOF_LENGTH: usize = 4_096;
/// The longest proof that is read, in bytes of its compact form: room for an ML-DSA-65 key.
#[cfg(feature = "ml-dsa")]
pub const MAX_PROOF_LENGTH: usize = 12_288;
/// The longest `jti` that is taken, in bytes.
pub const MAX_JTI_LENGTH: usize = 256;

/// A parsed proof: well-formed, of the right `typ`, an accepted `alg` and a strong public key. Its signature and
/// its claims have not been checked.
#[derive(Debug)]
pub struct Proof<'a> {
    pub(crate) jws: CompactJws<'a>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: PublicJwk,
    pub(crate) jkt: Jkt,
    pub(crate) claims: Claims<'a>,
}

/// The claims of a proof (RFC 9449 §4.2).
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    pub(crate) jti: Cow<'a, str>,
    pub(crate) htm: Cow<'a, str>,
    pub(crate) htu: Cow<'a, str>,
    pub(crate) iat: NumericDate,
    pub(crate) ath: Option<Cow<'a, str>>,
    pub(crate) nonce: Option<Cow<'a, str>>,
    pub(crate) exp: Option<NumericDate>,
    pub(crate) nbf: Option<NumericDate>,
}

impl<'a> Proof<'a> {
    /// Parses `text` in the order size, segments, base64url, JSON, `typ`, `alg`, `crit`, `jwk`, claims; the first
    /// fault is returned.
    ///
    /// # Errors
    /// `Malformed`, `Key`, or `Proof` with `TypMismatch`, `AlgNotAccepted` or `CritNotUnderstood`.
    pub fn parse(text: &'a str, buffer: &'a mut JwsBuffer, accepted: &Algorithms) -> Result<Self, Rejection> {
        let _ = (text, buffer, accepted);
        todo!("proof")
    }

    /// The algorithm of the signature.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The thumbprint of the key in the header.
    pub const fn jkt(&self) -> &Jkt {
        &self.jkt
    }

    /// The key in the header.
    pub const fn key(&self) -> &PublicJwk {
        &self.key
    }
}
