use std::time::Duration;

use super::{JSON, call, post, world};
use crate::wire::Wire;
use crate::world::World;

const EVENTS: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n\
                      Transfer-Encoding: chunked\r\n\r\n";

/// A stream under way: the client's end and the server's.
async fn open(world: &World, request: &str) -> (Wire, Wire) {
    let mut client = world.connect().await;
    client.send(request).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send(EVENTS).await;
    let head = client.read_head().await;
    assert_eq!((head.status(), head.field("x-accel-buffering")), (200, Some("no")));
    (client, upstream)
}

#[tokio::test]
async fn every_event_passes_before_the_next_one_exists() {
    let world = world(|mcp| mcp.sessions = true).await;
    let get = world.request("GET", "/mcp").await;
    for request in [post(&world, JSON, &call("read_ledger")).await, get] {
        let (mut client, mut upstream) = open(&world, &request).await;
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            upstream.send(&format!("9\r\n{event}\r\n")).await;
            assert_eq!(client.read_to("\n\n\r\n").await, format!("9\r\n{event}\r\n"));
        }
        upstream.send("0\r\n\r\n").await;
        client.read_to("0\r\n\r\n").await;
    }
}

/// A token that is good for a second, so that the time that passes is the machine's.
async fn short_lived(world: &World) -> String {
    let now = countersign_dpop::time::Clock::now(&world.clock).seconds();
    let token = world.token_with(|claims| claims["exp"] = serde_json::json!(now + 1)).await;
    let proof = world.proof("POST", &format!("{}/mcp", super::ORIGIN), &token, None).await;
    let (host, body) = (super::HOST, call("read_ledger"));
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n{JSON}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_stream_ends_cleanly_with_its_token() {
    let world = world(|_| ()).await;
    let (mut client, mut upstream) = open(&world, &short_lived(&world).await).await;
    upstream.send("9\r\ndata: 1\n\n\r\n").await;
    assert_eq!(client.read_to("0\r\n\r\n").await, "9\r\ndata: 1\n\n\r\n0\r\n\r\n", "a whole answer");
    assert_eq!(upstream.closed().await, "", "and the server is let go");
}

#[tokio::test]
async fn a_stream_may_outlive_its_token_where_that_is_configured() {
    let world = world(|mcp| {
        mcp.end_streams = false;
        mcp.stream_idle = Duration::from_secs(3);
    })
    .await;
    let begun = std::time::Instant::now();
    let (mut client, upstream) = open(&world, &short_lived(&world).await).await;
    client.read_to("0\r\n\r\n").await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "the token was over after one second, the silence after three");
    assert_eq!(upstream.closed().await, "");
}

#[tokio::test]
async fn a_stream_on_which_nothing_comes_is_ended_and_one_that_goes_on_is_not() {
    let world = world(|mcp| mcp.stream_idle = Duration::from_secs(1)).await;
    let begun = std::time::Instant::now();
    let (mut client, mut upstream) = open(&world, &post(&world, JSON, &call("read_ledger")).await).await;
    // Events for longer than the silence that is allowed; each begins it anew.
    while begun.elapsed() < Duration::from_millis(1_500) {
        upstream.send("5\r\n: hi\n\r\n").await;
        client.read_to(": hi\n\r\n").await;
    }
    client.read_to("0\r\n\r\n").await;
    assert_eq!(upstream.closed().await, "");
}

#[tokio::test]
async fn a_client_that_closes_its_stream_cancels_the_call() {
    let world = world(|_| ()).await;
    let (mut client, mut upstream) = open(&world, &post(&world, JSON, &call("read_ledger")).await).await;
    upstream.send("9\r\ndata: 1\n\n\r\n").await;
    client.read_to("\n\n\r\n").await;
    drop(client);
    assert_eq!(upstream.closed().await, "");
    // And while the server has not begun to answer.
    let mut client = world.connect().await;
    client.send(&post(&world, JSON, &call("read_ledger")).await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    drop(client);
    assert_eq!(upstream.closed().await, "");
}
