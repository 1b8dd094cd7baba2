//! Servers that are no good at HTTP, or mean to hold the client up.

use std::time::Duration;

use countersign_client::{CallError, DiscoveryError, TimeLimits, TokenError, TransportError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::played::*;

/// For servers that never come to an end; where one does, the limits are the ordinary ones, however busy the machine is.
const SHORT: TimeLimits = TimeLimits {
    connect: Duration::from_mins(1),
    answer: Duration::from_millis(300),
    idle: Duration::from_millis(300),
};

/// Listens on a port and treats the first connection by `treat` once a request's first bytes are there.
async fn raw<F>(treat: impl FnOnce(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut some = [0; 1_024];
        let _ = stream.read(&mut some).await;
        treat(stream).await;
    });
    address
}

async fn failure(address: &str) -> TransportError {
    failure_within(address, TimeLimits::default()).await
}

/// Why there is no whole answer; the limits are on the resource only.
async fn failure_within(address: &str, limits: TimeLimits) -> TransportError {
    let issuer = resource(|_| reply(200, &[], "")).await;
    let client = client_for(&issuer, &format!("http://{address}"));
    client.token().await.expect("a token");
    let client = client.with_time_limits(limits).expect("a client");
    match client.call(get(&format!("http://{address}/x"))).await {
        Ok(response) => response.into_body().read_at_most(1_000).await.expect_err("no whole answer"),
        Err(CallError::Transport { fault, .. }) => fault,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn stops_waiting_for_a_head_that_never_comes() {
    let address = raw(|stream| async {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    assert_eq!(failure_within(&address, SHORT).await, TransportError::TimeOut);
}

#[tokio::test]
async fn stops_reading_a_head_without_end() {
    let address = raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let mut sent = 0_usize;
        while stream.write_all(b"x-more: 0123456789012345678901234567890123456789\r\n").await.is_ok() {
            sent += 1;
            assert!(sent < 1_000_000, "the client reads on and on");
        }
    })
    .await;
    assert!(matches!(failure(&address).await, TransportError::BrokenOff { .. }));
}

#[tokio::test]
async fn notices_an_answer_that_is_cut_off() {
    let address = raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it").await;
    })
    .await;
    assert!(matches!(failure(&address).await, TransportError::BrokenOff { .. }));
}

#[tokio::test]
async fn notices_what_is_no_http() {
    let address = raw(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    })
    .await;
    assert!(matches!(failure(&address).await, TransportError::BrokenOff { .. }));
}

#[tokio::test]
async fn says_that_tls_failed_where_there_is_none() {
    let plain = resource(|_| reply(200, &[], "")).await;
    let url = plain.origin().replace("http://", "https://");
    let error = client_for(&plain, &url).call(get(&url)).await.expect_err("no answer");
    assert!(
        matches!(
            &error,
            CallError::Transport { fault: TransportError::Connect { .. } | TransportError::NoCertificates, .. }
        ),
        "{error:?}"
    );
    assert_eq!(plain.seen_at("/").len(), 0);
}

#[tokio::test]
async fn a_nonce_with_a_control_character_never_arrives() {
    let address = raw(|mut stream| async move {
        let head = b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: DPoP error=\"use_dpop_nonce\"\r\n";
        let _ = stream.write_all(head).await;
        let _ = stream.write_all(b"dpop-nonce: a\x01b\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    assert!(matches!(failure(&address).await, TransportError::BrokenOff { .. }));
}

#[tokio::test]
async fn metadata_that_trickle_in_are_given_up_in_time() {
    let address = raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while stream.write_all(b" ").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    let clock = set_clock();
    let config = config(&format!("http://{address}"), by_secret());
    let client = countersign_client::Client::open(&config, &keys(clock.clone()), clock).expect("a client");
    let error = client.with_time_limits(SHORT).expect("a client").token().await.expect_err("no token");
    assert!(
        matches!(&error, TokenError::Discovery(DiscoveryError::Transport { fault: TransportError::TimeOut, .. })),
        "{error:?}"
    );
}
