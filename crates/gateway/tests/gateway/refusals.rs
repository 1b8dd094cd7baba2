//! Every refusal of the gateway's own: the exact status, and the code by which it is counted.

use std::time::Duration;

use countersign_forward::Upstream;
use countersign_gateway::{FrontProxy, Mode, Settings};
use countersign_resource::Stage;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::metrics::counted;
use crate::routes::route;
use crate::wire::Message;
use crate::world::{HOST, World};

/// What the tests do to the settings.
type Change = fn(&mut Settings);
/// A request, the status of the answer, and the code.
type Row = (String, u16, &'static str);

async fn refuse(change: Change, rows: &[Row]) {
    let world = World::start_with(change).await;
    for (request, status, code) in rows {
        let mut client = world.connect().await;
        client.send(request).await;
        let answer = client.read_message().await;
        assert_eq!(answer.status(), *status, "{request:?}");
        assert_own(&answer, request);
        counted(&world, &format!("countersign_gateway_errors_total{{code=\"{code}\"}} 1")).await;
    }
    assert!(world.decisions.codes().iter().all(|code| *code == "no_credentials"), "{:?}", world.decisions.codes());
}

/// It names the request, is kept by nobody, and has words that tell nothing of what stands behind.
fn assert_own(answer: &Message, request: &str) {
    assert!(answer.body.starts_with("{\"error_description\":\""), "{request:?}: {}", answer.body);
    assert_eq!(answer.field("cache-control"), Some("no-store"), "{request:?}");
    assert!(answer.field("www-authenticate").is_none(), "{request:?}: no other token would help");
}

fn row(line: &str, fields: &str, status: u16, code: &'static str) -> Row {
    (format!("{line} HTTP/1.1\r\n{fields}\r\n"), status, code)
}

fn for_nginx(settings: &mut Settings) {
    settings.mode = Mode::ForwardAuth { proxy: FrontProxy::Nginx, trusted: vec!["127.0.0.0/8".parse().unwrap()] };
}

fn for_traefik(settings: &mut Settings) {
    settings.mode = Mode::ForwardAuth { proxy: FrontProxy::Traefik, trusted: vec!["127.0.0.0/8".parse().unwrap()] };
}

#[tokio::test]
async fn requests_that_do_not_say_clearly_what_they_are_for() {
    let host = format!("Host: {HOST}\r\n");
    let rows = [
        row("GET /", &format!("{host}{host}"), 400, "host_repeated"),
        row("GET /", "", 400, "host_missing"),
        row("GET /", "Host: api.ex\u{e4}mple.com\r\n", 400, "host_malformed"),
        row(&format!("GET https://{HOST}/"), "Host: evil.example\r\n", 400, "authority_contradiction"),
        row("GET /guarded/..%2fother", &host, 400, "ambiguous_path"),
        row("CONNECT api.example.com:443", "Host: api.example.com:443\r\n", 405, "connect_method"),
    ];
    refuse(
        |settings| {
            settings.routes = vec![route(settings, "/guarded"), route(settings, "/other")];
        },
        &rows,
    )
    .await;
}

#[tokio::test]
async fn targets_that_would_lead_out_of_the_upstream_s_path() {
    let change: Change = |settings| {
        let base: Upstream = format!("{}/base", settings.upstream).parse().unwrap();
        settings.upstream = base;
        settings.stage = Stage::Observe;
    };
    let world = World::start_with(change).await;
    let mut client = world.connect().await;
    for (number, path) in (1..).zip(["/..", "/a/%2e%2e/b", "/..%2fa"]) {
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        let answer = client.read_message().await;
        assert_eq!(answer.status(), 400, "{path}");
        counted(&world, &format!("countersign_gateway_errors_total{{code=\"bad_target\"}} {number}")).await;
    }
}

#[tokio::test]
async fn questions_of_proxies_that_are_none() {
    let (method, uri) = ("X-Original-Method: GET\r\n", "X-Original-URI: /\r\n");
    let host = format!("Host: {HOST}\r\n");
    let missing = row("GET /", &format!("{host}{method}"), 403, "forwarded_fields");
    refuse(for_nginx, &[missing]).await;
    let twice = row("GET /", &format!("{host}{method}{uri}{uri}"), 403, "forwarded_fields");
    refuse(for_nginx, &[twice]).await;
    let connect = row("GET /", &format!("{host}X-Original-Method: CONNECT\r\n{uri}"), 403, "connect_method");
    refuse(for_nginx, &[connect]).await;
    // Those who take every status get it.
    let (method, uri) = ("X-Forwarded-Method: GET\r\n", "X-Forwarded-Uri: /\r\n");
    let rows = [
        row("GET /", &format!("{host}{method}"), 400, "forwarded_fields"),
        row("GET /", &format!("{host}X-Forwarded-Method: CONNECT\r\n{uri}"), 405, "connect_method"),
    ];
    refuse(for_traefik, &rows).await;
    let path: Change = |settings| {
        for_traefik(settings);
        settings.routes = vec![route(settings, "/guarded"), route(settings, "/other")];
    };
    let uri = "X-Forwarded-Uri: /guarded/..%2fother\r\n";
    refuse(path, &[row("GET /", &format!("{host}{method}{uri}"), 400, "ambiguous_path")]).await;
}

#[tokio::test]
async fn proxies_that_may_not_ask() {
    let change: Change = |settings| {
        settings.mode = Mode::ForwardAuth { proxy: FrontProxy::Caddy, trusted: vec!["192.0.2.0/24".parse().unwrap()] };
    };
    let fields = format!("Host: {HOST}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\n");
    refuse(change, &[row("GET /", &fields, 403, "untrusted_proxy")]).await;
}

#[tokio::test]
async fn what_is_no_grpc_where_only_envoy_is_answered() {
    let change: Change = |settings| {
        settings.mode = Mode::ExtAuthz { trusted: vec!["127.0.0.0/8".parse().unwrap()], keep_credentials: false };
    };
    refuse(change, &[row("GET /", &format!("Host: {HOST}\r\n"), 415, "not_grpc")]).await;
}

/// One good request to an upstream in trouble, and what is counted of it, for the gateway and for the route.
async fn in_trouble(world: &World, request: &str, status: u16, code: &str) {
    let mut client = world.connect().await;
    client.send(request).await;
    let answer = client.read_message().await;
    assert_eq!(answer.status(), status, "{code}");
    assert_own(&answer, request);
    let metrics = counted(world, &format!("countersign_gateway_errors_total{{code=\"{code}\"}} 1")).await;
    let of_route = format!("countersign_upstream_requests_total{{route=\"default\",outcome=\"{code}\"}} 1");
    assert!(metrics.lines().any(|line| line == of_route), "{metrics}");
}

#[tokio::test]
async fn upstreams_in_trouble() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::start_with(|settings| settings.upstream = format!("http://{gone}").parse().unwrap()).await;
    in_trouble(&world, &world.request("GET", "/").await, 502, "upstream_unreachable").await;

    let world = World::start_with(|settings| settings.limits.forward.first_byte = Duration::from_millis(100)).await;
    let request = world.request("GET", "/").await;
    let silent = async {
        let upstream = world.accept().await;
        upstream.closed().await
    };
    tokio::join!(in_trouble(&world, &request, 504, "upstream_no_answer"), silent);

    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for nonsense in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Le", &huge] {
        let world = World::start().await;
        let request = world.request("POST", "/").await;
        let played = async {
            let mut upstream = world.accept().await;
            upstream.read_message().await;
            // It is not taken to its end.
            let _ = upstream.stream.write_all(nonsense.as_bytes()).await;
        };
        tokio::join!(in_trouble(&world, &request, 502, "upstream_bad_answer"), played);
    }
}

#[tokio::test]
async fn bodies_in_trouble() {
    let world = World::start_with(|settings| {
        settings.limits.forward.request_body_idle = Duration::from_millis(300);
    })
    .await;
    let fields = world.fields("POST", "/").await;
    let half = format!("POST / HTTP/1.1\r\n{fields}Content-Length: 10\r\n\r\nhalf");
    in_trouble(&world, &half, 408, "request_body_idle").await;
    let fields = world.fields("POST", "/").await;
    let odd = format!("POST / HTTP/1.1\r\n{fields}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n5\nhello");
    in_trouble(&world, &odd, 400, "request_body_broken").await;
}
