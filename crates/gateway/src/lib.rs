//! The guard in front of an API in any language: every request is judged by token and proof (RFC 9449), and what
//! passes is forwarded, streaming, with the caller's identity in place of his credentials.
//!
//! [`GatewayConfig`] is the configuration as it is written, [`GatewayConfig::resolve`] makes [`Settings`] of it,
//! [`Gateway::bind`] binds the addresses and [`Gateway::serve`] serves.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use countersign_dpop::time::SystemClock;
//! use countersign_gateway::{DecisionLines, Gateway, GatewayConfig};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = GatewayConfig {
//!     public_origin: Some("https://api.example.com".to_owned()),
//!     upstream: Some("http://127.0.0.1:9000".to_owned()),
//!     issuer: Some("https://idp.example.com".to_owned()),
//!     audience: Some("https://api.example.com".to_owned()),
//!     ..GatewayConfig::default()
//! };
//! let settings = config.resolve(Path::new("."))?;
//! let decisions = Arc::new(DecisionLines::new(std::io::stdout()));
//! let gateway = Gateway::bind(settings, Arc::new(SystemClock), decisions).await?;
//! gateway.serve(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! # What the upstream sees
//!
//! Method, path and query as they were sent; `Host` of its own URL, or of the public origin with `upstream_host`;
//! `X-Forwarded-For`, `-Proto` and `-Host` set afresh, whatever the client claimed; `Countersign-Subject`, `-Client`,
//! `-Scope`, `-Jkt` and `-Issuer` as far as the token has them, and none that the client sent, trailers included.
//! With `upstream_assertion`, `Countersign-Assertion` stands in place of these: a JWT that lives a minute (`typ`
//! `countersign-assertion+jwt`), by a key whose set is at `/jwks.json` of the admin address.
//! `Authorization` and `DPoP` go no further, except at the stage `observe`, where an upstream that checks proofs
//! itself finds them as they were; it has to know the public origin for that. Neither `X-Forwarded-*` nor `Forwarded`
//! has a say in the URL that a proof must be for, also where `x_forwarded = "append"` passes on those of a proxy in
//! front.
//!
//! # What the client sees
//!
//! Refusals are the gateway's. What the upstream answers passes as it is, a refusal of its own and `Cache-Control`
//! included, but for `DPoP-Nonce`, which only the gateway sends. Caches in front of the gateway keep no answer to a
//! request with `Authorization` unless the upstream says `public` (RFC 9111 §3.5). A cache between gateway and
//! upstream sees no `Authorization`: the upstream has to send `Vary: Countersign-Subject` or `private` there.
#![forbid(unsafe_code)]

mod admin;
mod advice;
mod answer;
mod assertion;
mod authority;
mod body;
pub mod config;
mod connection;
mod date;
mod door;
mod ext_authz;
mod forward_auth;
mod gateway;
mod identity;
mod keys;
mod listener;
mod logs;
mod mcp;
mod metrics;
mod mode;
mod pace;
mod reload;
mod replay;
pub mod report;
mod site;
mod tls;
mod unread;
mod visit;
mod wire;
mod workers;

pub use self::admin::Missing;
pub use self::assertion::{AssertionKeyError, AssertionSettings};
pub use self::config::{GatewayConfig, Settings};
pub use self::forward_auth::FrontProxy;
pub use self::gateway::{Gateway, GatewayError};
pub use self::logs::{AccessRecord, DecisionLines, DecisionSink, LineFormat, Lines, LogPlace, Logs, NoDecisions};
pub use self::mcp::{SessionKey, SessionKeyError};
pub use self::mode::Mode;
pub use self::reload::Reloader;
pub use self::tls::{TlsFileError, TlsFiles};
