//! The forwarder against an upstream that the test plays byte by byte.
#![expect(clippy::unwrap_used, reason = "what a test relies on")]

mod raw;

use std::time::Duration;

use bytes::Bytes;
use countersign_forward::{
    AnswerBody, Arrival, BoxError, ForwardError, ForwardLimits, ForwardedFields, Forwarder, Handover, UpstreamHost,
};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use self::raw::RawUpstream;

static PEER: HeaderValue = HeaderValue::from_static("192.0.2.7");
static AUTHORITY: HeaderValue = HeaderValue::from_static("api.example");
static ARRIVAL: Arrival<'static> = Arrival { peer: Some(&PEER), scheme: "https", authority: &AUTHORITY };
const SHORT: Duration = Duration::from_millis(50);

fn forwarder(upstream: &RawUpstream) -> Forwarder {
    with_limits(upstream, ForwardLimits::default())
}

fn with_limits(upstream: &RawUpstream, limits: ForwardLimits) -> Forwarder {
    Forwarder::new(format!("http://{}", upstream.address()).parse().unwrap(), limits).unwrap()
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

/// A body that the test sends frame by frame.
fn channel() -> (mpsc::Sender<Result<Frame<Bytes>, BoxError>>, impl http_body::Body<Data = Bytes, Error = BoxError>) {
    let (sender, receiver) = mpsc::channel(1);
    let frames = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    (sender, StreamBody::new(frames))
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

async fn text(answer: Response<AnswerBody>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn lines(head: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    lines
}

#[tokio::test]
async fn passes_on_what_is_end_to_end_and_nothing_else() {
    let upstream = RawUpstream::bind().await;
    let authority = upstream.address().to_string();
    let forwarder = forwarder(&upstream).with_via("countersign");
    let request = Request::put("/a/../b?c=%20")
        .header("host", "api.example")
        .header("accept", "text/plain")
        .header("connection", "keep-alive, x-hop, x-identity")
        .header("x-hop", "1")
        .header("x-identity", "forged")
        .header("x-forwarded-for", "10.0.0.1")
        .header("te", "trailers, deflate")
        .header("upgrade", "h2c")
        .header("expect", "100-continue")
        .header("via", "1.0 before")
        .body(Full::new(Bytes::from_static(b"hello")))
        .unwrap();
    let set = vec![(HeaderName::from_static("x-identity"), HeaderValue::from_static("real"))];
    let played = async {
        let mut connection = upstream.accept().await;
        let head = connection.read_head().await;
        assert_eq!(
            lines(&head),
            [
                "PUT /a/../b?c=%20 HTTP/1.1",
                "accept: text/plain",
                "content-length: 5",
                &format!("host: {authority}"),
                "te: trailers",
                "via: 1.0 before",
                "via: 1.1 countersign",
                "x-forwarded-for: 192.0.2.7",
                "x-forwarded-host: api.example",
                "x-forwarded-proto: https",
                "x-identity: real",
            ]
        );
        assert_eq!(connection.read_to("hello").await, "hello");
        connection
            .write(
                "HTTP/1.1 201 Made\r\nconnection: x-hop\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\nx-end: 1\r\n\
                 content-length: 2\r\n\r\nok",
            )
            .await;
    };
    let handover = Handover { arrival: Some(ARRIVAL), set, ..Handover::default() };
    let (answer, ()) = tokio::join!(forwarder.forward(request, handover), played);
    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let names: Vec<_> = answer.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-end", "content-length"]);
    assert_eq!(text(answer).await, "ok");
}

#[tokio::test]
async fn sends_the_public_host_when_told_to() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream).with_host(UpstreamHost::Public).with_forwarded_fields(ForwardedFields::Remove);
    let played = async {
        let mut connection = upstream.accept().await;
        assert_eq!(lines(&connection.read_head().await), ["GET / HTTP/1.1", "host: api.example"]);
        connection.write("HTTP/1.1 204 No Content\r\n\r\n").await;
    };
    let handover = Handover { arrival: Some(ARRIVAL), ..Handover::default() };
    let (answer, ()) = tokio::join!(forwarder.forward(get("/"), handover), played);
    assert_eq!(answer.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn streams_the_answer_part_by_part() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let (seen, mut first_was_seen) = mpsc::channel::<()>(1);
    let played = async {
        let mut connection = upstream.accept().await;
        connection.read_head().await;
        connection
            .write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        connection.write("9\r\ndata: 1\n\n\r\n").await;
        // The second event is not sent before the client has the first: nothing may wait for more.
        first_was_seen.recv().await.unwrap();
        connection.write("9\r\ndata: 2\n\n\r\n0\r\n\r\n").await;
    };
    let client = async {
        let mut body = forwarder.forward(get("/events"), Handover::default()).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: 1\n\n");
        seen.send(()).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: 2\n\n");
        assert!(body.frame().await.is_none());
    };
    tokio::join!(client, played);
}

#[tokio::test]
async fn streams_the_request_part_by_part_whatever_its_method() {
    for method in ["POST", "GET", "DELETE"] {
        let upstream = RawUpstream::bind().await;
        let forwarder = forwarder(&upstream);
        let (sender, body) = channel();
        let request = Request::builder().method(method).uri("/").body(body).unwrap();
        let played = async {
            let mut connection = upstream.accept().await;
            assert!(connection.read_head().await.contains("\r\ntransfer-encoding: chunked\r\n"), "{method}");
            sender.send(Ok(data("one"))).await.unwrap();
            assert_eq!(connection.read_to("3\r\none\r\n").await, "3\r\none\r\n");
            sender.send(Ok(data("four"))).await.unwrap();
            drop(sender);
            assert_eq!(connection.read_to("0\r\n\r\n").await, "4\r\nfour\r\n0\r\n\r\n");
            connection.write("HTTP/1.1 204 No Content\r\n\r\n").await;
        };
        let (answer, ()) = tokio::join!(forwarder.forward(request, Handover::default()), played);
        assert_eq!(answer.unwrap().status(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn passes_trailers_both_ways_without_those_that_carry_credentials() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let (sender, body) = channel();
    let request = Request::post("/")
        .header("te", "trailers")
        .header("trailer", "x-sum, x-identity, dpop, authorization")
        .body(body)
        .unwrap();
    let played = async {
        let mut connection = upstream.accept().await;
        connection.read_head().await;
        let mut trailers = HeaderMap::new();
        for name in ["x-sum", "x-identity", "dpop", "authorization"] {
            trailers.insert(name, HeaderValue::from_static("1"));
        }
        sender.send(Ok(data("one"))).await.unwrap();
        sender.send(Ok(Frame::trailers(trailers))).await.unwrap();
        drop(sender);
        assert_eq!(connection.read_to("\r\n\r\n").await, "3\r\none\r\n0\r\nx-sum: 1\r\n\r\n");
        connection
            .write("HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 2\r\n\r\n")
            .await;
    };
    let handover = Handover { is_reserved: |name| name == "x-identity", ..Handover::default() };
    let (answer, ()) = tokio::join!(forwarder.forward(request, handover), played);
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["trailer"], "x-sum");
    let collected = answer.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "2");
    assert_eq!(collected.to_bytes(), "ok");
}

#[tokio::test]
async fn uses_a_connection_again() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let played = async {
        let mut connection = upstream.accept().await;
        for path in ["/1", "/2"] {
            assert!(connection.read_head().await.starts_with(&format!("GET {path} ")));
            connection.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    };
    let client = async {
        for path in ["/1", "/2"] {
            assert_eq!(text(forwarder.forward(get(path), Handover::default()).await.unwrap()).await, "ok");
        }
    };
    tokio::join!(client, played);
}

#[tokio::test]
async fn a_request_that_changes_nothing_is_sent_again_when_an_old_connection_breaks() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let played = async {
        let mut old = upstream.accept().await;
        old.read_head().await;
        old.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        old.read_head().await;
        drop(old);
        let mut new = upstream.accept().await;
        assert!(new.read_head().await.starts_with("GET /2 "));
        new.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    };
    let client = async {
        for path in ["/1", "/2"] {
            assert_eq!(text(forwarder.forward(get(path), Handover::default()).await.unwrap()).await, "ok");
        }
    };
    tokio::join!(client, played);
}

#[tokio::test]
async fn a_request_that_may_change_something_is_never_sent_twice() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let played = async {
        let mut old = upstream.accept().await;
        old.read_head().await;
        old.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        old.read_head().await;
    };
    let client = async {
        assert_eq!(text(forwarder.forward(get("/1"), Handover::default()).await.unwrap()).await, "ok");
        let post = Request::post("/2").body(Empty::<Bytes>::new()).unwrap();
        let error = forwarder.forward(post, Handover::default()).await.unwrap_err();
        assert!(matches!(error, ForwardError::BadAnswer { .. }), "{error:?}");
    };
    tokio::join!(client, played);
}

#[tokio::test]
async fn dropping_the_request_ends_the_exchange_with_the_upstream() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let task = tokio::spawn(async move { forwarder.forward(get("/slow"), Handover::default()).await.map(|_| ()) });
    let mut connection = upstream.accept().await;
    connection.read_head().await;
    task.abort();
    assert_eq!(connection.closed().await, "");
}

#[tokio::test]
async fn dropping_the_answer_ends_the_exchange_with_the_upstream() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let played = async {
        let mut connection = upstream.accept().await;
        connection.read_head().await;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbeginning").await;
        connection
    };
    let (answer, connection) = tokio::join!(forwarder.forward(get("/"), Handover::default()), played);
    drop(answer.unwrap());
    assert_eq!(connection.closed().await, "");
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let forwarder = Forwarder::new(url.parse().unwrap(), ForwardLimits::default()).unwrap();
    let error = forwarder.forward(get("/"), Handover::default()).await.unwrap_err();
    assert!(matches!(error, ForwardError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_connection_not_taken_in_time_is_a_gateway_timeout() {
    // A listener whose queue is full: the system lets further connections wait.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    let limits = ForwardLimits { connect: SHORT, ..ForwardLimits::default() };
    let forwarder = Forwarder::new(format!("http://{address}").parse().unwrap(), limits).unwrap();
    let error = forwarder.forward(get("/"), Handover::default()).await.unwrap_err();
    assert!(matches!(error, ForwardError::ConnectTimeout { limit } if limit == SHORT), "{error:?}");
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_a_gateway_timeout() {
    let upstream = RawUpstream::bind().await;
    let forwarder = with_limits(&upstream, ForwardLimits { first_byte: SHORT, ..ForwardLimits::default() });
    let (error, connection) = tokio::join!(forwarder.forward(get("/"), Handover::default()), upstream.accept());
    let error = error.unwrap_err();
    assert!(matches!(error, ForwardError::NoAnswer { limit } if limit == SHORT), "{error:?}");
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    connection.closed().await;
}

#[tokio::test]
async fn half_an_answer_and_no_http_at_all_are_bad_answers() {
    for answer in
        ["", "HTTP/1.1 200 OK\r\ncontent-le", "220 mail.example ESMTP\r\n\r\n", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n"]
    {
        let upstream = RawUpstream::bind().await;
        let forwarder = forwarder(&upstream);
        let played = async {
            let mut connection = upstream.accept().await;
            connection.read_head().await;
            connection.write(answer).await;
        };
        let (error, ()) = tokio::join!(forwarder.forward(get("/"), Handover::default()), played);
        let error = error.unwrap_err();
        assert!(matches!(error, ForwardError::BadAnswer { .. }), "{answer:?}: {error:?}");
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_an_error_not_as_if_it_were_whole() {
    for head in ["content-length: 10", "transfer-encoding: chunked"] {
        let upstream = RawUpstream::bind().await;
        let forwarder = forwarder(&upstream);
        let played = async {
            let mut connection = upstream.accept().await;
            connection.read_head().await;
            connection.write(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n4\r\nhalf\r\n")).await;
        };
        let (answer, ()) = tokio::join!(forwarder.forward(get("/"), Handover::default()), played);
        assert!(answer.unwrap().into_body().collect().await.is_err(), "{head}");
    }
}

#[tokio::test]
async fn a_change_of_protocol_nobody_asked_for_is_a_bad_answer() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let request =
        Request::get("/").header("connection", "upgrade").header("upgrade", "h2c").body(Empty::new()).unwrap();
    let played = async {
        let mut connection = upstream.accept().await;
        assert!(!connection.read_head().await.contains("upgrade"));
        connection.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n").await;
    };
    let (error, ()) = tokio::join!(forwarder.forward::<Empty<Bytes>>(request, Handover::default()), played);
    let error = error.unwrap_err();
    assert!(matches!(error, ForwardError::BadAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_request_that_breaks_off_never_looks_whole_to_the_upstream() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let (sender, body) = channel();
    let played = async {
        let mut connection = upstream.accept().await;
        connection.read_head().await;
        sender.send(Ok(data("one"))).await.unwrap();
        connection.read_to("one\r\n").await;
        sender.send(Err("gone".into())).await.unwrap();
        assert_eq!(connection.closed().await, "");
    };
    let (error, ()) =
        tokio::join!(forwarder.forward(Request::post("/").body(body).unwrap(), Handover::default()), played);
    let error = error.unwrap_err();
    assert!(matches!(&error, ForwardError::RequestBody { reason } if reason == "gone"), "{error:?}");
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_client_that_stalls_in_its_body_is_given_up() {
    let upstream = RawUpstream::bind().await;
    // The upstream's time is the shorter one, and must not run while the client has to act.
    let (idle, first_byte) = (20 * SHORT, 10 * SHORT);
    let limits = ForwardLimits { request_body_idle: idle, first_byte, ..ForwardLimits::default() };
    let forwarder = with_limits(&upstream, limits);
    let (sender, body) = channel();
    let played = async {
        let mut connection = upstream.accept().await;
        connection.read_head().await;
        sender.send(Ok(data("one"))).await.unwrap();
        connection.closed().await
    };
    let (error, seen) =
        tokio::join!(forwarder.forward(Request::post("/").body(body).unwrap(), Handover::default()), played);
    let error = error.unwrap_err();
    assert!(matches!(error, ForwardError::RequestBodyIdle { limit } if limit == idle), "{error:?}");
    assert_eq!(error.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(seen, "3\r\none\r\n");
}

#[tokio::test]
async fn refuses_connect_asterisk_and_transfer_codings_without_touching_the_upstream() {
    let forwarder = Forwarder::new("http://127.0.0.1:9".parse().unwrap(), ForwardLimits::default()).unwrap();
    let connect = Request::connect("h:1").body(Empty::<Bytes>::new()).unwrap();
    let asterisk = Request::options("*").body(Empty::new()).unwrap();
    let coded = Request::post("/").header("transfer-encoding", "gzip, chunked").body(Empty::new()).unwrap();
    for (request, status) in [
        (connect, StatusCode::METHOD_NOT_ALLOWED),
        (asterisk, StatusCode::BAD_REQUEST),
        (coded, StatusCode::NOT_IMPLEMENTED),
    ] {
        assert_eq!(forwarder.forward(request, Handover::default()).await.unwrap_err().status(), status);
    }
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length_and_has_no_body() {
    let upstream = RawUpstream::bind().await;
    let forwarder = forwarder(&upstream);
    let request = Request::head("/").body(Empty::<Bytes>::new()).unwrap();
    let played = async {
        let mut connection = upstream.accept().await;
        assert!(!connection.read_head().await.contains("content-length"));
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n").await;
    };
    let (answer, ()) = tokio::join!(forwarder.forward(request, Handover::default()), played);
    let answer = answer.unwrap();
    assert_eq!(answer.headers()["content-length"], "200");
    assert_eq!(text(answer).await, "");
}

/// A server in front of `forwarder`, as gateway and agent are; gives its address.
async fn serving(forwarder: Forwarder) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = move |request: Request<hyper::body::Incoming>| {
            let forwarder = forwarder.clone();
            async move { forwarder.forward(request, Handover::default()).await }
        };
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(hyper_util::rt::TokioIo::new(stream), hyper::service::service_fn(answer));
        serving.with_upgrades().await.unwrap();
    });
    address
}

#[tokio::test]
async fn tunnels_a_websocket_and_answers_further_requests_over_kept_connections() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let upstream = RawUpstream::bind().await;
    let mut client = tokio::net::TcpStream::connect(serving(forwarder(&upstream)).await).await.unwrap();
    let mut read = vec![0; 4_096];
    client.write_all(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut first = upstream.accept().await;
    first.read_head().await;
    first.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none").await;
    let length = client.read(&mut read).await.unwrap();
    assert!(read[..length].ends_with(b"one"), "{:?}", String::from_utf8_lossy(&read[..length]));

    let asking = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.write_all(asking.as_bytes()).await.unwrap();
    assert!(first.read_head().await.starts_with("GET /ws "), "the kept connection is used again");
    first.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello").await;
    let mut seen = String::new();
    while !seen.ends_with("hello") {
        let length = client.read(&mut read).await.unwrap();
        assert_ne!(length, 0, "{seen}");
        seen.push_str(std::str::from_utf8(&read[..length]).unwrap());
    }
    assert!(seen.starts_with("HTTP/1.1 101 "), "{seen}");
    client.write_all(b"ping").await.unwrap();
    assert_eq!(first.read_to("ping").await, "ping");
    drop(client);
    assert_eq!(first.closed().await, "");
}
