//! Fetching by reqwest.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};

use crate::fetch::{Fetch, FetchError, Fetching, MAX_BODY_LENGTH, TIMEOUT};

/// Fetches by reqwest, with certificates judged as the platform does. Needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct ReqwestFetch {
    client: reqwest::Client,
}

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct ReqwestFetchError(#[from] reqwest::Error);

impl ReqwestFetch {
    /// Sets up a client that follows no redirects.
    ///
    /// # Errors
    /// [`ReqwestFetchError`] when TLS cannot be set up, for instance without root certificates.
    pub fn new() -> Result<Self, ReqwestFetchError> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .referer(false)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client })
    }
}

impl Fetch for ReqwestFetch {
    fn fetch(&self, request: Request<Bytes>) -> Fetching {
        let exchange = exchange(self.client.clone(), request);
        // In a task of its own it goes on even when nobody polls, so requests need not wait for a renewal.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let task = runtime.spawn(exchange);
                Box::pin(async move { task.await.unwrap_or_else(|error| Err(failed(&error))) })
            }
            Err(_) => Box::pin(exchange),
        }
    }
}

async fn exchange(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, FetchError> {
    let request = reqwest::Request::try_from(request).map_err(fault)?;
    let mut answer = client.execute(request).await.map_err(fault)?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    std::mem::swap(response.headers_mut(), answer.headers_mut());
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(fault)? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY_LENGTH {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    *response.body_mut() = body.freeze();
    Ok(response)
}

fn fault(error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    failed(&error.without_url())
}

/// The chain of causes: "error sending request" alone helps nobody.
fn failed(error: &dyn std::error::Error) -> FetchError {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    FetchError::Failed { reason }
}
