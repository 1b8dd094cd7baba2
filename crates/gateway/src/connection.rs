//! One connection of a client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::config::GatewayLimits;
use crate::door::Door;
use crate::wire::{Linger, Protocol, Switch, WireGuard, WireLimits, detect};

/// Requests under way on one HTTP/2 connection.
const STREAMS: u32 = 200;
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client may go on sending after its request was refused.
const LINGER: Duration = Duration::from_secs(5);

/// Serves a connection until it ends, or until `draining` and no request is under way. `place` is given back when it
/// is over.
pub(crate) async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    door: Arc<Door>,
    limits: GatewayLimits,
    draining: CancellationToken,
) {
    let _open = door.metrics.connection();
    // Without it small answers wait for each other; a socket that cannot do it still works.
    let _ = stream.set_nodelay(true);
    let detected = draining.run_until_cancelled(detect(&mut stream, limits.head)).await;
    let Some(Ok(Some((protocol, ahead)))) = detected else { return };
    let switch = Switch::default();
    if protocol == Protocol::Http2 {
        // It has a framing of its own.
        switch.throw();
    }
    let linger = Linger { place: Some(place), limit: LINGER };
    let wire = WireLimits { head: limits.head, write_idle: limits.write_idle, max_head: limits.head_bytes };
    let io = TokioIo::new(WireGuard::new(stream, ahead, switch.clone(), wire, linger));
    match protocol {
        Protocol::Http1 => serve_http1(io, peer, door, limits, switch, draining).await,
        Protocol::Http2 => serve_http2(io, peer, door, limits, switch, draining).await,
    }
}

type Io = TokioIo<WireGuard<TcpStream>>;

async fn serve_http1(
    io: Io,
    peer: SocketAddr,
    door: Arc<Door>,
    limits: GatewayLimits,
    switch: Switch,
    draining: CancellationToken,
) {
    let service = service_fn(move |request| {
        let (door, switch) = (Arc::clone(&door), switch.clone());
        async move { Ok::<_, Infallible>(door.answer(request, peer, &switch).await) }
    });
    // The time for a head is the wire's; here it is that for the next request.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_headers(limits.head_fields)
        .max_buf_size(limits.head_bytes)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    log_end(ended, peer);
}

async fn serve_http2(
    io: Io,
    peer: SocketAddr,
    door: Arc<Door>,
    limits: GatewayLimits,
    switch: Switch,
    draining: CancellationToken,
) {
    let service = service_fn(move |request| {
        let (door, switch) = (Arc::clone(&door), switch.clone());
        async move { Ok::<_, Infallible>(door.answer(request, peer, &switch).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    log_end(ended, peer);
}

fn log_end(ended: hyper::Result<()>, peer: SocketAddr) {
    if let Err(error) = ended {
        // What clients do to their connections is no trouble of ours.
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
