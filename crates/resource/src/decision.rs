//! What is said of one request in the decision log: an allow-list of fields, none of them secret.

use std::sync::Arc;

use countersign_dpop::DiagnosisCode;
use countersign_dpop::jose::Jkt;
use serde::{Serialize, Serializer};

use crate::stage::Stage;

/// One verdict as data. Its JSON form is one line of the decision log.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Decision {
    /// The version of this form.
    pub version: u8,
    /// When, in seconds since 1970, by the clock that the request was judged with.
    pub time: i64,
    /// The server's name for the request, where it gives names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Arc<str>>,
    /// What became of the request.
    pub outcome: DecisionOutcome,
    /// The stable name of the fault; `ok` when there is none.
    pub code: &'static str,
    /// The identifier of the fault in the registry of diagnoses, which says who has to act and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<DiagnosisCode>,
    /// The OAuth error code that the fault has on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The status of the refusal, in `observe` the one that it would have had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The fault in words, with evidence that is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The checks that were passed, in order.
    pub checks: Checks,
    /// Seconds by which the client's clock is ahead of ours (negative: behind), by its proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The key that signed the proof, once the signature was verified.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub jkt: Option<Jkt>,
    /// The route, by its label in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Arc<str>>,
    /// The client, from a verified token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Arc<str>>,
    /// The issuer of the verified token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Arc<str>>,
    /// The stage that was applied.
    pub stage: Stage,
    /// The scheme that the token was presented under.
    pub scheme: PresentedScheme,
    /// Whether the verified token is bound to a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<bool>,
}

impl Decision {
    /// The version that this crate writes.
    pub const VERSION: u8 = 1;

    /// The decision as one line of JSON, without a line break at its end.
    pub fn to_json(&self) -> String {
        // Numbers, texts and lists of them always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[expect(clippy::ref_option, reason = "serde hands it over so")]
fn as_text<S: Serializer>(jkt: &Option<Jkt>, serializer: S) -> Result<S::Ok, S::Error> {
    jkt.map(|jkt| jkt.to_string()).serialize(serializer)
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionOutcome {
    /// Every check was passed.
    Granted,
    /// Let through although a check failed: the stage is `observe`.
    Observed,
    /// Refused.
    Refused,
}

/// One step of judging.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The request is for this resource and has a usable target.
    Target,
    /// Token and proof were found in the header, once each.
    Credentials,
    /// The proof is good for this request and this token.
    Proof,
    /// The access token is good for this resource.
    Token,
    /// Token and proof belong together.
    Confirmation,
    /// The token allows what the route asks for.
    Policy,
    /// The proof was never seen before.
    Replay,
}

/// The checks that a request passed. They are always made in the order of [`Check`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Checks {
    passed: u8,
}

impl Checks {
    /// Adds a check that was passed.
    pub(crate) fn pass(&mut self, check: Check) {
        self.passed |= 1 << check as u8;
    }

    /// True when `check` was passed.
    pub fn has(self, check: Check) -> bool {
        self.passed & 1 << check as u8 != 0
    }

    /// The checks that were passed, in order.
    pub fn iter(self) -> impl Iterator<Item = Check> {
        Check::ALL.into_iter().filter(move |check| self.has(*check))
    }
}

impl Serialize for Checks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl Check {
    /// Every check, in the order in which they are made.
    pub const ALL: [Self; 7] =
        [Self::Target, Self::Credentials, Self::Proof, Self::Token, Self::Confirmation, Self::Policy, Self::Replay];
}

/// The scheme of `Authorization`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PresentedScheme {
    /// No token, or fields that could not be read.
    #[default]
    None,
    /// `Bearer`.
    Bearer,
    /// `DPoP`.
    Dpop,
}
