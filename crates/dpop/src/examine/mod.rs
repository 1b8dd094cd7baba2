//! Explaining: every check on any proof, token, request and answer, ranked findings with evidence, nothing secret.
//!
//! [`Verifier::check`](crate::Verifier::check) stops at the first failure; [`examine`] makes every check that can be
//! made, also on what is malformed, and says which could not be made and why. No I/O, no key of a server: whether a
//! nonce is the server's own and whether a proof was used before only the server knows.

#[cfg(test)]
mod agreement;
mod date;
mod exchange;
mod proof;
mod report;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;

use http::HeaderMap;

use self::exchange::{examine_fields, examine_response, server_date};
use self::proof::examine_proof;
use self::report::Report;
pub use self::report::{
    Check, CheckOutcome, CheckReport, ClockFacts, Examination, ProofFacts, ResponseFacts, TokenFacts,
};
use self::token::examine_token;
use crate::challenge::Scheme;
use crate::error::CredentialsError;
use crate::headers::{Credentials, read_credentials, read_proof};
use crate::jose::Algorithms;
use crate::time::{Timestamp, Window};

/// Where a request went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// A resource: a token goes with the proof.
    Resource,
    /// The token or PAR endpoint: no access token, so no `ath`.
    AuthorizationServer,
}

/// An answer as it was seen.
#[derive(Clone, Copy)]
pub struct Response<'a> {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// `error` of a JSON body (RFC 6749 §5.2), if there was one.
    pub error: Option<&'a str>,
}

/// What is known of one request. Everything but the time is optional; `Debug` says what is there, not what it is.
#[derive(Clone)]
pub struct Case<'a> {
    now: Timestamp,
    proof: Option<&'a str>,
    token: Option<&'a str>,
    scheme: Option<Scheme>,
    method: Option<&'a str>,
    url: Option<&'a str>,
    place: Option<Place>,
    audience: Option<&'a str>,
    response: Option<Response<'a>>,
    field_error: Option<CredentialsError>,
    moment: Option<Timestamp>,
    algorithms: Algorithms,
    window: Window,
}

impl<'a> Case<'a> {
    /// A case looked at `now`, judged by the window `rfc` and all algorithms.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            proof: None,
            token: None,
            scheme: None,
            method: None,
            url: None,
            place: None,
            audience: None,
            response: None,
            field_error: None,
            moment: None,
            algorithms: Algorithms::all(),
            window: Window::RFC,
        }
    }

    /// With the value of the `DPoP` field; blanks and line ends around it are dropped.
    #[must_use]
    pub fn with_proof(mut self, proof: &'a str) -> Self {
        self.proof = Some(proof.trim_ascii());
        self
    }

    /// With the access token; blanks and line ends around it are dropped.
    #[must_use]
    pub fn with_token(mut self, token: &'a str) -> Self {
        self.token = Some(token.trim_ascii());
        self
    }

    /// With the scheme under which the token was sent.
    #[must_use]
    pub const fn with_scheme(mut self, scheme: Scheme) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// With the request's fields: takes proof, token and scheme from there.
    #[must_use]
    pub fn with_request_headers(mut self, headers: &'a HeaderMap) -> Self {
        match read_credentials(headers) {
            Ok(Credentials::None) => match read_proof(headers) {
                Ok(proof) => self.proof = proof,
                Err(error) => self.field_error = Some(error),
            },
            Ok(Credentials::Dpop { token, proof }) => {
                (self.scheme, self.token, self.proof) = (Some(Scheme::Dpop), Some(token), Some(proof));
            }
            Ok(Credentials::Bearer { token, proof }) => {
                (self.scheme, self.token, self.proof) = (Some(Scheme::Bearer), Some(token), proof);
            }
            Err(error) => self.field_error = Some(error),
        }
        self
    }

    /// With what is wrong with the request's fields, unless a fault is known already. For what
    /// [`Case::with_request_headers`] cannot see: no credentials at all, or a token in the query or body.
    #[must_use]
    pub fn with_field_error(mut self, error: CredentialsError) -> Self {
        self.field_error = self.field_error.or(Some(error));
        self
    }

    /// With the method as it was sent.
    #[must_use]
    pub const fn with_method(mut self, method: &'a str) -> Self {
        self.method = Some(method);
        self
    }

    /// With the URL that was called, by its public name.
    #[must_use]
    pub const fn with_url(mut self, url: &'a str) -> Self {
        self.url = Some(url);
        self
    }

    /// With the place that was called; without it, an `ath` is compared when there is a token.
    #[must_use]
    pub const fn with_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// With the audience that the resource expects in `aud`.
    #[must_use]
    pub const fn with_audience(mut self, audience: &'a str) -> Self {
        self.audience = Some(audience);
        self
    }

    /// With the answer. Its `Date` is taken for the server's clock, by which proof and token are then judged.
    #[must_use]
    pub const fn with_response(mut self, response: Response<'a>) -> Self {
        self.response = Some(response);
        self
    }

    /// Judged for this moment, whatever the clocks of examiner and server say.
    #[must_use]
    pub const fn with_moment(mut self, moment: Timestamp) -> Self {
        self.moment = Some(moment);
        self
    }

    /// Judged by another list of algorithms.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// Judged by another window.
    #[must_use]
    pub const fn with_window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }
}

impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("proof", &self.proof.is_some())
            .field("token", &self.token.is_some())
            .field("scheme", &self.scheme)
            .field("method", &self.method.is_some())
            .field("url", &self.url.is_some())
            .field("response", &self.response.map(|response| response.status))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Makes every check that can be made on `case`. Findings come most telling first.
pub fn examine(case: &Case<'_>) -> Examination {
    let server_date = case.response.as_ref().and_then(|response| server_date(response.headers));
    let clock = ReferenceClock::of(case, server_date);
    let mut report = Report::default();
    examine_fields(case, &mut report);
    let proof = case.proof.map(|text| examine_proof(case, text, clock, &mut report));
    if proof.is_none() {
        report.none_of(Check::OF_PROOF, "there is no proof to look at");
    }
    let proof = proof.unwrap_or_default();
    let token = case.token.map(|text| examine_token(case, text, proof.jkt.as_ref(), clock, &mut report));
    if token.is_none() {
        report.none_of(Check::OF_TOKEN, "there is no access token to look at");
    }
    let response = case.response.map(|response| examine_response(&response, &proof, &mut report));
    let clock = ClockFacts::new(case.now, server_date, proof.iat);
    if let Some(seconds) = clock.server_alone_differs() {
        report.find(crate::Diagnosis::new(crate::DiagnosisCode::ServerClock).with_seconds(seconds));
    }
    report.finish(clock, proof.facts, token, response)
}

/// The clock that times are judged by: the moment that was given, else the server's if its answer tells, else the
/// examiner's.
#[derive(Clone, Copy)]
struct ReferenceClock {
    time: Timestamp,
    source: ClockSource,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum ClockSource {
    Answer,
    Examiner,
    Given,
}

impl ReferenceClock {
    fn of(case: &Case<'_>, server_date: Option<Timestamp>) -> Self {
        match (case.moment, server_date) {
            (Some(time), _) => Self { time, source: ClockSource::Given },
            (None, Some(time)) => Self { time, source: ClockSource::Answer },
            (None, None) => Self { time: case.now, source: ClockSource::Examiner },
        }
    }

    /// By which clock, in words.
    const fn remark(self) -> &'static str {
        match self.source {
            ClockSource::Answer => "by the Date of the answer",
            ClockSource::Examiner => "by the examiner's clock: what is looked at later is always old",
            ClockSource::Given => "by the moment given",
        }
    }

    /// False for the examiner's clock, which says when the request is looked at and not when it was sent.
    fn is_telling(self) -> bool {
        self.source != ClockSource::Examiner
    }
}
