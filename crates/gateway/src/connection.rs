//! One connection of a client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use countersign_forward::{Dormant, OutOfPatience};
use http::request::Parts;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::body::GatewayBody;
use crate::config::GatewayLimits;
use crate::door::{Door, Peer};
use crate::pace::{PacedBody, StreamExecutor};
use crate::tls::{ServerTls, Socket};
use crate::wire::{Linger, Notes, Protocol, WireGuard, WireLimits, detect};

/// Requests under way on one HTTP/2 connection.
const STREAMS: u32 = 200;
const PING_EVERY: Duration = Duration::from_secs(20);
/// Fields of a head that the server takes when it is told no number. A number of our own, even the same, has it make
/// its room for them by hand, twice and for every head.
const SERVER_FIELDS: usize = 100;
/// How long a client may go on sending after its request was refused.
const LINGER: Duration = Duration::from_secs(5);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) door: Arc<Door>,
    pub(crate) limits: GatewayLimits,
    pub(crate) draining: CancellationToken,
    /// Ends, after `draining`, what does not end by itself.
    pub(crate) closing: CancellationToken,
    pub(crate) tls: Option<ServerTls>,
}

impl Connections {
    /// Serves a connection until it ends, or until the gateway drains and no request is under way. `place` is given
    /// back when it is over.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let _open = self.door.metrics.connection();
        // Without it small answers wait for each other; a socket that cannot do it still works.
        let _ = stream.set_nodelay(true);
        let Some(mut stream) = self.draining.run_until_cancelled(self.open(stream)).await.flatten() else { return };
        let detected = self.draining.run_until_cancelled(detect(&mut stream, self.limits.head)).await;
        let Some(Ok(Some((protocol, ahead)))) = detected else { return };
        let notes = Notes::default();
        let write = self.limits.write();
        let GatewayLimits { head, idle, head_bytes: max_head, .. } = self.limits;
        let wire = WireLimits { head, idle, write, max_head };
        let linger = Linger { place: Some(place), limit: LINGER };
        let io = TokioIo::new(WireGuard::new(stream, ahead, notes.clone(), wire, linger));
        let client = Arc::new(Client {
            shared: Arc::clone(&self),
            peer: Peer::at(peer),
            notes: notes.clone(),
            begun: AtomicU64::new(0),
            running: Arc::default(),
        });
        let ended = match protocol {
            Protocol::Http1 => client.serve_http1(io).await,
            Protocol::Http2 => client.serve_http2(io).await,
        };
        if notes.is_ambiguous() {
            self.door.metrics.trouble("ambiguous_framing");
        }
        if let Some(out) = notes.stalled() {
            self.give_up(peer, out, "connection");
        }
        if let Err(error) = ended {
            // What clients do to their connections is no trouble of ours.
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}

impl Connections {
    /// Says that a client did not take its answer.
    fn give_up(&self, peer: SocketAddr, out: OutOfPatience, ended: &'static str) {
        let code = match out {
            OutOfPatience::Idle => "answer_idle",
            OutOfPatience::Slow => "answer_slow",
        };
        self.door.metrics.trouble(code);
        tracing::info!(%peer, code, ended, "a client did not take its answer in time");
    }

    /// The connection in TLS, where that is spoken here. `None` when the client does not speak it, or not in time.
    async fn open(&self, stream: TcpStream) -> Option<Socket> {
        let Some(tls) = &self.tls else { return Some(Socket::Plain(stream)) };
        let accepted = tls.accept(stream, self.limits.head).await;
        accepted.inspect_err(|_| self.door.metrics.trouble("tls_handshake")).ok()
    }
}

type Io = TokioIo<WireGuard<Socket>>;

/// One client on one connection.
struct Client {
    shared: Arc<Connections>,
    peer: Peer,
    notes: Notes,
    /// Requests so far, and the streams of HTTP/2 that run: they tell an idle connection from a busy one.
    begun: AtomicU64,
    running: Arc<AtomicI64>,
}

impl Client {
    async fn serve_http1(self: Arc<Self>, io: Io) -> hyper::Result<()> {
        let (mut drained, closing, limits) = (self.drained(), self.shared.closing.clone(), self.shared.limits);
        // The time for a head, and that for the next request, are the wire's affair.
        let mut server = http1::Builder::new();
        if limits.head_fields != SERVER_FIELDS {
            server.max_headers(limits.head_fields);
        }
        let connection = server
            .max_buf_size(limits.head_bytes)
            // Letter case matters to those requests only that go on untouched.
            .preserve_header_case(self.shared.door.observes())
            .auto_date_header(false)
            .serve_connection(io, service_fn(move |request| Arc::clone(&self).answer(request)))
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = &mut drained => (),
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            ended = connection => ended,
            () = closing.cancelled() => Ok(()),
        }
    }

    async fn serve_http2(self: Arc<Self>, io: Io) -> hyper::Result<()> {
        // It has a framing of its own.
        self.notes.switch();
        let (mut drained, closing, limits) = (self.drained(), self.shared.closing.clone(), self.shared.limits);
        let (idle, forgotten) = (Arc::clone(&self).idle(), Arc::clone(&self).idle());
        let connection = http2::Builder::new(self.streams())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .auto_date_header(false)
            .serve_connection(io, service_fn(move |request| Arc::clone(&self).answer_paced(request)));
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = &mut drained => (),
            () = idle => (),
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            ended = connection => ended,
            // Told to go, and nothing runs any more: what it may still owe nobody will fetch.
            () = forgotten => Ok(()),
            () = closing.cancelled() => Ok(()),
        }
    }

    /// Completes when the gateway drains.
    fn drained(&self) -> Dormant<WaitForCancellationFutureOwned> {
        Dormant::new(self.shared.draining.clone().cancelled_owned())
    }

    fn streams(&self) -> StreamExecutor<impl Fn(OutOfPatience) + Clone + Send + Sync + use<>> {
        let (shared, peer) = (Arc::clone(&self.shared), self.peer.address);
        let report = move |out| shared.give_up(peer, out, "stream");
        StreamExecutor::new(self.shared.limits.write(), Arc::clone(&self.running), report)
    }

    fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> impl Future<Output = Result<http::Response<GatewayBody>, Infallible>> {
        // Taken apart ahead of all waiting, where that needs no room that lasts.
        let (mut head, body) = request.into_parts();
        async move {
            let busy = self.notes.busy();
            Ok(self.answered(&mut head, body).await.map(|body| body.keeping(busy)))
        }
    }

    fn answer_paced(
        self: Arc<Self>,
        request: http::Request<Incoming>,
    ) -> impl Future<Output = Result<http::Response<PacedBody<GatewayBody>>, Infallible>> {
        let (mut head, body) = request.into_parts();
        async move {
            let limits = self.shared.limits.write();
            Ok(self.answered(&mut head, body).await.map(|body| PacedBody::new(body, limits)))
        }
    }

    async fn answered(&self, head: &mut Parts, body: Incoming) -> http::Response<GatewayBody> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.shared.door.answer(head, body, &self.peer, &self.notes).await
    }

    /// Completes when no request came and no stream ran for the whole idle time. An answer that takes longer than that
    /// is not cut off.
    async fn idle(self: Arc<Self>) {
        let mut before = None;
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            if before == Some(begun) && self.running.load(Ordering::Relaxed) == 0 {
                return;
            }
            before = Some(begun);
            sleep(self.shared.limits.idle).await;
        }
    }
}
