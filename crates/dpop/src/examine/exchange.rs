//! The fields of request and answer.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, DATE, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName};

use super::date::parse_http_date;
use super::proof::ExaminedProof;
use super::report::{Check, Report, ResponseFacts};
use super::{Case, Response};
use crate::challenge::{Challenge, Scheme};
use crate::diagnosis::{Diagnosis, DiagnosisCode};
use crate::error::{CredentialsError, ErrorCode, shorten};
use crate::headers::{DPOP_NONCE, read_nonce};

/// The most `WWW-Authenticate` fields that are looked into.
const MOST_CHALLENGE_FIELDS: usize = 16;

pub(super) fn examine_fields(case: &Case<'_>, report: &mut Report) {
    let missing = CredentialsError::ProofMissing;
    let error = case.field_error.or(match (case.scheme, case.proof) {
        (Some(Scheme::Dpop), None) => Some(missing),
        _ => None,
    });
    match error {
        Some(error) => report.refuse(Check::Fields, error),
        None if case.proof.is_none() && case.token.is_none() => {
            report.skip(Check::Fields, "neither proof nor token is known");
        }
        None => report.pass(Check::Fields),
    }
}

/// The server's clock, by the `Date` of its answer.
pub(super) fn server_date(headers: &HeaderMap) -> Option<crate::time::Timestamp> {
    parse_http_date(headers.get(DATE)?.to_str().ok()?)
}

pub(super) fn examine_response(response: &Response<'_>, proof: &ExaminedProof, report: &mut Report) -> ResponseFacts {
    let challenges = read_challenges(response.headers);
    let spoken = Spoken::of(&challenges, response.error);
    let nonce = read_nonce(response.headers);
    for diagnosis in diagnose_error(&spoken, nonce.is_ok_and(|nonce| nonce.is_some()), proof) {
        report.find(diagnosis);
    }
    if (300..400).contains(&response.status) && response.headers.contains_key(LOCATION) {
        report.find(Diagnosis::new(DiagnosisCode::Redirected).with_found(response.status.to_string()));
    }
    if response.status == 431 {
        let length = proof.facts.as_ref().map_or(0, |facts| facts.length);
        let found = format!("a proof of {length} bytes");
        report.find(Diagnosis::new(DiagnosisCode::FieldsTooLarge).with_found(found));
    }
    if response.status >= 500 {
        report.find(Diagnosis::new(DiagnosisCode::ServerFailed).with_found(response.status.to_string()));
    }
    if let Some(hidden) = hidden_from_scripts(response.headers) {
        report.find(Diagnosis::new(DiagnosisCode::CorsHidden).with_found(hidden));
    }
    ResponseFacts {
        status: response.status,
        error: spoken.error.map(shorten),
        schemes: challenges.iter().map(|challenge| challenge.scheme.as_str()).collect(),
        has_nonce: response.headers.contains_key(DPOP_NONCE),
    }
}

fn read_challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let fields = headers.get_all(WWW_AUTHENTICATE).iter().take(MOST_CHALLENGE_FIELDS);
    let fields = fields.filter_map(|field| field.to_str().ok());
    fields.filter_map(|field| Challenge::parse_field(field).ok()).flatten().collect()
}

/// The error that the server names, in the challenge of the best scheme or in the body.
struct Spoken<'a> {
    error: Option<&'a str>,
    description: Option<&'a str>,
    scope: Option<&'a str>,
}

impl<'a> Spoken<'a> {
    fn of(challenges: &'a [Challenge], body_error: Option<&'a str>) -> Self {
        let of_scheme = |scheme| challenges.iter().find(move |one| one.scheme == scheme && one.has_error());
        let challenge = of_scheme(Scheme::Dpop).or_else(|| of_scheme(Scheme::Bearer));
        let code = challenge.and_then(|one| one.error.map(ErrorCode::as_str).or(one.other_error.as_deref()));
        Self {
            error: code.or(body_error),
            description: challenge.and_then(|one| one.error_description.as_deref()),
            scope: challenge.and_then(|one| one.scope.as_deref()),
        }
    }
}

fn diagnose_error(spoken: &Spoken<'_>, has_nonce: bool, proof: &ExaminedProof) -> Vec<Diagnosis> {
    let with_words = |code| {
        let diagnosis = Diagnosis::new(code);
        match spoken.description {
            Some(words) => diagnosis.with_detail(format!("the server says: {}", shorten(words))),
            None => diagnosis,
        }
    };
    match spoken.error {
        Some("use_dpop_nonce") => {
            let asked = if proof.has_nonce { DiagnosisCode::NonceRefusedAgain } else { DiagnosisCode::NonceChallenge };
            let lost = (!has_nonce).then(|| Diagnosis::new(DiagnosisCode::NonceNotGiven));
            std::iter::once(Diagnosis::new(asked)).chain(lost).collect()
        }
        Some("invalid_dpop_proof") => vec![with_words(DiagnosisCode::ProofRefused)],
        Some("invalid_token") => vec![with_words(DiagnosisCode::TokenRefused)],
        Some("insufficient_scope") => {
            let diagnosis = with_words(DiagnosisCode::InsufficientScope);
            vec![match spoken.scope {
                Some(scope) => diagnosis.with_expected(shorten(scope)),
                None => diagnosis,
            }]
        }
        Some("insufficient_user_authentication") => vec![with_words(DiagnosisCode::StepUp)],
        Some(_) | None => Vec::new(),
    }
}

/// The field that a script would need and cannot read, if the answer is to a request of another origin.
fn hidden_from_scripts(headers: &HeaderMap) -> Option<&'static str> {
    headers.get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
    let exposed: Vec<String> = headers
        .get_all(ACCESS_CONTROL_EXPOSE_HEADERS)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let is_hidden = |name: &HeaderName| {
        headers.contains_key(name) && !exposed.iter().any(|exposed| exposed == name.as_str() || exposed == "*")
    };
    [(DPOP_NONCE, "DPoP-Nonce"), (WWW_AUTHENTICATE, "WWW-Authenticate")]
        .into_iter()
        .find_map(|(name, spelled)| is_hidden(&name).then_some(spelled))
}
