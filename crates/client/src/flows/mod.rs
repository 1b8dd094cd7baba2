//! Getting tokens: one file per grant, one for what they share.

mod authentication;
mod client_credentials;
mod error;
mod token_answer;
mod token_endpoint;

pub(crate) use self::authentication::Authenticator;
pub(crate) use self::client_credentials::client_credentials;
pub use self::error::TokenError;
