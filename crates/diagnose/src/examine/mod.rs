//! From a capture to an examination.

#[cfg(test)]
mod tests;

use countersign_dpop::error::CredentialsError;
use countersign_dpop::examine::{Case, Place, Response, examine};
use countersign_dpop::headers::DPOP;
use countersign_dpop::jose::{Algorithm, Algorithms};
use countersign_dpop::time::{Timestamp, Window};
use countersign_dpop::{Challenge, Scheme};
use http::header::{AUTHORIZATION, CONTENT_TYPE, DATE, WWW_AUTHENTICATE};
use serde_json::Value;

use crate::capture::{Capture, Exchange, Form, Note, form_parameter, public_url};
use crate::redact::Redactor;
use crate::report::Report;

/// The most `WWW-Authenticate` fields that are looked into for algorithms.
const MOST_CHALLENGE_FIELDS: usize = 16;

/// What is known beside the capture. It overrides what the capture says.
#[derive(Clone, Default)]
pub struct Known<'a> {
    /// The moment to judge for; without it the `Date` of the answer, else the examiner's clock.
    pub moment: Option<Timestamp>,
    /// The access token.
    pub token: Option<&'a str>,
    /// The method, as the server sees it.
    pub method: Option<&'a str>,
    /// The URL by its public name.
    pub url: Option<&'a str>,
    /// The audience that the resource expects.
    pub audience: Option<&'a str>,
    /// The server's window; without it the window `rfc`.
    pub window: Option<Window>,
    /// The algorithms that the server accepts; without them those of its challenge, else all.
    pub algorithms: Option<Algorithms>,
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("moment", &self.moment)
            .field("token", &self.token.is_some())
            .field("method", &self.method.is_some())
            .field("url", &self.url.is_some())
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Capture {
    /// Makes every check that can be made. `now` is the examiner's clock.
    pub fn examine(&self, known: &Known<'_>, now: Timestamp) -> Report {
        let mut notes = self.notes.clone();
        let exchange = &self.exchange;
        let url = self.url(known, &mut notes);
        let error = body_error(&exchange.response.body);
        let mut case = self.presented(known, now);
        if let Some(url) = &url {
            case = case.with_url(url);
        }
        if let Some(method) = known.method.or(exchange.method.as_deref()) {
            case = case.with_method(method);
        }
        if let Some(status) = exchange.status.or((!exchange.response.fields.is_empty()).then_some(0)) {
            case = case.with_response(Response { status, headers: &exchange.response.fields, error: error.as_deref() });
        }
        if let Some(algorithms) = self.algorithms(known, &mut notes) {
            case = case.with_algorithms(algorithms);
        }
        if known.moment.is_none() && !exchange.response.fields.contains_key(DATE) {
            notes.push(Note::ExaminersClock);
        }
        let redactor = Redactor::of(self, known);
        Report::new(self.form, redactor.clean(examine(&case)), notes, redactor.into_manifest())
    }

    /// The case with proof, token, place, and what does not depend on the answer.
    fn presented<'a>(&'a self, known: &Known<'a>, now: Timestamp) -> Case<'a> {
        let request = &self.exchange.request;
        let mut case = Case::new(now).with_request_headers(&request.fields);
        if let Some(proof) = &self.bare_proof {
            case = case.with_proof(proof);
        }
        if let Some(scheme) = request.scheme {
            case = case.with_scheme(scheme);
        }
        if let Some(token) = known.token {
            case = case.with_token(token);
        }
        if let Some(place) = place(&self.exchange) {
            case = case.with_place(place);
        }
        if let Some(error) = self.field_error(known) {
            case = case.with_field_error(error);
        }
        if let Some(audience) = known.audience {
            case = case.with_audience(audience);
        }
        if let Some(moment) = known.moment {
            case = case.with_moment(moment);
        }
        case.with_window(known.window.unwrap_or_default())
    }

    fn url(&self, known: &Known<'_>, notes: &mut Vec<Note>) -> Option<String> {
        if let Some(url) = known.url {
            return Some(url.to_owned());
        }
        let (url, note) = public_url(&self.exchange)?;
        notes.extend(note);
        Some(url)
    }

    /// Faults of the fields that only the whole request shows.
    fn field_error(&self, known: &Known<'_>) -> Option<CredentialsError> {
        let (exchange, request) = (&self.exchange, &self.exchange.request);
        let query = exchange.target.as_deref().and_then(|target| target.split_once('?')).map_or("", |(_, query)| query);
        let is_form = request.only(CONTENT_TYPE).is_some_and(|value| value.starts_with("application/x-www-form-urlen"));
        if form_parameter(query.split('#').next().unwrap_or(""), "access_token").is_some()
            || (is_form && form_parameter(&request.body, "access_token").is_some())
        {
            return Some(CredentialsError::TokenOutsideHeader);
        }
        let is_refused = exchange.status == Some(401) && place(exchange) != Some(Place::AuthorizationServer);
        let is_whole = matches!(self.form, Form::Http | Form::Curl) && exchange.method.is_some();
        let has_token = known.token.is_some() || request.scheme.is_some() || request.fields.contains_key(AUTHORIZATION);
        (is_refused && is_whole && !has_token).then_some(CredentialsError::Missing)
    }

    fn algorithms(&self, known: &Known<'_>, notes: &mut Vec<Note>) -> Option<Algorithms> {
        if let Some(algorithms) = &known.algorithms {
            return Some(algorithms.clone());
        }
        let fields = self.exchange.response.fields.get_all(WWW_AUTHENTICATE).iter().take(MOST_CHALLENGE_FIELDS);
        let listed: Vec<Algorithm> = fields
            .filter_map(|field| Challenge::parse_field(field.to_str().ok()?).ok())
            .flatten()
            .filter(|challenge| challenge.scheme == Scheme::Dpop)
            .flat_map(|challenge| challenge.algs)
            .filter_map(|name| name.parse().ok())
            .collect();
        let narrowed = Algorithms::all().narrowed_to(&listed)?;
        notes.push(Note::AlgorithmsOfChallenge);
        Some(narrowed)
    }
}

/// Where the request went, if it says so: a form with `grant_type`, or what a pushed authorization request has, or
/// client authentication beside a proof, goes to the authorization server; a token of ours to a resource.
fn place(exchange: &Exchange) -> Option<Place> {
    let request = &exchange.request;
    let is_of = |name| form_parameter(&request.body, name).is_some();
    let scheme = request.only(AUTHORIZATION).and_then(|value| value.split(' ').next()).unwrap_or("");
    let is_basic = scheme.eq_ignore_ascii_case("Basic") && request.fields.contains_key(DPOP);
    if is_of("grant_type") || (is_of("client_id") && is_of("response_type")) || is_basic {
        return Some(Place::AuthorizationServer);
    }
    let is_ours = ["DPoP", "Bearer"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours));
    (is_ours || request.scheme.is_some()).then_some(Place::Resource)
}

/// `error` of a JSON body, if it is a code and not a text (RFC 6749 §5.2).
fn body_error(body: &str) -> Option<String> {
    let json = body.get(body.find('{')?..)?;
    let value: Value = serde_json::Deserializer::from_str(json).into_iter().next()?.ok()?;
    let error = value.get("error")?.as_str()?;
    let is_code = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    ((1..=64).contains(&error.len()) && error.bytes().all(is_code)).then(|| error.to_owned())
}
