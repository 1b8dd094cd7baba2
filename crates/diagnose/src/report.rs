//! The report: what came of an examination, how it was read, what was left out.

use countersign_dpop::examine::Examination;
use serde::Serialize;

use crate::capture::{Form, Note};
use crate::redact::Removed;

/// The version of the report's JSON. It grows when a member changes its meaning or goes away.
pub const REPORT_VERSION: u32 = 1;

/// What came of a capture. Nothing in it is secret; it may be written as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    version: u32,
    input: Form,
    #[serde(flatten)]
    examination: Examination,
    notes: Vec<Note>,
    removed: Vec<Removed>,
}

impl Report {
    pub(crate) const fn new(input: Form, examination: Examination, notes: Vec<Note>, removed: Vec<Removed>) -> Self {
        Self { version: REPORT_VERSION, input, examination, notes, removed }
    }

    /// Which form the capture had.
    pub const fn input(&self) -> Form {
        self.input
    }

    /// What was found.
    pub const fn examination(&self) -> &Examination {
        &self.examination
    }

    /// True when there was neither a proof nor an access token nor an answer, and no finding without them: nothing
    /// was judged, so nothing is said about the request.
    pub fn is_empty(&self) -> bool {
        let Examination { findings, proof, token, response, .. } = &self.examination;
        findings.is_empty() && proof.is_none() && token.is_none() && response.is_none()
    }

    /// What was taken for granted.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What was left out because it is secret.
    pub fn removed(&self) -> &[Removed] {
        &self.removed
    }
}
