//! Bodies that are read to be judged, within bounds, and then sent on byte for byte.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use countersign_dpop::error::McpError;
use countersign_forward::BoxError;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// What all bodies that are being read may take together, in bytes.
const ROOM: usize = 64 * 1_024 * 1_024;

/// The memory for bodies that are read. One for the whole gateway.
#[derive(Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Room {
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, McpError> {
        let bytes = u32::try_from(bytes).map_err(|_| McpError::Busy)?;
        Arc::clone(&self.0).try_acquire_many_owned(bytes).map_err(|_| McpError::Busy)
    }
}

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
    _room: OwnedSemaphorePermit,
}

impl ReadBody {
    /// Reads `body` whole: at most `most` bytes, within `patience`, as long as there is room.
    pub(super) async fn read(
        body: &mut Incoming,
        most: usize,
        patience: Duration,
        room: &Room,
    ) -> Result<Self, McpError> {
        let too_large = McpError::TooLarge { limit: most as u64 };
        if body.size_hint().lower() > most as u64 {
            return Err(too_large);
        }
        let deadline = Instant::now() + patience;
        let (mut whole, mut taken) = (BytesMut::new(), room.take(0)?);
        while let Some(frame) =
            timeout_at(deadline, body.frame()).await.map_err(|_| McpError::BodySlow { limit: patience.as_secs() })?
        {
            // Trailers say nothing here and are not passed on.
            let Ok(data) = frame.map_err(|_| McpError::BodyBroken)?.into_data() else { continue };
            if whole.len().saturating_add(data.len()) > most {
                return Err(too_large);
            }
            taken.merge(room.take(data.len())?);
            whole.extend_from_slice(&data);
        }
        Ok(Self { bytes: whole.freeze(), _room: taken })
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
