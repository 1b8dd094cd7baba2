//! The control socket: how a person at this machine sees and steers a running agent. HTTP with JSON, for the owner's
//! processes only. It lists, approves, locks, ends and explains; it gives out no key, token, proof or nonce. The path
//! of a port is given out only where it is asked for by itself.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /status` | the bindings, the lock, the end of the journal |
//! | `GET /addresses` | the URL of every binding, with the path of its port; noted in the journal |
//! | `GET /approvals?seen=N` | what waits for a person; waits itself until that changes from version `N` |
//! | `POST /approvals/ID` `{"decision":"once"}`, `{"decision":{"for":600}}`, `{"decision":"deny"}` | decides |
//! | `POST /lock`, `POST /unlock` `{"password":"…"}` | locks, unlocks |
//! | `POST /revoke` `{"binding":"NAME"}` or `{}` for all | ends bindings, revokes their tokens, drops their keys |
//! | `POST /journal` `{"binding":"…","note":"…"}` | notes that a secret was found in a program's output |

mod client;
mod server;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::client::{ControlClient, ControlError};
pub(crate) use self::server::serve;
use crate::approval::{Ask, Decision};

/// What `GET /status` says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// True while nothing is signed.
    pub locked: bool,
    /// The process of the agent.
    pub pid: u32,
    /// The hash of the last line of the journal.
    pub journal_head: String,
    /// How many lines it has.
    pub journal_lines: u64,
    /// The bindings.
    pub bindings: Vec<BindingStatus>,
    /// What was approved beyond one request.
    pub approvals: Vec<GrantStatus>,
}

/// One binding.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BindingStatus {
    /// Its name.
    pub name: String,
    /// The resource.
    pub resource: String,
    /// The thumbprint of its key.
    pub jkt: String,
    /// When a person has to approve.
    pub approval: String,
    /// When it ends, in seconds since 1970.
    pub ends_at: Option<i64>,
    /// The socket, if it has one.
    pub socket: Option<PathBuf>,
    /// Address and port, if it has one, without the path that cannot be guessed.
    pub address: Option<SocketAddr>,
    /// True once it is revoked.
    pub revoked: bool,
}

/// The address of one binding as programs use it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Address {
    /// The binding.
    pub binding: String,
    /// The URL that stands for the resource. That of a port has the path that cannot be guessed: whoever knows it can
    /// send requests.
    pub url: Option<String>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").field("binding", &self.binding).finish_non_exhaustive()
    }
}

/// Something that was approved for longer than one request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GrantStatus {
    /// The number of the approval.
    pub id: u64,
    /// What for.
    pub subject: crate::approval::Subject,
    /// Until when, in seconds since 1970.
    pub until: Option<i64>,
}

/// What waits for a person.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Waiting {
    /// Changes with the list.
    pub version: u64,
    /// The requests.
    pub waiting: Vec<Ask>,
}

/// A person's decision.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// What he says.
    pub decision: Decision,
}

/// Which bindings to revoke.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// One, or all.
    pub binding: Option<String>,
}

/// What became of one binding that was revoked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Revoked {
    /// The binding.
    pub binding: String,
    /// What its issuer or key store said, if something failed.
    pub fault: Option<String>,
}

/// That a secret was found in a program's output.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// The binding.
    pub binding: String,
    /// Where, in words.
    pub note: String,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Password {
    #[serde(default)]
    password: Option<zeroize::Zeroizing<String>>,
}

#[derive(Deserialize, Serialize)]
struct Failed {
    error: String,
}
