//! What a resource server says when it refuses (RFC 9449 §7.1, RFC 6750 §3).

use countersign_dpop::{Challenge, ErrorCode, Scheme};
use http::{HeaderMap, StatusCode, header};

use crate::token::TokenKind;

/// The error code of the challenge for that kind of token in a 401 answer, if there is one that is known. A field that
/// cannot be parsed says nothing.
pub(super) fn read_refusal(kind: TokenKind, status: StatusCode, headers: &HeaderMap) -> Option<ErrorCode> {
    if status != StatusCode::UNAUTHORIZED {
        return None;
    }
    let scheme = match kind {
        TokenKind::Dpop => Scheme::Dpop,
        TokenKind::Bearer => Scheme::Bearer,
    };
    let fields = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|field| field.to_str().ok());
    let challenges = fields.flat_map(|field| Challenge::parse_field(field).unwrap_or_default());
    let mut errors = challenges.filter(|challenge| challenge.scheme == scheme).filter_map(|c| c.error);
    errors.next()
}
