//! Connections to an upstream that is reached without TLS, by HTTP/1.1.
//!
//! A connection stays with the runtime that it was made in: it is that one's poller that hears of its bytes, and who
//! used it from another one would have to be woken across threads.
//!
//! A connection is driven by whoever waits for what comes over it, within that one task: a request and its answer need
//! no task of the connection's own, no waking of one by the other, and what is there already of an answer is passed
//! on with its head. Only where both directions have to move by themselves, when the request has a body or the
//! protocol is to change, a connection gets its own task.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, sleep};
use tower_service::Service;

use crate::connect::{Connector, UpstreamStream};
use crate::connections::{LetterCase, take};
use crate::error::BoxError;
use crate::limits::ForwardLimits;
use crate::request_body::RequestBody;

/// The connections to one upstream.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    /// The upstream, as the connector wants it.
    place: Uri,
    case: LetterCase,
    size: usize,
    idle_limit: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_runtime: HashMap<Id, Shelf>,
    /// On all shelves together.
    number: usize,
}

/// What is kept of one runtime's connections.
#[derive(Debug, Default)]
struct Shelf {
    /// The one used last is at the end.
    idle: Vec<(Link, Instant)>,
    is_swept: bool,
}

/// One connection, used by one request at a time.
#[derive(Debug)]
pub(crate) struct Link {
    sender: SendRequest<RequestBody>,
    driver: Driver,
    /// True once an answer came over it.
    has_answered: bool,
}

/// Who moves a connection's bytes.
#[derive(Debug)]
enum Driver {
    /// Never locked: whoever drives it has it alone. The lock says so to those that only look at an answer.
    Here(Box<Mutex<Connection<UpstreamStream, RequestBody>>>),
    OwnTask,
    Ended,
}

/// An answer, and the connection that its body comes over, unless there is none.
pub(crate) type Answer = (Response<Incoming>, Option<Lease>);

/// A connection in use. Goes back to the pool when an answer has come whole, and is closed when dropped before.
#[derive(Debug)]
pub(crate) struct Lease {
    link: Link,
    pool: Pool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum PoolError {
    /// No connection.
    Connect(BoxError),
    /// No answer over a connection.
    Exchange {
        error: hyper::Error,
        /// An answer had come over it before, so the upstream may just have closed it.
        was_used: bool,
    },
}

impl Pool {
    pub(crate) fn new(connector: Connector, place: Uri, limits: &ForwardLimits, case: LetterCase) -> Self {
        let (size, idle_limit) = (limits.pool_size, limits.pool_idle);
        Self(Arc::new(Inner { connector, place, case, size, idle_limit, kept: Mutex::default() }))
    }

    /// Sends `request`, whose target is a path, and waits for the answer's head. A request that never went out because
    /// its connection had just been closed is sent over another one.
    pub(crate) async fn send(
        &self,
        request: &mut Request<RequestBody>,
        changes_protocol: bool,
    ) -> Result<Answer, PoolError> {
        loop {
            let mut link = match self.take() {
                Some(link) => link,
                // Rare, and large.
                None => Box::pin(self.connect()).await.map_err(PoolError::Connect)?,
            };
            if changes_protocol || !request.body().is_end_stream() {
                link.detach();
            }
            let mut sending = pin!(link.sender.try_send_request(take(request)));
            let sent = std::future::poll_fn(|cx| link.poll_with(cx, |cx| sending.as_mut().poll(cx))).await;
            match sent {
                Ok(answer) => return Ok(self.lease(answer, link)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if link.has_answered => *request = unsent,
                    Some(_) | None => {
                        let was_used = link.has_answered;
                        return Err(PoolError::Exchange { error: failed.into_error(), was_used });
                    }
                },
            }
        }
    }

    fn lease(&self, answer: Response<Incoming>, mut link: Link) -> Answer {
        link.has_answered = true;
        let lease = Lease { link, pool: self.clone() };
        if answer.body().is_end_stream() {
            lease.end();
            return (answer, None);
        }
        (answer, Some(lease))
    }

    async fn connect(&self) -> Result<Link, BoxError> {
        let stream = self.0.connector.clone().call(self.0.place.clone()).await?;
        let (sender, connection) =
            Builder::new().preserve_header_case(self.0.case == LetterCase::Kept).handshake(stream).await?;
        Ok(Link { sender, driver: Driver::Here(Box::new(Mutex::new(connection))), has_answered: false })
    }

    /// A connection that is still open as far as is known here.
    fn take(&self) -> Option<Link> {
        while let Some(mut link) = self.pop() {
            link.catch_up();
            if link.sender.is_ready() {
                return Some(link);
            }
        }
        None
    }

    fn pop(&self) -> Option<Link> {
        let here = Handle::current().id();
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (link, _) = kept.by_runtime.get_mut(&here)?.idle.pop()?;
        kept.number -= 1;
        Some(link)
    }

    fn keep(&self, link: Link) {
        let here = Handle::current().id();
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.number >= self.0.size {
            return;
        }
        kept.number += 1;
        let shelf = kept.by_runtime.entry(here).or_default();
        shelf.idle.push((link, Instant::now()));
        let was_swept = std::mem::replace(&mut shelf.is_swept, true);
        // Not under the lock: a runtime that is ending drops the task at once.
        drop(kept);
        if !was_swept {
            tokio::spawn(Sweeper { pool: Arc::downgrade(&self.0), here }.sweep(self.0.idle_limit));
        }
    }
}

/// Looks after one runtime's shelf, and takes it away when the runtime ends.
struct Sweeper {
    pool: Weak<Inner>,
    here: Id,
}

impl Sweeper {
    /// Closes what was not used for long, and what the upstream has closed. Ends with the pool.
    async fn sweep(self, idle_limit: Duration) {
        loop {
            sleep(idle_limit / 2).await;
            let Some(pool) = self.pool.upgrade() else { return };
            let mut kept = pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(shelf) = kept.by_runtime.get_mut(&self.here) else { return };
            let before = shelf.idle.len();
            shelf.idle.retain_mut(|(link, since)| {
                link.catch_up();
                since.elapsed() < idle_limit && link.sender.is_ready()
            });
            let closed = before - shelf.idle.len();
            kept.number -= closed;
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let mut kept = pool.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = kept.by_runtime.remove(&self.here) {
            kept.number -= shelf.idle.len();
        }
    }
}

impl Link {
    /// Polls `wanted`, which comes over this connection, and moves the connection's bytes when it is not there yet.
    fn poll_with<T>(&mut self, cx: &mut Context<'_>, mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if !matches!(self.driver, Driver::Here(_)) {
            return wanted(cx);
        }
        // It comes by the driving below and in no other way, so nobody has to be woken for it.
        let mut unwoken = Context::from_waker(Waker::noop());
        if let Poll::Ready(found) = wanted(&mut unwoken) {
            return Poll::Ready(found);
        }
        self.drive(cx);
        if matches!(self.driver, Driver::Ended) { wanted(cx) } else { wanted(&mut unwoken) }
    }

    /// Moves what can be moved at once, for a connection that nobody waits for.
    fn catch_up(&mut self) {
        self.drive(&mut Context::from_waker(Waker::noop()));
    }

    /// Moves what can be moved. How a connection ends is told to whoever waits for something over it.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Driver::Here(connection) = &mut self.driver
            && Pin::new(connection.get_mut().unwrap_or_else(PoisonError::into_inner)).poll(cx).is_ready()
        {
            self.driver = Driver::Ended;
        }
    }

    /// Gives the connection a task of its own, for good.
    fn detach(&mut self) {
        if let Driver::Here(connection) = std::mem::replace(&mut self.driver, Driver::OwnTask) {
            tokio::spawn(async move {
                // How it ended is told to whoever waits for something over it.
                let connection = connection.into_inner().unwrap_or_else(PoisonError::into_inner);
                let _ = connection.with_upgrades().await;
            });
        }
    }
}

impl Lease {
    /// Polls `wanted`, which comes over this connection.
    pub(crate) fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.link.poll_with(cx, wanted)
    }

    /// Ends the lease after the answer's last part: keeps a connection that can take a next request. One with a task
    /// of its own may be ready in a moment; the others are ready now or never.
    pub(crate) fn end(self) {
        let Self { mut link, pool } = self;
        link.catch_up();
        if link.sender.is_ready() {
            pool.keep(link);
        } else if matches!(link.driver, Driver::OwnTask) && !link.sender.is_closed() {
            tokio::spawn(async move {
                let ready = std::future::poll_fn(|cx| link.sender.poll_ready(cx)).await;
                if ready.is_ok() {
                    pool.keep(link);
                }
            });
        }
    }
}
