//! The request's body on its way to the upstream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use tokio::time::{Instant, Sleep, sleep};

use crate::error::{BoxError, ForwardError, causes};
use crate::fields::clean_trailers;

/// Streams the client's body, notes how far it has come, and gives up on a client that stalls.
pub(crate) struct RequestBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    progress: Progress,
    idle: Option<Pin<Box<Sleep>>>,
    idle_limit: Duration,
    is_reserved: fn(&HeaderName) -> bool,
}

/// How far a request's body has come. Shared between the body, which the connection to the upstream drives, and the
/// one who waits for the answer.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    phase: Phase,
    last_change: Instant,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Phase {
    /// The upstream has to act: take the request, or answer it.
    WithUpstream,
    /// The client has to send more.
    WithClient,
    /// The client failed.
    Failed(Failure),
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Failure {
    Broken(String),
    Idle(Duration),
}

impl RequestBody {
    pub(crate) fn new<B>(body: B, idle_limit: Duration, is_reserved: fn(&HeaderName) -> bool) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let inner = body.map_err(Into::into).boxed_unsync();
        Self { inner, progress: Progress::new(), idle: None, idle_limit, is_reserved }
    }

    pub(crate) fn empty(idle_limit: Duration) -> Self {
        Self::new(Empty::new(), idle_limit, |_| false)
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.idle_limit;
        self.idle.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx)
    }

    fn fail(&mut self, failure: Failure) -> BoxError {
        self.progress.set(Phase::Failed(failure));
        "the request's body cannot be had".into()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Pending => {
                this.progress.set(Phase::WithClient);
                match this.poll_idle(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => Poll::Ready(Some(Err(this.fail(Failure::Idle(this.idle_limit))))),
                }
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(this.fail(Failure::Broken(causes(error.as_ref())))))),
            Poll::Ready(frame) => {
                this.idle = None;
                this.progress.set(Phase::WithUpstream);
                Poll::Ready(frame.map(|frame| frame.map(|frame| cleaned(frame, this.is_reserved))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State { phase: Phase::WithUpstream, last_change: Instant::now() })))
    }

    fn set(&self, phase: Phase) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { phase, last_change: Instant::now() };
    }

    /// When the upstream's time is up, if nothing changes until then; `None` while the client has to act.
    pub(crate) fn upstream_deadline(&self, limit: Duration) -> Option<Instant> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.phase == Phase::WithUpstream).then(|| state.last_change + limit)
    }

    /// How the client failed, if it did.
    pub(crate) fn failure(&self) -> Option<ForwardError> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.phase {
            Phase::WithUpstream | Phase::WithClient => None,
            Phase::Failed(Failure::Broken(reason)) => Some(ForwardError::RequestBody { reason: reason.clone() }),
            Phase::Failed(Failure::Idle(limit)) => Some(ForwardError::RequestBodyIdle { limit: *limit }),
        }
    }
}

fn cleaned(frame: Frame<Bytes>, is_reserved: fn(&HeaderName) -> bool) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            clean_trailers(&mut trailers, is_reserved);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}
