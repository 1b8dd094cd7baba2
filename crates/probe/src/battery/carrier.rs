use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

/// An answer on its way. Its body is not read.
pub type Carrying<'a> = Pin<Box<dyn Future<Output = Result<Response<()>, CarryError>> + Send + 'a>>;

/// Carries a request to the server under attack, unchanged, and brings the head of its answer back.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// Carries one request. Redirects are answers, not followed.
    fn carry(&self, request: Request<Bytes>) -> Carrying<'_>;
}

/// The request got no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no answer: {reason}")]
pub struct CarryError {
    /// What went wrong; never a part of the request.
    pub reason: String,
}

/// Carries over HTTP or HTTPS.
#[derive(Clone, Debug)]
pub struct HttpCarrier {
    client: reqwest::Client,
}

impl HttpCarrier {
    /// How long one answer may take.
    pub const TIME_LIMIT: Duration = Duration::from_secs(15);

    /// A carrier of its own connections. Proxies of the environment are not used.
    ///
    /// # Errors
    /// [`CarryError`] when the TLS stack cannot be set up.
    pub fn new() -> Result<Self, CarryError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Self::TIME_LIMIT)
            .no_proxy()
            .build()
            .map_err(without_url)?;
        Ok(Self { client })
    }
}

impl Carrier for HttpCarrier {
    fn carry(&self, request: Request<Bytes>) -> Carrying<'_> {
        Box::pin(async move {
            let request = reqwest::Request::try_from(request).map_err(without_url)?;
            let answer = self.client.execute(request).await.map_err(without_url)?;
            let mut head = Response::new(());
            *head.status_mut() = answer.status();
            *head.headers_mut() = answer.headers().clone();
            Ok(head)
        })
    }
}

/// A URL may hold secrets in its query, so it does not go into messages.
fn without_url(error: reqwest::Error) -> CarryError {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    CarryError { reason }
}
