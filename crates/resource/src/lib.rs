//! The resource server half of OAuth DPoP (RFC 9449): access tokens, a tower layer, challenges, metadata (RFC 9728)
//! and stages for the move from Bearer.
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
mod refusal;
mod server;
mod stage;
mod token;
mod verdict;

pub use self::access::Access;
pub use self::cors::{Cors, CorsError};
pub use self::decision::{Check, Decision, DecisionOutcome, PresentedScheme};
#[cfg(feature = "axum")]
pub use self::extract::NoAccess;
pub use self::issuer::{
    IssuerConfig, IssuerConfigError, Issuers, KeysError, MAX_BACKOFF, MissingKeys, RENEW_KEYS_AFTER, STALE_KEYS_FOR,
    UNKNOWN_KEY_FLOOR,
};
pub use self::layer::{DpopLayer, DpopService, GuardedBody, Observed};
pub use self::metadata::ResourceMetadata;
pub use self::refusal::Refusal;
pub use self::server::{RequestFacts, ResourceConfig, ResourceConfigError, ResourceServer, Route};
pub use self::stage::{BearerAllowance, Stage, UnknownStage};
pub use self::token::{AccessToken, ISSUER_LEEWAY, MAX_TOKEN_LENGTH};
pub use self::verdict::{Outcome, Verdict};
