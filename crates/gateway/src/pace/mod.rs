//! How fast clients take answers over HTTP/2, where a connection's socket says nothing of one stream: the window of a
//! stream can stay shut while others, or pings, keep the socket busy. So the bytes of each body are followed until the
//! connection has written them, and a stream whose client takes them too slowly is reset alone.

mod body;
mod executor;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use countersign_forward::{OutOfPatience, PatienceLimits, TimeAccount};
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use self::body::PacedBody;
pub(crate) use self::executor::StreamExecutor;

/// How the client of one stream takes its answer. Shared by the body, its bytes on their way, and who waits for them.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<Ledger>);

#[derive(Debug)]
struct Ledger {
    account: TimeAccount,
    /// Bytes of the body that the connection has and did not write yet.
    held: usize,
    /// Who waits until there are none.
    waker: Option<Waker>,
}

impl Pace {
    fn new(limits: PatienceLimits) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ledger { account: TimeAccount::new(limits), held: 0, waker: None })))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the connection got `bytes` to write.
    fn gave(&self, bytes: usize) {
        if bytes > 0 {
            let mut ledger = self.ledger();
            ledger.held = ledger.held.saturating_add(bytes);
            ledger.account.wait();
        }
    }

    /// Notes that the connection wrote `bytes`, which it only does when the client has room for them.
    fn took(&self, bytes: usize) {
        let mut ledger = self.ledger();
        ledger.held = ledger.held.saturating_sub(bytes);
        ledger.account.moved(bytes);
        if ledger.held > 0 {
            ledger.account.wait();
        } else if let Some(waker) = ledger.waker.take() {
            waker.wake();
        }
    }

    /// Ready when everything is written.
    fn poll_all_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ledger = self.ledger();
        if ledger.held == 0 {
            return Poll::Ready(());
        }
        ledger.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// When the client's time is up; `None` while nothing waits for it.
    fn end(&self) -> Option<Instant> {
        let mut ledger = self.ledger();
        (ledger.held > 0).then(|| ledger.account.wait())
    }

    /// Completes when the client's time is up. To be polled after whatever gives bytes to the connection, in the same
    /// task: it looks at what that did.
    async fn overdue(&self) -> OutOfPatience {
        let mut timer = None;
        poll_fn(|cx| self.poll_overdue(&mut timer, cx)).await;
        self.ledger().account.reason()
    }

    /// The timer may ring too early, and is set anew then: that is cheaper than moving it with every part.
    fn poll_overdue(&self, timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(end) = self.end() {
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
            if timer.deadline() > end {
                timer.as_mut().reset(end);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() == end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
