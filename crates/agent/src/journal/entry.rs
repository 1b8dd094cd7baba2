//! What a line says.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::peer::ProcessInfo;

/// What happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The agent started.
    Started,
    /// A binding was opened; its key is named.
    Opened,
    /// The end of the last run was found incomplete and was cut off: it had not been acted on.
    Mended,
    /// A request is about to be signed.
    Signed,
    /// The answer to a signed request, or that there is none.
    Answered,
    /// A request was refused and not signed.
    Refused,
    /// A person is asked.
    Asked,
    /// A person approved.
    Approved,
    /// A person said no.
    Denied,
    /// Nobody answered in time.
    Lapsed,
    /// The lock went on.
    Locked,
    /// The lock went off.
    Unlocked,
    /// A binding was revoked.
    Revoked,
    /// A person was shown the addresses of ports, with the paths that cannot be guessed.
    Revealed,
    /// Bytes of a secret were found in what a program wrote, and kept back.
    Leaked,
    /// The agent ended.
    Stopped,
}

impl Event {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 16] = [
        Self::Started,
        Self::Opened,
        Self::Mended,
        Self::Signed,
        Self::Answered,
        Self::Refused,
        Self::Asked,
        Self::Approved,
        Self::Denied,
        Self::Lapsed,
        Self::Locked,
        Self::Unlocked,
        Self::Revoked,
        Self::Revealed,
        Self::Leaked,
        Self::Stopped,
    ];

    /// The name in the journal.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Opened => "opened",
            Self::Mended => "mended",
            Self::Signed => "signed",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Lapsed => "lapsed",
            Self::Locked => "locked",
            Self::Unlocked => "unlocked",
            Self::Revoked => "revoked",
            Self::Revealed => "revealed",
            Self::Leaked => "leaked",
            Self::Stopped => "stopped",
        }
    }
}

/// One line. Members that do not apply are left out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry<'a> {
    /// The line's number, from 0.
    pub seq: u64,
    /// When, in seconds since 1970.
    pub time: i64,
    /// The hash of the line before.
    #[serde(borrow)]
    pub prev: Cow<'a, str>,
    /// What.
    pub event: Event,
    /// The binding.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Cow<'a, str>>,
    /// Joins the lines of one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// The method.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// The path at the resource, bounded, without the query.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub path: Option<Cow<'a, str>>,
    /// The MCP method.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Cow<'a, str>>,
    /// The MCP tool.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Cow<'a, str>>,
    /// The digest of its arguments.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Cow<'a, str>>,
    /// The code of a refusal.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'a, str>>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The approval that a request was made under, or that this line is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<u64>,
    /// For how many seconds it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// The thumbprint of the key.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<Cow<'a, str>>,
    /// The user that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The process that asked, and its ancestors.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub process: Cow<'a, [ProcessInfo]>,
    /// True when the process was held by a pidfd while it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// In words.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub note: Option<Cow<'a, str>>,
}

fn is_nobody(process: &[ProcessInfo]) -> bool {
    process.is_empty()
}

impl<'a> Entry<'a> {
    /// A line about `event`; number, time and hash are set when it is written.
    pub const fn new(event: Event) -> Self {
        Self {
            seq: 0,
            time: 0,
            prev: Cow::Borrowed(""),
            event,
            binding: None,
            request: None,
            method: None,
            path: None,
            mcp: None,
            tool: None,
            arguments: None,
            code: None,
            status: None,
            approval: None,
            seconds: None,
            jkt: None,
            uid: None,
            process: Cow::Borrowed(&[]),
            verified: None,
            note: None,
        }
    }

    /// Says which binding it is about.
    #[must_use]
    pub fn of(mut self, binding: &'a str) -> Self {
        self.binding = Some(Cow::Borrowed(binding));
        self
    }

    /// Says it in words.
    #[must_use]
    pub fn saying(mut self, note: impl Into<Cow<'a, str>>) -> Self {
        self.note = Some(note.into());
        self
    }
}
