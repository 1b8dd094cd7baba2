//! Public keys as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2, RFC 9964 §4) and their thumbprint (RFC 7638).

use std::fmt;
use std::str::FromStr;

use crate::error::KeyError;
use crate::jose::{Algorithm, decode_base64url, encode_base64url};

/// A key's thumbprint (RFC 7638, RFC 9449 §6.1): SHA-256 over its canonical JWK. Public by design.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Jkt([u8; 32]);

impl Jkt {
    /// Takes the hash itself.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Jkt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base64url(self.0))
    }
}

impl fmt::Debug for Jkt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jkt({self})")
    }
}

/// The text is not 43 characters of canonical base64url.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a jkt is 43 characters of base64url without padding")]
pub struct JktError;

impl FromStr for Jkt {
    type Err = JktError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode_base64url(text).map_err(|_| JktError)?;
        Ok(Self(bytes.try_into().map_err(|_| JktError)?))
    }
}

/// A public key for signatures that is strong enough and well formed. A private or symmetric key cannot be
/// represented; whether an elliptic point lies on its curve is found when a signature is verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublicJwk {
    /// `kty` `EC`, `crv` `P-256`.
    P256 {
        /// Big-endian x coordinate.
        x: [u8; 32],
        /// Big-endian y coordinate.
        y: [u8; 32],
    },
    /// `kty` `EC`, `crv` `P-384`.
    P384 {
        /// Big-endian x coordinate.
        x: [u8; 48],
        /// Big-endian y coordinate.
        y: [u8; 48],
    },
    /// `kty` `EC`, `crv` `P-521`.
    P521 {
        /// Big-endian x coordinate.
        x: Box<[u8; 66]>,
        /// Big-endian y coordinate.
        y: Box<[u8; 66]>,
    },
    /// `kty` `OKP`, `crv` `Ed25519`: canonical and not of low order.
    Ed25519 {
        /// The encoded point.
        x: [u8; 32],
    },
    /// `kty` `RSA`: 2048 to 4096 bits.
    Rsa {
        /// Big-endian modulus without leading zeros.
        n: Vec<u8>,
        /// Big-endian public exponent without leading zeros.
        e: Vec<u8>,
    },
    /// `kty` `AKP` (RFC 9964): an ML-DSA key.
    #[cfg(feature = "ml-dsa")]
    MlDsa {
        /// ML-DSA-44 or ML-DSA-65.
        algorithm: Algorithm,
        /// The encoded public key.
        public: Vec<u8>,
    },
}

impl PublicJwk {
    /// Reads a JWK from JSON: public members only, every coordinate canonical and of full length, strong enough.
    /// Unknown members are ignored; `x5u`, `x5c`, `kid` are never followed.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(json: &[u8]) -> Result<Self, KeyError> {
        let _ = json;
        todo!("jose")
    }

    /// The thumbprint (RFC 7638 §3; RFC 8037 §2; RFC 9964 for `AKP`).
    pub fn jkt(&self) -> Jkt {
        todo!("jose")
    }

    /// The JWK as JSON with the required members only, in the order of the thumbprint.
    pub fn to_json(&self) -> String {
        todo!("jose")
    }

    /// True when signatures of `algorithm` can be made by a key of this type.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        let _ = algorithm;
        todo!("jose")
    }
}
