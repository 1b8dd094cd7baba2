//! Signing for any client that is a tower service (feature `tower`).

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Request, Response, Uri};
use http_body_util::{Empty, Full};
use tower_layer::Layer;
use tower_service::Service;

use crate::call::{CallError, Next};
use crate::client::Client;
use crate::http::EndpointError;

/// Signs every request on its way to a client that is a tower service, such as `hyper-util`'s: each attempt with a token
/// and a proof of its own, sent again for a nonce where the body can be sent again. It belongs below everything that
/// retries, next to the wire. Requests need absolute URIs; redirects are given back.
#[derive(Clone, Debug)]
pub struct DpopClientLayer {
    client: Client,
}

impl DpopClientLayer {
    /// Signs with `client`.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }
}

impl<S> Layer<S> for DpopClientLayer {
    type Service = DpopClient<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DpopClient { client: self.client.clone(), inner }
    }
}

/// A client whose requests are signed.
#[derive(Clone, Debug)]
pub struct DpopClient<S> {
    client: Client,
    inner: S,
}

/// A body that knows whether it can be sent again.
pub trait RepeatBody: Sized {
    /// A copy to send again; `None` when it can be sent only once.
    fn again(&self) -> Option<Self>;
}

impl<D: Buf + Clone> RepeatBody for Full<D> {
    fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<D: Buf> RepeatBody for Empty<D> {
    fn again(&self) -> Option<Self> {
        Some(Self::new())
    }
}

/// A body that can be sent only once.
#[derive(Clone, Copy, Debug)]
pub struct Once<B>(pub B);

impl<B> RepeatBody for Once<B> {
    fn again(&self) -> Option<Self> {
        None
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Once<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

/// Why a request got no answer: ours ([`CallError`]) or the inner service's.
pub type BoxError = Box<dyn Error + Send + Sync>;

impl<S, B, R> Service<Request<B>> for DpopClient<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: RepeatBody + Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready goes; a clone of it takes its place.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        Box::pin(send(self.client.clone(), ready, request))
    }
}

async fn send<S, B, R>(client: Client, mut inner: S, request: Request<B>) -> Result<Response<R>, BoxError>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    B: RepeatBody,
{
    let (head, body) = request.into_parts();
    let client = client.following_redirects(0);
    let mut signing = client.signing(&head.method, &head.uri.to_string())?;
    // What is sent is what is signed, letter by letter.
    let uri: Uri = signing.url().parse().map_err(|_| CallError::Endpoint(EndpointError::NotAUrl))?;
    let mut pending = Some(body);
    while let Some(body) = pending.take() {
        let spare = body.again();
        let mut attempt = head.clone();
        attempt.uri = uri.clone();
        signing.attach(&mut attempt.headers).await?;
        let response = inner.call(Request::from_parts(attempt, body)).await.map_err(Into::into)?;
        match signing.learn(response.status(), response.headers(), spare.is_some()).await? {
            Next::Again if spare.is_some() => pending = spare,
            Next::Done | Next::Again | Next::Follow { .. } => return Ok(response),
        }
        poll_fn(|context| inner.poll_ready(context)).await.map_err(Into::into)?;
    }
    Err(Box::new(CallError::Nonce(crate::prover::NonceError::BodyNotRepeatable)))
}
