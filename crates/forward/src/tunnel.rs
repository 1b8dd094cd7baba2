//! A WebSocket after the upstream's 101: bytes both ways until either side ends it.

use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// All tunnels of a forwarder, so that they can be ended with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tunnels {
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Tunnels {
    /// Joins the two sides once both have changed protocol. Ends after `lifetime` at the latest.
    pub(crate) fn open(&self, client: OnUpgrade, upstream: OnUpgrade, lifetime: Option<Duration>) {
        let closing = self.closing.clone();
        self.tasks.spawn(closing.run_until_cancelled_owned(async move {
            // Whatever ends a tunnel ends both of its connections by dropping them; nobody is left to be told why.
            let _ = match lifetime {
                Some(lifetime) => timeout(lifetime, join(client, upstream)).await.ok(),
                None => Some(join(client, upstream).await),
            };
        }));
    }

    /// Ends all tunnels and waits until they are gone.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn join(client: OnUpgrade, upstream: OnUpgrade) -> Option<()> {
    let (client, upstream): (Upgraded, Upgraded) = (client.await.ok()?, upstream.await.ok()?);
    copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await.ok().map(|_| ())
}
