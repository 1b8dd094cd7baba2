//! Signing, wherever the key lives.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;

use crate::jose::{Algorithm, PublicJwk, SoftwareKey, encode_base64url};

/// Why a signature could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key is locked, lost, or its store is away.
    #[error("the key cannot be used: {0}")]
    KeyUnavailable(String),
    /// The cryptographic library or device failed.
    #[error("signing failed")]
    Failed,
}

/// A signature to come: hardware keys and agents take their time.
pub type Signing<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, SignError>> + Send + 'a>>;

/// Signs with a key that may never leave where it lives.
pub trait ProofSigner: fmt::Debug + Send + Sync {
    /// The algorithm of the signatures.
    fn algorithm(&self) -> Algorithm;

    /// The public half of the key.
    fn public_jwk(&self) -> &PublicJwk;

    /// Signs `message`; the signature has the form that JWS wants (RFC 7518 §3.4).
    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a>;

    /// The same without waiting, by a signer that never has to; `None` from all others.
    fn sign_at_once(&self, _message: &[u8]) -> Option<Result<Vec<u8>, SignError>> {
        None
    }
}

impl ProofSigner for SoftwareKey {
    fn algorithm(&self) -> Algorithm {
        Self::algorithm(self)
    }

    fn public_jwk(&self) -> &PublicJwk {
        Self::public_jwk(self)
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        Box::pin(ready(self.sign_now(message)))
    }

    fn sign_at_once(&self, message: &[u8]) -> Option<Result<Vec<u8>, SignError>> {
        Some(self.sign_now(message))
    }
}

/// Makes a compact JWS of the two JSON texts.
///
/// # Errors
/// See [`SignError`].
pub async fn sign_compact(signer: &dyn ProofSigner, header: &str, payload: &str) -> Result<String, SignError> {
    let mut text = format!("{}.{}", encode_base64url(header), encode_base64url(payload));
    let signature = signer.sign(text.as_bytes()).await?;
    text.push('.');
    text.push_str(&encode_base64url(signature));
    Ok(text)
}
