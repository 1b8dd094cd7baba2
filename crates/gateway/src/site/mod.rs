//! What requests are judged by and where they go, as one configuration says it. Replaced as a whole when the
//! configuration changes; requests under way go on with the one they began with.

mod build;
mod path;

use std::sync::Arc;

use countersign_dpop::PublicOrigin;
use countersign_dpop::time::Timestamp;
use countersign_forward::{ForwardLimits, ForwardedFields, Forwarder, Upstream, UpstreamHost, UpstreamTls};
use countersign_resource::{Cors, IssuerCounts, Issuers, MissingKeys, ResourceServer, Route, Stage};
use http::{HeaderValue, Method};

pub(crate) use self::build::{Lasting, SiteError};
use crate::config::Settings;
use crate::mcp::McpRoute;

/// The site by one configuration.
#[derive(Debug)]
pub(crate) struct Site {
    /// The public origin, then its aliases.
    origins: Vec<Origin>,
    pub(crate) cors: Option<Cors>,
    pub(crate) max_fields: usize,
    issuers: Issuers,
    /// One for every resource, nonce policy and window that a route names; the first is everybody else's.
    guards: Vec<Guard>,
    forwarders: Vec<(ForwarderKey, Forwarder)>,
    /// Longest prefix first; the last one takes what is left.
    routes: Vec<SiteRoute>,
}

/// An origin that clients know, and how the upstream is told of it.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) public: PublicOrigin,
    pub(crate) scheme: &'static str,
    pub(crate) authority: HeaderValue,
}

/// A resource, and what makes it another one.
#[derive(Debug)]
struct Guard {
    key: GuardKey,
    server: ResourceServer,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct GuardKey {
    audience: String,
    nonce: countersign_dpop::NoncePolicy,
    window: countersign_dpop::time::Window,
}

/// What makes a forwarder another one.
#[derive(Clone, Debug, Eq, PartialEq)]
struct ForwarderKey {
    upstream: Upstream,
    tls: UpstreamTls,
    host: UpstreamHost,
    forwarded: ForwardedFields,
    limits: ForwardLimits,
}

/// One route.
#[derive(Debug)]
struct SiteRoute {
    /// Without a slash at its end.
    prefix: String,
    loose_prefix: String,
    /// All when empty.
    methods: Vec<Method>,
    route: Route,
    label: Arc<str>,
    guard: usize,
    forwarder: usize,
    mcp: Option<McpRoute>,
}

/// The route of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) server: &'a ResourceServer,
    pub(crate) forwarder: &'a Forwarder,
    pub(crate) route: &'a Route,
    pub(crate) label: &'a Arc<str>,
    pub(crate) mcp: Option<&'a McpRoute>,
}

/// A path that falls under one route by one reading and under another by another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AmbiguousPath;

impl Site {
    /// The route for a request. Two readings of the path that choose differently are refused, but where nothing is.
    pub(crate) fn choose(&self, method: &Method, path: &str, now: Timestamp) -> Result<Choice<'_>, AmbiguousPath> {
        if let [only] = self.routes.as_slice() {
            return Ok(self.choice(only));
        }
        let plain = self.find(method, &path::plain(path), |route| &route.prefix);
        let loose = self.find(method, &path::loosest(path), |route| &route.loose_prefix);
        let refuses = |route: &SiteRoute| route.route.stage_at(now) != Stage::Observe;
        if std::ptr::eq(plain, loose) || !(refuses(plain) || refuses(loose)) {
            Ok(self.choice(plain))
        } else {
            Err(AmbiguousPath)
        }
    }

    fn find(&self, method: &Method, path: &str, prefix: impl Fn(&SiteRoute) -> &String) -> &SiteRoute {
        let takes = |route: &&SiteRoute| path::is_below(path, prefix(route)) && route.takes(method);
        // The last one takes everything; a site without one is not made.
        self.routes.iter().find(takes).unwrap_or(&self.routes[self.routes.len() - 1])
    }

    fn choice<'a>(&'a self, route: &'a SiteRoute) -> Choice<'a> {
        Choice {
            server: &self.guards[route.guard].server,
            forwarder: &self.forwarders[route.forwarder].1,
            route: &route.route,
            label: &route.label,
            mcp: route.mcp.as_ref(),
        }
    }

    /// The origin of that authority, if it is one of ours.
    pub(crate) fn origin(&self, authority: &str) -> Option<&Origin> {
        // Mostly it is spelled as it is configured, and nothing has to be parsed.
        let is_spelled = |origin: &&Origin| origin.authority == authority;
        let is_named = |origin: &&Origin| origin.public.is_authority(authority);
        self.origins.iter().find(is_spelled).or_else(|| self.origins.iter().find(is_named))
    }

    /// The origin that clients know.
    pub(crate) fn public_origin(&self) -> &Origin {
        &self.origins[0]
    }

    /// The resource whose metadata stands at `path`.
    pub(crate) fn resource_at(&self, path: &str) -> Option<&ResourceServer> {
        self.guards.iter().map(|guard| &guard.server).find(|server| server.is_metadata_path(path))
    }

    /// True when every route only observes at `now`, so that nothing of the site may show.
    pub(crate) fn only_observes(&self, now: Timestamp) -> bool {
        self.routes.iter().all(|route| route.route.stage_at(now) == Stage::Observe)
    }

    /// True when any route only observes at `now`.
    pub(crate) fn observes(&self, now: Timestamp) -> bool {
        self.routes.iter().any(|route| route.route.stage_at(now) == Stage::Observe)
    }

    /// The upstreams, each once.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let all = || self.forwarders.iter().map(|(_, forwarder)| forwarder.upstream());
        all().enumerate().filter(move |(place, one)| !all().take(*place).any(|other| other == *one)).map(|(_, one)| one)
    }

    pub(crate) fn forwarders(&self) -> impl Iterator<Item = &Forwarder> {
        self.forwarders.iter().map(|(_, forwarder)| forwarder)
    }

    /// Those that `other` does not use.
    pub(crate) fn forwarders_without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Forwarder> {
        let kept = |key: &ForwarderKey| other.forwarders.iter().any(|(known, _)| known == key);
        self.forwarders.iter().filter(move |(key, _)| !kept(key)).map(|(_, forwarder)| forwarder)
    }

    /// The issuers whose tokens cannot be judged, and why.
    pub(crate) fn missing_keys(&self, now: Timestamp) -> Vec<MissingKeys> {
        self.issuers.readiness(now)
    }

    /// What was found in memory of issuers and their tokens, and what had to be asked for.
    pub(crate) fn issuer_counts(&self) -> IssuerCounts {
        self.issuers.counts()
    }

    /// Fetches issuers' keys that are missing or about to age.
    pub(crate) async fn renew(&self, now: Timestamp) {
        self.issuers.renew(now).await;
    }
}

impl Origin {
    pub(crate) fn new(public: PublicOrigin) -> Self {
        let scheme = if public.as_str().starts_with("https:") { "https" } else { "http" };
        // An authority is visible ASCII.
        let authority = HeaderValue::from_str(public.authority()).unwrap_or(HeaderValue::from_static(""));
        Self { public, scheme, authority }
    }
}

impl SiteRoute {
    /// True for its methods; `GET` stands for `HEAD` too (RFC 9110 §9.3.2).
    fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty()
            || self.methods.contains(method)
            || (method == Method::HEAD && self.methods.contains(&Method::GET))
    }
}
