//! The access token, read without verifying it.

use serde_json::{Map, Value};

use super::report::{Check, Report, TokenFacts};
use super::{Case, ReferenceClock};
use crate::challenge::Scheme;
use crate::confirm::Confirmation;
use crate::diagnosis::Diagnosis;
use crate::error::{ConfirmationError, Rejection, TokenError, shorten};
use crate::jose::{CompactJws, Jkt, JsonError, JsonLimits, JwsBuffer, from_strict_json};
use crate::time::{NumericDate, Timestamp};

/// The longest token that is looked into, in bytes.
const MAX_TOKEN_LENGTH: usize = 65_536;

type Object = Map<String, Value>;

pub(super) fn examine_token(
    case: &Case<'_>,
    text: &str,
    proof_jkt: Option<&Jkt>,
    clock: ReferenceClock,
    report: &mut Report,
) -> TokenFacts {
    report.none_of(Check::OF_TOKEN, "the access token is opaque; only its issuer can read it");
    let mut buffer = JwsBuffer::new();
    let Ok(jws) = CompactJws::split(text.as_bytes(), &mut buffer, MAX_TOKEN_LENGTH) else {
        return TokenFacts::default();
    };
    report.skip(Check::TokenSignature, "the issuer's keys are not known here");
    let read = |bytes| from_strict_json::<Object>(bytes, JsonLimits::DOCUMENT);
    match (read(jws.header()), read(jws.payload())) {
        (Ok(header), Ok(claims)) => {
            examine_form(&header, &claims, report);
            examine_time(&claims, clock, report);
            examine_audience(case, &claims, report);
            examine_binding(case, &claims, proof_jkt, report);
            facts(&header, &claims, clock)
        }
        (Err(fault), _) | (_, Err(fault)) => unreadable(&fault, report),
    }
}

fn unreadable(fault: &JsonError, report: &mut Report) -> TokenFacts {
    let reason = fault.to_string();
    report.none_of(Check::OF_TOKEN, "the access token cannot be read");
    report.refuse(Check::TokenForm, TokenError::Malformed { reason });
    TokenFacts { is_jwt: true, ..TokenFacts::default() }
}

/// `at+jwt` is an access token. Many issuers still write `JWT` or nothing; such a token is suspicious only if it looks
/// like an ID token.
fn examine_form(header: &Object, claims: &Object, report: &mut Report) {
    let typ = text(header, "typ").unwrap_or_default().to_ascii_lowercase();
    let is_id_token = ["at_hash", "nonce", "c_hash"].iter().any(|name| claims.contains_key(*name));
    match typ.strip_prefix("application/").unwrap_or(&typ) {
        "at+jwt" => report.pass(Check::TokenForm),
        "" | "jwt" if !is_id_token => report.pass(Check::TokenForm),
        other => {
            let found = if is_id_token { "an ID token" } else { other };
            let error = TokenError::TypMismatch { found: Some(shorten(found)) };
            report.refuse(Check::TokenForm, error);
        }
    }
}

fn examine_time(claims: &Object, clock: ReferenceClock, report: &mut Report) {
    let exp = date(claims, "exp").filter(|exp| exp.ceil() <= clock.time);
    let nbf = date(claims, "nbf").filter(|nbf| nbf.floor() > clock.time);
    let error = match (exp, nbf) {
        (Some(exp), _) => TokenError::Expired { ago: clock.time.since(exp.floor()) },
        (None, Some(nbf)) => TokenError::NotYetValid { ahead: nbf.ceil().since(clock.time) },
        (None, None) if claims.contains_key("exp") => return report.pass(Check::TokenTime),
        (None, None) => return report.skip(Check::TokenTime, "the access token has no exp"),
    };
    let diagnosis = Rejection::from(error).diagnosis().with_detail(clock.remark());
    if clock.is_telling() {
        report.fail(Check::TokenTime, diagnosis);
    } else {
        report.suspect(Check::TokenTime, diagnosis);
    }
}

fn examine_audience(case: &Case<'_>, claims: &Object, report: &mut Report) {
    let Some(expected) = case.audience else {
        return report.skip(Check::TokenAudience, "the audience of the resource is not known");
    };
    let found = audiences(claims);
    if found.contains(&expected) {
        return report.pass(Check::TokenAudience);
    }
    let found = found.into_iter().map(shorten).collect();
    let error = TokenError::AudienceMismatch { expected: shorten(expected), found };
    report.refuse(Check::TokenAudience, error);
}

fn examine_binding(case: &Case<'_>, claims: &Object, proof_jkt: Option<&Jkt>, report: &mut Report) {
    let confirmation = match claims.get("cnf") {
        Some(cnf) => match report.judge(Check::Binding, Confirmation::parse(cnf)) {
            Some(confirmation) => confirmation,
            None => return report.skip(Check::Scheme, "the binding cannot be read"),
        },
        None => Confirmation::unbound(),
    };
    examine_scheme(case, &confirmation, report);
    match (proof_jkt, confirmation.is_bound()) {
        (Some(jkt), true) => report.settle(Check::Binding, confirmation.confirm(jkt)),
        (Some(_), false) => report.skip(Check::Binding, "the access token is not bound"),
        (None, _) => report.skip(Check::Binding, "the proof's key is not known"),
    }
}

fn examine_scheme(case: &Case<'_>, confirmation: &Confirmation, report: &mut Report) {
    let error = match (case.scheme, confirmation.is_bound()) {
        (Some(Scheme::Bearer), true) => ConfirmationError::BoundAsBearer,
        (Some(Scheme::Dpop), false) => ConfirmationError::NotBound,
        (None, false) if case.proof.is_some() => ConfirmationError::NotBound,
        (Some(_), _) => return report.pass(Check::Scheme),
        (None, _) => return report.skip(Check::Scheme, "the scheme of the request is not known"),
    };
    let diagnosis: Diagnosis = Rejection::from(error).diagnosis();
    report.fail(Check::Scheme, diagnosis);
}

fn facts(header: &Object, claims: &Object, clock: ReferenceClock) -> TokenFacts {
    let confirmation = claims.get("cnf").and_then(|cnf| Confirmation::parse(cnf).ok()).unwrap_or_default();
    TokenFacts {
        is_jwt: true,
        typ: text(header, "typ").map(shorten),
        alg: text(header, "alg").map(shorten),
        iss: text(claims, "iss").map(shorten),
        aud: audiences(claims).into_iter().take(16).map(shorten).collect(),
        scope: text(claims, "scope").map(shorten),
        expires_in: date(claims, "exp").map(NumericDate::floor).map(|exp: Timestamp| exp.since(clock.time)),
        jkt: confirmation.jkt().map(ToString::to_string),
    }
}

fn text<'m>(object: &'m Object, name: &str) -> Option<&'m str> {
    object.get(name)?.as_str()
}

fn date(claims: &Object, name: &str) -> Option<NumericDate> {
    let number = claims.get(name)?;
    number.as_i64().map(NumericDate::from_seconds).or_else(|| NumericDate::from_f64(number.as_f64()?))
}

fn audiences(claims: &Object) -> Vec<&str> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
