//! The client side of OAuth DPoP (RFC 9449): keys and where they live, discovery, tokens that are bound to a key,
//! and requests that prove its possession.
#![forbid(unsafe_code)]

mod call;
mod client;
pub mod config;
mod discovery;
mod flows;
mod http;
pub mod keys;
mod nonce;
mod observe;
mod prover;
mod session;
mod shown;
mod token;

pub use self::call::CallError;
pub use self::client::{Client, OpenError};
pub use self::config::ClientConfig;
pub use self::discovery::DiscoveryError;
pub use self::flows::TokenError;
pub use self::http::{Endpoint, EndpointError, RequestBody, ResponseBody, TimeLimits, TransportError};
pub use self::nonce::{Binding, Nonce, NonceJar};
pub use self::observe::{Server, Step};
pub use self::prover::{ClockOff, NonceError};
pub use self::token::AccessToken;
