//! The service that the layer makes.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use tower_service::Service;

use crate::access::Access;
use crate::layer::{Guard, GuardedBody};
use crate::server::RequestFacts;
use crate::verdict::{Outcome, Verdict};

/// A service behind a [`crate::DpopLayer`].
#[derive(Clone, Debug)]
pub struct DpopService<S> {
    inner: S,
    guard: Arc<Guard>,
}

impl<S> DpopService<S> {
    pub(super) const fn new(inner: S, guard: Arc<Guard>) -> Self {
        Self { inner, guard }
    }
}

/// In the extensions of a request that was let through in `observe` although a check failed: why it is nobody's.
#[derive(Clone, Debug)]
pub struct Observed(pub countersign_dpop::Rejection);

type Answering<B, E> = Pin<Box<dyn Future<Output = Result<Response<GuardedBody<B>>, E>> + Send>>;

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for DpopService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
    RequestBody: Send + 'static,
{
    type Response = Response<GuardedBody<ResponseBody>>;
    type Error = S::Error;
    type Future = Answering<ResponseBody, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        // The service that was made ready is the one to call; the clone waits for its own turn.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let guard = Arc::clone(&self.guard);
        Box::pin(async move { guard.answer(request, inner).await })
    }
}

impl Guard {
    async fn answer<S, RequestBody, ResponseBody>(
        &self,
        request: Request<RequestBody>,
        inner: S,
    ) -> Result<Response<GuardedBody<ResponseBody>>, S::Error>
    where
        S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    {
        // Apart, because a body need not be `Sync` and judging waits.
        let (head, body) = request.into_parts();
        if let Some(preflight) = self.preflight(&head) {
            return Ok(preflight.map(GuardedBody::own));
        }
        let origin = self.cors.as_ref().and_then(|cors| cors.allowed_origin(&head.headers)).cloned();
        let mut response = match self.metadata(&head) {
            Some(metadata) => metadata.map(GuardedBody::own),
            None => self.judge_and_serve(head, body, inner).await?,
        };
        if let Some(cors) = &self.cors {
            cors.open(origin.as_ref(), response.headers_mut());
        }
        Ok(response)
    }

    fn preflight(&self, request: &Parts) -> Option<Response<Bytes>> {
        let fields = self.cors.as_ref()?.preflight(&request.method, &request.headers)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = fields;
        Some(response)
    }

    fn metadata(&self, request: &Parts) -> Option<Response<Bytes>> {
        let reads = request.method == Method::GET || request.method == Method::HEAD;
        let here = self.serves_metadata && reads && self.server.is_metadata_path(original_uri(request).path());
        here.then(|| self.server.metadata().to_response())
    }

    async fn judge_and_serve<S, RequestBody, ResponseBody>(
        &self,
        mut head: Parts,
        body: RequestBody,
        mut inner: S,
    ) -> Result<Response<GuardedBody<ResponseBody>>, S::Error>
    where
        S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    {
        let verdict = self.judge(&head).await;
        // What an outer guard found does not hold here.
        head.extensions.remove::<Access>();
        head.extensions.remove::<Observed>();
        let mut response = match &verdict.outcome {
            Outcome::Refused(refusal) => {
                let mut response = refusal.to_response().map(GuardedBody::own);
                response.extensions_mut().insert(refusal.clone());
                response
            }
            Outcome::Granted(access) => {
                head.extensions.insert(access.clone());
                inner.call(Request::from_parts(head, body)).await?.map(GuardedBody::inner)
            }
            Outcome::Observed(rejection) => {
                head.extensions.insert(Observed(rejection.clone()));
                inner.call(Request::from_parts(head, body)).await?.map(GuardedBody::inner)
            }
        };
        verdict.add_fields_to(response.headers_mut());
        response.extensions_mut().insert(verdict.decision);
        Ok(response)
    }

    async fn judge(&self, request: &Parts) -> Verdict {
        let facts = RequestFacts {
            method: request.method.as_str(),
            path_and_query: original_uri(request).path_and_query().map_or("", |target| target.as_str()),
            headers: &request.headers,
            authority: None,
        };
        match &self.route {
            Some(route) => self.server.judge_for(&facts, route).await,
            None => self.server.judge(&facts).await,
        }
    }
}

/// The URI as it was received: inside a nested router, axum keeps it beside a shortened one.
fn original_uri(request: &Parts) -> &http::Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = request.extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    &request.uri
}
