//! Bodies of any length pass in little memory, both ways, and nobody waits for their ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::metrics::counted;
use crate::wire::Wire;
use crate::world::World;

const LARGE: usize = 64 * 1024 * 1024;
/// What gateway and sockets may hold of a body that nobody reads at its end: far less than the body.
const HELD: usize = 16 * 1024 * 1024;

/// A good POST under way: the client's end and the upstream's, both behind the head.
async fn begin(world: &World, framing: &str) -> (Wire, Wire) {
    let fields = world.fields("POST", "/").await;
    let mut client = world.connect().await;
    client.send(&format!("POST / HTTP/1.1\r\n{fields}{framing}\r\n\r\n")).await;
    let mut upstream = world.accept().await;
    upstream.read_head().await;
    (client, upstream)
}

/// Writes until the other side takes no more, or `most` bytes are written; gives how many were.
async fn fill(stream: &mut TcpStream, most: usize) -> usize {
    let part = vec![b'x'; 65_536];
    let mut written = 0;
    // Half a second without taking a byte, on loopback: it is full.
    while written < most
        && let Ok(took) =
            timeout(Duration::from_millis(500), stream.write(&part[..part.len().min(most - written)])).await
    {
        written += took.unwrap();
    }
    written
}

/// Reads `count` bytes and checks each.
async fn drain(stream: &mut TcpStream, count: usize) {
    let mut part = vec![0; 65_536];
    let mut read = 0;
    while read < count {
        let want = part.len().min(count - read);
        let got = stream.read(&mut part[..want]).await.unwrap();
        assert_ne!(got, 0, "ended after {read} of {count}");
        assert!(part[..got].iter().all(|byte| *byte == b'x'));
        read += got;
    }
}

#[tokio::test]
async fn every_part_of_an_answer_passes_before_the_next_one_exists() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/events").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(client.read_head().await.status(), 200, "the head before any part");
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        upstream.send(&format!("9\r\n{event}\r\n")).await;
        assert_eq!(client.read_to("\n\n\r\n").await, format!("9\r\n{event}\r\n"));
    }
    upstream.send("0\r\n\r\n").await;
    client.read_to("0\r\n\r\n").await;
}

#[tokio::test]
async fn every_part_of_a_request_passes_before_the_next_one_exists() {
    let world = World::start().await;
    let (mut client, mut upstream) = begin(&world, "Transfer-Encoding: chunked").await;
    for part in ["5\r\nfirst\r\n", "6\r\nsecond\r\n"] {
        client.send(part).await;
        assert_eq!(upstream.read_to(&part[3..]).await, part);
    }
    // An answer may come before the request has ended, and both go on.
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await;
    client.read_to("3\r\none\r\n").await;
    client.send("5\r\nthird\r\n0\r\n\r\n").await;
    upstream.read_to("0\r\n\r\n").await;
    upstream.send("0\r\n\r\n").await;
    client.read_to("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_large_answer_passes_in_little_memory() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/large").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")).await;
    client.read_head_only().await;
    let held = fill(&mut upstream.stream, LARGE).await;
    assert!(held < HELD, "{held} bytes were taken although the client reads none");
    let sending = async {
        let part = vec![b'x'; 65_536];
        let mut sent = held;
        while sent < LARGE {
            let most = part.len().min(LARGE - sent);
            upstream.stream.write_all(&part[..most]).await.unwrap();
            sent += most;
        }
    };
    tokio::join!(sending, drain(&mut client.stream, LARGE));
}

#[tokio::test]
async fn a_large_request_passes_in_little_memory() {
    let world = World::start().await;
    let (mut client, mut upstream) = begin(&world, &format!("Content-Length: {LARGE}")).await;
    let held = fill(&mut client.stream, LARGE).await;
    assert!(held < HELD, "{held} bytes were taken although the upstream reads none");
    let sending = async {
        let part = vec![b'x'; 65_536];
        let mut sent = held;
        while sent < LARGE {
            let most = part.len().min(LARGE - sent);
            client.stream.write_all(&part[..most]).await.unwrap();
            sent += most;
        }
    };
    tokio::join!(sending, upstream.drain_body(LARGE));
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.read_message().await.status(), 204);
}

#[tokio::test]
async fn trailers_pass_both_ways_but_none_that_names_a_caller() {
    let world = World::start().await;
    let fields = world.fields("POST", "/").await;
    let mut client = world.connect().await;
    client
        .send(&format!(
            "POST / HTTP/1.1\r\n{fields}TE: trailers\r\nTrailer: X-Sum, Countersign-Subject, Countersign_Scope, DPoP\r\n\
             Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nCountersign-Subject: root\r\n\
             Countersign_Scope: admin\r\nDPoP: x\r\n\r\n"
        ))
        .await;
    let mut upstream = world.accept().await;
    upstream.read_head().await;
    assert_eq!(upstream.read_to("\r\n\r\n").await, "2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n");
    upstream
        .send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n")
        .await;
    client.read_head().await;
    assert_eq!(client.read_to("\r\n\r\n").await, "2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_exchange_with_the_upstream() {
    let world = World::start().await;
    // While the upstream thinks, while it answers, and while the client still sends.
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    drop(client);
    assert_eq!(upstream.closed().await, "");

    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
    client.read_to("ok\r\n").await;
    drop(client);
    assert_eq!(upstream.closed().await, "");

    let (client, upstream) = begin(&world, "Content-Length: 100").await;
    drop(client);
    assert_eq!(upstream.closed().await, "");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let short = Duration::from_millis(300);
    let world = World::start_with(|settings| settings.limits.write_idle = short).await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")).await;
    let part = vec![b'x'; 65_536];
    let ended = async { while upstream.stream.write_all(&part).await.is_ok() {} };
    // The upstream is let go once the client's connection is; the test would hang otherwise.
    timeout(Duration::from_secs(30), ended).await.unwrap();
    counted(&world, "countersign_gateway_errors_total{code=\"answer_idle\"} 1").await;
    drop(client);
}
