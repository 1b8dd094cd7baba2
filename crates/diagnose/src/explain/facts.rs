//! What proof, token, answer and clocks say of themselves.

use countersign_dpop::examine::{ClockFacts, Examination, ProofFacts, ResponseFacts, TokenFacts};

use super::Row;

pub(super) fn seen(examination: &Examination) -> Vec<Row> {
    let rows = [
        ("proof", examination.proof.as_ref().map(proof)),
        ("token", examination.token.as_ref().map(token)),
        ("answer", examination.response.as_ref().map(response)),
        ("clocks", clocks(&examination.clock)),
    ];
    rows.into_iter().filter_map(|(label, text)| Some(Row { label, text: text? })).collect()
}

fn proof(facts: &ProofFacts) -> String {
    let parts = [
        facts.alg.map(str::to_owned),
        facts.jkt.as_ref().map(|jkt| format!("jkt {jkt}")),
        facts.htm.as_ref().map(|htm| format!("htm {htm}")),
        facts.htu.as_ref().map(|htu| format!("htu {htu}")),
        facts.iat.map(|iat| format!("iat {iat}")),
        Some(with_or_without(facts.has_ath, "ath")),
        Some(with_or_without(facts.has_nonce, "nonce")),
        Some(format!("{} bytes", facts.length)),
    ];
    joined(parts)
}

fn token(facts: &TokenFacts) -> String {
    if !facts.is_jwt {
        return "opaque; what it says only its issuer knows".to_owned();
    }
    let parts = [
        Some("JWT, not verified here".to_owned()),
        facts.typ.as_ref().map(|typ| format!("typ {typ}")),
        facts.alg.as_ref().map(|alg| format!("alg {alg}")),
        facts.iss.as_ref().map(|iss| format!("iss {iss}")),
        (!facts.aud.is_empty()).then(|| format!("aud {}", facts.aud.join(" "))),
        facts.scope.as_ref().map(|scope| format!("scope {scope}")),
        facts.expires_in.map(|seconds| format!("exp in {seconds} s")),
        Some(facts.jkt.as_ref().map_or_else(|| "not bound".to_owned(), |jkt| format!("bound to jkt {jkt}"))),
    ];
    joined(parts)
}

fn response(facts: &ResponseFacts) -> String {
    let parts = [
        (facts.status > 0).then(|| facts.status.to_string()),
        facts.error.clone(),
        (!facts.schemes.is_empty()).then(|| format!("offers {}", facts.schemes.join(" and "))),
        facts.has_nonce.then(|| "with a nonce for the next proof".to_owned()),
    ];
    joined(parts)
}

fn clocks(facts: &ClockFacts) -> Option<String> {
    let server = facts.server?;
    let offset = facts.iat_ahead_of_server.map(|ahead| match ahead {
        0 => "the proof's iat is equal to it".to_owned(),
        ahead if ahead > 0 => format!("the proof's iat is {ahead} s ahead of it"),
        behind => format!("the proof's iat is {} s behind it", behind.unsigned_abs()),
    });
    Some(joined([Some(format!("server {server} by its Date")), offset]))
}

fn with_or_without(has: bool, what: &str) -> String {
    format!("{} {what}", if has { "with" } else { "without" })
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
