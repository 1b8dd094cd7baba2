//! The resource server: judges requests.

mod challenger;
mod config;
mod headers;
mod judge;
mod key_cache;
mod scratch;

use std::sync::Arc;

use countersign_dpop::replay::ReplayStore;
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{NonceKeyRing, NoncePolicy, PublicOrigin, Verifier};
use http::HeaderMap;

pub(crate) use self::challenger::Challenger;
pub use self::config::{ResourceConfig, ResourceConfigError, Route};
pub use self::key_cache::{DEFAULT_KEY_CACHE, KeyCache, KeyCacheCounts};
use crate::issuer::MissingKeys;
use crate::metadata::{MetadataPlace, ResourceMetadata};
use crate::policy::{NoPolicy, Policy};
use crate::stage::Stage;
use crate::verdict::Verdict;

/// What a request is judged by.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The method exactly as received.
    pub method: &'a str,
    /// Path and query exactly as received, beginning with a slash.
    pub path_and_query: &'a str,
    /// The fields as received.
    pub headers: &'a HeaderMap,
    /// Host and port asked for (`Host` or `:authority`), where they reach this server unchanged: a request for
    /// another one than the public origin and its aliases is refused. `None` leaves that to somebody else.
    pub authority: Option<&'a str>,
}

/// One guarded resource. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct ResourceServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ResourceConfig,
    verifier: Verifier,
    /// For `observe`, where no nonce can be handed out.
    observing_verifier: Verifier,
    replay: Arc<dyn ReplayStore>,
    clock: Arc<dyn Clock>,
    place: MetadataPlace,
    challenger: Arc<Challenger>,
    started: Timestamp,
    keys: KeyCache,
}

impl ResourceServer {
    /// Guards a resource. Nothing is fetched yet: an issuer that is away does not stop the start.
    pub fn new(
        config: ResourceConfig,
        replay: Arc<dyn ReplayStore>,
        clock: Arc<dyn Clock>,
        nonce_keys: impl Into<NonceKeyRing>,
    ) -> Self {
        let verifier = Verifier::new(config.identifier.clone(), nonce_keys)
            .with_algorithms(config.algorithms.clone())
            .with_window(config.window)
            .with_nonce_policy(config.nonce_policy);
        let observing_verifier = verifier.clone().with_nonce_policy(NoncePolicy::Optional);
        let place = MetadataPlace::new(&config.resource, &config.origins[0], config.metadata_path.as_deref());
        let challenger = Arc::new(Challenger::new(verifier.algorithms(), place.url()));
        let started = clock.now();
        let keys = config.key_cache.clone().unwrap_or_default();
        let inner = Inner { config, verifier, observing_verifier, replay, clock, place, challenger, started, keys };
        Self { inner: Arc::new(inner) }
    }

    /// What is remembered of clients' keys.
    pub fn key_cache(&self) -> &KeyCache {
        &self.inner.keys
    }

    /// Judges a request by the resource's own stage, asking for no scope.
    pub async fn judge(&self, request: &RequestFacts<'_>) -> Verdict {
        self.judge_for(request, &self.inner.config.route).await
    }

    /// Judges a request by what its route asks for.
    pub async fn judge_for(&self, request: &RequestFacts<'_>, route: &Route) -> Verdict {
        self.judge_by(request, route, &mut NoPolicy).await
    }

    /// Judges a request by what its route asks for, and by a policy beside it.
    pub async fn judge_by<P: Policy>(&self, request: &RequestFacts<'_>, route: &Route, policy: &mut P) -> Verdict {
        judge::judge(&self.inner, request, route, policy).await
    }

    /// The resource's metadata (RFC 9728).
    pub fn metadata(&self) -> ResourceMetadata {
        let config = &self.inner.config;
        ResourceMetadata {
            resource: config.identifier.clone(),
            authorization_servers: config.issuers.names().to_vec(),
            bearer_methods_supported: vec!["header".to_owned()],
            scopes_supported: config.scopes_supported.clone(),
            dpop_signing_alg_values_supported: self.inner.algorithm_names(),
            dpop_bound_access_tokens_required: self.requires_bound_tokens(),
            resource_name: config.name.clone(),
        }
    }

    /// True when no unbound token and no Bearer request is taken anywhere at the resource.
    pub fn requires_bound_tokens(&self) -> bool {
        let config = &self.inner.config;
        let now = self.inner.clock.now();
        std::iter::once(&config.route).chain(&config.routes).all(|route| route.stage_at(now) == Stage::Require)
            && config.exceptions.is_empty(now)
            && !config.unbound_routes
    }

    /// True when `path` (without query) is one of the two places of the metadata.
    pub fn is_metadata_path(&self, path: &str) -> bool {
        self.inner.place.is_at(path)
    }

    /// The address of the metadata, as challenges name it.
    pub fn metadata_url(&self) -> &str {
        self.inner.place.url()
    }

    /// The resource identifier.
    pub fn resource(&self) -> &str {
        &self.inner.config.identifier
    }

    /// The origin under which clients reach the resource.
    pub fn public_origin(&self) -> &PublicOrigin {
        &self.inner.config.origins[0]
    }

    /// The issuers whose tokens cannot be judged at present, and why.
    pub fn readiness(&self) -> Vec<MissingKeys> {
        self.inner.config.issuers.readiness(self.inner.clock.now())
    }

    /// Fetches issuers' keys that are missing or about to age. To be called every few seconds by a task in the
    /// background; without one, requests cause the fetches.
    pub async fn renew(&self) {
        self.inner.config.issuers.renew(self.inner.clock.now()).await;
    }
}

impl Inner {
    fn algorithm_names(&self) -> Vec<String> {
        self.verifier.algorithms().iter().map(|algorithm| algorithm.name().to_owned()).collect()
    }
}
