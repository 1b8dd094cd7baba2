//! With the replay store that a single process uses.

use std::sync::Arc;

use countersign_dpop::time::Clock;
use countersign_dpop::{NonceKey, NoncePolicy};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::{DpopLayer, ResourceServer};
use futures_util::future::join_all;
use tower::Layer;

use crate::world::{Backend, Guarded, NONCE_KEY, World};

/// A guard that has just started, with an empty memory.
fn started(world: &World, config: MemoryReplayConfig, policy: NoncePolicy) -> Guarded {
    let store = Arc::new(MemoryReplayStore::new(config, world.clock.now()).unwrap());
    let resource = world.config().with_nonce_policy(policy);
    let server = ResourceServer::new(resource, store, world.clock.shared(), NonceKey::from_bytes(NONCE_KEY));
    Guarded(DpopLayer::new(server).layer(Backend))
}

#[tokio::test]
async fn row_341_takes_nothing_twice_across_a_restart_and_asks_honest_clients_once() {
    let world = World::new();
    let token = world.token().await;
    let first = started(&world, MemoryReplayConfig::default(), NoncePolicy::Optional);
    world.clock.advance(11);
    let proof = world.proof(&token).await;
    first.get_dpop(&token, &proof).await.granted();
    first.get_dpop(&token, &proof).await.refused(401, Some("invalid_dpop_proof"), "replayed");

    let second = started(&world, MemoryReplayConfig::default(), NoncePolicy::Optional);
    for _ in 0..60 {
        let answer = second.get_dpop(&token, &proof).await;
        answer.refused(401, Some("use_dpop_nonce"), "nonce_demanded");
        let nonce = answer.nonces()[0].to_owned();
        second.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await.granted();
        world.clock.advance(1);
    }
    second.get_dpop(&token, &world.proof(&token).await).await.granted();
    world.clock.advance(1);
    second.get_dpop(&token, &proof).await.refused(401, Some("invalid_dpop_proof"), "proof_stale");
}

#[tokio::test]
async fn without_nonces_a_restart_costs_ten_seconds() {
    let world = World::new();
    let token = world.token().await;
    let guarded = started(&world, MemoryReplayConfig::default(), NoncePolicy::Never);
    for _ in 0..=10 {
        let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
        answer.refused(401, Some("invalid_dpop_proof"), "proof_before_epoch");
        world.clock.advance(1);
    }
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
}

#[tokio::test]
async fn row_344_does_not_forget_when_the_clock_is_set_back() {
    let world = World::new();
    let guarded = started(&world, MemoryReplayConfig::default(), NoncePolicy::Optional);
    world.clock.advance(4_000);
    let token = world.token_claiming(serde_json::json!({ "exp": world.now() + 100_000 })).await;
    let proof = world.proof(&token).await;
    guarded.get_dpop(&token, &proof).await.granted();
    world.clock.advance(-30);
    let answer = guarded.get_dpop(&token, &proof).await;
    assert_eq!(answer.status, 401, "{:?}", answer.decision);
    world.clock.advance(30);
    let answer = guarded.get_dpop(&token, &proof).await;
    assert_eq!(answer.status, 401, "{:?}", answer.decision);
}

#[tokio::test]
async fn a_client_that_has_used_up_its_share_does_not_stop_the_others() {
    let world = World::new();
    let small = MemoryReplayConfig { capacity: 100, quota_percent: 5, ..MemoryReplayConfig::default() };
    let guarded = started(&world, small, NoncePolicy::Optional);
    world.clock.advance(11);
    let token = world.token().await;
    let other = world.token_claiming(serde_json::json!({ "client_id": "other" })).await;
    for _ in 0..5 {
        guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
    }
    let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
    answer.refused(429, None, "replay_quota_exhausted");
    assert_eq!(answer.headers["retry-after"], "5");
    guarded.get_dpop(&other, &world.proof(&other).await).await.granted();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn takes_each_of_many_proofs_once_however_often_they_are_sent_at_once() {
    let world = World::new();
    let guarded = started(&world, MemoryReplayConfig::default(), NoncePolicy::Optional);
    world.clock.advance(11);
    let token = world.token().await;
    let mut sends = Vec::new();
    for _ in 0..50 {
        let proof = world.proof(&token).await;
        for _ in 0..8 {
            let (guarded, token, proof) = (guarded.clone(), token.clone(), proof.clone());
            sends.push(tokio::spawn(async move { guarded.get_dpop(&token, &proof).await.status == 200 }));
        }
    }
    let granted = join_all(sends).await.into_iter().filter(|granted| *granted.as_ref().unwrap()).count();
    assert_eq!(granted, 50);
}
