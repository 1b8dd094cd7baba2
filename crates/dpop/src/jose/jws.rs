//! The compact serialization (RFC 7515 §3.1): bounded, then split, then decoded strictly.

use std::fmt;

use memchr::{memchr, memchr_iter};

use crate::jose::base64url::{decode_into, room};

/// One of the three parts of a compact JWS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum JwsPart {
    /// The JOSE header.
    Header,
    /// The payload; for a JWT its claims.
    Payload,
    /// The signature.
    Signature,
}

impl fmt::Display for JwsPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a text is not a compact JWS.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JwsError {
    /// Longer than allowed; nothing of it was decoded.
    #[error("{length} bytes long, more than the {limit} allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The most bytes allowed.
        limit: usize,
    },
    /// Not exactly three parts between dots.
    #[error("{found} parts between dots instead of three")]
    NotThreeParts {
        /// How many there are.
        found: usize,
    },
    /// A part is not canonical base64url.
    #[error("the {part} is not canonical base64url")]
    BadBase64 {
        /// Which part.
        part: JwsPart,
    },
}

/// Room for the decoded parts of one JWS. Can be used again for the next one. `Debug` does not show what it held.
#[derive(Default)]
pub struct JwsBuffer {
    bytes: Vec<u8>,
}

impl JwsBuffer {
    /// An empty buffer; it grows to the size of what is decoded, and the limit of the text bounds that.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    fn with_room_for(&mut self, parts: &[&[u8]]) -> &mut [u8] {
        let total = parts.iter().map(|part| room(part.len())).sum();
        if self.bytes.len() < total {
            self.bytes.resize(total, 0);
        }
        &mut self.bytes
    }
}

impl fmt::Debug for JwsBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwsBuffer").field("length", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// A compact JWS, split and decoded. Its signature has not been looked at.
#[derive(Clone, Copy)]
pub struct CompactJws<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    signing_input: &'a [u8],
    encoded_header: &'a [u8],
}

impl<'a> CompactJws<'a> {
    /// Splits and decodes `text` of at most `limit` bytes.
    ///
    /// # Errors
    /// See [`JwsError`].
    pub fn split(text: &'a [u8], buffer: &'a mut JwsBuffer, limit: usize) -> Result<Self, JwsError> {
        EncodedJws::split(text, limit)?.decode(buffer)
    }

    /// The decoded header.
    pub const fn header(&self) -> &'a [u8] {
        self.header
    }

    /// The decoded payload.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The decoded signature.
    pub const fn signature(&self) -> &'a [u8] {
        self.signature
    }

    /// The bytes that were signed: header and payload as they stood, with the dot.
    pub const fn signing_input(&self) -> &'a [u8] {
        self.signing_input
    }

    /// The header as it stood in the text; the same for every proof of one client.
    pub const fn encoded_header(&self) -> &'a [u8] {
        self.encoded_header
    }
}

/// A compact JWS, bounded and split, with nothing decoded yet.
#[derive(Clone, Copy)]
pub(crate) struct EncodedJws<'a> {
    text: &'a [u8],
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> EncodedJws<'a> {
    pub(crate) fn split(text: &'a [u8], limit: usize) -> Result<Self, JwsError> {
        if text.len() > limit {
            return Err(JwsError::TooLong { length: text.len(), limit });
        }
        let [header, payload, signature] = three_parts(text)?;
        Ok(Self { text, header, payload, signature })
    }

    /// The header as it stands in the text.
    pub(crate) const fn header(&self) -> &'a [u8] {
        self.header
    }

    /// The bytes that were signed.
    pub(crate) fn signing_input(&self) -> &'a [u8] {
        &self.text[..self.header.len() + 1 + self.payload.len()]
    }

    pub(crate) fn decode(self, buffer: &'a mut JwsBuffer) -> Result<CompactJws<'a>, JwsError> {
        let room = buffer.with_room_for(&[self.header, self.payload, self.signature]);
        let (header, rest) = decode_part(self.header, room, JwsPart::Header)?;
        let (payload, rest) = decode_part(self.payload, rest, JwsPart::Payload)?;
        let (signature, _) = decode_part(self.signature, rest, JwsPart::Signature)?;
        let signing_input = self.signing_input();
        Ok(CompactJws { header, payload, signature, signing_input, encoded_header: self.header })
    }

    /// Payload and signature only: for a header whose text is known.
    pub(crate) fn decode_after_header(self, buffer: &'a mut JwsBuffer) -> Result<[&'a [u8]; 2], JwsError> {
        let room = buffer.with_room_for(&[self.payload, self.signature]);
        let (payload, rest) = decode_part(self.payload, room, JwsPart::Payload)?;
        let (signature, _) = decode_part(self.signature, rest, JwsPart::Signature)?;
        Ok([payload, signature])
    }
}

impl fmt::Debug for CompactJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactJws").field("length", &self.signing_input.len()).finish_non_exhaustive()
    }
}

fn three_parts(text: &[u8]) -> Result<[&[u8]; 3], JwsError> {
    let parts = cut(text).and_then(|(header, rest)| cut(rest).map(|(payload, signature)| [header, payload, signature]));
    parts
        .filter(|[_, _, signature]| memchr(b'.', signature).is_none())
        .ok_or_else(|| JwsError::NotThreeParts { found: memchr_iter(b'.', text).count() + 1 })
}

/// What lies before and after the first dot.
fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    memchr(b'.', text).map(|dot| (&text[..dot], &text[dot + 1..]))
}

/// Decodes `text` to the front of `room`; gives back what was decoded and the room that is left.
fn decode_part<'a>(text: &[u8], room: &'a mut [u8], part: JwsPart) -> Result<(&'a [u8], &'a mut [u8]), JwsError> {
    let length = decode_into(text, room).map_err(|_| JwsError::BadBase64 { part })?;
    let (decoded, rest) = room.split_at_mut(length);
    Ok((decoded, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CompactJws, JwsBuffer, JwsError, JwsPart};

    fn split_error(text: &str) -> JwsError {
        CompactJws::split(text.as_bytes(), &mut JwsBuffer::new(), 100).unwrap_err()
    }

    #[test]
    fn splits_and_decodes_the_three_parts() {
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(b"e30.Zm9v.AQID", &mut buffer, 13).unwrap();
        assert_eq!(jws.header(), b"{}");
        assert_eq!(jws.payload(), b"foo");
        assert_eq!(jws.signature(), [1, 2, 3]);
        assert_eq!(jws.signing_input(), b"e30.Zm9v");
        assert_eq!(jws.encoded_header(), b"e30");
    }

    #[test]
    fn uses_a_buffer_again_without_what_was_in_it() {
        let mut buffer = JwsBuffer::new();
        CompactJws::split(b"AAAAAAAA.AAAAAAAA.AAAAAAAA", &mut buffer, 100).unwrap();
        let jws = CompactJws::split(b"AQ..", &mut buffer, 100).unwrap();
        assert_eq!((jws.header(), jws.payload(), jws.signature()), (&[1][..], &[][..], &[][..]));
    }

    #[test]
    fn shows_nothing_of_what_it_holds() {
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(b"e30.Zm9v.AQID", &mut buffer, 13).unwrap();
        assert_eq!(format!("{jws:?}"), "CompactJws { length: 8, .. }");
    }

    #[test]
    fn refuses_other_than_three_parts() {
        for (text, found) in [("", 1), ("e30", 1), ("e30.e30", 2), ("e30.e30.AA.", 4), (".....", 6)] {
            assert_eq!(split_error(text), JwsError::NotThreeParts { found }, "rows 67 to 69: {text}");
        }
    }

    #[test]
    fn refuses_before_decoding_what_is_too_long() {
        assert_eq!(split_error(&"?".repeat(101)), JwsError::TooLong { length: 101, limit: 100 });
    }

    #[test]
    fn refuses_parts_that_are_not_canonical() {
        use JwsPart::{Header, Payload, Signature};
        for (text, part) in [
            ("e30=.e30.AA", Header),
            ("e30.e30=.AA", Payload),
            ("e30.e30.AA==", Signature),
            ("e31.e30.AA", Header),
            ("e30.e3\n0.AA", Payload),
            ("e30.e30.AB", Signature),
            ("e30.e30.+/", Signature),
            ("e30.e30.A", Signature),
            (" e30.e30.AA", Header),
            ("e30.e30.AA,", Signature),
        ] {
            assert_eq!(split_error(text), JwsError::BadBase64 { part }, "rows 75 to 79: {text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = CompactJws::split(&text, &mut JwsBuffer::new(), 100);
        }

        #[test]
        fn never_panics_near_the_form(text in "[A-Za-z0-9_.=-]{0,40}") {
            let mut buffer = JwsBuffer::new();
            if let Ok(jws) = CompactJws::split(text.as_bytes(), &mut buffer, 100) {
                let again = [jws.header(), jws.payload(), jws.signature()].map(super::super::encode_base64url).join(".");
                prop_assert_eq!(again, text);
            }
        }
    }
}
