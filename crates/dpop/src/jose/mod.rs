//! The JOSE layer that proofs, access tokens and assertions share: compact JWS (RFC 7515), JWK (RFC 7517), JWA
//! (RFC 7518) with strict rules. Everything is bounded before it is decoded and decoded once.

mod algorithm;
mod base64url;
#[cfg(test)]
pub(crate) mod examples;
pub(crate) mod json;
pub(crate) mod jwk;
mod jwk_set;
mod jws;
mod key;
mod sign;
mod verify;

pub use self::algorithm::{Algorithm, UnknownAlgorithm};
pub(crate) use self::base64url::{append_base64url_to, decode_array, encode_array};
pub use self::base64url::{
    decode as decode_base64url, encode as encode_base64url, encode_array as encode_base64url_array,
};
pub use self::json::{JsonError, JsonLimits, from_strict_json};
pub use self::jwk::{Jkt, JktError, PublicJwk};
pub use self::jwk_set::{JwkSet, JwkSetError, VerificationKey};
pub(crate) use self::jws::EncodedJws;
pub use self::jws::{CompactJws, JwsBuffer, JwsError, JwsPart};
pub use self::key::{KeyFormatError, SoftwareKey};
pub use self::sign::{ProofSigner, SignError, Signing, sign_compact};
pub use self::verify::{Algorithms, InvalidSignature, VerifyAlgorithm};
