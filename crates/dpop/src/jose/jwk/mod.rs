//! Public keys as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2, RFC 9964 §4) and their thumbprint (RFC 7638).

mod members;
mod strength;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, EcdsaVerificationAlgorithm,
    ParsedPublicKey,
};
use smallvec::SmallVec;

use crate::error::KeyError;
use crate::jose::base64url::{append_base64url, decode_array};
use crate::jose::json::Reader;
use crate::jose::{Algorithm, JsonLimits, encode_base64url};

pub(crate) use self::members::JwkMembers;
pub(crate) use self::strength::{ed25519_key, rsa_key};

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
        decode_array(text).map(Self).map_err(|_| JktError)
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
    /// RSA keys have 2048 to 4096 bits, an odd modulus, and an odd exponent from 3 to 2^33; a `use` other than `sig`
    /// and `key_ops` without `verify` are refused.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(json: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(json, JsonLimits::PROOF).map_err(|_| KeyError::NotAnObject)?;
        let members = JwkMembers::read(&mut reader).map_err(|_| KeyError::NotAnObject)?;
        reader.finish().map_err(|_| KeyError::NotAnObject)?;
        members.public_key(None)
    }

    /// The thumbprint (RFC 7638 §3; RFC 8037 §2; RFC 9964 for `AKP`).
    pub fn jkt(&self) -> Jkt {
        let hash = digest(&SHA256, &self.json());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        Jkt(bytes)
    }

    /// The JWK as JSON with the required members only, in the order of the thumbprint.
    pub fn to_json(&self) -> String {
        // Names of ours and base64url: always text.
        String::from_utf8(self.json().into_vec()).unwrap_or_default()
    }

    fn json(&self) -> JsonText {
        match self {
            Self::P256 { x, y } => ec_json("P-256", x, y),
            Self::P384 { x, y } => ec_json("P-384", x, y),
            Self::P521 { x, y } => ec_json("P-521", x.as_slice(), y.as_slice()),
            Self::Ed25519 { x } => json_of(&[r#"{"crv":"Ed25519","kty":"OKP","x":""#], &[x]),
            Self::Rsa { n, e } => json_of(&[r#"{"e":""#, r#"","kty":"RSA","n":""#], &[e, n]),
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa { algorithm, public } => {
                json_of(&[r#"{"alg":""#, algorithm.name(), r#"","kty":"AKP","pub":""#], &[&[], &[], public])
            }
        }
    }

    /// True when signatures of `algorithm` can be made by a key of this type.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::P256 { .. } => algorithm == Algorithm::Es256,
            Self::P384 { .. } => algorithm == Algorithm::Es384,
            Self::P521 { .. } => algorithm == Algorithm::Es512,
            Self::Ed25519 { .. } => matches!(algorithm, Algorithm::Ed25519 | Algorithm::EdDsa),
            Self::Rsa { .. } => matches!(algorithm, Algorithm::Ps256 | Algorithm::Rs256),
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa { algorithm: own, .. } => algorithm == *own,
        }
    }

    /// False when the key is an elliptic point that does not lie on its curve. Costs some microseconds, so it is for
    /// saying why a signature did not verify; verifying makes the same test by itself. Ed25519 keys, whose curve is
    /// judged only together with a signature, give true.
    pub fn is_on_curve(&self) -> bool {
        match self {
            Self::P256 { x, y } => is_point(&ECDSA_P256_SHA256_FIXED, x, y),
            Self::P384 { x, y } => is_point(&ECDSA_P384_SHA384_FIXED, x, y),
            Self::P521 { x, y } => is_point(&ECDSA_P521_SHA512_FIXED, x.as_slice(), y.as_slice()),
            Self::Ed25519 { .. } | Self::Rsa { .. } => true,
            #[cfg(feature = "ml-dsa")]
            Self::MlDsa { .. } => true,
        }
    }
}

/// Room on the stack for the JSON of every key but RSA's and ML-DSA's.
type JsonText = SmallVec<[u8; 256]>;

fn ec_json(curve: &str, x: &[u8], y: &[u8]) -> JsonText {
    json_of(&[r#"{"crv":""#, curve, r#"","kty":"EC","x":""#, r#"","y":""#], &[&[], &[], x, y])
}

/// Each piece of text with the base64url of the bytes that follow it, and the end of the object.
fn json_of(pieces: &[&str], bytes: &[&[u8]]) -> JsonText {
    let mut json = JsonText::new();
    for (piece, bytes) in pieces.iter().zip(bytes) {
        json.extend_from_slice(piece.as_bytes());
        append_base64url(bytes, &mut json);
    }
    json.extend_from_slice(br#""}"#);
    json
}

/// The uncompressed form of a point (SEC 1 §2.3.3).
pub(crate) fn uncompressed_point(x: &[u8], y: &[u8]) -> Vec<u8> {
    let mut point = Vec::with_capacity(1 + x.len() + y.len());
    point.push(4);
    point.extend_from_slice(x);
    point.extend_from_slice(y);
    point
}

fn is_point(curve: &'static EcdsaVerificationAlgorithm, x: &[u8], y: &[u8]) -> bool {
    ParsedPublicKey::new(curve, uncompressed_point(x, y)).is_ok()
}
