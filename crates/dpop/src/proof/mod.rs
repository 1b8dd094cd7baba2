//! A proof as it was sent: parsed and typed once, nothing in it believed yet.

mod claims;
mod header;
#[cfg(test)]
mod tests;

pub(crate) use self::claims::{ClaimMembers, Claims};
pub(crate) use self::header::HeaderMembers;
use crate::error::{MalformedProof, Rejection};
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

impl<'a> Proof<'a> {
    /// Parses `text` in the order size, segments, base64url, JSON, `typ`, `alg`, `crit`, `jwk`, claims; the first
    /// fault is returned.
    ///
    /// `typ` is compared as a media type (RFC 7515 §4.1.9): `dpop+jwt` in any letter case, with or without
    /// `application/` before it. Header members that nobody asked for, `zip`, `enc`, `cty`, `kid`, `jku`, `x5u` and
    /// `x5c` among them, are ignored: nothing is decompressed, nothing is fetched. `crit` is refused whatever it
    /// holds, and so is a `b64` other than true.
    ///
    /// # Errors
    /// `Malformed`, `Key`, or `Proof` with `TypMismatch`, `AlgNotAccepted` or `CritNotUnderstood`.
    pub fn parse(text: &'a str, buffer: &'a mut JwsBuffer, accepted: &Algorithms) -> Result<Self, Rejection> {
        let jws = CompactJws::split(text.as_bytes(), buffer, MAX_PROOF_LENGTH).map_err(MalformedProof::Jws)?;
        let header = HeaderMembers::read(jws.header())?;
        let claims = ClaimMembers::read(jws.payload())?;
        header.check_typ()?;
        let algorithm = header.algorithm(accepted)?;
        header.check_extensions()?;
        let key = header.key(Some(algorithm))?;
        let claims = claims.typed()?;
        let jkt = key.jkt();
        Ok(Self { jws, algorithm, key, jkt, claims })
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

    /// The unique identifier, 1 to [`MAX_JTI_LENGTH`] bytes of any characters.
    pub fn jti(&self) -> &str {
        &self.claims.jti
    }

    /// The method that the proof is said to be for.
    pub fn htm(&self) -> &str {
        &self.claims.htm
    }

    /// The target URI that the proof is said to be for, as it stood.
    pub fn htu(&self) -> &str {
        &self.claims.htu
    }

    /// When the proof is said to be made.
    pub const fn iat(&self) -> NumericDate {
        self.claims.iat
    }

    /// The hash of an access token that is said to go with it, as it stood.
    pub fn ath(&self) -> Option<&str> {
        self.claims.ath.as_deref()
    }

    /// The nonce that is said to be the server's. Keep it out of logs.
    pub fn nonce(&self) -> Option<&str> {
        self.claims.nonce.as_deref()
    }
}
