//! Start, health, and the end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_dpop::time::SystemClock;
use countersign_gateway::{DecisionLines, DecisionSink, Gateway, GatewayConfig, GatewayError, NoDecisions};
use countersign_resource::es256::Engine;
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{Message, Wire};
use crate::world::{HOST, World};

/// Reads what came and answers it.
async fn answer(upstream: &mut Wire, text: &str) {
    upstream.read_message().await;
    upstream.send(text).await;
}

async fn admin(world: &World, path: &str) -> Message {
    let mut client = world.connect_admin().await;
    client.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    client.read_message().await
}

#[tokio::test]
async fn requests_under_way_are_finished_and_no_new_ones_are_taken() {
    let mut world = World::start().await;
    let mut idle = world.connect().await;
    idle.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(idle.read_message().await.status(), 401);
    let silent = world.connect().await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/slow").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;

    world.stop.send(()).unwrap();
    assert_eq!(idle.closed().await, "");
    assert_eq!(silent.closed().await, "");
    let error = TcpStream::connect(world.address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    // The admin address still answers, and says what is going on.
    let mut probe = Wire::new(TcpStream::connect(world.admin).await.unwrap());
    probe.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let readiness = probe.read_message().await;
    assert_eq!(readiness.status(), 503);
    assert!(readiness.body.contains("told to stop"), "{readiness:?}");

    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    let answer = client.read_message().await;
    assert_eq!((answer.status(), answer.body.as_str()), (200, "done"));
    assert_eq!(client.closed().await, "");
    (&mut world.served).await.unwrap();
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_cut_off() {
    let world = World::start_with(|settings| settings.limits.drain = Duration::from_millis(100)).await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/slow").await).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    world.stop.send(()).unwrap();
    world.served.await.unwrap();
    assert_eq!(client.closed().await, "");
    assert_eq!(upstream.closed().await, "");
}

#[tokio::test]
async fn a_connection_stays_on_one_thread_with_what_it_opens_to_the_upstream() {
    let mut world = World::start_on(2).await;
    let (mut first, mut second) = (world.connect().await, world.connect().await);
    // Each has a connection of its own behind it, also when the other one's is free.
    first.send(&world.request("GET", "/1").await).await;
    let mut behind_first = world.accept().await;
    answer(&mut behind_first, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(first.read_message().await.status(), 200);
    second.send(&world.request("GET", "/2").await).await;
    let mut behind_second = world.accept().await;
    answer(&mut behind_second, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(second.read_message().await.status(), 200);
    first.send(&world.request("GET", "/3").await).await;
    answer(&mut behind_first, "HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(first.read_message().await.status(), 204);

    // Both end with the gateway, and so do the threads.
    second.send(&world.request("GET", "/4").await).await;
    behind_second.read_message().await;
    world.stop.send(()).unwrap();
    assert_eq!(first.closed().await, "");
    behind_second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    assert_eq!(second.read_message().await.body, "done");
    (&mut world.served).await.unwrap();
    assert_eq!((behind_first.closed().await, behind_second.closed().await), (String::new(), String::new()));
}

#[tokio::test]
async fn websockets_end_with_the_gateway() {
    let world = World::start().await;
    let fields = world.fields("GET", "/ws").await;
    let mut client = world.connect().await;
    client.send(&format!("GET /ws HTTP/1.1\r\n{fields}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")).await;
    let mut upstream = world.accept().await;
    upstream.read_message().await;
    upstream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert_eq!(client.read_message().await.status(), 101);
    world.stop.send(()).unwrap();
    world.served.await.unwrap();
    assert_eq!(client.closed().await, "");
    assert_eq!(upstream.closed().await, "");
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let world = World::start_with(|settings| settings.limits.connections = 1).await;
    let first = world.connect().await;
    let mut second = world.connect().await;
    second.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    drop(first);
    assert_eq!(second.read_message().await.status(), 401);
}

#[tokio::test]
async fn health_readiness_and_metrics_have_an_address_of_their_own() {
    let world = World::start().await;
    assert_eq!(admin(&world, "/healthz").await.status(), 200);
    let ready = admin(&world, "/readyz").await;
    assert_eq!((ready.status(), ready.body.as_str()), (200, "{\"ready\":true,\"missing\":[]}"));
    assert_eq!(admin(&world, "/").await.status(), 404);

    let mut client = world.connect().await;
    client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    client.read_message().await;
    client.send(&format!("CONNECT h:1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    client.read_message().await;
    let metrics = admin(&world, "/metrics").await.body;
    for line in [
        "countersign_decisions_total{route=\"default\",outcome=\"refused\",code=\"no_credentials\",stage=\"require\",scheme=\"none\",bound=\"unknown\"} 1",
        "countersign_gateway_errors_total{code=\"connect_method\"} 1",
        "countersign_answers_total{class=\"4xx\"} 2",
        "countersign_replay_entries 0",
        "countersign_clock_offset_seconds_count 0",
        "# TYPE countersign_decisions_total counter",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
    // The client's address tells none of it.
    client.send(&format!("GET /metrics HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    assert_eq!(client.read_message().await.status(), 401);
}

#[tokio::test]
async fn metrics_tell_of_the_tables_of_keys() {
    let world = World::start_with(|settings| settings.keys.engine = Engine::Portable).await;
    let mut client = world.connect().await;
    let mut upstream = None;
    for _ in 0..3 {
        client.send(&world.request("GET", "/").await).await;
        if upstream.is_none() {
            upstream = Some(world.accept().await);
        }
        let upstream = upstream.as_mut().unwrap();
        upstream.read_message().await;
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(client.read_message().await.status(), 200);
    }
    let metrics = admin(&world, "/metrics").await.body;
    for line in [
        "countersign_key_cache_limit_bytes 256000000",
        "countersign_key_cache_keys 1",
        "countersign_key_cache_hits_total 2",
        "countersign_key_cache_misses_total 1",
        "countersign_es256_tables{tier=\"small\"} 1",
        "countersign_es256_engine{engine=\"library\"} 0",
        "countersign_es256_engine{engine=\"portable\"} 1",
        "countersign_es256_disagreements_total 0",
        "# TYPE countersign_es256_undecided_total counter",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::start_with(|settings| settings.upstream = format!("http://{gone}").parse().unwrap()).await;
    let answer = admin(&world, "/readyz").await;
    assert_eq!(answer.status(), 503);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["ready"], false);
    assert_eq!(body["missing"][0]["what"], "upstream");
    assert_eq!(body["missing"][0]["name"], format!("http://{gone}"));
    assert_eq!(admin(&world, "/healthz").await.status(), 200);
}

#[tokio::test]
async fn an_issuer_that_is_away_does_not_stop_the_start() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let issuer = format!("http://{gone}");
    let world = World::start_with(|settings| {
        settings.issuers = vec![countersign_resource::IssuerConfig::discovered(&issuer).unwrap()];
    })
    .await;
    let answer = admin(&world, "/readyz").await;
    assert_eq!(answer.status(), 503);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&body["missing"][0]["what"], &body["missing"][0]["name"]), (&"issuer".into(), &issuer.into()));
}

#[tokio::test]
async fn a_port_in_use_is_said_at_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let config = GatewayConfig {
        listen: Some(address.to_string()),
        public_origin: Some("https://api.example.com".to_owned()),
        upstream: Some("http://127.0.0.1:9".to_owned()),
        issuer: Some("https://idp.example.com".to_owned()),
        audience: Some("https://api.example.com".to_owned()),
        ..GatewayConfig::default()
    };
    let settings = config.resolve(Path::new(".")).unwrap();
    let error = Gateway::bind(settings, Arc::new(SystemClock), Arc::new(NoDecisions)).await.unwrap_err();
    assert!(matches!(&error, GatewayError::Listen { address: found, .. } if *found == address), "{error}");
}

#[tokio::test]
async fn decisions_are_written_one_a_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let world = World::start().await;
    let mut client = world.connect().await;
    for _ in 0..3 {
        client.send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
        client.read_message().await;
    }
    let lines = DecisionLines::new(file.reopen().unwrap());
    for decision in world.decisions.all() {
        lines.record(&decision);
    }
    assert_eq!(lines.lost(), 0);
    drop(lines);
    let written = std::fs::read_to_string(file.path()).unwrap();
    assert_eq!(written.lines().count(), 3);
    for line in written.lines() {
        let decision: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(decision["code"], "no_credentials");
    }
}
