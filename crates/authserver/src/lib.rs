//! An OAuth authorization server that binds every token to the client's key (RFC 9449).
//!
//! [`AuthServerConfig`] is the configuration as it is written, [`AuthServerConfig::resolve`] turns it into
//! [`Settings`], [`AuthServer::open`] opens the storage and [`AuthServer::router`] or [`AuthServer::bind`] serves it.
//!
//! A request to the token endpoint is judged in one order: form, proof (pure), client authentication, what the grant
//! asks for, and last one storage transaction that records the proof and the client assertion. A refused request
//! spends nothing.
#![forbid(unsafe_code)]

mod access_token;
mod authentication;
mod client;
pub mod config;
mod decision;
mod endpoint;
mod error;
mod form;
mod grant;
mod issuer;
mod resource;
mod scope;
mod seal;
mod serve;
mod server;
mod share;
mod signing;
pub mod storage;

pub use self::config::{AuthServerConfig, ConfigError, ConfigErrors, Settings};
pub use self::issuer::{Issuer, IssuerError};
pub use self::serve::BoundAuthServer;
pub use self::server::{AuthServer, OpenError};
