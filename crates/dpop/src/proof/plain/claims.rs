//! The claims.

use super::{object, read_text, set};
use crate::jose::json::Member;
use crate::proof::ClaimMembers;
use crate::time::{NumericDate, plain_number};

/// The claims in `json`; `None` where they are written in any other way, or wrongly.
pub(in crate::proof) fn claims(json: &str) -> Option<ClaimMembers<'_>> {
    let mut members = ClaimMembers::default();
    let after = object(json, |name, value| match name {
        "jti" => read_text(&mut members.jti, value),
        "htm" => read_text(&mut members.htm, value),
        "htu" => read_text(&mut members.htu, value),
        "iat" => read_number(&mut members.iat, value),
        "ath" => read_text(&mut members.ath, value),
        "nonce" => read_text(&mut members.nonce, value),
        "exp" => read_number(&mut members.exp, value),
        "nbf" => read_number(&mut members.nbf, value),
        _ => None,
    })?;
    after.is_empty().then_some(members)
}

fn read_number<'a>(member: &mut Member<NumericDate>, value: &'a str) -> Option<&'a str> {
    let length = value.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, after) = value.split_at_checked(length)?;
    // JSON has no leading zeros.
    if digits.starts_with('0') {
        return None;
    }
    set(member, NumericDate::from_seconds(plain_number(digits)?))?;
    Some(after)
}
