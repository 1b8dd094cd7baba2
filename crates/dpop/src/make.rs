//! Making proofs (RFC 9449 §4.2).

use std::sync::Arc;

use crate::jose::{Jkt, ProofSigner, SignError};
use crate::time::Timestamp;

/// What a proof is to be made for.
#[derive(Clone, Copy)]
pub struct ProofRequest<'a> {
    /// The method, exactly as it will be sent.
    pub method: &'a str,
    /// The URL that will be called; query, fragment and user information are left out of `htu`.
    pub url: &'a str,
    /// The access token that goes with it; `None` at the authorization server.
    pub token: Option<&'a str>,
    /// The nonce that the server asked for.
    pub nonce: Option<&'a str>,
}

impl std::fmt::Debug for ProofRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProofRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The URL cannot be an `htu`.
    #[error("no proof can be made for this URL: {0}")]
    Url(#[from] crate::htu::HtuError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// The signature could not be made.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Makes proofs with one key. Every proof gets a `jti` of 128 random bits.
#[derive(Clone, Debug)]
pub struct ProofMaker {
    signer: Arc<dyn ProofSigner>,
    jkt: Jkt,
}

impl ProofMaker {
    /// Makes proofs with `signer`.
    pub fn new(signer: Arc<dyn ProofSigner>) -> Self {
        let jkt = signer.public_jwk().jkt();
        Self { signer, jkt }
    }

    /// The thumbprint of the key.
    pub const fn jkt(&self) -> &Jkt {
        &self.jkt
    }

    /// The key.
    pub fn signer(&self) -> &dyn ProofSigner {
        self.signer.as_ref()
    }

    /// Makes a proof at `now`. The text is as good as the key for one request: keep it out of logs.
    ///
    /// # Errors
    /// See [`MakeError`].
    pub async fn make(&self, request: &ProofRequest<'_>, now: Timestamp) -> Result<String, MakeError> {
        let _ = (request, now);
        todo!("make")
    }
}
