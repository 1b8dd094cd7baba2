//! The request's body on its way to the upstream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::Instant;

use crate::error::{BoxError, ForwardError, causes};
use crate::fields::clean_trailers;
use crate::patience::{OutOfPatience, Patience, PatienceLimits};

/// Streams the client's body, notes how far it has come, and gives up on a client that stalls. Nothing but `None` for a
/// request without a body, as most are: requests are moved several times on their way.
pub(crate) struct RequestBody(Option<Box<Streaming>>);

struct Streaming {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    progress: Progress,
    patience: Patience,
    limits: PatienceLimits,
    is_reserved: fn(&HeaderName) -> bool,
}

/// How far a request's body has come. Shared between the body, which the connection to the upstream drives, and the
/// one who waits for the answer.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    begun: Instant,
    /// `None` for a request without a body, whose every byte is with the upstream from the beginning.
    state: Option<Arc<Mutex<State>>>,
}

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
    Slow(u32),
}

impl RequestBody {
    pub(crate) fn new<B>(body: B, limits: PatienceLimits, is_reserved: fn(&HeaderName) -> bool) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        let inner = body.map_err(Into::into).boxed_unsync();
        let (progress, patience) = (Progress::new(true), Patience::new(limits));
        Self(Some(Box::new(Streaming { inner, progress, patience, limits, is_reserved })))
    }

    pub(crate) const fn empty() -> Self {
        Self(None)
    }

    pub(crate) fn progress(&self) -> Progress {
        self.0.as_ref().map_or_else(|| Progress::new(false), |streaming| streaming.progress.clone())
    }
}

impl Streaming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => {
                self.progress.set(Phase::WithClient);
                self.poll_patience(cx).map(|failure| Some(Err(self.fail(failure))))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.fail(Failure::Broken(causes(error.as_ref())))))),
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref);
                self.patience.moved(data.map_or(0, Bytes::len));
                self.progress.set(Phase::WithUpstream);
                Poll::Ready(frame.map(|frame| frame.map(|frame| cleaned(frame, self.is_reserved))))
            }
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let PatienceLimits { idle, bytes_per_second } = self.limits;
        self.patience.poll_wait(cx).map(|out| match out {
            OutOfPatience::Idle => Failure::Idle(idle),
            OutOfPatience::Slow => Failure::Slow(bytes_per_second),
        })
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
        self.0.as_mut().map_or(Poll::Ready(None), |streaming| streaming.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|streaming| streaming.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |streaming| streaming.inner.size_hint())
    }
}

impl Progress {
    fn new(has_body: bool) -> Self {
        let begun = Instant::now();
        let state = has_body.then(|| Arc::new(Mutex::new(State { phase: Phase::WithUpstream, last_change: begun })));
        Self { begun, state }
    }

    fn state(&self) -> Option<MutexGuard<'_, State>> {
        self.state.as_ref().map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, phase: Phase) {
        if let Some(mut state) = self.state() {
            *state = State { phase, last_change: Instant::now() };
        }
    }

    /// When the upstream's time is up, if nothing changes until then; `None` while the client has to act.
    pub(crate) fn upstream_deadline(&self, limit: Duration) -> Option<Instant> {
        let Some(state) = self.state() else { return Some(self.begun + limit) };
        (state.phase == Phase::WithUpstream).then(|| state.last_change + limit)
    }

    /// How the client failed, if it did.
    pub(crate) fn failure(&self) -> Option<ForwardError> {
        match &self.state()?.phase {
            Phase::WithUpstream | Phase::WithClient => None,
            Phase::Failed(Failure::Broken(reason)) => Some(ForwardError::RequestBody { reason: reason.clone() }),
            Phase::Failed(Failure::Idle(limit)) => Some(ForwardError::RequestBodyIdle { limit: *limit }),
            Phase::Failed(Failure::Slow(bytes_per_second)) => {
                Some(ForwardError::RequestBodySlow { bytes_per_second: *bytes_per_second })
            }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::StreamBody;
    use tokio::time::sleep;

    use super::*;

    const LIMITS: PatienceLimits = PatienceLimits { idle: Duration::from_secs(30), bytes_per_second: 100 };

    /// A client that sends `part` every so often, `parts` times.
    fn sending(part: &'static [u8], every: Duration, parts: usize) -> RequestBody {
        let frames = stream::unfold(0, move |sent| async move {
            sleep(every).await;
            (sent < parts).then(|| (Ok::<_, BoxError>(Frame::data(Bytes::from_static(part))), sent + 1))
        });
        RequestBody::new(StreamBody::new(frames), LIMITS, |_| false)
    }

    /// How long it took until the body ended, and how it failed.
    async fn read(mut body: RequestBody) -> (Duration, Option<ForwardError>) {
        let (begun, progress) = (Instant::now(), body.progress());
        while let Some(Ok(_)) = body.frame().await {}
        (begun.elapsed(), progress.failure())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up() {
        let (took, failure) = read(sending(b"x", Duration::from_secs(14), 1_000)).await;
        assert!(matches!(failure, Some(ForwardError::RequestBodySlow { bytes_per_second: 100 })), "{failure:?}");
        assert!(took < Duration::from_secs(31), "{took:?}");
        assert_eq!(failure.map(|failure| failure.status().as_u16()), Some(408));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_keeps_to_the_rate_is_taken_whole() {
        static PART: [u8; 2_000] = [b'x'; 2_000];
        let (took, failure) = read(sending(&PART, Duration::from_secs(20), 100)).await;
        assert!(failure.is_none() && took >= Duration::from_secs(2_000), "{failure:?} {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_body_is_idle() {
        let (took, failure) = read(sending(b"x", Duration::from_hours(1), 1)).await;
        assert!(matches!(failure, Some(ForwardError::RequestBodyIdle { .. })), "{failure:?}");
        assert_eq!(took.as_secs(), 30);
    }

    #[test]
    fn a_request_without_a_body_has_none() {
        let body = RequestBody::empty();
        assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
    }
}
