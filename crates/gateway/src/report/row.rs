//! One line of the decision log, as far as a report needs it.

use std::borrow::Cow;

use countersign_resource::{Decision, Stage};
use serde::Deserialize;

/// The longest line that is read, in bytes.
pub const MAX_LINE: usize = 64 * 1_024;

/// One verdict.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Row<'a> {
    version: u8,
    /// Seconds since 1970.
    pub time: i64,
    /// What became of the request.
    pub outcome: Outcome,
    /// The fault's name, or `ok`.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// The status of the refusal.
    pub status: Option<u16>,
    /// Seconds by which the client's clock is ahead.
    pub offset: Option<i64>,
    /// The client.
    #[serde(borrow)]
    pub client: Option<Cow<'a, str>>,
    /// Its issuer.
    #[serde(borrow)]
    pub issuer: Option<Cow<'a, str>>,
    /// The route.
    #[serde(borrow)]
    pub route: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stage: Cow<'a, str>,
    /// How the token was presented.
    pub scheme: Scheme,
    /// Whether the token is bound.
    pub bound: Option<bool>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every check was passed.
    Granted,
    /// Let through although a check failed.
    Observed,
    /// Refused.
    Refused,
}

/// The scheme of `Authorization`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// None, or unreadable.
    None,
    /// `Bearer`.
    Bearer,
    /// `DPoP`.
    Dpop,
}

impl<'a> Row<'a> {
    /// Reads a line; `None` when it is none of the decision log, or of a version that is not known here.
    pub fn read(line: &'a str) -> Option<Self> {
        if line.len() > MAX_LINE {
            return None;
        }
        let row: Self = serde_json::from_str(line.trim()).ok()?;
        (row.version == Decision::VERSION && row.stage().is_some()).then_some(row)
    }

    /// The stage that was applied.
    pub fn stage(&self) -> Option<Stage> {
        self.stage.parse().ok()
    }
}
