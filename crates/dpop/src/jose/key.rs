//! Private keys held in memory.

use std::fmt;

use zeroize::Zeroizing;

use crate::jose::{Algorithm, PublicJwk, SignError};

/// Why a private key could not be read. Carries no part of the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFormatError {
    /// The algorithm cannot be used with software keys of this build.
    #[error("keys for {0} cannot be made here")]
    AlgorithmNotSupported(Algorithm),
    /// Neither PKCS#8, SEC1 nor a private JWK that can be read.
    #[error("not a private key in PKCS#8, SEC1 or JWK form")]
    NotAKey,
    /// A key that can be read but is not fit: wrong curve, too small, or its parts contradict each other.
    #[error("the key is not fit for {0}")]
    NotFit(Algorithm),
    /// Only a public key was found.
    #[error("a public key where a private one is needed")]
    PublicOnly,
    /// The system gave no randomness.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// A private key in the memory of this process. Never printed, never serialized except by
/// [`SoftwareKey::to_pkcs8`]; wiped when dropped.
pub struct SoftwareKey {
    algorithm: Algorithm,
    public: PublicJwk,
}

impl SoftwareKey {
    /// Makes a new key for `algorithm`. RSA keys get 2048 bits.
    ///
    /// # Errors
    /// See [`KeyFormatError`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyFormatError> {
        let _ = algorithm;
        todo!("jose")
    }

    /// Reads a private key from PKCS#8 DER (RFC 5208, RFC 5958) for use with `algorithm`.
    ///
    /// # Errors
    /// See [`KeyFormatError`].
    pub fn from_pkcs8(der: &[u8], algorithm: Algorithm) -> Result<Self, KeyFormatError> {
        let _ = (der, algorithm);
        todo!("jose")
    }

    /// Reads PEM (PKCS#8 or SEC1) or a private JWK, whichever `text` is. `algorithm` `None` picks the first that
    /// fits the key: ES256, ES384 or ES512 by curve, Ed25519, PS256.
    ///
    /// # Errors
    /// See [`KeyFormatError`].
    pub fn from_text(text: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyFormatError> {
        let _ = (text, algorithm);
        todo!("jose")
    }

    /// The key as PKCS#8 DER, for sealing. Wiped when dropped.
    ///
    /// # Errors
    /// [`KeyFormatError::NotFit`] when the key cannot be written.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyFormatError> {
        todo!("jose")
    }

    /// The algorithm that the key signs with.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half.
    pub const fn public_jwk(&self) -> &PublicJwk {
        &self.public
    }

    /// Signs `message`; the signature has the form that JWS wants (RFC 7518 §3.4: `r` and `s` joined, not DER).
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign_now(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let _ = message;
        todo!("jose")
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
