//! The client side of OAuth DPoP (RFC 9449): keys and where they live, discovery, tokens that are bound to a key,
//! and requests that prove its possession.
//!
//! A key is made once and kept under a name:
//!
//! ```
//! use std::sync::Arc;
//!
//! use countersign_client::keys::{KeyName, KeyStore, MemoryKeyStore};
//! use countersign_dpop::jose::Algorithm;
//! use countersign_dpop::time::SystemClock;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = MemoryKeyStore::new(Arc::new(SystemClock));
//! let key = keys.generate(&KeyName::parse("dpop")?, Algorithm::Es256)?;
//! println!("{} lives in {}", key.jkt(), key.class);
//! # Ok(())
//! # }
//! ```
//!
//! A client calls a resource with it. The token is fetched when it is needed; a server that asks for a nonce gets it:
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use countersign_client::{Client, ClientConfig, RequestBody};
//! use countersign_dpop::time::SystemClock;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = Arc::new(SystemClock);
//! let config = ClientConfig::parse(&std::fs::read_to_string("client.toml")?, Path::new("."))?;
//! let keys = config.keys().store.open(None, clock.clone())?;
//! let client = Client::open(&config, keys.as_ref(), clock)?;
//! let request = http::Request::get("https://api.example.com/orders").body(RequestBody::empty())?;
//! let response = client.call(request).await?;
//! println!("{}", response.status());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod call;
mod client;
pub mod config;
mod discovery;
mod enrolment;
mod flows;
mod http;
mod inspect;
pub mod keys;
#[cfg(feature = "tower")]
mod layer;
pub mod login;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod nonce;
mod observe;
mod prover;
mod renewal;
pub mod sessions;
mod shown;
mod token;

pub use self::call::{CallError, Credentials, Next, Signing};
pub use self::client::{Client, OpenError};
pub use self::config::ClientConfig;
pub use self::discovery::{DiscoveryError, ResourceMetadata};
pub use self::flows::{AuthorizationError, DeviceAuthorization, SubjectToken, SubjectTokenType, TokenError};
pub use self::http::{Endpoint, EndpointError, RequestBody, ResponseBody, TimeLimits, TransportError};
pub use self::inspect::{Inspection, IssuerFacts};
#[cfg(feature = "tower")]
pub use self::layer::{BoxError, DpopClient, DpopClientLayer, Once, RepeatBody};
pub use self::login::{Login, LoginError};
#[cfg(feature = "reqwest-middleware")]
pub use self::middleware::DpopMiddleware;
pub use self::nonce::{Binding, Nonce, NonceJar, ServerFacts};
pub use self::observe::{Server, Step};
pub use self::prover::{ClockOff, NonceError};
pub use self::sessions::{Session, SessionStore};
pub use self::token::{AccessToken, RefreshToken, TokenKind, Tokens};
