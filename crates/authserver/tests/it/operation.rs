//! What an operator sees: metrics, readiness, limits, TLS, the end.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign_authserver::{AuthServer, BindError};
use countersign_dpop::time::SystemClock;
use countersign_testkit::service::free_address;
use http::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::{Answer, SECRET, TokenRequest, World, settings};

/// Sends one request by hand and returns the whole answer.
async fn exchange(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

async fn admin(world: &World, path: &str) -> Answer {
    let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
    Answer::read(tower::ServiceExt::oneshot(world.server.admin_router(), request).await.unwrap()).await
}

#[tokio::test]
async fn counts_what_it_decides_and_shows_no_secret() {
    let world = World::new().await;
    let granted = world.send(&world.bound_request()).await;
    granted.granted("DPoP");
    world.send(&world.bound_request().set("scope", "admin")).await.refused(400, "invalid_scope");
    world.send(&TokenRequest::plain().basic("basic", "canary-wrong")).await.refused(401, "invalid_client");
    let metrics = admin(&world, "/metrics").await;
    assert_eq!(metrics.field("content-type"), Some("text/plain; version=0.0.4"));
    for line in [
        r#"countersign_as_decisions_total{endpoint="token",outcome="granted",code="ok"} 1"#,
        r#"countersign_as_decisions_total{endpoint="token",outcome="refused",code="scope_not_allowed"} 1"#,
        r#"countersign_as_decisions_total{endpoint="token",outcome="refused",code="client_secret_wrong"} 1"#,
        r#"countersign_as_tokens_issued_total{grant="client_credentials",bound="true"} 1"#,
        r#"countersign_as_answers_total{class="2xx"} 1"#,
        r#"countersign_as_answers_total{class="4xx"} 2"#,
        r#"countersign_as_clock_offset_seconds_bucket{le="0"} 2"#,
        "countersign_as_commit_seconds_count 1",
        "countersign_as_commit_failures_total 0",
        "countersign_as_single_use_entries 2",
        "countersign_as_requests_in_flight 0",
    ] {
        assert!(metrics.text.lines().any(|found| found == line), "{line} is not in\n{}", metrics.text);
    }
    for secret in [SECRET, "canary", granted.token(), "jwt", &world.key.public_jwk().jkt().to_string()] {
        assert!(!metrics.text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let world =
        World::with(|config| config.replace("[[resource]]", "[limits]\nrequests_per_client = 1\n[[resource]]")).await;
    for _ in 0..5 {
        world.send(&world.request()).await.granted("Bearer");
    }
    let refused = world.send(&world.request()).await;
    refused.unavailable(429);
    assert_eq!(refused.field("retry-after"), Some("1"));
    // Who only claims to be this client does not use up its share, and another client has its own.
    world.send(&TokenRequest::plain().basic("basic", SECRET)).await.granted("Bearer");
    world.clock.advance(1);
    world.send(&world.request()).await.granted("Bearer");
    world.send(&world.request()).await.unavailable(429);
    let metrics = admin(&world, "/metrics").await.text;
    assert!(metrics.contains(r#"countersign_as_limited_total{by="client"} 2"#), "{metrics}");
    assert!(metrics.contains(r#"outcome="refused",code="client_limited"} 2"#), "{metrics}");
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_refused_unread() {
    let limits = "trusted_proxies = [\"127.0.0.1\"]\n[limits]\nrequests_per_source = 1\n[[resource]]";
    let world = World::with(|config| config.replacen("[[resource]]", limits, 1)).await;
    let bound = world.server.clone().bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = bound.local_addr();
    let served = tokio::spawn(bound.serve(std::future::pending()));
    for _ in 0..5 {
        assert!(get(address, "/jwks").await.starts_with("HTTP/1.1 200"));
    }
    let refused = get(address, "/jwks").await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: 1"), "{refused}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let other = "GET /jwks HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 203.0.113.5\r\nconnection: close\r\n\r\n";
    assert!(exchange(&mut stream, other).await.starts_with("HTTP/1.1 200"), "another address by a trusted proxy");
    let counted = r#"countersign_as_decisions_total{endpoint="jwks",outcome="refused",code="source_limited"} 1"#;
    let metrics = admin(&world, "/metrics").await.text;
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    served.abort();
}

#[tokio::test]
async fn says_that_it_is_ending_while_requests_are_in_flight() {
    let world = World::new().await;
    assert_eq!(admin(&world, "/readyz").await.json, json!({ "ready": true }));
    let bound = world.server.clone().bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let bound = bound.with_admin("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, admin_address) = (bound.local_addr(), bound.admin_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(bound.serve(async { drop(stopped.await) }));
    // A request that is under way: its body has not arrived yet.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /token HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    stop.send(()).unwrap();
    // The listener is closed first; then the end is told.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let told = get(admin_address, "/readyz").await;
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("told to stop"), "{told}");
    assert!(exchange(&mut stream, "a").await.starts_with("HTTP/1.1 400"), "the request in flight is answered");
    served.await.unwrap();
}

#[tokio::test]
async fn speaks_tls_by_itself() {
    let world = World::new().await;
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(world.dir.path().join("chain.pem"), made.cert.pem()).unwrap();
    std::fs::write(world.dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = "[tls]\ncertificate_file = \"chain.pem\"\nkey_file = \"key.pem\"\n[[resource]]";
    let config = world.config.replacen("[[resource]]", tls, 1);
    let server = AuthServer::open(settings(&config, &world.dir), world.clock.shared()).await.unwrap();
    let bound = server.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert!(bound.is_tls());
    let port = bound.local_addr().port();
    let served = tokio::spawn(bound.serve(std::future::pending()));
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let answer = client.get(format!("https://localhost:{port}/jwks")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    served.abort();
}

#[tokio::test]
async fn begins_without_its_database_and_says_what_it_waits_for() {
    let world = World::new().await;
    let away = free_address().unwrap();
    let config = world.config.replace("data = \"data\"", &format!("database = \"postgres://u:canary-pw@{away}/as\""));
    let settings = settings(&config, &world.dir);
    let bound = AuthServer::open_and_bind(settings, Arc::new(SystemClock), "127.0.0.1:0".parse().unwrap()).await;
    let bound = bound.unwrap().with_admin("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, admin) = (bound.local_addr(), bound.admin_addr().unwrap());
    let served = tokio::spawn(bound.serve(std::future::pending()));
    let refused = get(address, "/jwks").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    assert!(get(admin, "/healthz").await.starts_with("HTTP/1.1 200"));
    let readiness = get(admin, "/readyz").await;
    assert!(readiness.starts_with("HTTP/1.1 503") && readiness.contains("storage"), "{readiness}");
    assert!(!format!("{refused}{readiness}").contains("canary"));
    served.abort();
}

#[tokio::test]
async fn does_not_begin_with_what_is_wrong_for_good() {
    let world = World::new().await;
    std::fs::create_dir(world.dir.path().join("other")).unwrap();
    std::fs::write(world.dir.path().join("other/authserver.db"), vec![b'x'; 8_192]).unwrap();
    let settings = settings(&world.config.replace("data = \"data\"", "data = \"other\""), &world.dir);
    let bound = AuthServer::open_and_bind(settings, Arc::new(SystemClock), "127.0.0.1:0".parse().unwrap()).await;
    assert!(matches!(bound, Err(BindError::Open(_))));
}
