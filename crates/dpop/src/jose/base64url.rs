//! Strict base64url (RFC 7515 §2): no padding, no white space, no stray bits in the last character.

use std::sync::LazyLock;

use base64::engine::Simd;
use base64::engine::general_purpose::NO_PAD;
use base64::{DecodeError, DecodeSliceError, Engine};
use smallvec::SmallVec;

static STRICT: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));

/// Decodes `text`.
///
/// # Errors
/// Any character outside the alphabet, padding, an impossible length, or a last character with stray bits.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, DecodeFailed> {
    STRICT.decode(text).map_err(DecodeFailed::from)
}

/// Encodes `bytes` without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    STRICT.encode(bytes)
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

impl From<DecodeSliceError> for DecodeFailed {
    fn from(_: DecodeSliceError) -> Self {
        Self
    }
}

/// Room enough to decode a text of `length` characters, which is up to three bytes more than it decodes to.
pub(crate) const fn room(length: usize) -> usize {
    length.div_ceil(4) * 3
}

/// Decodes `text` to the front of `into`, which must have [`room`], and says how many bytes there are.
pub(crate) fn decode_into(text: &[u8], into: &mut [u8]) -> Result<usize, DecodeFailed> {
    Ok(STRICT.decode_slice(text, into)?)
}

/// Decodes `text` that must be of exactly `N` bytes, at most 66.
pub(crate) fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], DecodeFailed> {
    let mut decoded = [0; room(88)];
    if room(text.len()) > decoded.len() {
        return Err(DecodeFailed);
    }
    let length = decode_into(text.as_bytes(), &mut decoded)?;
    decoded[..length].try_into().map_err(|_| DecodeFailed)
}

/// The text of `bytes` where that has exactly `N` characters, as 43 for 32 bytes.
pub fn encode_array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut text = [0; N];
    let written = STRICT.encode_slice(bytes, &mut text).ok()?;
    (written == N).then_some(text)
}

/// Writes `bytes` to the end of `text`.
pub(crate) fn append_base64url_to(bytes: &[u8], text: &mut Vec<u8>) {
    let before = text.len();
    text.resize(before + bytes.len().div_ceil(3) * 4, 0);
    // There is room for it with its padding, so writing it without cannot fail.
    let written = STRICT.encode_slice(bytes, &mut text[before..]).unwrap_or(0);
    text.truncate(before + written);
}

/// The same to the end of a text on the stack.
pub(crate) fn append_base64url<const N: usize>(bytes: &[u8], text: &mut SmallVec<[u8; N]>)
where
    [u8; N]: smallvec::Array<Item = u8>,
{
    let before = text.len();
    text.resize(before + bytes.len().div_ceil(3) * 4, 0);
    // There is room for it with its padding, so writing it without cannot fail.
    let written = STRICT.encode_slice(bytes, &mut text[before..]).unwrap_or(0);
    text.truncate(before + written);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DecodeFailed, decode, decode_array, encode, encode_array};

    #[test]
    fn refuses_all_but_the_one_spelling() {
        for text in ["Zg==", "Zg=", "Z", "ZZZZZ", "Zh", "Zm9v\n", "Zm 9v", " Zm9v", "Zm9v+w", "Zm9v/w", "Zm9vÄ", "Zm9"]
        {
            assert_eq!(decode(text), Err(DecodeFailed), "{text:?}");
        }
        assert_eq!(decode("Zg"), Ok(b"f".to_vec()));
        assert_eq!(decode("-_8"), Ok(vec![0xfb, 0xff]));
        assert_eq!(decode(""), Ok(Vec::new()));
    }

    #[test]
    fn encodes_arrays_of_their_length_only() {
        assert_eq!(encode_array::<43>(&[7; 32]).map(Vec::from), Some(encode([7; 32]).into_bytes()));
        assert_eq!([encode_array::<43>(&[7; 31]), encode_array(&[7; 33])], [None; 2]);
    }

    #[test]
    fn decodes_arrays_of_their_length_only() {
        assert_eq!(decode_array::<66>(&encode([7; 66])), Ok([7; 66]));
        assert_eq!(decode_array::<32>(&encode([7; 32])), Ok([7; 32]));
        for length in [0, 31, 33, 64, 66, 67, 200] {
            assert_eq!(decode_array::<32>(&encode(vec![7; length])), Err(DecodeFailed), "{length}");
        }
    }

    proptest! {
        #[test]
        fn comes_back_from_its_text(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decode(encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn has_one_spelling(text in "[A-Za-z0-9_=+/\\-]{0,12}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), text);
            }
        }
    }
}
