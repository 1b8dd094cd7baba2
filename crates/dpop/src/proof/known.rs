//! Headers that need not be read again: a client sends the same one with every proof.

use std::fmt;
use std::sync::Arc;

use super::{HeaderMembers, MAX_PROOF_LENGTH, ProofHeader};
use crate::error::{MalformedProof, Rejection};
use crate::jose::{Algorithm, Algorithms, InvalidSignature, Jkt, JwsError, JwsPart, PublicJwk, decode_base64url};

/// What was read of the header of a proof, by its exact text: algorithm, key and thumbprint, and possibly a faster way
/// to verify signatures of that key.
///
/// It says nothing of whose key it is. Remember headers of proofs that were valid and bound to a valid token, so that
/// strangers cannot fill the memory.
#[derive(Clone, Debug)]
pub struct KnownHeader {
    pub(super) header: ProofHeader,
    jkt: Jkt,
    prepared: Option<Arc<dyn PreparedKey>>,
}

/// Verifies signatures of one key, faster than from the key's bytes: with a table of its multiples, for instance.
///
/// It must give the verdict that the accepted [`Algorithms`] would give for that key, for every message and signature.
pub trait PreparedKey: fmt::Debug + Send + Sync {
    /// Verifies `signature` over `message`, the signing input of a JWS (RFC 7515 §5.2).
    ///
    /// # Errors
    /// The signature is not one of this key over this message.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature>;
}

/// A memory of headers. Looking one up must be cheap: it is done for every proof, before anything of it is checked.
pub trait KnownHeaders: fmt::Debug {
    /// The header with exactly this text, in base64url as it stands in the proof.
    fn find(&self, encoded: &[u8]) -> Option<&KnownHeader>;
}

/// Knows no header.
#[derive(Clone, Copy, Debug)]
pub struct NoKnownHeaders;

impl KnownHeaders for NoKnownHeaders {
    fn find(&self, _: &[u8]) -> Option<&KnownHeader> {
        None
    }
}

impl KnownHeader {
    /// Reads a header (RFC 9449 §4.2) from its text in base64url, with every check that [`Proof::parse`] makes of it.
    ///
    /// # Errors
    /// As [`Proof::parse`].
    ///
    /// [`Proof::parse`]: crate::Proof::parse
    pub fn read(encoded: &[u8], accepted: &Algorithms) -> Result<Self, Rejection> {
        let bad = |_| MalformedProof::Jws(JwsError::BadBase64 { part: JwsPart::Header });
        if encoded.len() > MAX_PROOF_LENGTH {
            let fault = JwsError::TooLong { length: encoded.len(), limit: MAX_PROOF_LENGTH };
            return Err(MalformedProof::Jws(fault).into());
        }
        let json = decode_base64url(encoded).map_err(bad)?;
        let header = HeaderMembers::read(&json)?.checked(accepted)?;
        Ok(Self { jkt: header.key.jkt(), header, prepared: None })
    }

    /// Verifies by `prepared` from now on.
    #[must_use]
    pub fn with_prepared_key(mut self, prepared: Arc<dyn PreparedKey>) -> Self {
        self.prepared = Some(prepared);
        self
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// The key.
    pub const fn key(&self) -> &PublicJwk {
        &self.header.key
    }

    /// The thumbprint of the key.
    pub const fn jkt(&self) -> &Jkt {
        &self.jkt
    }

    pub(super) fn verify(
        &self,
        algorithms: &Algorithms,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        match &self.prepared {
            Some(prepared) => prepared.verify(message, signature),
            None => self.header.verify(algorithms, message, signature),
        }
    }
}
