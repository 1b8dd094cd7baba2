//! The store when something is wrong with its server.

use std::time::{Duration, Instant};

use countersign_dpop::replay::ReplayStoreError;
use countersign_dpop::time::{Clock, SystemClock};
use countersign_replay::{RedisReplayConfig, RedisReplayFault, RedisServer};
use countersign_testkit::service::free_address;
use libtest_mimic::Trial;

use crate::log;
use crate::server::Server;
use crate::with_redis;
use crate::world::{Answer, FIRST, NONCE_DEMANDED, Node, REPLAYED, config, is_unavailable, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_redis("away from the start, and then there", away_from_the_start),
        with_redis("killed and back, empty: nothing is taken again", killed_and_back),
        with_redis("emptied while it runs: nothing is taken again", emptied),
        with_redis("its state overwritten: nothing is taken again", tampered),
        with_redis("hanging: an answer in time, and healing", hanging),
        with_redis("hanging: nothing is left of a connection that was given up", lets_go),
        with_redis("scripts forgotten", scripts_forgotten),
        with_redis("out of memory", out_of_memory),
        with_redis("a policy that evicts is not taken", evicting),
        with_redis("a wrong password, and the right one", passwords),
        with_redis("clocks of nodes an hour apart", clocks_apart),
        with_redis("a clock that differs is warned of, once", a_clock_differs),
    ]
}

async fn away_from_the_start() {
    let address = free_address().unwrap();
    let node = Node::open(config(&format!("redis://{address}")));
    let fault = node.store.reached(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(fault, RedisReplayFault::Away { .. }), "{fault}");
    assert!(is_unavailable(&node.record(&node.proof(1)).await));
    assert_eq!(node.store.stats().failures, 1);
    let _server = Server::start_at(address, &[]);
    node.until(true).await;
    assert_eq!(node.serve(1).await, 1, "asked for a nonce once");
    for once in ["the replay store cannot be used", "the replay store is there"] {
        let lines = log::lines(&address.to_string(), once);
        assert_eq!(lines.len(), 1, "{lines:?}");
    }
}

async fn killed_and_back() {
    let mut server = Server::start(&[]);
    let (one, other) = (Node::reach(config(&server.url(0))).await, Node::reach(config(&server.url(0))).await);
    let proof = one.answered(one.proof(1));
    assert_eq!(one.record(&proof).await, FIRST);
    let before = one.epoch();
    server.kill();
    let begun = Instant::now();
    assert!(is_unavailable(&one.record(&one.answered(one.proof(2))).await));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(one.store.fault().is_some(), "the first that fails tells the others");
    for node in [&one, &other] {
        node.until(false).await;
    }
    server.begin();
    for node in [&one, &other] {
        node.until(true).await;
        assert_ne!(node.epoch().id, before.id, "a new epoch");
        assert_eq!(node.record(&proof).await, NONCE_DEMANDED, "the memory of it is gone");
    }
    assert_eq!(one.epoch(), other.epoch());
    assert_eq!(one.serve(3).await, 1, "no honest client is locked out");
    assert_eq!(other.store.stats().epochs_seen, 2);
}

async fn emptied() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    let proof = node.answered(node.proof(1));
    assert_eq!(node.record(&proof).await, FIRST);
    assert_eq!(server.say("FLUSHALL"), "+OK");
    assert_eq!(node.record(&proof).await, NONCE_DEMANDED, "within the same trip");
    assert_eq!(node.record(&node.answered(node.proof(2))).await, FIRST, "the new epoch is known by then");
}

async fn tampered() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    let proof = node.answered(node.proof(1));
    assert_eq!(node.record(&proof).await, FIRST);
    for command in ["SET {cs1}e nonsense", "DEL {cs1}e", "HSET {cs1}e floor x id y"] {
        assert!(server.say(command).starts_with(['+', ':']), "{command}");
        let answer = node.record(&proof).await;
        assert!(answer != FIRST, "{command}: {answer:?}");
    }
}

async fn hanging() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    let proof = node.answered(node.proof(1));
    assert_eq!(node.record(&proof).await, FIRST);
    server.signal("-STOP");
    let begun = Instant::now();
    let untold = Err(ReplayStoreError::Unavailable { reason: "no answer within 200 ms".to_owned() });
    assert_eq!(node.record(&node.answered(node.proof(2))).await, untold);
    // By the store's own limit; the rest is for a machine that is busy.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let stats = node.store.stats();
    assert_eq!(
        (stats.latency.iter().sum(), stats.latency.last()),
        (2_u64, Some(&1)),
        "one took longer than all bounds"
    );
    assert!(stats.latency_sum >= Duration::from_millis(200), "{stats:?}");
    node.until(false).await;
    server.signal("-CONT");
    node.until(true).await;
    assert_eq!(node.record(&proof).await, REPLAYED, "it has forgotten nothing");
}

async fn lets_go() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    assert_eq!(server.connections(), 1);
    server.signal("-STOP");
    assert!(is_unavailable(&node.record(&node.answered(node.proof(1))).await));
    drop(node);
    until("the connection is closed, though the answer is not there", async || server.connections() == 0).await;
}

async fn scripts_forgotten() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    assert_eq!(server.say("SCRIPT FLUSH"), "+OK");
    let proof = node.answered(node.proof(1));
    assert_eq!(node.record(&proof).await, FIRST);
    assert_eq!(node.record(&proof).await, REPLAYED);
}

async fn out_of_memory() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    let proof = node.answered(node.proof(1));
    assert_eq!(node.record(&proof).await, FIRST);
    assert_eq!(server.say("CONFIG SET maxmemory 1000"), "+OK");
    let full: Answer = node.record(&node.answered(node.proof(2))).await;
    let Err(ReplayStoreError::Unavailable { reason }) = &full else { panic!("{full:?}") };
    assert!(reason.contains("OOM"), "{reason}");
    assert_eq!(node.store.fault(), None, "the connection is as good as before");
    assert!(!server.say("INFO commandstats").contains("cmdstat_eval:"), "nothing is said twice");
    assert_eq!(server.say("CONFIG SET maxmemory 0"), "+OK");
    node.until(true).await;
    assert_eq!(node.record(&proof).await, REPLAYED);
}

async fn evicting() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    let node = Node::open(config(&server.url(0)));
    let evicts = RedisReplayFault::Evicts { policy: "allkeys-lru".to_owned() };
    assert_eq!(node.store.reached(Duration::from_secs(30)).await, Err(evicts.clone()));
    assert!(is_unavailable(&node.record(&node.proof(1)).await));
    assert_eq!(server.say("CONFIG SET maxmemory-policy noeviction"), "+OK");
    node.until(true).await;
    assert_eq!(node.serve(1).await, 1);
    assert_eq!(server.say("CONFIG SET maxmemory-policy allkeys-lru"), "+OK");
    node.until(false).await;
    assert_eq!(node.store.fault(), Some(evicts));
}

async fn passwords() {
    let server = Server::start(&["--requirepass", "correct horse"]);
    let wrong = Node::open(config(&server.url(0).replace("redis://", "redis://:hunter2@")));
    let fault = wrong.store.reached(Duration::from_millis(300)).await.unwrap_err();
    assert!(!fault.to_string().contains("hunter2"), "{fault}");
    let address = RedisServer::parse(&server.url(0)).unwrap().with_password("correct horse");
    let right = Node::reach(RedisReplayConfig { server: address, ..config(&server.url(0)) }).await;
    assert_eq!(right.serve(1).await, 1);
    let shown = format!("{:?}", right.store);
    assert!(shown.contains(&server.address.port().to_string()) && !shown.contains("horse"), "{shown}");
}

/// Half of what nodes may differ by from each other, either way, is worth a warning.
async fn a_clock_differs() {
    const WARNING: &str = "this clock and the replay store's differ";
    let server = Server::start(&[]);
    let address = server.url(0).trim_end_matches("/0").to_owned();
    let near = Node::open_at(config(&server.url(0)), SystemClock.now().plus(10));
    near.until(true).await;
    assert_eq!(log::lines(&address, WARNING), Vec::<String>::new());
    for (warnings, ahead) in [(1, 40), (2, -3_600)] {
        let node = Node::open_at(config(&server.url(0)), SystemClock.now().plus(ahead));
        node.until(true).await;
        // Heard of again and again, and told once.
        node.serve(warnings).await;
        let lines = log::lines(&address, WARNING);
        assert_eq!(lines.len(), usize::try_from(warnings).unwrap(), "{lines:?}");
        let difference = node.store.stats().clock_difference;
        assert!(difference.abs_diff(ahead) < 30, "{difference}");
        let last = lines.last().unwrap();
        assert!(last.contains(" WARN ") && last.contains("seconds="), "{last}");
        assert_eq!(last.contains("seconds=-"), ahead < 0, "{last}");
    }
}

/// Whatever the clocks of nodes show, nothing is taken twice, and a client whose clock agrees with its node's is
/// served.
async fn clocks_apart() {
    let server = Server::start(&[]);
    let ahead = Node::reach(config(&server.url(0))).await;
    let behind = Node::open_at(config(&server.url(0)), ahead.clock.now().plus(-3_600));
    behind.until(true).await;
    assert!((-3_605..-3_595).contains(&behind.store.stats().clock_difference), "{:?}", behind.store.stats());
    let mut taken = Vec::new();
    for round in 0..3 {
        for (place, node) in (0..).zip([&ahead, &behind]) {
            let proof = node.answered(node.proof(10 * round + place));
            let answer = node.record(&proof).await;
            let proof = node.answered(proof);
            assert!(answer == FIRST || node.record(&proof).await == FIRST, "{answer:?}");
            taken.push(proof);
            for proof in &taken {
                for node in [&ahead, &behind] {
                    assert_ne!(node.record(&node.answered(*proof)).await, FIRST, "{proof:?}");
                    assert_ne!(node.record(proof).await, FIRST, "{proof:?}");
                }
            }
        }
        ahead.clock.advance(1);
        behind.clock.advance(1);
    }
    until("both have an epoch", async || ahead.epoch() == behind.epoch()).await;
}
