//! A proof as it was sent: parsed and typed once, nothing in it believed yet.

mod claims;
mod header;
mod known;
mod plain;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;

pub(crate) use self::claims::{ClaimMembers, Claims};
pub(crate) use self::header::HeaderMembers;
pub use self::known::{KnownHeader, KnownHeaders, NoKnownHeaders, PreparedKey};
use crate::error::{MalformedProof, Rejection};
use crate::jose::{Algorithm, Algorithms, EncodedJws, InvalidSignature, Jkt, JwsBuffer, PublicJwk};
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
/// its claims have not been checked. `Debug` shows algorithm and key only.
pub struct Proof<'a> {
    signing_input: &'a [u8],
    signature: &'a [u8],
    header: HeaderSource<'a>,
    pub(crate) claims: Claims<'a>,
}

/// What a header says, checked.
#[derive(Clone, Debug)]
struct ProofHeader {
    algorithm: Algorithm,
    key: PublicJwk,
}

enum HeaderSource<'a> {
    /// The thumbprint of its key is worked out when somebody asks: of a proof that is refused, nobody does.
    Read(ProofHeader, OnceLock<Jkt>),
    Known(&'a KnownHeader),
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
        Self::parse_among(text.as_bytes(), buffer, accepted, &NoKnownHeaders)
    }

    /// [`Proof::parse`] that does not read a header again whose exact text is known. Any bytes may be given: those that
    /// are a proof are base64url with dots.
    ///
    /// # Errors
    /// As there.
    pub fn parse_among(
        text: &'a [u8],
        buffer: &'a mut JwsBuffer,
        accepted: &Algorithms,
        known: &'a dyn KnownHeaders,
    ) -> Result<Self, Rejection> {
        let jws = EncodedJws::split(text, MAX_PROOF_LENGTH).map_err(MalformedProof::Jws)?;
        let is_accepted = |header: &&KnownHeader| accepted.contains(header.algorithm());
        match known.find(jws.header()).filter(is_accepted) {
            Some(header) => Self::with_known_header(jws, header, buffer),
            None => Self::with_new_header(jws, buffer, accepted),
        }
    }

    fn with_known_header(
        jws: EncodedJws<'a>,
        header: &'a KnownHeader,
        buffer: &'a mut JwsBuffer,
    ) -> Result<Self, Rejection> {
        let [payload, signature] = jws.decode_after_header(buffer).map_err(MalformedProof::Jws)?;
        let claims = ClaimMembers::read(payload)?.typed()?;
        Ok(Self { signing_input: jws.signing_input(), signature, header: HeaderSource::Known(header), claims })
    }

    fn with_new_header(
        jws: EncodedJws<'a>,
        buffer: &'a mut JwsBuffer,
        accepted: &Algorithms,
    ) -> Result<Self, Rejection> {
        let jws = jws.decode(buffer).map_err(MalformedProof::Jws)?;
        let header = HeaderMembers::read(jws.header())?;
        let claims = ClaimMembers::read(jws.payload())?;
        let header = HeaderSource::Read(header.checked(accepted)?, OnceLock::new());
        let claims = claims.typed()?;
        Ok(Self { signing_input: jws.signing_input(), signature: jws.signature(), header, claims })
    }

    /// Whether the signature is one of the key in the header (RFC 9449 §4.3 check 7).
    pub(crate) fn verify(&self, algorithms: &Algorithms) -> Result<(), InvalidSignature> {
        match &self.header {
            HeaderSource::Read(header, _) => header.verify(algorithms, self.signing_input, self.signature),
            HeaderSource::Known(header) => header.verify(algorithms, self.signing_input, self.signature),
        }
    }

    fn header(&self) -> &ProofHeader {
        match &self.header {
            HeaderSource::Read(header, _) => header,
            HeaderSource::Known(header) => &header.header,
        }
    }

    /// The bytes that were signed, as they stood in the text.
    pub const fn signing_input(&self) -> &'a [u8] {
        self.signing_input
    }

    /// The signature, decoded.
    pub const fn signature(&self) -> &'a [u8] {
        self.signature
    }

    /// The algorithm of the signature.
    pub fn algorithm(&self) -> Algorithm {
        self.header().algorithm
    }

    /// The thumbprint of the key in the header.
    pub fn jkt(&self) -> &Jkt {
        match &self.header {
            HeaderSource::Read(header, jkt) => jkt.get_or_init(|| header.key.jkt()),
            HeaderSource::Known(header) => header.jkt(),
        }
    }

    /// The key in the header.
    pub fn key(&self) -> &PublicJwk {
        &self.header().key
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

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("algorithm", &self.algorithm()).field("jkt", self.jkt()).finish_non_exhaustive()
    }
}

impl ProofHeader {
    fn verify(&self, algorithms: &Algorithms, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        algorithms.verify(self.algorithm, &self.key, message, signature)
    }
}
