//! What a resource server is told at the start.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use countersign_dpop::jose::Algorithms;
use countersign_dpop::time::{Timestamp, Window};
use countersign_dpop::{NoncePolicy, PublicOrigin, PublicOriginError};
use http::HeaderValue;

use super::key_cache::KeyCache;
use crate::issuer::Issuers;
use crate::stage::{BearerAllowance, BearerExceptions, BearerRule, Stage};
use crate::verdict::BearerSunset;

/// How one resource is guarded. Starts with the strictest settings: stage `require`, window `rfc`, all algorithms,
/// nonces where the replay memory does not reach.
#[derive(Clone, Debug)]
pub struct ResourceConfig {
    pub(crate) resource: PublicOrigin,
    pub(crate) identifier: String,
    pub(crate) origins: Vec<PublicOrigin>,
    pub(crate) issuers: Issuers,
    pub(crate) route: Route,
    pub(crate) algorithms: Algorithms,
    pub(crate) window: Window,
    pub(crate) nonce_policy: NoncePolicy,
    pub(crate) exceptions: BearerExceptions,
    pub(crate) sunset: Option<BearerSunset>,
    pub(crate) unbound_routes: bool,
    pub(crate) metadata_path: Option<String>,
    /// Further routes, as far as the metadata has to know of them.
    pub(crate) routes: Vec<Route>,
    pub(crate) scopes_supported: Vec<String>,
    pub(crate) name: Option<String>,
    /// One of the server's own when absent.
    pub(crate) key_cache: Option<KeyCache>,
}

/// The resource identifier is not an https URL without query and fragment (RFC 9728 §1.2 allows a query; a resource
/// here is an origin or a path below one).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the resource identifier {resource:?} is not usable: {fault}")]
pub struct ResourceConfigError {
    /// The identifier.
    pub resource: String,
    /// What is wrong.
    pub fault: PublicOriginError,
}

impl ResourceConfig {
    /// Guards the resource `resource` (its identifier: the audience of its tokens and the realm of its nonces and
    /// replay records), which clients reach at `public_origin`, with tokens of `issuers`.
    ///
    /// # Errors
    /// [`ResourceConfigError`] when `resource` is not an https URL, or http to a loopback host.
    pub fn new(
        resource: impl Into<String>,
        public_origin: PublicOrigin,
        issuers: Issuers,
    ) -> Result<Self, ResourceConfigError> {
        let identifier = resource.into();
        let resource = PublicOrigin::parse(&identifier)
            .map_err(|fault| ResourceConfigError { resource: identifier.clone(), fault })?;
        Ok(Self {
            resource,
            identifier,
            origins: vec![public_origin],
            issuers,
            route: Route::default(),
            algorithms: Algorithms::all(),
            window: Window::RFC,
            nonce_policy: NoncePolicy::Optional,
            exceptions: BearerExceptions::default(),
            sunset: None,
            unbound_routes: false,
            metadata_path: None,
            routes: Vec::new(),
            scopes_supported: Vec::new(),
            name: None,
            key_cache: None,
        })
    }

    /// What holds for requests that no route of their own is given for.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// The stage of requests that no route of their own is given for.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage) -> Self {
        self.route = Route { stage, ..self.route };
        self
    }

    /// Another origin under which clients may reach the resource. Requests are told apart by
    /// [`crate::RequestFacts::authority`].
    #[must_use]
    pub fn with_alias(mut self, origin: PublicOrigin) -> Self {
        self.origins.push(origin);
        self
    }

    /// Accepts proofs signed by these algorithms only.
    #[must_use]
    pub fn with_algorithms(mut self, algorithms: Algorithms) -> Self {
        self.algorithms = algorithms;
        self
    }

    /// The ages at which a proof is taken.
    #[must_use]
    pub fn with_window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// When proofs need a nonce. In `observe` none is ever asked for, because the answer is not touched.
    #[must_use]
    pub fn with_nonce_policy(mut self, policy: NoncePolicy) -> Self {
        self.nonce_policy = policy;
        self
    }

    /// Lets one client go on with Bearer until `until`, its last second.
    #[must_use]
    pub fn with_bearer_exception(
        self,
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        allowance: BearerAllowance,
        until: Timestamp,
    ) -> Self {
        self.with_bearer_rule(issuer, client_id, allowance, Timestamp::MIN..=until)
    }

    /// Says what one client may do under Bearer from the first to the last second of `dates`, whatever the stage. Of
    /// several rules for one time the first that was given counts.
    #[must_use]
    pub fn with_bearer_rule(
        mut self,
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        allowance: BearerAllowance,
        dates: RangeInclusive<Timestamp>,
    ) -> Self {
        let rule = BearerRule { allowance, from: *dates.start(), until: *dates.end() };
        self.exceptions.add(issuer.into(), client_id.into(), rule);
        self
    }

    /// What Bearer clients are told in `prefer`: since when Bearer is deprecated, and when it ends. Times outside
    /// the years 1970 to 9999 are left out.
    #[must_use]
    pub fn with_bearer_sunset(mut self, deprecated: Timestamp, sunset: Option<Timestamp>) -> Self {
        self.sunset =
            Some(BearerSunset { deprecation: structured_date(deprecated), sunset: sunset.and_then(http_date) });
        self
    }

    /// Says that some route of the resource takes unbound tokens, so that the metadata does not claim otherwise.
    #[must_use]
    pub fn with_unbound_routes(mut self) -> Self {
        self.unbound_routes = true;
        self
    }

    /// The routes of the resource, so that the metadata claims no more than all of them enforce; the first one also
    /// holds for requests that no route of their own is given for.
    #[must_use]
    pub fn with_routes(mut self, routes: Vec<Route>) -> Self {
        if let Some(first) = routes.first() {
            self.route = first.clone();
        }
        self.routes = routes;
        self
    }

    /// Where below the well-known place the metadata stands when the identifier names another host than the public
    /// origin: the origin's own path otherwise.
    #[must_use]
    pub fn with_metadata_path(mut self, path: impl Into<String>) -> Self {
        self.metadata_path = Some(path.into());
        self
    }

    /// The scopes that the metadata names.
    #[must_use]
    pub fn with_scopes_supported(mut self, scopes: Vec<String>) -> Self {
        self.scopes_supported = scopes;
        self
    }

    /// Remembers in `keys` what is in the headers of proven clients' proofs, and tables of their keys. Several resources
    /// of one process can use one. A server that is given none makes itself [`KeyCache::default`].
    #[must_use]
    pub fn with_key_cache(mut self, keys: KeyCache) -> Self {
        self.key_cache = Some(keys);
        self
    }

    /// The name of the resource for people, in the metadata.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// What one part of a resource asks for.
#[derive(Clone, Debug, Default)]
pub struct Route {
    pub(crate) label: Option<Arc<str>>,
    stage: Stage,
    /// Stages that follow, each from its time on, in the order of their times.
    later: Vec<(Timestamp, Stage)>,
    pub(crate) scopes: Vec<String>,
}

impl Route {
    /// A route at this stage that asks for no scope.
    pub fn new(stage: Stage) -> Self {
        Self { label: None, stage, later: Vec::new(), scopes: Vec::new() }
    }

    /// Its name in decisions.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The scopes that a token must have, all of them.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Moves on to `stage` at `from`.
    #[must_use]
    pub fn with_later_stage(mut self, from: Timestamp, stage: Stage) -> Self {
        self.later.push((from, stage));
        // Stable: of two for one time the one that was given last counts.
        self.later.sort_by_key(|(from, _)| *from);
        self
    }

    /// Its stage at `now`.
    pub fn stage_at(&self, now: Timestamp) -> Stage {
        let begun = self.later.iter().rev().find(|(from, _)| *from <= now);
        begun.map_or(self.stage, |(_, stage)| *stage)
    }

    /// When unbound tokens will no longer be taken, if that is known at `now`.
    pub(crate) fn bearer_ends(&self, now: Timestamp) -> Option<Timestamp> {
        self.later.iter().find(|(from, stage)| *from > now && !stage.takes_bearer()).map(|(from, _)| *from)
    }
}

pub(crate) fn structured_date(time: Timestamp) -> HeaderValue {
    HeaderValue::from_str(&format!("@{time}")).unwrap_or(HeaderValue::from_static("@0"))
}

pub(crate) fn http_date(time: Timestamp) -> Option<HeaderValue> {
    /// The last second that an HTTP-date can name.
    const END_OF_9999: u64 = 253_402_300_799;
    let seconds = u64::try_from(time.seconds()).ok().filter(|seconds| *seconds <= END_OF_9999)?;
    HeaderValue::from_str(&httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))).ok()
}
