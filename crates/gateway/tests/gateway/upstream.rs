//! What passes, what the upstream does, and what the client is told of it.

use std::time::Duration;

use countersign_dpop::NoncePolicy;
use tokio::net::TcpListener;

use crate::wire::{Message, Wire};
use crate::world::{HOST, ORIGIN, World};

/// Sends a good request, lets the upstream answer with `answer`, and gives what arrives.
async fn exchange(world: &World, answer: &str) -> Message {
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send(answer).await;
    client.read_message().await
}

#[tokio::test]
async fn an_answer_passes_as_it_is_but_for_the_fields_of_one_hop() {
    let world = World::start().await;
    let answer = exchange(
        &world,
        "HTTP/1.1 418 Short and Stout\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-End: 1\r\nSet-Cookie: a=1\r\n\
         Set-Cookie: b=2\r\nCache-Control: public\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n\
         Content-Length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!(answer.line, "HTTP/1.1 418 Short and Stout");
    assert_eq!(
        answer.fields,
        [
            "date: Thu, 01 Jan 1970 00:00:00 GMT",
            "x-end: 1",
            "set-cookie: a=1",
            "set-cookie: b=2",
            "cache-control: public",
            "content-length: 2"
        ]
    );
    assert_eq!(answer.body, "ok");
}

#[tokio::test]
async fn a_refusal_of_the_upstream_s_own_passes_as_it_is() {
    let world = World::start().await;
    let answer = exchange(
        &world,
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"inner\"\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(answer.status(), 401, "row 484");
    assert_eq!(answer.field("www-authenticate"), Some("Bearer realm=\"inner\""), "row 484");
}

#[tokio::test]
async fn an_answer_to_one_is_never_kept_for_another() {
    let world = World::start().await;
    for body in ["one", "two"] {
        let fields = format!("Cache-Control: public, max-age=600\r\nETag: \"e\"\r\nContent-Length: {}", body.len());
        let answer = exchange(&world, &format!("HTTP/1.1 200 OK\r\n{fields}\r\nConnection: close\r\n\r\n{body}")).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, body), "row 485: the upstream was asked");
    }
}

#[tokio::test]
async fn a_redirect_of_the_upstream_is_the_client_s_to_follow() {
    let world = World::start().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("http://{}/", elsewhere.local_addr().unwrap());
    let answer = exchange(
        &world,
        &format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"),
    )
    .await;
    assert_eq!((answer.status(), answer.field("location")), (307, Some(location.as_str())));
    let followed = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(followed.is_err(), "nobody went there");
}

#[tokio::test]
async fn a_nonce_of_the_upstream_s_own_never_reaches_the_client() {
    let world = World::start_with(|settings| settings.nonce = NoncePolicy::Required).await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let refused = client.read_message().await;
    assert_eq!((refused.status(), refused.code()), (401, "use_dpop_nonce"));
    assert_eq!(refused.field("cache-control"), Some("no-store"));
    let nonce = refused.field("dpop-nonce").unwrap().to_owned();

    let mut upstream = None;
    // At once, the nonce is fresh and not renewed; after a minute it is ageing, and a new one comes along.
    for (later, renewed) in [(0, false), (61, true)] {
        world.clock.advance(later);
        let token = world.token().await;
        let proof = world.proof("GET", ORIGIN, &token, Some(&nonce)).await;
        client
            .send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n\r\n"))
            .await;
        let connection: &mut Wire = match &mut upstream {
            Some(connection) => connection,
            None => upstream.insert(world.accept().await),
        };
        connection.read_message().await;
        connection.send("HTTP/1.1 200 OK\r\nDPoP-Nonce: inner\r\nContent-Length: 0\r\n\r\n").await;
        let answer = client.read_message().await;
        assert_eq!(answer.status(), 200);
        let found = answer.field("dpop-nonce");
        assert_ne!(found, Some("inner"), "row 483");
        assert_eq!(found.is_some(), renewed, "row 483: {found:?}");
    }
}

#[tokio::test]
async fn an_upstream_in_trouble_is_a_bad_gateway_and_its_address_stays_inside() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::start_with(|settings| settings.upstream = format!("http://{gone}").parse().unwrap()).await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let answer = client.read_message().await;
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.body, "{\"error_description\":\"the API cannot be reached\"}");
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    // The connection lives on.
    client.send(&world.request("GET", "/").await).await;
    assert_eq!(client.read_message().await.status(), 502);

    let world = World::start().await;
    for half in ["", "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0-OpenSSH\r\n\r\n"] {
        let mut client = world.connect().await;
        client.send(&world.request("POST", "/").await).await;
        let mut upstream = world.accept().await;
        upstream.read_message().await;
        upstream.send(half).await;
        drop(upstream);
        let answer = client.read_message().await;
        assert_eq!(answer.status(), 502, "{half:?}");
        assert_eq!(answer.body, "{\"error_description\":\"the API gave no usable answer\"}");
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_gateway_timeout() {
    let short = Duration::from_millis(100);
    let world = World::start_with(|settings| settings.limits.forward.first_byte = short).await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let upstream = world.accept().await;
    assert_eq!(client.read_message().await.status(), 504);
    assert!(upstream.closed().await.starts_with("GET / "));
}

#[tokio::test]
async fn a_body_that_stalls_is_a_timeout_of_the_client() {
    let short = Duration::from_millis(100);
    let world = World::start_with(|settings| settings.limits.forward.request_body_idle = short).await;
    let fields = world.fields("POST", "/").await;
    let mut client = world.connect().await;
    client.send(&format!("POST / HTTP/1.1\r\n{fields}Content-Length: 10\r\n\r\nhalf")).await;
    let upstream = world.accept().await;
    assert_eq!(client.read_message().await.status(), 408);
    assert!(upstream.closed().await.ends_with("half"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let world = World::start().await;
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = world.connect().await;
        client.send(&world.request("GET", "/").await).await;
        let mut upstream = world.accept().await;
        upstream.read_message().await;
        upstream.send(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n4\r\nhalf\r\n")).await;
        client.read_to("half").await;
        drop(upstream);
        let rest = client.closed().await;
        assert!(!rest.contains("0\r\n\r\n"), "{framing}: {rest:?}");
    }
}

#[tokio::test]
async fn a_request_refused_before_its_body_was_read_asks_for_none_of_it() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client
        .send(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n"))
        .await;
    let answer = client.read_message().await;
    assert_eq!(answer.line, "HTTP/1.1 401 Unauthorized", "row 481: no 100 came before");
    assert_eq!(client.closed().await, "");
}

#[tokio::test]
async fn a_good_request_is_told_to_go_on_with_its_body() {
    let world = World::start().await;
    let fields = world.fields("POST", "/").await;
    let mut client = world.connect().await;
    client.send(&format!("POST / HTTP/1.1\r\n{fields}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")).await;
    assert_eq!(client.read_to("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    let mut upstream = world.accept().await;
    let received = upstream.read_message().await;
    assert_eq!(received.body, "hello");
    assert!(received.values("expect").next().is_none());
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.read_message().await.status(), 204);
}

#[tokio::test]
async fn a_client_that_goes_on_sending_still_hears_why_it_was_refused() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.send(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 8000000\r\n\r\n")).await;
    // Far more than the sockets hold: the gateway has to read it, or close and lose its answer.
    let body = "x".repeat(8_000_000);
    client.send(&body).await;
    assert_eq!(client.read_message().await.status(), 401);
    assert_eq!(client.closed().await, "");
}

/// `GET` that asks for a WebSocket, with or without credentials.
fn websocket(fields: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\n{fields}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[tokio::test]
async fn a_websocket_is_tunnelled_once_the_upstream_agrees() {
    let world = World::start().await;
    let mut client = world.connect().await;
    client.send(&websocket(&format!("Host: {HOST}\r\n"))).await;
    assert_eq!(client.read_message().await.status(), 401, "row 479");

    client.send(&websocket(&world.fields("GET", "/ws").await)).await;
    let mut upstream = world.accept().await;
    let received = upstream.read_message().await;
    assert_eq!(received.field("upgrade"), Some("websocket"), "row 479");
    assert_eq!(received.field("connection"), Some("Upgrade"));
    assert!(received.field("sec-websocket-key").is_some() && received.values("authorization").next().is_none());
    upstream.send(SWITCHED).await;
    let answer = client.read_message().await;
    assert_eq!((answer.status(), answer.field("upgrade")), (101, Some("websocket")));
    // Bytes that no HTTP could be, both ways.
    client.send("\u{1}\n\nping\r").await;
    assert_eq!(upstream.read_to("ping\r").await, "\u{1}\n\nping\r");
    upstream.send("\u{2}pong\n").await;
    assert_eq!(client.read_to("pong\n").await, "\u{2}pong\n");
    drop(upstream);
    assert_eq!(client.closed().await, "");
}

#[tokio::test]
async fn a_websocket_ends_with_its_token() {
    let world = World::start().await;
    let now = countersign_dpop::time::Clock::now(&world.clock).seconds();
    let token = world.token_with(|claims| claims["exp"] = (now + 1).into()).await;
    let proof = world.proof("GET", &format!("{ORIGIN}/ws"), &token, None).await;
    let mut client = world.connect().await;
    client.send(&websocket(&format!("Host: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n"))).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send(SWITCHED).await;
    assert_eq!(client.read_message().await.status(), 101);
    assert_eq!(client.closed().await, "");
    assert_eq!(upstream.closed().await, "");
}

#[tokio::test]
async fn a_websocket_that_the_upstream_declines_is_an_ordinary_answer() {
    let world = World::start().await;
    let mut client = world.connect().await;
    for _ in 0..2 {
        client.send(&websocket(&world.fields("GET", "/ws").await)).await;
        let mut upstream = world.accept().await;
        upstream.read_message().await;
        upstream.send("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
        let answer = client.read_message().await;
        assert_eq!((answer.status(), answer.body.as_str()), (404, "no"));
    }
}

#[tokio::test]
async fn any_other_change_of_protocol_is_not_passed_on() {
    let world = World::start().await;
    let fields = world.fields("GET", "/").await;
    let mut client = world.connect().await;
    client
        .send(&format!(
            "GET / HTTP/1.1\r\n{fields}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n\r\n"
        ))
        .await;
    let mut upstream = world.accept().await;
    let received = upstream.read_message().await;
    for absent in ["upgrade", "connection", "http2-settings"] {
        assert!(received.values(absent).next().is_none(), "{received:?}");
    }
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.read_message().await.status(), 200);
}
