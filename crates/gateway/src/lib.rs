//! The guard in front of an API in any language: every request is judged by token and proof (RFC 9449), and what
//! passes is forwarded, streaming, with the caller's identity in place of his credentials.
//!
//! [`GatewayConfig`] is the configuration as it is written, [`GatewayConfig::resolve`] makes [`Settings`] of it,
//! [`Gateway::bind`] binds the addresses and [`Gateway::serve`] serves.
#![forbid(unsafe_code)]

mod admin;
mod answer;
mod authority;
mod body;
pub mod config;
mod connection;
mod decisions;
mod door;
mod gateway;
mod identity;
mod listener;
mod metrics;
mod wire;

pub use self::config::{GatewayConfig, Settings};
pub use self::decisions::{DecisionLines, DecisionSink, NoDecisions};
pub use self::gateway::{Gateway, GatewayError};
