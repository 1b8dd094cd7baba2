//! The same over HTTP/2 with prior knowledge.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::metrics::counted;
use crate::wire::Wire;
use crate::world::{ORIGIN, World};

/// The window that each stream of the client begins with, as the standard has it. It opens again as bodies are read.
const WINDOW: u32 = 65_535;

type Client = SendRequest<BoxBody<Bytes, std::io::Error>>;

async fn connect(world: &World) -> (Client, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(world.address).await.unwrap();
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(WINDOW).initial_connection_window_size(16 * WINDOW);
    let (client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    (client, tokio::spawn(connection))
}

fn empty() -> BoxBody<Bytes, std::io::Error> {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// Sends one request on a connection of its own and reads the whole answer.
async fn answer(world: &World, request: http::request::Builder) -> Response<Bytes> {
    let (mut client, connection) = connect(world).await;
    let (head, body) = client.send_request(request.body(empty()).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    drop(client);
    connection.await.unwrap().unwrap();
    Response::from_parts(head, body)
}

async fn good(world: &World, method: &str) -> http::request::Builder {
    let token = world.token().await;
    let proof = world.proof(method, &format!("{ORIGIN}/a"), &token, None).await;
    let request = Request::builder().method(method).uri(format!("{ORIGIN}/a"));
    request.header("authorization", format!("DPoP {token}")).header("dpop", proof)
}

#[tokio::test]
async fn requests_are_judged_alike() {
    let world = World::start().await;
    let other = good(&world, "GET").await.headers_ref().unwrap()["dpop"].clone();
    let two = answer(&world, good(&world, "GET").await.header("dpop", other)).await;
    assert_eq!(two.status(), 401, "row 22");
    assert!(two.headers()["www-authenticate"].to_str().unwrap().contains("error=\"invalid_dpop_proof\""), "row 22");

    let contradicting = answer(&world, good(&world, "GET").await.header("host", "evil.example")).await;
    assert_eq!(contradicting.status(), 400, "row 467");

    assert_eq!(answer(&world, Request::get("https://evil.example/a")).await.status(), 421);
}

#[tokio::test]
async fn a_good_request_passes_as_over_http1() {
    let world = World::start().await;
    let played = async {
        let mut upstream = world.accept().await;
        let received = upstream.read_message().await;
        upstream.send("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok").await;
        received
    };
    let request = good(&world, "GET").await;
    let (answer, received) = tokio::join!(answer(&world, request), played);
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, b"ok".as_slice()));
    assert_eq!(received.line, "GET /a HTTP/1.1");
    assert!(received.values("authorization").next().is_none());
    assert_eq!(received.field("countersign-client"), Some("client-1"));
}

#[tokio::test]
async fn bodies_and_trailers_stream_both_ways() {
    let world = World::start().await;
    let (mut client, _connection) = connect(&world).await;
    let (parts, receiver) = tokio::sync::mpsc::channel::<Frame<Bytes>>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        Some((Ok::<_, std::io::Error>(receiver.recv().await?), receiver))
    });
    let request = good(&world, "POST").await.header("te", "trailers").header("trailer", "x-sum");
    let request = request.body(BodyExt::boxed(StreamBody::new(frames))).unwrap();
    let sending = tokio::spawn(client.send_request(request));
    let mut upstream = world.accept().await;
    let head = upstream.read_head().await;
    assert_eq!((head.field("te"), head.field("transfer-encoding")), (Some("trailers"), Some("chunked")));

    parts.send(Frame::data(Bytes::from_static(b"one"))).await.unwrap();
    assert_eq!(upstream.read_to("one\r\n").await, "3\r\none\r\n");
    upstream.send("HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nuno\r\n").await;
    let mut body = sending.await.unwrap().unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "uno");

    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("1"));
    trailers.insert("countersign-subject", HeaderValue::from_static("root"));
    parts.send(Frame::trailers(trailers)).await.unwrap();
    drop(parts);
    assert_eq!(upstream.read_to("\r\n\r\n").await, "0\r\nx-sum: 1\r\n\r\n");
    upstream.send("0\r\nx-sum: 2\r\n\r\n").await;
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["x-sum"], "2");
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_the_exchange_with_the_upstream_and_no_other() {
    let world = World::start().await;
    let (mut client, _connection) = connect(&world).await;
    let first = tokio::spawn(client.send_request(good(&world, "GET").await.body(empty()).unwrap()));
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    let second = tokio::spawn(client.send_request(good(&world, "GET").await.body(empty()).unwrap()));
    let mut other = world.accept().await;
    other.read_message().await;
    first.abort();
    assert_eq!(upstream.closed().await, "");
    other.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(second.await.unwrap().unwrap().status(), 204);
}

/// An answer under way, as far as its head: both ends of it.
async fn begin(world: &World, client: &mut Client, head: &str) -> (Wire, Incoming) {
    let asking = tokio::spawn(client.send_request(good(world, "GET").await.body(empty()).unwrap()));
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n")).await;
    (upstream, asking.await.unwrap().unwrap().into_body())
}

/// Sends until the other end is gone.
async fn send_until_closed(upstream: &mut Wire) {
    while upstream.stream.write_all(&[b'x'; 16_384]).await.is_ok() {}
}

fn cause(error: &hyper::Error) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_reset_and_no_other_one() {
    let world = World::start_with(|settings| settings.limits.write_idle = Duration::from_secs(1)).await;
    let (mut client, _connection) = connect(&world).await;
    let (mut events, taken) = begin(&world, &mut client, "Transfer-Encoding: chunked").await;
    let (mut upstream, mut untaken) = begin(&world, &mut client, "Content-Length: 1000000000").await;
    // Taking nothing shuts the window of this stream only.
    send_until_closed(&mut upstream).await;
    let error = loop {
        match untaken.frame().await.unwrap() {
            Ok(_) => (),
            Err(error) => break error,
        }
    };
    assert_eq!(cause(&error), "stream error received: stream no longer needed");
    // The other one had nothing to take in the meantime, and goes on.
    events.send("2\r\nok\r\n0\r\n\r\n").await;
    assert_eq!(taken.collect().await.unwrap().to_bytes(), "ok");
    counted(&world, "countersign_gateway_errors_total{code=\"answer_idle\"} 1").await;
}

#[tokio::test]
async fn an_answer_that_is_taken_byte_by_byte_is_reset() {
    let world = World::start_with(|settings| {
        settings.limits.write_idle = Duration::from_secs(1);
        settings.limits.write_bytes_per_second = 1_000_000;
    })
    .await;
    let (mut client, _connection) = connect(&world).await;
    let (mut upstream, mut slow) = begin(&world, &mut client, "Content-Length: 1000000000").await;
    let taking = tokio::spawn(async move {
        // About a tenth of what is demanded.
        while let Some(Ok(_)) = slow.frame().await {
            sleep(Duration::from_millis(150)).await;
        }
    });
    send_until_closed(&mut upstream).await;
    taking.await.unwrap();
    counted(&world, "countersign_gateway_errors_total{code=\"answer_slow\"} 1").await;
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_408_and_no_other_one() {
    let world = World::start_with(|settings| {
        settings.limits.forward.request_body_idle = Duration::from_secs(1);
        settings.limits.forward.request_body_bytes_per_second = 1_000;
    })
    .await;
    let (mut client, _connection) = connect(&world).await;
    let (mut events, mut taken) = begin(&world, &mut client, "Transfer-Encoding: chunked").await;
    let frames = futures_util::stream::unfold((), |()| async {
        sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"x"))), ()))
    });
    let request = good(&world, "POST").await.body(BodyExt::boxed(StreamBody::new(frames))).unwrap();
    let sending = tokio::spawn(client.send_request(request));
    let mut upstream = world.accept().await;
    upstream.read_head().await;
    let refused = sending.await.unwrap().unwrap();
    assert_eq!(refused.status(), 408);
    upstream.closed().await;
    events.send("2\r\nok\r\n").await;
    assert_eq!(taken.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
    counted(&world, "countersign_gateway_errors_total{code=\"request_body_slow\"} 1").await;
}

#[tokio::test]
async fn an_idle_connection_is_given_up() {
    let world = World::start_with(|settings| settings.limits.idle = Duration::from_millis(500)).await;
    let (mut client, connection) = connect(&world).await;
    let refused = client.send_request(Request::get(ORIGIN).body(empty()).unwrap()).await.unwrap();
    assert_eq!(refused.status(), 401);
    drop(refused);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_refused() {
    let world = World::start().await;
    let mut many = Request::get(ORIGIN);
    for _ in 0..101 {
        many = many.header("x", "1");
    }
    assert_eq!(answer(&world, many).await.status(), 431, "row 519");
    counted(&world, "countersign_gateway_errors_total{code=\"too_many_fields\"} 1").await;
}
