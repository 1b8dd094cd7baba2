//! What can be wrong with a configuration, as data: the key, and what to do.

use std::fmt;

use countersign_dpop::PublicOriginError;
use countersign_forward::{UpstreamError, UpstreamTlsError};
use countersign_replay::RedisServerError;
use countersign_resource::es256::UnusableEngine;
use countersign_resource::{CorsError, IssuerConfigError, UnknownStage};

/// Everything that is wrong with a configuration. Never empty.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One fault and the key it is at.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// Where it is.
    pub key: Key,
    /// What is wrong and what to do.
    pub problem: Problem,
}

/// A key of the configuration: `nonce`, or one of a table, as in `issuers[0].jwks`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key {
    /// The array of tables and the place in it, from 0.
    pub table: Option<(&'static str, usize)>,
    /// The key.
    pub name: &'static str,
}

impl Key {
    /// A key at the top.
    pub const fn top(name: &'static str) -> Self {
        Self { table: None, name }
    }

    /// A key of the `index`-th table of `[[array]]`.
    pub const fn of(array: &'static str, index: usize, name: &'static str) -> Self {
        Self { table: Some((array, index)), name }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            Some((array, index)) => write!(f, "{array}[{index}].{}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// What is wrong with a key. Carries no secret.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A key that is needed is absent.
    #[error("missing; {what}")]
    Missing {
        /// What to write.
        what: &'static str,
    },
    /// The value is none of those that can stand there.
    #[error("{value:?} is none of {choices}")]
    NotAChoice {
        /// What stands there.
        value: String,
        /// What can.
        choices: &'static str,
    },
    /// Not an address to listen on.
    #[error("{value:?} is no address to listen on; write one like 127.0.0.1:8080, or [::]:8080 for all")]
    Address {
        /// What stands there.
        value: String,
    },
    /// Not a network.
    #[error("{value:?} is no network; write one like 10.0.0.0/8, or an address")]
    Network {
        /// What stands there.
        value: String,
    },
    /// Not an origin.
    #[error("{value:?} is not usable: {fault}")]
    Origin {
        /// What stands there.
        value: String,
        /// What is wrong.
        fault: PublicOriginError,
    },
    /// Not an upstream. The value is not repeated: people write passwords into URLs.
    #[error("not usable: {0}")]
    Upstream(#[from] UpstreamError),
    /// Not an issuer, or its keys cannot be had.
    #[error("{0}")]
    Issuer(#[from] IssuerConfigError),
    /// Not a stage.
    #[error("{value:?} is {fault}")]
    Stage {
        /// What stands there.
        value: String,
        /// What is wrong.
        fault: UnknownStage,
    },
    /// An algorithm that is not implemented, or none at all.
    #[error("{value:?} is not a signature algorithm that is implemented here; there are {known}")]
    Algorithm {
        /// What stands there.
        value: String,
        /// What can.
        known: String,
    },
    /// Not an origin of pages.
    #[error("{0}")]
    Cors(#[from] CorsError),
    /// A replay store that this program does not have.
    #[error(
        "not a replay store of this program; there are memory, for one process, node, for many that share nothing, and \
         redis://… for many that share one"
    )]
    Replay,
    /// Not a server that can be a replay store.
    #[error("{0}")]
    ReplayServer(#[from] RedisServerError),
    /// Not an engine that can be relied on here.
    #[error("{0}")]
    Engine(#[from] UnusableEngine),
    /// A number outside its bounds.
    #[error("{value} is not within {least} to {most}")]
    OutOfBounds {
        /// What stands there.
        value: u64,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A path that no request can have.
    #[error("{value:?} is no path; write one like /orders, without query, dot segments or encoding")]
    Path {
        /// What stands there.
        value: String,
    },
    /// A method that no request can have.
    #[error("{value:?} is no method; write one like GET")]
    Method {
        /// What stands there.
        value: String,
    },
    /// A method that no MCP message can have.
    #[error("{value:?} is no MCP method; write one like tools/call, or tools/* for all below")]
    McpMethod {
        /// What stands there.
        value: String,
    },
    /// Two routes that take the same requests.
    #[error("takes the same requests as {other}; say them apart by path or methods")]
    SameRoute {
        /// The other one's key.
        other: Key,
    },
    /// Two things with one name.
    #[error("{value:?} is there twice")]
    Repeated {
        /// What stands there.
        value: String,
    },
    /// Not a name for metrics and logs.
    #[error("{value:?} is no name; write 1 to 64 letters, digits, - . _ or /")]
    Name {
        /// What stands there.
        value: String,
    },
    /// Not a date.
    #[error("{value:?} is no date; write one like 2027-01-31 or 2027-01-31T12:00:00Z")]
    Date {
        /// What stands there.
        value: String,
    },
    /// A stage that comes before the one it follows, or at no later time.
    #[error(
        "a stage must follow the one before it in order and in time; the order is observe, accept, prefer, require"
    )]
    StageOrder,
    /// A stage that is none for single clients.
    #[error("one client's stage is accept, prefer or require: what is observed is not known to be the client's")]
    ClientStage,
    /// No issuer of that name, or it has to be said which.
    #[error("{what}")]
    WhichIssuer {
        /// What to do.
        what: &'static str,
    },
    /// How to ask an issuer is not said in full, or twice.
    #[error("{what}")]
    Credential {
        /// What to do.
        what: &'static str,
    },
    /// A file that cannot be used. Nothing of its content is shown.
    #[error("{path} {fault}")]
    File {
        /// The path.
        path: String,
        /// What is wrong.
        fault: String,
    },
    /// A file that is of no use for TLS towards the upstream.
    #[error("{0}")]
    UpstreamTls(#[from] UpstreamTlsError),
    /// Two keys that contradict each other.
    #[error("cannot stand beside {other}; {what}")]
    Contradiction {
        /// The other one, with its value.
        other: &'static str,
        /// What to do.
        what: &'static str,
    },
}
