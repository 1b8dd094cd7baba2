//! Bodies: the program's, which may have to be sent again, and the answer's.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign_forward::{AnswerBody, BoxError};
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::futures::OwnedNotified;

use crate::door::scrub::Scrub;
use crate::refusal::Refusal;
use crate::visit::Stay;

/// How much of a body is kept to be sent again, in bytes.
const MAX_KEPT: usize = 65_536;

/// A program's body. It is sent on as it comes, and its beginning is kept, so that it can be sent again as long as
/// no more than [`MAX_KEPT`] bytes have gone.
pub(super) struct Source<B>(Arc<Mutex<State<B>>>);

struct State<B> {
    inner: Option<B>,
    kept: Vec<Bytes>,
    kept_length: usize,
    overflowed: bool,
    broken: bool,
    /// The length of the whole, where it was said.
    exact: Option<u64>,
    /// Of several attempts only the last may read.
    attempt: u32,
}

/// The body of one attempt.
pub(super) struct Attempt<B> {
    source: Arc<Mutex<State<B>>>,
    number: u32,
    next: usize,
}

impl<B: Body<Data = Bytes>> Source<B> {
    /// A body that is sent as it comes.
    pub(super) fn stream(body: B) -> Self {
        let exact = body.size_hint().exact();
        let ended = body.is_end_stream();
        Self::of(State::new((!ended).then_some(body), Vec::new(), exact))
    }

    /// A body that was read already.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let exact = Some(bytes.len() as u64);
        let kept = if bytes.is_empty() { Vec::new() } else { vec![bytes] };
        Self::of(State::new(None, kept, exact))
    }

    fn of(state: State<B>) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// The body for one more attempt; those before get nothing any more.
    pub(super) fn attempt(&self) -> Attempt<B> {
        let mut state = lock(&self.0);
        state.attempt = state.attempt.saturating_add(1);
        Attempt { source: Arc::clone(&self.0), number: state.attempt, next: 0 }
    }

    /// True when one more attempt would send the same.
    pub(super) fn is_repeatable(&self) -> bool {
        let state = lock(&self.0);
        !state.overflowed && !state.broken
    }
}

impl<B> State<B> {
    const fn new(inner: Option<B>, kept: Vec<Bytes>, exact: Option<u64>) -> Self {
        Self { inner, kept, kept_length: 0, overflowed: false, broken: false, exact, attempt: 0 }
    }

    fn keep(&mut self, data: &Bytes) {
        if self.overflowed || self.kept_length.saturating_add(data.len()) > MAX_KEPT {
            self.overflowed = true;
            self.kept = Vec::new();
            return;
        }
        self.kept_length = self.kept_length.saturating_add(data.len());
        self.kept.push(data.clone());
    }
}

impl<B> Body for Attempt<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let source = Arc::clone(&self.source);
        let mut state = lock(&source);
        if state.attempt != self.number {
            return Poll::Ready(Some(Err("another attempt is under way".into())));
        }
        if let Some(data) = state.kept.get(self.next) {
            self.next = self.next.saturating_add(1);
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        let Some(inner) = state.inner.as_mut() else { return Poll::Ready(None) };
        match Pin::new(inner).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                state.inner = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(fault))) => {
                state.broken = true;
                Poll::Ready(Some(Err(fault.into())))
            }
            Poll::Ready(Some(Ok(frame))) => {
                match frame.data_ref() {
                    Some(data) => state.keep(data),
                    // Trailers are not kept.
                    None => state.overflowed = true,
                }
                self.next = state.kept.len();
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let state = lock(&self.source);
        self.next >= state.kept.len() && state.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.source).exact.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn lock<B>(source: &Mutex<State<B>>) -> MutexGuard<'_, State<B>> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of an answer to a program.
pub struct DoorBody {
    content: Content,
    during: Option<During>,
}

/// The request that an answer belongs to, for as long as there is something of the answer to come. The lock and the end
/// of the binding cut it off.
struct During {
    stay: Stay,
    /// How often the lock had gone on when the request was let through.
    closings: u64,
    /// Made when there is something to wait for, and no connection that hears it: most answers are there at once.
    bell: Option<Pin<Box<OwnedNotified>>>,
}

impl During {
    fn is_cut(&self) -> bool {
        self.stay.visit().door().over(self.closings).is_some()
    }

    fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.stay.visit().is_inside() {
            let shared = &self.stay.visit().door().shared;
            let bell = self.bell.get_or_insert_with(|| Box::pin(Arc::clone(shared.lock.bell()).notified_owned()));
            let rang = bell.as_mut().poll(context).is_ready();
            // Looked at after the bell is there to be heard, so that none is missed.
            if self.is_cut() {
                return Poll::Ready(());
            }
            if !rang {
                return Poll::Pending;
            }
            self.bell = None;
        }
        Poll::Pending
    }
}

/// What an answer consists of.
pub enum Content {
    /// The agent's own.
    Own(Option<Bytes>),
    /// The resource's, looked through for what the agent sent.
    Resource(Box<Scrub<AnswerBody>>),
}

impl DoorBody {
    pub(super) const fn own(bytes: Bytes) -> Self {
        Self { content: Content::Own(Some(bytes)), during: None }
    }

    /// The answer that says why there is no other.
    pub(crate) fn refusal(refusal: &Refusal) -> Response<Self> {
        refusal.to_response().map(Self::own)
    }

    pub(super) fn resource(body: Scrub<AnswerBody>) -> Self {
        Self { content: Content::Resource(Box::new(body)), during: None }
    }

    /// Keeps the request under way, and cuts the answer off when the lock has gone on more often than `closings` or the
    /// binding ends.
    pub(crate) fn during(mut self, stay: Stay, closings: u64) -> Self {
        if !self.is_end_stream() {
            self.during = Some(During { stay, closings, bell: None });
        }
        self
    }
}

impl Body for DoorBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.during.as_ref().is_some_and(During::is_cut) {
            return Poll::Ready(Some(Err(cut_off())));
        }
        let frame = match &mut this.content {
            Content::Own(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            Content::Resource(body) => Pin::new(body).poll_frame(context),
        };
        match (&frame, &mut this.during) {
            (Poll::Pending, Some(during)) => during.poll_cut(context).map(|()| Some(Err(cut_off()))),
            (Poll::Pending, None) | (Poll::Ready(_), _) => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Content::Resource(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Content::Resource(body) => body.size_hint(),
        }
    }
}

fn cut_off() -> BoxError {
    "the agent was locked, or the binding revoked".into()
}

impl fmt::Debug for DoorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DoorBody")
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}
