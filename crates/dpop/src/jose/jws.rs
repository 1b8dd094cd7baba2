//! The compact serialization (RFC 7515 §3.1): bounded, then split, then decoded strictly.

use std::fmt;

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

/// Room for the decoded parts of one JWS. Can be used again for the next one.
#[derive(Debug, Default)]
pub struct JwsBuffer {
    #[expect(dead_code, reason = "filled in with the parser")]
    bytes: Vec<u8>,
}

impl JwsBuffer {
    /// An empty buffer; it grows to the size of what is decoded, and the limit of the text bounds that.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
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
        let _ = (text, buffer, limit);
        todo!("jose")
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

impl fmt::Debug for CompactJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactJws").field("length", &self.signing_input.len()).finish_non_exhaustive()
    }
}
