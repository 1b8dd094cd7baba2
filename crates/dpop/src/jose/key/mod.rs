//! Private keys held in memory.

mod pem;
mod private_jwk;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

use self::secret::Secret;
use crate::jose::{Algorithm, PublicJwk, SignError};

/// Why a private key could not be read. Carries no part of the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFormatError {
    /// Neither PKCS#8, SEC1 nor a private JWK that can be read.
    #[error("not a private key in PKCS#8, SEC1 or JWK form")]
    NotAKey,
    /// A private key that is encrypted; it has to be decrypted first.
    #[error("the private key is encrypted; decrypt it first")]
    Encrypted,
    /// A private key, by what stands around it, of another type or curve, under 2048 bits, or damaged.
    #[error("a private key of a kind that is not used here, or a damaged one")]
    Unusable,
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
    secret: Secret,
}

impl SoftwareKey {
    /// The longest text or DER that is read as a key, in bytes.
    pub const MAX_LENGTH: usize = 16_384;

    /// Makes a new key for `algorithm`. RSA keys get 2048 bits.
    ///
    /// # Errors
    /// See [`KeyFormatError`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyFormatError> {
        Self::from_secret(Secret::generate(algorithm)?, algorithm)
    }

    /// Reads a private key from PKCS#8 DER (RFC 5208, RFC 5958) for use with `algorithm`.
    ///
    /// # Errors
    /// See [`KeyFormatError`].
    pub fn from_pkcs8(der: &[u8], algorithm: Algorithm) -> Result<Self, KeyFormatError> {
        if let Some(secret) = Secret::from_pkcs8(der, algorithm) {
            return Self::from_secret(secret, algorithm);
        }
        if first_fit(|other| Secret::from_pkcs8(der, other)).is_some() {
            return Err(KeyFormatError::NotFit(algorithm));
        }
        Err(if secret::is_public(der) { KeyFormatError::PublicOnly } else { KeyFormatError::NotAKey })
    }

    /// Reads PEM (PKCS#8, SEC1 or PKCS#1) or a private JWK, whichever `text` is. `algorithm` `None` picks the one that
    /// a JWK names, else the first that fits the key: ES256, ES384 or ES512 by curve, Ed25519, PS256.
    ///
    /// # Errors
    /// See [`KeyFormatError`].
    pub fn from_text(text: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyFormatError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(KeyFormatError::NotAKey);
        }
        if text.trim_ascii_start().starts_with(b"{") {
            let (secret, algorithm) = private_jwk::read(text, algorithm)?;
            return Self::from_secret(secret, algorithm);
        }
        let found = pem::read(text)?;
        let read = |algorithm| match found.form {
            pem::Form::Pkcs8 => Secret::from_pkcs8(&found.der, algorithm),
            pem::Form::Sec1 => Secret::from_sec1(&found.der, algorithm),
            pem::Form::Pkcs1 => Secret::from_pkcs1(&found.der, algorithm),
        };
        let fit = first_fit(read).ok_or(KeyFormatError::Unusable)?;
        match algorithm {
            None => Self::from_secret(fit.1, fit.0),
            Some(wanted) => Self::from_secret(read(wanted).ok_or(KeyFormatError::NotFit(wanted))?, wanted),
        }
    }

    /// The key as PKCS#8 DER, for sealing. Wiped when dropped.
    ///
    /// # Errors
    /// [`KeyFormatError::NotFit`] when the key cannot be written.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyFormatError> {
        self.secret.to_pkcs8().ok_or(KeyFormatError::NotFit(self.algorithm))
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
        self.secret.sign(self.algorithm, message).ok_or(SignError::Failed)
    }

    fn from_secret(secret: Secret, algorithm: Algorithm) -> Result<Self, KeyFormatError> {
        let public = secret.public_jwk().filter(|public| public.fits(algorithm));
        Ok(Self { algorithm, public: public.ok_or(KeyFormatError::NotFit(algorithm))?, secret })
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The first algorithm by which a key can be read, by preference.
fn first_fit(read: impl Fn(Algorithm) -> Option<Secret>) -> Option<(Algorithm, Secret)> {
    Algorithm::ALL.iter().find_map(|&algorithm| read(algorithm).map(|secret| (algorithm, secret)))
}
