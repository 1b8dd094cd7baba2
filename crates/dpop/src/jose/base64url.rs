//! Strict base64url (RFC 7515 §2): no padding, no white space, no stray bits in the last character.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine};

/// Decodes `text`.
///
/// # Errors
/// Any character outside the alphabet, padding, an impossible length, or a last character with stray bits.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeFailed> {
    URL_SAFE_NO_PAD.decode(text).map_err(DecodeFailed::from)
}

/// Encodes `bytes` without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The text is not canonical base64url.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not canonical base64url")]
pub struct DecodeFailed;

impl From<DecodeError> for DecodeFailed {
    fn from(_: DecodeError) -> Self {
        Self
    }
}
