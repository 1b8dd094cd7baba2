//! What a client asks of a user (RFC 6749 §4.1.1): read from the query, from a pushed form (RFC 9126) or from a signed
//! request object (RFC 9101), and checked once into a request that only waits for the user.

mod code;
mod error;
mod pushed;
mod request;
mod request_object;

pub(crate) use self::code::Code;
pub(crate) use self::error::AuthorizationError;
pub(crate) use self::pushed::PushedRequest;
pub(crate) use self::request::{AuthorizationRequest, Prompt, RedirectError, redirect_target};
pub(crate) use self::request_object::{RequestObjectError, read_request_object};
