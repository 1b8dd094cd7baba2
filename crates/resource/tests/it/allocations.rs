//! What a request costs the allocator: nothing, once its client is known.

use std::sync::Arc;

use countersign_dpop::NonceKey;
use countersign_dpop::headers::DPOP;
use countersign_dpop::time::Clock;
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::{Outcome, RequestFacts, ResourceServer};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, header};

use crate::world::{NONCE_KEY, World};

/// Enough for the large table of a key, and for a replay table that keeps its memory for as many others.
const BEFORE: usize = 50;
const MEASURED: usize = 40;

#[tokio::test]
async fn granting_a_known_client_allocates_nothing() {
    let world = World::new();
    let one_shard = MemoryReplayConfig { capacity: 4_096, ..MemoryReplayConfig::default() };
    let store = MemoryReplayStore::new(one_shard, world.clock.now()).unwrap();
    let nonce_key = NonceKey::from_bytes(NONCE_KEY);
    let server = ResourceServer::new(world.config(), Arc::new(store), world.clock.shared(), nonce_key);
    world.clock.advance(11);
    let token = world.token().await;
    for headers in requests(&world, &token, BEFORE).await {
        assert!(is_granted(&server, &headers));
    }
    // What was recorded has passed.
    world.clock.advance(100);
    let measured = requests(&world, &token, MEASURED).await;
    let allocations = measured.iter().map(|headers| {
        let mut granted = false;
        let allocations = allocation_counter::measure(|| granted = is_granted(&server, headers));
        assert!(granted);
        allocations.count_total
    });
    // One in a thousand signatures is verified again by the library, which allocates.
    let with_allocations = allocations.filter(|count| *count > 0).count();
    assert!(with_allocations <= 2, "{with_allocations} of {MEASURED} requests allocated something");
}

async fn requests(world: &World, token: &str, count: usize) -> Vec<HeaderMap> {
    let mut requests = Vec::new();
    for _ in 0..count {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("DPoP {token}")).unwrap());
        headers.insert(DPOP, HeaderValue::try_from(world.proof(token).await).unwrap());
        requests.push(headers);
    }
    requests
}

fn is_granted(server: &ResourceServer, headers: &HeaderMap) -> bool {
    let facts = RequestFacts { method: "GET", path_and_query: "/a/b", headers, authority: None };
    let verdict = server.judge(&facts).now_or_never();
    verdict.is_some_and(|verdict| matches!(verdict.outcome, Outcome::Granted(_)))
}
