//! The answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::error::causes;
use crate::fields::remove_hop_by_hop;

/// The body of an answer, streamed from the upstream. Dropping it ends the exchange with the upstream.
#[derive(Debug)]
pub struct AnswerBody(Inner);

#[derive(Debug)]
enum Inner {
    Empty,
    Upstream(Incoming),
}

/// The upstream's answer broke off. What was already passed on cannot be taken back: the client sees a body that
/// ends early.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's answer broke off: {reason}")]
pub struct AnswerBodyError {
    reason: String,
}

impl AnswerBody {
    pub(crate) const fn empty() -> Self {
        Self(Inner::Empty)
    }

    pub(crate) const fn streaming(body: Incoming) -> Self {
        Self(Inner::Upstream(body))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerBodyError>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Upstream(body) => Pin::new(body).poll_frame(cx).map(|frame| {
                frame.map(|frame| frame.map(cleaned).map_err(|error| AnswerBodyError { reason: causes(&error) }))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Upstream(body) => body.size_hint(),
        }
    }
}

fn cleaned(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            remove_hop_by_hop(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}
