//! What every answer has to keep to, whatever the case, and what a step asks of it besides.

use countersign_dpop::Scheme;
use countersign_dpop::headers::DPOP_NONCE;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::case::{Level, Step};
use super::expect::{Answer, Expect};
use super::request::ForgedRequest;

/// The first rule that the answer breaks.
pub(super) fn broken_rule(step: &Step, request: &ForgedRequest, answer: &Answer, level: Level) -> Option<String> {
    broken_challenge(answer)
        .or_else(|| broken_nonce(answer, step.expect))
        .or_else(|| echoed(request, answer))
        .or_else(|| missing(&answer.fields, &step.answer_has, &step.answer_lacks, "the answer"))
        .or_else(|| {
            let reached = level == Level::Gateway;
            reached.then(|| missing(&answer.upstream, &step.upstream_has, &step.upstream_lacks, "upstream")).flatten()
        })
}

/// RFC 9449 §7.1 and RFC 6750 §3: every 401 has a challenge of the DPoP scheme with its algorithms, and descriptions
/// of plain characters.
fn broken_challenge(answer: &Answer) -> Option<String> {
    let challenges = answer.challenges();
    let named = challenges.iter().any(|challenge| challenge.scheme == Scheme::Dpop && !challenge.algs.is_empty());
    if answer.status == StatusCode::UNAUTHORIZED && !named {
        return Some("no DPoP challenge with algs".to_owned());
    }
    let plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
    let mut descriptions = challenges.iter().filter_map(|challenge| challenge.error_description.as_deref());
    descriptions.any(|text| !plain(text)).then(|| "an error_description with other than plain characters".to_owned())
}

/// RFC 9449 §8.1, §8.2: at most one nonce, of NQCHAR, and where one is demanded exactly one, not to be cached.
fn broken_nonce(answer: &Answer, expect: Expect) -> Option<String> {
    let nonces: Vec<&[u8]> = answer.fields.get_all(DPOP_NONCE).iter().map(HeaderValue::as_bytes).collect();
    let legal = |nonce: &[u8]| {
        !nonce.is_empty() && nonce.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"' && *byte != b'\\')
    };
    if nonces.len() > 1 || !nonces.iter().all(|nonce| legal(nonce)) {
        return Some("more than one DPoP-Nonce, or one with illegal characters".to_owned());
    }
    if expect != Expect::UseDpopNonce {
        return None;
    }
    let cached = answer.fields.get(CACHE_CONTROL).is_none_or(|value| !value.as_bytes().starts_with(b"no-store"));
    match (nonces.is_empty(), cached) {
        (true, _) => Some("a nonce is demanded and none is given".to_owned()),
        (false, true) => Some("a demand for a nonce may be cached".to_owned()),
        (false, false) => None,
    }
}

/// Nothing that came with the request comes back.
fn echoed(request: &ForgedRequest, answer: &Answer) -> Option<String> {
    let secrets = request.values("authorization").chain(request.values("dpop"));
    let words: Vec<&str> = secrets.flat_map(|value| value.split([' ', '.'])).filter(|word| word.len() > 16).collect();
    let mut values = answer.fields.values().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values
        .any(|value| words.iter().any(|word| value.contains(word)))
        .then(|| "a part of the request's token or proof comes back in a field".to_owned())
}

fn missing(fields: &HeaderMap, has: &[(String, String)], lacks: &[String], whose: &str) -> Option<String> {
    let holds = |name: &str, part: &str| {
        fields.get_all(name).iter().any(|value| String::from_utf8_lossy(value.as_bytes()).contains(part))
    };
    let absent = has.iter().find(|(name, part)| !holds(name, part));
    let present = lacks.iter().find(|name| fields.contains_key(name.as_str()));
    let absent = absent.map(|(name, part)| format!("{whose} has no {name} with {part:?}"));
    absent.or_else(|| present.map(|name| format!("{whose} has {name}")))
}
