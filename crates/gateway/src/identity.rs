//! What the upstream learns of the caller: `Countersign-*`, and no credential.

use std::fmt::Write;

use countersign_dpop::headers::DPOP;
use countersign_resource::Access;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

const CLIENT: HeaderName = HeaderName::from_static("countersign-client");
const ISSUER: HeaderName = HeaderName::from_static("countersign-issuer");
const JKT: HeaderName = HeaderName::from_static("countersign-jkt");
const SCOPE: HeaderName = HeaderName::from_static("countersign-scope");
const SUBJECT: HeaderName = HeaderName::from_static("countersign-subject");
const PREFIX: &[u8] = b"countersign-";

/// True for a name that only the gateway may use towards the upstream. Servers exist that read `_` as `-`.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let same = |(found, expected): (&u8, &u8)| found == expected || (*found == b'_' && *expected == b'-');
    name.len() >= PREFIX.len() && name.iter().zip(PREFIX).all(same)
}

/// Takes off what a client sent under reserved names.
pub(crate) fn remove_reserved(headers: &mut HeaderMap) {
    let reserved: Vec<HeaderName> = headers.keys().filter(|name| is_reserved(name)).cloned().collect();
    for name in reserved {
        headers.remove(name);
    }
}

/// Takes off token and proof: the upstream has no use for them, and could lose them.
pub(crate) fn remove_credentials(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    headers.remove(DPOP);
}

/// The fields that name the caller. A claim that the token does not have leaves its field out.
pub(crate) fn fields(access: &Access) -> HeaderMap {
    let jkt = access.jkt().map(ToString::to_string);
    let scope = Some(access.scope()).filter(|scope| !scope.is_empty());
    let claims = [
        (SUBJECT, access.subject()),
        (CLIENT, access.client_id()),
        (SCOPE, scope),
        (JKT, jkt.as_deref()),
        (ISSUER, Some(access.issuer())),
    ];
    // Room for the request's name too.
    let mut fields = HeaderMap::with_capacity(claims.len() + 1);
    fields.extend(claims.into_iter().filter_map(|(name, claim)| Some((name, value(claim?)?))));
    fields
}

/// A claim as a field's value: percent-encoded where it is not plain. Plain is visible ASCII but `%`, and a blank
/// within. Never `None`: what comes out is visible ASCII.
fn value(claim: &str) -> Option<HeaderValue> {
    let last = claim.len().saturating_sub(1);
    let is_plain = |(place, byte): (usize, u8)| match byte {
        b'%' => false,
        b' ' => place > 0 && place < last,
        _ => byte.is_ascii_graphic(),
    };
    if claim.bytes().enumerate().all(is_plain) {
        return HeaderValue::from_str(claim).ok();
    }
    let mut text = String::with_capacity(claim.len());
    for (place, byte) in claim.bytes().enumerate() {
        match byte {
            b'%' => text.push_str("%25"),
            b' ' if place > 0 && place < last => text.push(' '),
            0x21..=0x7e => text.push(char::from(byte)),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_reserved_names_in_every_spelling() {
        for name in ["countersign-subject", "Countersign_Subject", "COUNTERSIGN-", "countersign_x-y"] {
            assert!(is_reserved(&name.parse().unwrap()), "{name}");
        }
        for name in ["countersign", "x-countersign-subject", "countersig-n", "countersignx"] {
            assert!(!is_reserved(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn encodes_what_is_not_plain() {
        for (claim, expected) in [
            ("alice", "alice"),
            ("read write", "read write"),
            ("50%", "50%25"),
            ("a\r\nx-evil: 1", "a%0D%0Ax-evil: 1"),
            (" a ", "%20a%20"),
            ("zoë", "zo%C3%AB"),
            ("a\tb\u{7f}", "a%09b%7F"),
            ("", ""),
            (" ", "%20"),
        ] {
            assert_eq!(value(claim).unwrap(), expected, "{claim:?}");
        }
    }
}
