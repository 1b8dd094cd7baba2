use countersign_dpop::ErrorCode;
use serde::Serialize;

use super::answer::Answer;
use super::attack::Attack;

/// The refusal that a server which follows RFC 9449 to the letter gives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expected {
    /// The HTTP status.
    pub status: u16,
    /// `error` of the challenge.
    pub code: ErrorCode,
}

/// How an attack ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Refused with the status and code expected.
    Stopped,
    /// Refused, with another status or code than expected.
    StoppedOtherwise,
    /// Served, or otherwise not refused.
    GotThrough,
    /// Could not be tried, for the reason in the row.
    NotTried,
    /// The server gave no answer, or an honest request failed on which the attack builds.
    Inconclusive,
}

/// One attack and what came of it. Holds no token, proof or nonce.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct AttackRow {
    /// The attack's name, stable.
    pub name: &'static str,
    /// What was tried, for people.
    pub tried: &'static str,
    /// The status expected.
    pub expected_status: u16,
    /// The code expected.
    pub expected_code: &'static str,
    /// The status of the answer that was judged.
    pub status: Option<u16>,
    /// `error` in its challenge.
    pub code: Option<&'static str>,
    /// How it ended.
    pub verdict: Verdict,
    /// True when the thief got nothing.
    pub stopped: bool,
    /// Why it was not tried, or what was unexpected about it.
    pub note: Option<String>,
}

impl AttackRow {
    pub(super) fn judged(attack: Attack, answer: &Answer) -> Self {
        let expected = attack.expected();
        let refused = answer.status.is_client_error() || answer.status.is_server_error();
        let exact = answer.status.as_u16() == expected.status && answer.code == Some(expected.code);
        let verdict = match (refused, exact) {
            (true, true) => Verdict::Stopped,
            (true, false) => Verdict::StoppedOtherwise,
            (false, _) => Verdict::GotThrough,
        };
        Self::blank(attack, verdict).with_answer(answer)
    }

    pub(super) fn not_tried(attack: Attack, reason: &str) -> Self {
        Self::blank(attack, Verdict::NotTried).with_note(reason)
    }

    pub(super) fn inconclusive(attack: Attack, reason: impl Into<String>) -> Self {
        Self::blank(attack, Verdict::Inconclusive).with_note(reason)
    }

    pub(super) fn got_through(attack: Attack, reason: impl Into<String>) -> Self {
        Self::blank(attack, Verdict::GotThrough).with_note(reason)
    }

    pub(super) fn with_answer(mut self, answer: &Answer) -> Self {
        self.status = Some(answer.status.as_u16());
        self.code = answer.code.map(ErrorCode::as_str);
        self
    }

    pub(super) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// True when the row is as it should be: refused exactly as expected.
    pub fn is_right(&self) -> bool {
        self.verdict == Verdict::Stopped
    }

    fn blank(attack: Attack, verdict: Verdict) -> Self {
        let expected = attack.expected();
        Self {
            name: attack.name(),
            tried: attack.tried(),
            expected_status: expected.status,
            expected_code: expected.code.as_str(),
            status: None,
            code: None,
            verdict,
            stopped: matches!(verdict, Verdict::Stopped | Verdict::StoppedOtherwise),
            note: None,
        }
    }
}
