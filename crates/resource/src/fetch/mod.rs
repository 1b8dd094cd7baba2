//! Outgoing requests: keys and metadata of issuers.

#[cfg(feature = "reqwest")]
mod client;

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

#[cfg(feature = "reqwest")]
pub use self::client::{ReqwestFetch, ReqwestFetchError};

/// An answer to come. Owns everything it needs, so that it can outlive the request that asked for it.
pub type Fetching = Pin<Box<dyn Future<Output = Result<Response<Bytes>, FetchError>> + Send>>;

/// Sends one request to an issuer and reads the answer.
///
/// The contract: no redirect is followed; an answer of more than [`MAX_BODY_LENGTH`] bytes is
/// [`FetchError::TooLarge`] and is not read further; everything together takes at most [`TIMEOUT`]; plain http has
/// been ruled out by the caller except for loopback hosts.
///
/// A fetch that goes on by itself once begun (for instance in a task of its own) lets requests be served with the
/// keys at hand while new ones are on their way.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Sends `request`, whose URI is absolute.
    fn fetch(&self, request: Request<Bytes>) -> Fetching;
}

/// The longest answer that is read, in bytes.
pub const MAX_BODY_LENGTH: usize = 256 * 1_024;

/// How long a fetch may take, connecting and reading included.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a fetch has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke.
    #[error("no answer: {reason}")]
    Failed {
        /// What went wrong; holds no secret.
        reason: String,
    },
    /// There is nothing to fetch with: [`Offline`].
    #[error("fetching is switched off")]
    Offline,
    /// Not done within [`TIMEOUT`].
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// More than [`MAX_BODY_LENGTH`] bytes.
    #[error("an answer of more than {MAX_BODY_LENGTH} bytes")]
    TooLarge,
}

/// Fetches nothing: for servers whose issuers' keys are all at hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl Fetch for Offline {
    fn fetch(&self, _request: Request<Bytes>) -> Fetching {
        Box::pin(ready(Err(FetchError::Offline)))
    }
}
