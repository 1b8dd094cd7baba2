//! What a person is asked, and what he says.

use countersign_dpop::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::peer::ProcessInfo;

/// What a person sees before he decides. No value of an argument, no query, no body: their digest stands for them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ask {
    /// The number of the request.
    pub id: u64,
    /// The binding.
    pub binding: String,
    /// The process that asks and its ancestors, itself first; empty for a request over the port.
    pub process: Vec<ProcessInfo>,
    /// True when the process was held by a pidfd while it was looked at.
    pub verified: bool,
    /// The MCP tool.
    pub tool: Option<String>,
    /// The MCP method.
    pub mcp: Option<String>,
    /// The resource.
    pub resource: String,
    /// The method.
    pub method: String,
    /// The path at the resource.
    pub path: String,
    /// The scopes of the binding.
    pub scope: Option<String>,
    /// What the program says it is for (`Countersign-Reason`), or what the binding is for.
    pub reason: Option<String>,
    /// The digest of the tool's arguments, or of the body.
    pub arguments: Option<String>,
    /// What an approval for a while would cover.
    pub subject: Subject,
    /// When it was asked, in seconds since 1970.
    pub asked_at: i64,
    /// When it lapses.
    pub lapses_at: i64,
}

/// What an approval beyond one request covers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The whole binding.
    Binding {
        /// Its name.
        binding: String,
    },
    /// Some tools of it, or a method and path.
    Tool {
        /// The binding.
        binding: String,
        /// The tools, or method and path.
        tool: String,
    },
    /// The same for a while only: the mode of the binding asks for every request.
    Call {
        /// The binding.
        binding: String,
        /// The tools, or method and path.
        tool: String,
    },
}

impl Subject {
    /// True when a plain yes covers what follows too.
    pub(crate) const fn lasts(&self) -> bool {
        matches!(self, Self::Binding { .. } | Self::Tool { .. })
    }
}

/// What a person says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes: to this request, or where the mode asks once, until the agent ends or is locked.
    Once,
    /// Yes, and to the same for so many seconds.
    For(u32),
    /// No.
    Deny,
}

impl Decision {
    /// How long it covers more than one request.
    pub(crate) fn lasting(self, lasts: bool, now: Timestamp) -> Lasting {
        match self {
            Self::Once if lasts => Lasting::ForGood,
            Self::For(seconds) => Lasting::Until(now.plus(i64::from(seconds))),
            Self::Once | Self::Deny => Lasting::NotAtAll,
        }
    }
}

/// How long an approval covers more than one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lasting {
    NotAtAll,
    Until(Timestamp),
    ForGood,
}
