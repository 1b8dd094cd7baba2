//! What the resource server says of one request.

use std::fmt;

use countersign_dpop::Rejection;
use countersign_dpop::headers::DPOP_NONCE;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::access::Access;
use crate::decision::Decision;
use crate::refusal::Refusal;

/// `Deprecation` (RFC 9745).
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
/// `Sunset` (RFC 8594).
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// The verdict on one request: what is to become of it, what its answer is to carry, and what the log is to say.
/// `Debug` does not show the nonce.
#[derive(Clone)]
pub struct Verdict {
    /// What is to become of the request.
    pub outcome: Outcome,
    /// What the log is to say.
    pub decision: Decision,
    pub(crate) nonce: Option<String>,
    /// Of few requests: elsewhere.
    pub(crate) sunset: Option<Box<BearerSunset>>,
}

/// What is to become of a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It passed every check of its stage and may be served.
    Granted(Access),
    /// It would be refused at a later stage; in `observe` it is served, as nobody's.
    Observed(Rejection),
    /// It is answered with the refusal.
    Refused(Refusal),
}

/// When Bearer began to be discouraged, and when it ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BearerSunset {
    pub(crate) deprecation: HeaderValue,
    pub(crate) sunset: Option<HeaderValue>,
}

impl Verdict {
    /// The nonce for the client's next proof, if the answer is to carry one.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// Adds to the answer of a served request what the client is to learn: a fresh nonce when the used one is
    /// ageing, in place of any other, and the end of Bearer in `prefer`. An answer with a nonce must not be kept in
    /// a cache (RFC 9449 §8.2). In `observe` nothing is touched.
    pub fn add_fields_to(&self, answer: &mut HeaderMap) {
        if let Some(nonce) = self.nonce().and_then(|nonce| HeaderValue::from_str(nonce).ok()) {
            answer.insert(DPOP_NONCE, nonce);
            answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if let Some(BearerSunset { deprecation, sunset }) = self.sunset.as_deref() {
            answer.insert(DEPRECATION, deprecation.clone());
            if let Some(sunset) = sunset {
                answer.insert(SUNSET, sunset.clone());
            }
        }
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdict").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}
