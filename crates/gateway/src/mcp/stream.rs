//! Streams of events: never kept back, and ended in time.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use countersign_forward::{AnswerBody, AnswerBodyError};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream of events that ends when its token does, or when nothing comes for too long. It ends as the server's own end
/// would: the client sees a whole answer and asks anew, with a fresh token and proof.
#[derive(Debug)]
pub(crate) struct EventStream {
    body: AnswerBody,
    /// The token's end, if that ends the stream.
    end: Option<Instant>,
    idle: Duration,
    /// When it ends unless something comes.
    until: Pin<Box<Sleep>>,
}

impl EventStream {
    /// `left` is how long the token is good for, if that ends the stream.
    pub(crate) fn new(body: AnswerBody, left: Option<Duration>, idle: Duration) -> Self {
        let now = Instant::now();
        let end = left.and_then(|left| now.checked_add(left));
        Self { body, end, idle, until: Box::pin(sleep_until(next_end(now, end, idle))) }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = AnswerBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBodyError>>> {
        let this = &mut *self;
        if this.end.is_some_and(|end| Instant::now() >= end) {
            return Poll::Ready(None);
        }
        let frame = pin!(&mut this.body).poll_frame(cx);
        if frame.is_ready() {
            let now = Instant::now();
            this.until.as_mut().reset(next_end(now, this.end, this.idle));
            return frame;
        }
        // It is over, and dropping it ends the exchange with the upstream.
        this.until.as_mut().poll(cx).map(|()| None)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // It may end before what the server announced.
        SizeHint::default()
    }
}

/// True when the answer is a stream of events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    media_type.is_some_and(|media_type| media_type.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

fn next_end(now: Instant, end: Option<Instant>, idle: Duration) -> Instant {
    let idle = now.checked_add(idle).unwrap_or(now);
    end.map_or(idle, |end| end.min(idle))
}
