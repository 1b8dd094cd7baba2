use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use countersign_forward::PatienceLimits;
use http_body::{Body, Frame, SizeHint};

use super::{Pace, executor};

/// A body over HTTP/2. Its end comes only when the client has room for everything before it: a stream that has ended
/// is out of our hands, and what it owes would stay in the connection for as long as the client likes.
#[derive(Debug)]
pub(crate) struct PacedBody<B: Body> {
    inner: B,
    pace: Arc<Pace>,
    /// The last byte before the end, sent by itself. The connection takes no part before there is room for the first
    /// byte of it behind all others, so when it took this one there is room for all.
    last_byte: Option<Bytes>,
    /// What comes then.
    ahead: Option<Next<B::Error>>,
    /// There is room for all that was given.
    has_room: bool,
}

#[derive(Debug)]
enum Next<E> {
    Part(Frame<Bytes>),
    Broken(E),
    End,
}

/// Bytes of a body that tell when they are written.
#[derive(Debug)]
pub(crate) struct PacedBytes {
    bytes: Bytes,
    pace: Arc<Pace>,
}

impl<B: Body<Data = Bytes> + Unpin> PacedBody<B> {
    /// `inner` at the pace of the stream that this is called in.
    pub(crate) fn new(inner: B, limits: PatienceLimits) -> Self {
        Self { inner, pace: executor::current(limits), last_byte: None, ahead: None, has_room: true }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<B::Error>> {
        if let Some(next) = self.ahead.take() {
            return Poll::Ready(next);
        }
        if self.inner.is_end_stream() {
            return Poll::Ready(Next::End);
        }
        Pin::new(&mut self.inner).poll_frame(cx).map(|frame| match frame {
            Some(Ok(frame)) => Next::Part(frame),
            Some(Err(error)) => Next::Broken(error),
            None => Next::End,
        })
    }

    /// Gives a part, without its last byte if the end is at hand.
    fn give_part(&mut self, mut bytes: Bytes, cx: &mut Context<'_>) -> Frame<PacedBytes> {
        if bytes.is_empty() {
            return self.give(bytes);
        }
        if let Poll::Ready(next) = self.poll_next(cx) {
            self.ahead = Some(next);
        }
        let ends = self.ahead.as_ref().is_some_and(Next::ends);
        if ends && bytes.len() > 1 {
            self.last_byte = Some(bytes.split_off(bytes.len() - 1));
        }
        self.has_room = ends && self.last_byte.is_none();
        self.give(bytes)
    }

    fn give(&self, bytes: Bytes) -> Frame<PacedBytes> {
        self.pace.gave(bytes.len());
        Frame::data(PacedBytes { bytes, pace: Arc::clone(&self.pace) })
    }

    /// Gives the end, or the trailers before it, as soon as there is room for all that comes before.
    fn poll_end(
        &mut self,
        next: Next<B::Error>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<PacedBytes>, B::Error>>> {
        if !self.has_room && self.pace.poll_all_taken(cx).is_pending() {
            self.ahead = Some(next);
            return Poll::Pending;
        }
        self.has_room = true;
        Poll::Ready(match next {
            Next::Part(frame) => frame.into_trailers().ok().map(|trailers| Ok(Frame::trailers(trailers))),
            Next::Broken(error) => Some(Err(error)),
            Next::End => None,
        })
    }
}

impl<E> Next<E> {
    /// True for what no data comes after.
    fn ends(&self) -> bool {
        match self {
            Self::Part(frame) => !frame.is_data(),
            Self::Broken(_) => false,
            Self::End => true,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PacedBody<B>
where
    B::Error: Unpin,
{
    type Data = PacedBytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<PacedBytes>, B::Error>>> {
        let this = &mut *self;
        if let Some(byte) = this.last_byte.take() {
            this.has_room = true;
            return Poll::Ready(Some(Ok(this.give(byte))));
        }
        match ready!(this.poll_next(cx)) {
            Next::Broken(error) => Poll::Ready(Some(Err(error))),
            Next::Part(frame) => match frame.into_data() {
                Ok(bytes) => Poll::Ready(Some(Ok(this.give_part(bytes, cx)))),
                Err(trailers) => this.poll_end(Next::Part(trailers), cx),
            },
            Next::End => this.poll_end(Next::End, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_over = match &self.ahead {
            Some(next) => matches!(next, Next::End),
            None => self.inner.is_end_stream(),
        };
        is_over && self.has_room
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Buf for PacedBytes {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.pace.took(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        let bytes = self.bytes.copy_to_bytes(length);
        self.pace.took(length);
        bytes
    }
}
