//! Getting tokens: one file or folder per grant, one for what they share.

mod authentication;
mod client_credentials;
mod code;
mod device;
mod error;
mod exchange;
mod post;
mod refresh;
mod registration;
mod revocation;
mod token_answer;

pub(crate) use self::authentication::Authenticator;
pub(crate) use self::client_credentials::client_credentials;
pub use self::code::AuthorizationError;
pub(crate) use self::code::{AuthorizationRequest, CALLBACK, Loopback, Page, Returned};
pub use self::device::DeviceAuthorization;
pub(crate) use self::device::Polled;
pub(crate) use self::device::authorize_device;
pub use self::error::TokenError;
pub(crate) use self::exchange::exchange;
pub use self::exchange::{SubjectToken, SubjectTokenType};
pub(crate) use self::refresh::refresh;
pub(crate) use self::registration::{NewClient, register};
pub(crate) use self::revocation::revoke;
