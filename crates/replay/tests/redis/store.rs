//! The store as it is meant to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use countersign_dpop::replay::{RealmId, Recorded, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{Clock, Window};
use countersign_replay::{RedisReplayConfig, RedisReplayStore};
use countersign_testkit::replay_contract::{Wanted, every_store};
use countersign_testkit::{FakeClock, keys};
use libtest_mimic::Trial;

use crate::server::Server;
use crate::with_redis;
use crate::world::{FIRST, NONCE_DEMANDED, Node, REPLAYED, config, of_party};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        with_redis("keeps the contract", keeps_the_contract),
        with_redis("nodes share records, epoch and nonce key", nodes_share),
        with_redis("a record takes one round trip", one_round_trip),
        with_redis("keys are short, and go with their time", keys_are_short_and_go),
        with_redis("a party is held to its share", a_party_is_held_to_its_share),
        with_redis("a wider window begins an epoch, a narrower one does not", widens),
        with_redis("of many copies at many nodes one is first", one_is_first),
        with_redis("a store that is dropped leaves its server", leaves_when_dropped),
        with_redis("an entry that would have to be kept for days is refused", for_days),
    ]
}

async fn keeps_the_contract() {
    let server = Server::start(&[]);
    let database = AtomicU32::new(0);
    every_store(async |wanted: Wanted| {
        let database = database.fetch_add(1, Ordering::Relaxed);
        let config = RedisReplayConfig { window: wanted.window, ..config(&server.url(database)) };
        let store = RedisReplayStore::open(config, FakeClock::at(wanted.now).shared()).unwrap();
        store.reached(Duration::from_secs(30)).await.unwrap();
        Arc::new(store) as Arc<dyn ReplayStore>
    })
    .await;
}

async fn nodes_share() {
    let server = Server::start(&[]);
    let (one, other) = (Node::reach(config(&server.url(0))).await, Node::reach(config(&server.url(0))).await);
    assert_eq!(one.epoch(), other.epoch());
    let now = one.clock.now();
    let allowed_between_nodes = 30;
    assert!(one.epoch().floor >= now.plus(Window::RFC.max_ahead() + allowed_between_nodes), "{:?}", one.epoch());
    let proof = one.proof(1);
    assert_eq!(one.record(&proof).await, NONCE_DEMANDED, "the memory has just begun");
    let nonce = one.nonces.issue(&one.epoch().id, now);
    other.nonces.check(&nonce, &other.epoch().id, now).expect("a nonce of one node is good at the other");
    let proof = one.answered(proof);
    assert_eq!(other.record(&proof).await, FIRST);
    assert_eq!(one.record(&proof).await, REPLAYED);
    assert_eq!(other.record(&proof).await, REPLAYED);
}

async fn one_round_trip() {
    const RECORDS: u32 = 200;
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    assert_eq!(server.say("CONFIG RESETSTAT"), "+OK");
    for number in 0..RECORDS {
        assert_eq!(node.record(&node.answered(node.proof(number))).await, FIRST);
    }
    let counted = server.say("INFO commandstats");
    let calls = |command: &str| -> u32 {
        let begin = format!("cmdstat_{command}:calls=");
        let count = counted.lines().find_map(|line| line.strip_prefix(&begin)?.split(',').next());
        count.map_or(0, |count| count.parse().unwrap())
    };
    // Beside them the server is greeted twice a second.
    assert!((RECORDS..RECORDS * 3 / 2).contains(&calls("evalsha")), "{counted}");
    assert_eq!((calls("eval"), calls("script|load")), (0, 0), "{counted}");
}

async fn keys_are_short_and_go() {
    let server = Server::start(&[]);
    let node = Node::reach(RedisReplayConfig { quota: Some(10), ..config(&server.url(0)) }).await;
    let proof = of_party(node.answered(node.proof(1)), "client");
    assert_eq!(node.record(&proof).await, FIRST);
    let longest = "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do n = math.max(n, #k) end return n";
    assert_eq!(server.say(&format!("EVAL \"{longest}\" 0")), ":38");
    let lives = "local n = 0 for _, k in ipairs(redis.call('KEYS', '{cs1}[:q]*')) do \
                 local t = redis.call('TTL', k) if t > 80 and t < 105 then n = n + 1 end end return n";
    assert_eq!(server.say(&format!("EVAL \"{lives}\" 0")), ":2", "window, clock difference and a little");
}

async fn a_party_is_held_to_its_share() {
    let server = Server::start(&[]);
    let node = Node::reach(RedisReplayConfig { quota: Some(3), ..config(&server.url(0)) }).await;
    let proof = |party, number| of_party(node.answered(node.proof(number)), party);
    for number in 0..3 {
        assert_eq!(node.record(&proof("greedy", number)).await, FIRST);
        assert_eq!(node.record(&proof("greedy", number)).await, REPLAYED, "a replay uses up no share");
    }
    let used_up = Err(ReplayStoreError::QuotaExhausted { quota: 3 });
    assert_eq!(node.record(&proof("greedy", 3)).await, used_up);
    assert_eq!(node.record(&proof("greedy", 0)).await, REPLAYED, "a replay is told as one all the same");
    assert_eq!(node.record(&proof("modest", 3)).await, FIRST, "another party has its own share");
}

async fn for_days() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    let kept_for = |number, days: i64| ReplayEntry {
        not_after: node.clock.now().plus(days * 86_400),
        ..node.answered(node.proof(number))
    };
    assert_eq!(node.record(&kept_for(1, 2)).await, FIRST);
    let reason = "the entry would have to be kept for too long".to_owned();
    assert_eq!(node.record(&kept_for(2, 3)).await, Err(ReplayStoreError::Unavailable { reason }));
}

async fn leaves_when_dropped() {
    let server = Server::start(&[]);
    let node = Node::reach(config(&server.url(0))).await;
    server.until_says("INFO clients", "connected_clients:2\r").await;
    drop(node);
    // The one that asks.
    server.until_says("INFO clients", "connected_clients:1\r").await;
}

async fn widens() {
    let server = Server::start(&[]);
    let narrow = Node::reach(config(&server.url(0))).await;
    let before = narrow.epoch();
    let same = Node::reach(RedisReplayConfig { window: Window::STRICT, ..config(&server.url(0)) }).await;
    assert_eq!(same.epoch(), before, "a narrower window changes nothing");
    let wide = Node::reach(RedisReplayConfig { window: Window::MCP, ..config(&server.url(0)) }).await;
    assert_ne!(wide.epoch().id, before.id, "what was dropped under the narrow window may be acceptable again");
    // The record outlives the wide window also when the node with the narrow one makes it.
    let proof = narrow.proof(1);
    assert_eq!(narrow.record(&proof).await, NONCE_DEMANDED);
    assert_eq!(narrow.record(&narrow.answered(proof)).await, FIRST);
    let lives =
        "local n = 0 for _, k in ipairs(redis.call('KEYS', '{cs1}:*')) do n = redis.call('TTL', k) end return n";
    let lives: i64 = server.say(&format!("EVAL \"{lives}\" 0"))[1..].parse().unwrap();
    assert!(lives > Window::MCP.max_age(), "{lives}");
    narrow.store.widen(Window::new(400, 400).unwrap());
    let learned = async || narrow.epoch().id != wide.epoch().id;
    crate::world::until("a window widened at run time begins an epoch", learned).await;
}

async fn one_is_first() {
    let server = Server::start(&[]);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Arc::new(Node::reach(config(&server.url(0))).await));
    }
    for number in 0..50 {
        let proof = nodes[0].answered(nodes[0].proof(number));
        let copies = (0..12).map(|copy| {
            let node = Arc::clone(&nodes[copy % 3]);
            tokio::spawn(async move { node.record(&proof).await })
        });
        let mut first = 0;
        for copy in copies.collect::<Vec<_>>() {
            match copy.await.unwrap() {
                Ok(Recorded::First) => first += 1,
                Ok(Recorded::Replayed) => (),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(first, 1, "of 12 copies of proof {number}");
    }
    let jkt = keys::es256().public_jwk().jkt();
    let key = ReplayKey::new(&RealmId::of("https://api.example"), &jkt, "a\r\nSET x y\r\n\0");
    let odd = ReplayEntry { key, ..nodes[0].answered(nodes[0].proof(0)) };
    assert_eq!(nodes[0].record(&odd).await, FIRST);
    assert_eq!(nodes[1].record(&odd).await, REPLAYED);
}
