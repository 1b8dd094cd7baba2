//! What the upstream learns of the caller: `Countersign-*`, and no credential.

use std::fmt::Display;
use std::io::Write;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use countersign_dpop::headers::DPOP;
use countersign_resource::Access;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

const CLIENT: HeaderName = HeaderName::from_static("countersign-client");
const ISSUER: HeaderName = HeaderName::from_static("countersign-issuer");
const JKT: HeaderName = HeaderName::from_static("countersign-jkt");
const SCOPE: HeaderName = HeaderName::from_static("countersign-scope");
const SUBJECT: HeaderName = HeaderName::from_static("countersign-subject");
const PREFIX: &[u8] = b"countersign-";
/// Bytes that the values of most callers fit in together.
const USUAL_LENGTH: usize = 256;

/// True for a name that only the gateway may use towards the upstream. Servers exist that read `_` as `-`.
pub(crate) fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let same = |(found, expected): (&u8, &u8)| found == expected || (*found == b'_' && *expected == b'-');
    name.len() >= PREFIX.len() && name.iter().zip(PREFIX).all(same)
}

/// True for token and proof: the upstream has no use for them, and could lose them.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    *name == AUTHORIZATION || *name == DPOP
}

/// A field towards the upstream.
type Field = (HeaderName, HeaderValue);

/// The caller whom a connection served last, and the fields that name him: mostly the next one is the same.
#[derive(Debug, Default)]
pub(crate) struct LastCaller(Mutex<Option<(Access, Vec<Field>)>>);

impl LastCaller {
    /// The fields that name the caller, with room for one more.
    pub(crate) fn fields(&self, access: &Access) -> Vec<Field> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, named)) if is_same(known, access) => {
                let mut fields = Vec::with_capacity(named.len() + 1);
                fields.extend_from_slice(named);
                fields
            }
            Some(_) | None => {
                let fields = fields(access);
                *last = Some((access.clone(), fields.clone()));
                fields
            }
        }
    }
}

/// True when both are named alike.
fn is_same(one: &Access, other: &Access) -> bool {
    one.subject() == other.subject()
        && one.client_id() == other.client_id()
        && one.scope() == other.scope()
        && one.issuer() == other.issuer()
        && one.jkt() == other.jkt()
}

/// The fields that name the caller. A claim that the token does not have leaves its field out. All values share one
/// piece of memory.
fn fields(access: &Access) -> Vec<Field> {
    let scope = Some(access.scope()).filter(|scope| !scope.is_empty());
    let claims =
        [(SUBJECT, access.subject()), (CLIENT, access.client_id()), (SCOPE, scope), (ISSUER, Some(access.issuer()))];
    let mut text = Vec::with_capacity(USUAL_LENGTH);
    let places = claims.map(|(name, claim)| (name, claim.map(|claim| push(&mut text, claim))));
    let jkt = access.jkt().map(|jkt| push_plain(&mut text, jkt));
    let text = Bytes::from(text);
    // Room for the request's name too.
    let mut fields = Vec::with_capacity(places.len() + 2);
    for (name, place) in places.into_iter().chain([(JKT, jkt)]) {
        // Never an error: what was pushed is visible ASCII.
        if let Some(Ok(value)) = place.map(|place| HeaderValue::from_maybe_shared(text.slice(place))) {
            fields.push((name, value));
        }
    }
    fields
}

fn push_plain(text: &mut Vec<u8>, value: impl Display) -> Range<usize> {
    let start = text.len();
    // Writing to a vector cannot fail.
    let _ = write!(text, "{value}");
    start..text.len()
}

/// Puts a claim as a field's value behind `text`: percent-encoded where it is not plain. Plain is visible ASCII but
/// `%`, and a blank within. What comes out is visible ASCII.
fn push(text: &mut Vec<u8>, claim: &str) -> Range<usize> {
    let start = text.len();
    let last = claim.len().saturating_sub(1);
    for (place, byte) in claim.bytes().enumerate() {
        match byte {
            b'%' => text.extend_from_slice(b"%25"),
            b' ' if place > 0 && place < last => text.push(b' '),
            0x21..=0x7e => text.push(byte),
            _ => {
                // Writing to a vector cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    start..text.len()
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
            let mut text = b"before".to_vec();
            let place = push(&mut text, claim);
            assert_eq!(std::str::from_utf8(&text[place]), Ok(expected), "{claim:?}");
            assert!(HeaderValue::from_bytes(&text).is_ok(), "{claim:?}");
        }
    }
}
