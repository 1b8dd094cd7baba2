//! The resource server half of OAuth DPoP (RFC 9449): access tokens, a tower layer, challenges, metadata (RFC 9728)
//! and stages for the move from Bearer.
//!
//! A request is judged in this order: target, credentials, proof, access token, confirmation, policy, and the replay
//! record last. What is cheap and leaves no trace comes first, so a refused request has spent nothing.
//!
//! An axum service is guarded in about ten lines (features `axum` and `reqwest`; the store is of `countersign-replay`):
//!
//! ```
//! # use std::sync::Arc;
//! # use axum::{Router, routing::get};
//! # use countersign_dpop::{NonceKey, PublicOrigin, time::{Clock, SystemClock}};
//! # use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
//! # use countersign_resource::fetch::{Fetch, ReqwestFetch};
//! # use countersign_resource::{Access, DpopLayer, IssuerConfig, Issuers, ResourceConfig, ResourceServer};
//! async fn hello(access: Access) -> String {
//!     format!("{:?} may {:?}, by key {:?}", access.subject(), access.scope(), access.jkt())
//! }
//!
//! # fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let fetch: Arc<dyn Fetch> = Arc::new(ReqwestFetch::new()?);
//! let issuers = Issuers::new(vec![IssuerConfig::discovered("https://idp.example.com")?], &fetch)?;
//! let origin = PublicOrigin::parse("https://api.example.com")?;
//! let config = ResourceConfig::new("https://api.example.com", origin, issuers)?;
//! let replay = Arc::new(MemoryReplayStore::new(MemoryReplayConfig::default(), SystemClock.now())?);
//! let server = ResourceServer::new(config, replay, Arc::new(SystemClock), NonceKey::generate()?);
//! let app: Router = Router::new().route("/", get(hello)).layer(DpopLayer::new(server));
//! # Ok(app)
//! # }
//! # app().unwrap();
//! ```
//!
//! Without axum, [`DpopLayer`] guards any tower service over `http` requests and puts [`Access`] into the extensions
//! of those it grants. Whoever has no tower either asks [`ResourceServer::judge`]: the verdict says what is to become
//! of the request, what its answer is to carry, and what the decision log is to say.
//!
//! The expected `htu` comes from the configured public origin and the raw path, never from `Host` or `X-Forwarded-*`.
//! A store in one process's memory is for exactly one process; several need one store, or nonces that are required.
#![forbid(unsafe_code)]

mod access;
mod cors;
mod decision;
#[cfg(feature = "axum")]
mod extract;
pub mod fetch;
mod issuer;
mod layer;
mod metadata;
mod policy;
mod refusal;
mod server;
mod stage;
mod table;
mod token;
mod verdict;

pub use self::access::Access;
pub use self::cors::{Cors, CorsError};
pub use self::decision::{Check, Checks, Decision, DecisionOutcome, PresentedScheme};
#[cfg(feature = "axum")]
pub use self::extract::NoAccess;
pub use self::issuer::{
    INTROSPECTION_CACHE, Introspection, IntrospectionCredential, IssuerConfig, IssuerConfigError, IssuerCounts,
    Issuers, KeysError, LookupCounts, MAX_BACKOFF, MAX_INTROSPECTIONS, MissingKeys, RENEW_KEYS_AFTER, STALE_KEYS_FOR,
    TryCounts, UNKNOWN_KEY_FLOOR,
};
pub use self::layer::{DpopLayer, DpopService, GuardedBody, Observed};
pub use self::metadata::ResourceMetadata;
pub use self::policy::{Caller, NoPolicy, Policy};
pub use self::refusal::Refusal;
pub use self::server::{
    DEFAULT_KEY_CACHE, KeyCache, KeyCacheCounts, RequestFacts, ResourceConfig, ResourceConfigError, ResourceServer,
    Route,
};
pub use self::stage::{BearerAllowance, Stage, UnknownStage};
pub use self::token::{AccessToken, ISSUER_LEEWAY, MAX_TOKEN_LENGTH};
pub use self::verdict::{Outcome, Verdict};
/// Who verifies ES256 signatures of keys with tables, for [`KeyCache::new`].
pub use countersign_es256 as es256;
