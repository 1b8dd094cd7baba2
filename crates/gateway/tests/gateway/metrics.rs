//! What `/metrics` tells, by the names that docs/gateway.md lists.

use std::collections::BTreeSet;
use std::path::Path;

use countersign_gateway::config::ReplaySetting;
use countersign_replay::RedisServer;
use countersign_testkit::service::free_address;

use crate::world::{HOST, World};

/// Waits until this is among the metrics, and gives all of them.
pub(crate) async fn counted(world: &World, sample: &str) -> String {
    loop {
        let text = scrape(world).await;
        if text.lines().any(|line| line == sample) {
            return text;
        }
        tokio::task::yield_now().await;
    }
}

async fn scrape(world: &World) -> String {
    let mut admin = world.connect_admin().await;
    admin.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = admin.read_message().await;
    assert_eq!((answer.status(), answer.field("content-type")), (200, Some("text/plain; version=0.0.4")));
    answer.body
}

fn families(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|family| family.split(' ').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_documented_metrics_are_those_that_are_served() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `countersign_"));
    let documented: BTreeSet<_> = rows.map(|row| format!("countersign_{}", row.split('`').next().unwrap())).collect();
    let nowhere = free_address().unwrap();
    let shared = World::start_with(|settings| {
        let server = RedisServer::parse(&format!("redis://{nowhere}")).unwrap();
        settings.replay = ReplaySetting::Redis { server, capacity: ReplaySetting::DEFAULT_CAPACITY };
    })
    .await;
    let mut served = families(&scrape(&World::start().await).await);
    served.extend(families(&scrape(&shared).await));
    assert_eq!(documented, served);
}

#[tokio::test]
async fn tells_of_decisions_nonces_caches_and_the_upstream() {
    let world = World::start_with(|settings| settings.nonce = countersign_dpop::NoncePolicy::Required).await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    let nonce = client.read_message().await.field("dpop-nonce").unwrap().to_owned();
    let token = world.token().await;
    let mut upstream = None;
    for status in ["201 Created", "503 Service Unavailable"] {
        let proof = world.proof("GET", "https://api.example.com/", &token, Some(&nonce)).await;
        let fields = format!("Host: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n");
        client.send(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).await;
        let mut wire = match upstream.take() {
            Some(wire) => wire,
            None => world.accept().await,
        };
        wire.read_message().await;
        wire.send(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")).await;
        upstream = Some(wire);
        assert!(client.read_message().await.line.contains(status));
    }
    let text = scrape(&world).await;
    let default = "{route=\"default\",outcome=";
    for line in [
        "countersign_nonces_issued_total 1".to_owned(),
        "countersign_nonce_challenges_total 1".to_owned(),
        format!("countersign_upstream_requests_total{default}\"2xx\"}} 1"),
        format!("countersign_upstream_requests_total{default}\"5xx\"}} 1"),
        "countersign_upstream_seconds_count 2".to_owned(),
        "countersign_upstream_seconds_bucket{le=\"+Inf\"} 2".to_owned(),
        "countersign_clock_offset_seconds_bucket{le=\"0\"} 2".to_owned(),
        "countersign_cache_lookups_total{cache=\"token\",outcome=\"hit\"} 1".to_owned(),
        "countersign_cache_lookups_total{cache=\"token\",outcome=\"miss\"} 1".to_owned(),
        "countersign_issuer_requests_total{what=\"keys\",outcome=\"failed\"} 0".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    drop((upstream, world.upstream));
}

#[tokio::test]
async fn an_upstream_that_is_away_is_counted_by_what_went_wrong() {
    let nowhere = free_address().unwrap();
    let world = World::start_with(|settings| settings.upstream = format!("http://{nowhere}").parse().unwrap()).await;
    let mut client = world.connect().await;
    client.send(&world.request("GET", "/").await).await;
    assert_eq!(client.read_message().await.status(), 502);
    let text = scrape(&world).await;
    let line = "countersign_upstream_requests_total{route=\"default\",outcome=\"upstream_unreachable\"} 1";
    assert!(text.contains(line) && text.contains("countersign_upstream_seconds_count 0"), "{text}");
}

#[tokio::test]
async fn what_clients_send_makes_no_labels() {
    let world = World::start().await;
    let mut client = world.connect().await;
    let before = scrape(&world).await.lines().count();
    for number in 0..5 {
        let token = world.token_with(|claims| claims["client_id"] = format!("canary{number}").into()).await;
        let fields = format!("Host: {HOST}\r\nAuthorization: Bearer {token}\r\nX-Canary{number}: 1\r\n");
        client.send(&format!("CANARY{number} /canary{number}?canary HTTP/1.1\r\n{fields}\r\n")).await;
        assert_eq!(client.read_message().await.status(), 401);
    }
    let text = scrape(&world).await;
    assert!(!text.to_lowercase().contains("canary"), "{text}");
    assert_eq!(text.lines().count(), before + 1, "one line more, for the one code");
}
