//! How strictly a resource enforces binding while its clients move from Bearer to DPoP.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use countersign_dpop::time::Timestamp;

/// How far a resource, or one of its routes, has moved from Bearer to DPoP.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Everything is judged and nothing is refused.
    Observe,
    /// DPoP and unbound Bearer tokens are taken.
    Accept,
    /// As `Accept`, and answers to Bearer requests say that this will end (RFC 9745, RFC 8594).
    Prefer,
    /// Bound tokens with their proof only.
    #[default]
    Require,
}

impl Stage {
    /// Every stage, in the order of a migration.
    pub const ALL: [Self; 4] = [Self::Observe, Self::Accept, Self::Prefer, Self::Require];

    /// The name in configuration and decisions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Accept => "accept",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }

    /// True when unbound Bearer tokens are taken.
    pub const fn takes_bearer(self) -> bool {
        match self {
            Self::Observe | Self::Accept | Self::Prefer => true,
            Self::Require => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl serde::Serialize for Stage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The name is no stage's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a stage; stages are observe, accept, prefer, require")]
pub struct UnknownStage;

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|stage| stage.name() == name).ok_or(UnknownStage)
    }
}

/// What a listed client may do under the Bearer scheme between its dates, whatever the stage of the route.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum BearerAllowance {
    /// Nothing, although the stage takes Bearer: a client that has moved and is not to fall back.
    Never,
    /// Present unbound tokens although the stage is `require`.
    Unbound,
    /// Also present bound tokens without a proof. Knowingly departs from RFC 9449 §7.2: a stolen token of this
    /// client is worth something until the date.
    BoundToo,
}

/// The clients that may go on with Bearer for a while. Which client it is says a verified token only.
#[derive(Clone, Debug, Default)]
pub(crate) struct BearerExceptions {
    clients: HashMap<(String, String), Vec<BearerRule>>,
}

/// What holds for one client from `from` to `until`, both seconds included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BearerRule {
    pub(crate) allowance: BearerAllowance,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl BearerExceptions {
    /// Adds a rule; of several for one time the first counts.
    pub(crate) fn add(&mut self, issuer: String, client_id: String, rule: BearerRule) {
        self.clients.entry((issuer, client_id)).or_default().push(rule);
    }

    /// True when nobody may send more than the stage takes, now or later.
    pub(crate) fn is_empty(&self, now: Timestamp) -> bool {
        let allows = |rule: &BearerRule| rule.allowance > BearerAllowance::Never && now <= rule.until;
        !self.clients.values().flatten().any(allows)
    }

    /// The rule for the client at `now`.
    pub(crate) fn rule(&self, issuer: &str, client_id: Option<&str>, now: Timestamp) -> Option<BearerRule> {
        if self.clients.is_empty() {
            return None;
        }
        let key = (issuer.to_owned(), client_id?.to_owned());
        self.clients.get(&key)?.iter().find(|rule| rule.from <= now && now <= rule.until).copied()
    }
}
