//! The end of a connection on which the client still sends.
//!
//! A request refused before its body was read is answered while the client goes on sending. Closing at once makes
//! the client's system throw away the answer, unread (RFC 9112 §9.6): the client must be let finish, within bounds.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// Ends connections gently. Holds the connection's place among those that are open at a time, until its very end.
#[derive(Debug)]
pub(crate) struct Linger {
    pub(crate) place: Option<OwnedSemaphorePermit>,
    pub(crate) limit: Duration,
}

impl Linger {
    /// Says that no more will be answered, and reads what still comes into nothing.
    pub(crate) fn end<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, mut stream: S) {
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let Self { place, limit } = self;
            // Whatever comes of it, the connection is at its end.
            let _ = timeout(limit, async {
                stream.shutdown().await?;
                let mut nothing = [0; 4_096];
                while stream.read(&mut nothing).await? > 0 {}
                std::io::Result::Ok(())
            })
            .await;
            drop(place);
        });
    }
}
