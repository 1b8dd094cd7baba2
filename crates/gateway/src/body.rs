//! Bodies of answers: the gateway's own, what gRPC makes of one, or the upstream's as it comes.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use countersign_forward::AnswerBody;
use http_body::{Body, Frame, SizeHint};

use crate::mcp::EventStream;
use crate::metrics::InFlight;
use crate::wire::Busy;

/// The body of an answer to a client. The request counts as under way until it is dropped.
#[derive(Debug)]
pub(crate) struct GatewayBody {
    content: Content,
    _in_flight: InFlight,
    _busy: Option<Busy>,
}

#[derive(Debug)]
pub(crate) enum Content {
    Own(Bytes),
    Grpc(tonic::body::Body),
    Upstream(AnswerBody),
    Events(Box<EventStream>),
}

/// Why a body broke off.
type Broken = Box<dyn std::error::Error + Send + Sync>;

impl GatewayBody {
    pub(crate) const fn new(content: Content, in_flight: InFlight) -> Self {
        Self { content, _in_flight: in_flight, _busy: None }
    }

    /// The connection counts as busy until the body is dropped.
    pub(crate) fn keeping(self, busy: Busy) -> Self {
        Self { _busy: Some(busy), ..self }
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.content {
            Content::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Grpc(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Content::Upstream(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Content::Events(body) => {
                Pin::new(&mut **body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Own(bytes) => bytes.is_empty(),
            Content::Grpc(body) => body.is_end_stream(),
            Content::Upstream(body) => body.is_end_stream(),
            Content::Events(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Grpc(body) => body.size_hint(),
            Content::Upstream(body) => body.size_hint(),
            Content::Events(body) => body.size_hint(),
        }
    }
}
