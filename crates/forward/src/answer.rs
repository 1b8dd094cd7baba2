//! The answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::error::causes;
use crate::fields::remove_hop_by_hop;
use crate::pool::Lease;

/// The body of an answer, streamed from the upstream. Dropping it ends the exchange with the upstream.
#[derive(Debug)]
pub struct AnswerBody(Inner);

#[derive(Debug)]
enum Inner {
    Empty,
    Upstream {
        body: Incoming,
        /// The connection that it comes over, where it is driven from here.
        lease: Option<Lease>,
    },
}

/// Answers are looked at by more than one thread before their bodies are read.
const _: () = {
    const fn can_be_shared<T: Send + Sync>() {}
    can_be_shared::<AnswerBody>();
};

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

    pub(crate) const fn streaming(body: Incoming, lease: Option<Lease>) -> Self {
        Self(Inner::Upstream { body, lease })
    }
}

/// The next part, and the end of the lease with the last one.
fn poll_leased(
    body: &mut Incoming,
    lease: &mut Option<Lease>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let frame = match lease {
        Some(lease) => lease.poll_with(cx, |cx| Pin::new(&mut *body).poll_frame(cx)),
        None => Pin::new(&mut *body).poll_frame(cx),
    };
    let is_last = match &frame {
        Poll::Pending | Poll::Ready(Some(Err(_))) => false,
        Poll::Ready(None) => true,
        Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
    };
    if is_last && let Some(lease) = lease.take() {
        lease.end();
    }
    frame
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
            Inner::Upstream { body, lease } => poll_leased(body, lease, cx).map(|frame| {
                frame.map(|frame| frame.map(cleaned).map_err(|error| AnswerBodyError { reason: causes(&error) }))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Upstream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Upstream { body, .. } => body.size_hint(),
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
