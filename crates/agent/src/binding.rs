//! Bindings: a user session at a resource for a tool, each with all of its own.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_client::Client;
use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use countersign_forward::Forwarder;

use crate::place::Place;
use crate::policy::{Policy, RateLimit};

/// The name of a binding: 1 to 64 of `a-z A-Z 0-9 . _ -`, not beginning with a dot.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BindingName(String);

/// A text is no name of a binding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a name is 1 to 64 of the characters a-z A-Z 0-9 . _ - and does not begin with a dot")]
pub struct BadName;

impl FromStr for BindingName {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let good = (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain);
        if good { Ok(Self(name.to_owned())) } else { Err(BadName) }
    }
}

impl BindingName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BindingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where programs reach a binding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listen {
    /// A Unix socket; its directory is for the owner only.
    Socket(PathBuf),
    /// A port of the loopback interface, with a path that cannot be guessed.
    Port(SocketAddr),
    /// The same, with port and path kept in a file, so that both are the same at the next start; the path is made anew
    /// when the binding is revoked, and when somebody else has the port, who may have got what programs sent there.
    KeptPort {
        /// Loopback address; port 0 for any.
        address: SocketAddr,
        /// The file, which is the owner's only.
        file: PathBuf,
    },
    /// No address: requests come from this process.
    Nowhere,
}

/// What a binding is made of.
#[derive(Debug)]
pub struct BindingSettings {
    /// Its name.
    pub name: BindingName,
    /// The URL that its address stands for.
    pub resource: String,
    /// Key and token. No other binding may have the same key.
    pub client: Client,
    /// Where programs reach it.
    pub listen: Listen,
    /// What may be sent.
    pub policy: Policy,
    /// The scopes that were asked for, for people who approve.
    pub scope: Option<String>,
    /// What it is for, for people who approve.
    pub reason: Option<String>,
    /// How long it may be used, in seconds from its start; `None` for as long as the agent runs.
    pub lifetime: Option<u32>,
}

/// A binding at work.
pub struct Binding {
    pub(crate) name: BindingName,
    pub(crate) place: Place,
    pub(crate) client: Client,
    pub(crate) forwarder: Forwarder,
    pub(crate) policy: Policy,
    pub(crate) rate: RateLimit,
    pub(crate) scope: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) ends_at: Option<Timestamp>,
    /// Set for good when the binding is revoked.
    revoked: AtomicBool,
}

impl Binding {
    /// A binding made of `settings`, from `now` on.
    pub(crate) fn new(settings: BindingSettings, place: Place, forwarder: Forwarder, now: Timestamp) -> Self {
        Self {
            ends_at: settings.lifetime.map(|seconds| now.plus(i64::from(seconds))),
            name: settings.name,
            place,
            client: settings.client,
            forwarder,
            policy: settings.policy,
            rate: RateLimit::default(),
            scope: settings.scope,
            reason: settings.reason,
            revoked: AtomicBool::new(false),
        }
    }

    /// Ends it for good.
    pub(crate) fn revoke(&self) {
        self.revoked.store(true, Ordering::Release);
    }

    /// True once it was revoked.
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Its name.
    pub const fn name(&self) -> &BindingName {
        &self.name
    }

    /// The thumbprint of its key.
    pub fn jkt(&self) -> &Jkt {
        self.client.jkt()
    }

    /// The URL that its address stands for, without a query.
    pub fn resource(&self) -> String {
        self.place.url().to_string()
    }

    /// When it ends, if it does.
    pub const fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").field("name", &self.name).field("place", &self.place).finish_non_exhaustive()
    }
}
