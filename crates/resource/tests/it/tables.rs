//! Verifying by tables of keys: which there are after which requests, and an engine that cannot be believed.

use countersign_resource::es256::{Engine, Sampling, Verifier};
use countersign_resource::{KeyCache, KeyCacheCounts};
use serde_json::json;

use crate::world::{Guarded, World};

const ALWAYS: Sampling = Sampling { accepted: 1, refused: 1 };

/// So many good requests, each with a token that was not seen before.
async fn good_requests(world: &World, guarded: &Guarded, count: usize) {
    for number in 0..count {
        let token = world.token_claiming(json!({ "jti": format!("token-{number}") })).await;
        guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
    }
}

/// A request whose proof was spoilt, and one whose token was.
async fn bad_requests(world: &World, guarded: &Guarded) {
    let spoilt = |text: &str| {
        let last = if text.ends_with('A') { 'Q' } else { 'A' };
        format!("{}{last}", &text[..text.len() - 1])
    };
    let token = world.token().await;
    let proof = spoilt(&world.proof(&token).await);
    guarded.get_dpop(&token, &proof).await.refused(401, Some("invalid_dpop_proof"), "proof_bad_signature");
    let token = spoilt(&token);
    let proof = world.proof(&token).await;
    guarded.get_dpop(&token, &proof).await.refused(401, Some("invalid_token"), "token_bad_signature");
}

fn tables(keys: &KeyCache) -> (u64, u64) {
    let KeyCacheCounts { small_tables, hot_tables, .. } = keys.counts();
    (small_tables, hot_tables)
}

#[tokio::test]
async fn keys_that_come_again_get_a_table_then_a_large_one_and_the_issuers_key_at_once() {
    let world = World::new();
    let keys = KeyCache::new(1 << 20, Verifier::new(Engine::Portable).with_sampling(ALWAYS));
    let guarded = world.guarded(world.config().with_key_cache(keys.clone()));
    bad_requests(&world, &guarded).await;
    assert_eq!((tables(&keys), keys.counts().headers), ((0, 0), 0), "nothing for nothing");
    good_requests(&world, &guarded, 1).await;
    assert_eq!((tables(&keys), keys.counts().headers), ((0, 1), 1), "the issuer's");
    good_requests(&world, &guarded, 2).await;
    assert_eq!(tables(&keys), (1, 1));
    good_requests(&world, &guarded, 40).await;
    assert_eq!(tables(&keys), (0, 2));
    bad_requests(&world, &guarded).await;
    let counts = keys.counts();
    assert!(counts.bytes <= counts.limit && counts.table_bytes > 65_536, "{counts:?}");
    assert!(counts.checks.sampled > 40 && counts.checks.disagreements == 0, "{counts:?}");
    assert_eq!(counts.engine, Engine::Portable);
}

#[tokio::test]
async fn an_engine_that_lies_changes_no_verdict_that_is_looked_at_and_is_switched_off() {
    let world = World::new();
    let keys = KeyCache::new(1 << 20, Verifier::lying(Engine::Portable).with_sampling(ALWAYS));
    let guarded = world.guarded(world.config().with_key_cache(keys.clone()));
    good_requests(&world, &guarded, 5).await;
    bad_requests(&world, &guarded).await;
    good_requests(&world, &guarded, 5).await;
    let counts = keys.counts();
    assert_eq!((counts.engine, counts.checks.disagreements), (Engine::Library, 1));
}

#[tokio::test]
async fn no_memory_means_no_tables_not_even_for_issuers() {
    let world = World::new();
    let keys = KeyCache::new(0, Verifier::new(Engine::Portable));
    let guarded = world.guarded(world.config().with_key_cache(keys.clone()));
    good_requests(&world, &guarded, 5).await;
    bad_requests(&world, &guarded).await;
    let counts = keys.counts();
    assert_eq!((tables(&keys), counts.headers, counts.engine), ((0, 0), 0, Engine::Library));
}

#[tokio::test]
async fn several_resources_share_one_memory() {
    let world = World::new();
    let keys = KeyCache::new(1 << 20, Verifier::new(Engine::Portable));
    let one = world.guarded(world.config().with_key_cache(keys.clone()));
    let other = world.guarded(world.config().with_key_cache(keys.clone()));
    good_requests(&world, &one, 1).await;
    good_requests(&world, &other, 1).await;
    let counts = keys.counts();
    assert_eq!((counts.headers, counts.hits, counts.misses), (1, 1, 1));
}
