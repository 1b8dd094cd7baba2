//! A proof alone.

use serde_json::Value;

use super::{Capture, Exchange, Form, Note};

/// Reads text that is nothing but one JWS, whole or damaged. What it is in detail is for the examination to say.
pub(super) fn read(text: &str) -> Option<Capture> {
    let joined: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if !is_compact(&joined) && !is_json_serialization(text) {
        return None;
    }
    let notes =
        if joined.len() == text.trim().len() || joined.starts_with('{') { vec![] } else { vec![Note::BreaksDropped] };
    let proof = if joined.starts_with('{') { text.trim().to_owned() } else { joined };
    Some(Capture { bare_proof: Some(proof), ..Capture::new(Form::Proof, Exchange::default(), notes) })
}

/// Characters of base64 in either alphabet and dots, beginning as every JSON object does in base64.
fn is_compact(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=.".contains(&byte);
    text.len() >= 8 && text.starts_with("ey") && text.bytes().all(is_fit)
}

/// RFC 7515 §7.2: not allowed as a proof, but recognisable.
fn is_json_serialization(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{')
        && serde_json::from_str::<Value>(text).is_ok_and(|value| {
            let has = |name| value.get(name).is_some();
            has("payload") && (has("signature") || has("signatures"))
        })
}
