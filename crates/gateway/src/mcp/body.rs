//! Bodies that are read to be judged, within bounds, and then sent on byte for byte.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use countersign_dpop::error::McpError;
use countersign_forward::BoxError;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::room::Place;

/// The body of a client's request on its way to the upstream.
#[derive(Debug)]
pub(crate) enum ClientBody {
    /// As it comes.
    Streaming(Incoming),
    /// Read already; its room is free once it is sent.
    Read(ReadBody),
}

/// A body that was read.
#[derive(Debug)]
pub(crate) struct ReadBody {
    bytes: Bytes,
    _place: Place,
}

impl ReadBody {
    /// Reads `body` whole: at most `most` bytes, within `patience`, as far as there is room in its place.
    pub(super) async fn read(
        body: &mut Incoming,
        most: usize,
        patience: Duration,
        mut place: Place,
    ) -> Result<Self, McpError> {
        let too_large = McpError::TooLarge { limit: most as u64 };
        if body.size_hint().lower() > most as u64 {
            return Err(too_large);
        }
        let deadline = Instant::now() + patience;
        let mut whole = BytesMut::new();
        while let Some(frame) =
            timeout_at(deadline, body.frame()).await.map_err(|_| McpError::BodySlow { limit: patience.as_secs() })?
        {
            // Trailers say nothing here and are not passed on.
            let Ok(data) = frame.map_err(|_| McpError::BodyBroken)?.into_data() else { continue };
            if whole.len().saturating_add(data.len()) > most {
                return Err(too_large);
            }
            place.grow(data.len())?;
            whole.extend_from_slice(&data);
        }
        Ok(Self { bytes: whole.freeze(), _place: place })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Streaming(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Read(body) if body.bytes.is_empty() => Poll::Ready(None),
            Self::Read(body) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut body.bytes))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Read(body) => body.bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streaming(body) => body.size_hint(),
            Self::Read(body) => SizeHint::with_exact(body.bytes.len() as u64),
        }
    }
}
