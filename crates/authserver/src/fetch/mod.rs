//! Outgoing requests: the keys of clients and issuers, and client metadata documents. Every one is a bounded GET that
//! follows no redirect; those whose address a stranger chose reach public addresses only.

mod address;
mod guarded;
mod url;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use self::address::is_public;
pub use self::guarded::{FetchSetupError, GuardedFetch, ResolveHost, Resolving, SystemResolver};
pub use self::url::{FetchUrl, FetchUrlError};

/// An answer to come.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// Gets one document.
///
/// The contract: one GET, no redirect followed, at most [`FetchRequest::limit`] bytes read, at most
/// [`FETCH_PATIENCE`] in all; with [`Reach::Public`] no connection is opened to an address that is not public, however
/// the host is spelled and whatever its name resolves to.
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Gets the document at `request.url`.
    fn fetch(&self, request: FetchRequest) -> Fetching<'_>;
}

/// How long a fetch may take, resolving, connecting and reading included.
pub const FETCH_PATIENCE: Duration = Duration::from_secs(3);

/// What to get.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// From where.
    pub url: FetchUrl,
    /// Where that may be.
    pub reach: Reach,
    /// The most bytes.
    pub limit: usize,
}

/// To which addresses a request may go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Anywhere: the operator wrote the URL into the configuration.
    Anywhere,
    /// Public addresses over https only: somebody else wrote the URL.
    Public,
}

/// Fetches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offline;

impl Fetch for Offline {
    fn fetch(&self, _: FetchRequest) -> Fetching<'_> {
        Box::pin(std::future::ready(Err(FetchError::Failed { reason: "fetching is switched off".to_owned() })))
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The media type, without parameters, in lower case.
    pub media_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no document. Carries nothing of an answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// The address is not a public one.
    #[error("the host is not at public addresses")]
    NotPublic,
    /// No connection, or it broke.
    #[error("no answer: {reason}")]
    Failed {
        /// What went wrong.
        reason: String,
    },
    /// Not done in time.
    #[error("no answer within {} s", FETCH_PATIENCE.as_secs())]
    TimedOut,
    /// More than the request allows.
    #[error("an answer of more than {limit} bytes")]
    TooLong {
        /// The most bytes.
        limit: usize,
    },
    /// Not 200, a redirect included.
    #[error("the answer has status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Not JSON by its media type.
    #[error("the answer is not JSON")]
    MediaType,
}

/// Gets a JSON document and holds the answer to what was asked for, whoever fetches.
pub(crate) async fn get_json(fetch: &dyn Fetch, request: FetchRequest) -> Result<Vec<u8>, FetchError> {
    let limit = request.limit;
    let fetched = tokio::time::timeout(FETCH_PATIENCE, fetch.fetch(request)).await;
    let fetched = fetched.map_err(|_| FetchError::TimedOut)??;
    if fetched.status != 200 {
        return Err(FetchError::Status { status: fetched.status });
    }
    if fetched.body.len() > limit {
        return Err(FetchError::TooLong { limit });
    }
    let is_json = |media_type: &String| media_type == "application/json" || media_type.ends_with("+json");
    if fetched.media_type.as_ref().is_some_and(is_json) { Ok(fetched.body) } else { Err(FetchError::MediaType) }
}
