//! JSON from the wire: no member twice at any depth (RFC 8725 §2.4, RFC 7515 §4), bounded depth and size.

mod reader;
#[cfg(test)]
mod tests;

use serde::Deserialize;

pub(crate) use self::reader::{Member, Reader, Value, plain_length};

/// How much structure a JSON text may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JsonLimits {
    /// The deepest nesting of arrays and objects.
    pub depth: usize,
    /// The number of members and array elements in the whole text.
    pub members: usize,
}

impl JsonLimits {
    /// For proof headers and claims: depth 8, 128 members.
    pub const PROOF: Self = Self { depth: 8, members: 128 };
    /// For access tokens, assertions, metadata documents and key sets: depth 16, 4,096 members.
    pub const DOCUMENT: Self = Self { depth: 16, members: 4_096 };
}

/// Why a text was not read as JSON of the expected shape. Carries no part of the text but member names of ours.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JsonError {
    /// A member occurs twice in one object.
    #[error("a member occurs twice in one object")]
    MemberRepeated,
    /// More nesting than allowed.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The most levels allowed.
        limit: usize,
    },
    /// More members and elements than allowed.
    #[error("more than {limit} members")]
    TooManyMembers {
        /// The most members allowed.
        limit: usize,
    },
    /// Not JSON (RFC 8259), or not UTF-8.
    #[error("not JSON, near byte {offset}")]
    Syntax {
        /// About where reading stopped.
        offset: usize,
    },
    /// JSON, but not of the shape that is expected here.
    #[error("JSON of another shape than expected")]
    Shape,
}

/// Reads `bytes` as JSON into `T`, having made sure that no object has a member twice and that `limits` hold.
///
/// # Errors
/// See [`JsonError`].
pub fn from_strict_json<'a, T: Deserialize<'a>>(bytes: &'a [u8], limits: JsonLimits) -> Result<T, JsonError> {
    Reader::check(bytes, limits)?;
    serde_json::from_slice(bytes).map_err(|_| JsonError::Shape)
}
