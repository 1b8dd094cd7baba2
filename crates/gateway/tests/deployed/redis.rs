//! A gateway and its shared store.

use std::time::{Duration, Instant};

use countersign_dpop::time::{Clock, SystemClock};
use countersign_gateway::{GatewayConfig, GatewayError};
use countersign_testkit::FakeClock;
use countersign_testkit::service::free_address;
use http::StatusCode;

use crate::world::{ORIGIN, World, redis, shared};

pub(crate) async fn away_and_back() {
    let address = free_address().unwrap();
    let world = World::start(1, shared(address)).await;
    let unready = world.until_ready(0, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(unready.body.contains("replay store") && unready.body.contains(&address.to_string()), "{}", unready.body);
    let begun = Instant::now();
    let answer = world.client.ask(world.nodes[0].address, "1").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.headers.contains_key("www-authenticate"), "{:?}", answer.headers);
    // 250 ms at most on a machine that is not busy.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(world.metrics(0).await.contains("countersign_replay_available 0"));
    let mut server = redis(address, &[]);
    world.until_ready(0, StatusCode::OK).await;
    assert_eq!(world.client.ask(world.nodes[0].address, "2").await.status, StatusCode::OK);
    let metrics = world.metrics(0).await;
    for line in ["countersign_replay_available 1", "countersign_replay_seconds_count", "countersign_replay_clock"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    server.kill().unwrap();
    world.until_ready(0, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(world.client.ask(world.nodes[0].address, "3").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.seen.lock().unwrap().len(), 1);
}

pub(crate) async fn evicting() {
    let address = free_address().unwrap();
    let _server = redis(address, &["--maxmemory-policy", "volatile-ttl"]);
    let world = World::start(0, shared(address)).await;
    let Err(fault) = world.node(free_address().unwrap()).await else { panic!("started with a store that evicts") };
    assert!(matches!(fault, GatewayError::ReplayServer { .. }), "{fault}");
    assert!(fault.to_string().contains("volatile-ttl") && fault.to_string().contains("noeviction"), "{fault}");
}

pub(crate) async fn with_a_password() {
    let address = free_address().unwrap();
    let _server = redis(address, &["--requirepass", "canary-password"]);
    let directory = tempfile::tempdir().unwrap();
    let stored = |password: &str| {
        std::fs::write(directory.path().join("password"), password).unwrap();
        let config = GatewayConfig {
            replay: Some(format!("redis://{address}")),
            replay_password_file: Some("password".to_owned()),
            public_origin: Some(ORIGIN.to_owned()),
            upstream: Some("http://127.0.0.1:9".to_owned()),
            issuer: Some(ORIGIN.to_owned()),
            audience: Some(ORIGIN.to_owned()),
            ..GatewayConfig::default()
        };
        config.resolve(directory.path()).unwrap().replay
    };
    let world = World::start(1, stored("wrong")).await;
    let unready = world.until_ready(0, StatusCode::SERVICE_UNAVAILABLE).await;
    assert!(unready.body.contains("replay store") && !unready.body.contains("wrong\""), "{}", unready.body);
    assert_eq!(world.client.ask(world.nodes[0].address, "1").await.status, StatusCode::SERVICE_UNAVAILABLE);

    let world = World::start(1, stored("canary-password\n")).await;
    let ready = world.until_ready(0, StatusCode::OK).await;
    assert_eq!(world.client.ask(world.nodes[0].address, "1").await.status, StatusCode::OK);
    assert!(!format!("{}{}", ready.body, world.metrics(0).await).contains("canary"));
}

/// Nobody is refused for it: the difference is measured, and told.
pub(crate) async fn a_clock_differs() {
    let address = free_address().unwrap();
    let _server = redis(address, &[]);
    let clock = FakeClock::at(SystemClock.now().plus(600));
    let replay = shared(address);
    let world = World::start_at(clock.shared(), 1, move |settings| settings.replay = replay.clone()).await;
    world.until_ready(0, StatusCode::OK).await;
    assert_eq!(world.client.ask(world.nodes[0].address, "1").await.status, StatusCode::OK);
    let metrics = world.metrics(0).await;
    let sample = |line: &str| line.strip_prefix("countersign_replay_clock_difference_seconds ")?.parse::<i64>().ok();
    let ahead = metrics.lines().find_map(sample).unwrap();
    // The server's clock goes on meanwhile, that of the test does not.
    assert!((500..=601).contains(&ahead), "{ahead}");
}

pub(crate) async fn nonces_are_shared() {
    let address = free_address().unwrap();
    let _server = redis(address, &[]);
    let world = World::start(2, shared(address)).await;
    let [one, other] = [world.nodes[0].address, world.nodes[1].address];
    let challenged = world.client.present(one, "1", &world.client.proof(None).await).await.unwrap();
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    let proof = world.client.proof(challenged.nonce().as_deref()).await;
    assert_eq!(world.client.present(other, "1", &proof).await.unwrap().status, StatusCode::OK);
    let again = world.client.present(one, "1", &proof).await.unwrap();
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);
    assert!(again.headers["www-authenticate"].to_str().unwrap().contains("invalid_dpop_proof"));
}
