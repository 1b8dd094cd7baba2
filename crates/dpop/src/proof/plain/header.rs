//! The header.

use super::{object, read_text, set};
use crate::jose::jwk::JwkMembers;
use crate::proof::HeaderMembers;

/// The header in `json`; `None` where it is written in any other way, or wrongly.
pub(in crate::proof) fn header(json: &str) -> Option<HeaderMembers<'_>> {
    let mut members = HeaderMembers::default();
    let after = object(json, |name, value| match name {
        "typ" => read_text(&mut members.typ, value),
        "alg" => read_text(&mut members.alg, value),
        "jwk" => {
            let mut key = JwkMembers::default();
            let after = object(value, |name, value| read_text(key.text(name)?, value))?;
            set(&mut members.jwk, key)?;
            Some(after)
        }
        _ => None,
    })?;
    after.is_empty().then_some(members)
}
