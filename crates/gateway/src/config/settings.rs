use std::net::SocketAddr;

use countersign_dpop::jose::Algorithms;
use countersign_dpop::time::{Timestamp, Window};
use countersign_dpop::{NoncePolicy, PublicOrigin};
use countersign_forward::{ForwardedFields, Upstream, UpstreamHost, UpstreamTls};
use countersign_replay::RedisServer;
use countersign_resource::{Cors, IssuerConfig, Stage};

use super::client::ClientSettings;
use super::keys::KeySettings;
use super::limits::GatewayLimits;
use super::log::LogSettings;
use super::route::RouteSettings;
use crate::assertion::AssertionSettings;
use crate::mcp::SessionKey;
use crate::mode::Mode;
use crate::tls::TlsFiles;

/// What a gateway runs by. Made by [`super::GatewayConfig::resolve`], or by hand from [`Settings::new`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is done with a request that may pass.
    pub mode: Mode,
    /// Whether, and how, the upstream is told of the caller by an assertion instead of plain fields.
    pub assertion: Option<AssertionSettings>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether another process may be bound to that address too, so that two versions can overlap.
    pub reuse_port: bool,
    /// The certificate for TLS towards clients; plain HTTP when absent.
    pub tls: Option<TlsFiles>,
    /// The origin under which clients know the API.
    pub public_origin: PublicOrigin,
    /// Further origins under which clients may reach it.
    pub aliases: Vec<PublicOrigin>,
    /// The API itself.
    pub upstream: Upstream,
    /// Whom to trust as the upstream, and what to show to it, where its URL is https.
    pub upstream_tls: UpstreamTls,
    /// What `Host` says to the upstream.
    pub upstream_host: UpstreamHost,
    /// What becomes of `X-Forwarded-*`.
    pub x_forwarded: ForwardedFields,
    /// The trusted issuers.
    pub issuers: Vec<IssuerConfig>,
    /// The resource identifier.
    pub audience: String,
    /// How strictly binding is enforced.
    pub stage: Stage,
    /// Stages that follow, each from its time on.
    pub stages: Vec<(Timestamp, Stage)>,
    /// The scopes that the metadata names, beside those that routes ask for.
    pub scopes_supported: Vec<String>,
    /// Parts of the API that ask for something else.
    pub routes: Vec<RouteSettings>,
    /// Clients for which something else holds.
    pub clients: Vec<ClientSettings>,
    /// When proofs need a nonce.
    pub nonce: NoncePolicy,
    /// The ages at which a proof is taken.
    pub window: Window,
    /// The accepted algorithms of proofs.
    pub algorithms: Algorithms,
    /// Where used proofs are remembered.
    pub replay: ReplaySetting,
    /// What clients' keys may take, and who verifies by their tables.
    pub keys: KeySettings,
    /// The origins whose pages may call the API.
    pub cors: Option<Cors>,
    /// Where health and metrics are served, if anywhere.
    pub admin: Option<SocketAddr>,
    /// Keys for session identifiers of MCP: the first one seals, all of them open; one of this start when empty.
    pub session_keys: Vec<SessionKey>,
    /// What is written down, and where.
    pub log: LogSettings,
    /// How much and how long.
    pub limits: GatewayLimits,
    /// What is allowed but should be known: sentences for the start.
    pub warnings: Vec<String>,
}

/// Where used proofs are remembered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReplaySetting {
    /// In the memory of the only process.
    Memory {
        /// How many at a time.
        capacity: u32,
    },
    /// In the memory of each of many processes; every proof needs a nonce, which is good at its own process only.
    Node {
        /// How many at a time.
        capacity: u32,
    },
    /// In Redis or Valkey, for many nodes.
    Redis {
        /// Where it is.
        server: RedisServer,
        /// How many at a time are reckoned with, for the share of one client. The server has a bound of its own.
        capacity: u32,
    },
}

impl Settings {
    /// Settings with what has to be said, and the defaults: stage `require`, nonces where the memory does not reach,
    /// window `rfc`, all algorithms, replay in memory, no admin address.
    pub fn new(
        listen: SocketAddr,
        public_origin: PublicOrigin,
        upstream: Upstream,
        issuers: Vec<IssuerConfig>,
        audience: impl Into<String>,
    ) -> Self {
        Self {
            mode: Mode::default(),
            assertion: None,
            listen,
            reuse_port: false,
            tls: None,
            public_origin,
            aliases: Vec::new(),
            upstream,
            upstream_tls: UpstreamTls::default(),
            upstream_host: UpstreamHost::default(),
            x_forwarded: ForwardedFields::default(),
            issuers,
            audience: audience.into(),
            stage: Stage::default(),
            stages: Vec::new(),
            scopes_supported: Vec::new(),
            routes: Vec::new(),
            clients: Vec::new(),
            nonce: NoncePolicy::default(),
            window: Window::default(),
            algorithms: Algorithms::all(),
            replay: ReplaySetting::default(),
            keys: KeySettings::default(),
            cors: None,
            admin: None,
            session_keys: Vec::new(),
            log: LogSettings::default(),
            limits: GatewayLimits::default(),
            warnings: Vec::new(),
        }
    }
}

impl ReplaySetting {
    /// Two million: over 28,000 proofs a second in the window `rfc`.
    pub const DEFAULT_CAPACITY: u32 = 2_000_000;

    /// How many proofs at a time.
    pub const fn capacity(&self) -> u32 {
        match self {
            Self::Memory { capacity } | Self::Node { capacity } | Self::Redis { capacity, .. } => *capacity,
        }
    }
}

impl Default for ReplaySetting {
    fn default() -> Self {
        Self::Memory { capacity: Self::DEFAULT_CAPACITY }
    }
}
