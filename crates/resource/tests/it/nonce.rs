//! Server-provided nonces (bad-input group J).

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;
use countersign_dpop::{NonceIssuer, NonceKey, NoncePolicy};
use serde_json::json;

use crate::world::{Answer, Guarded, NONCE_KEY, RESOURCE, World};

fn demanding(world: &World) -> Guarded {
    world.guarded(world.config().with_nonce_policy(NoncePolicy::Required))
}

/// Asserts a nonce challenge in the form of row 368 and gives the nonce.
#[track_caller]
fn challenged(answer: &Answer, code: &str) -> String {
    answer.refused(401, Some("use_dpop_nonce"), code);
    let [nonce] = answer.nonces()[..] else { panic!("{} nonces", answer.nonces().len()) };
    assert!(!nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    nonce.to_owned()
}

#[tokio::test]
async fn rows_361_368_and_384_demand_a_nonce_once_and_take_it() {
    let world = World::new();
    let guarded = demanding(&world);
    let token = world.token().await;
    let nonce = challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_missing");
    let answer = guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await;
    answer.granted();
    assert!(answer.nonces().is_empty(), "a fresh nonce needs no renewal");
    guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await.granted();
}

#[tokio::test]
async fn renews_an_ageing_nonce_on_a_good_answer_that_no_cache_keeps() {
    let world = World::new();
    let guarded = demanding(&world);
    let token = world.token().await;
    let nonce = challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_missing");
    world.clock.advance(NonceIssuer::RENEW_AFTER + 1);
    let answer = guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await;
    answer.granted();
    let renewed = answer.nonces()[0].to_owned();
    assert_ne!(renewed, nonce);
    assert_eq!(answer.headers["cache-control"], "no-store");
    world.clock.advance(NonceIssuer::LIFETIME - NonceIssuer::RENEW_AFTER);
    // Rows 363 and 370: the old one is too old now, the renewed one is good.
    let old = guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await;
    assert_ne!(challenged(&old, "nonce_expired"), nonce);
    guarded.get_dpop(&token, &world.proof_with(&token, Some(&renewed)).await).await.granted();
}

#[tokio::test]
async fn rows_366_371_and_382_refuse_invented_nonces() {
    let world = World::new();
    let guarded = demanding(&world);
    let token = world.token().await;
    let nonce = challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_missing");
    let last = if nonce.ends_with('A') { 'B' } else { 'A' };
    let tampered = format!("{}{last}", &nonce[..nonce.len() - 1]);
    let flipped = format!("{}{}", if nonce.starts_with('A') { 'B' } else { 'A' }, &nonce[1..]);
    for invented in [tampered, flipped, "x".repeat(1_000), "guess".to_owned()] {
        let answer = guarded.get_dpop(&token, &world.proof_with(&token, Some(&invented)).await).await;
        challenged(&answer, "nonce_unknown");
    }
    let empty = guarded.get_dpop(&token, &world.proof_claiming(&token, json!({ "nonce": "" })).await).await;
    assert_eq!(empty.status, 401);
    let huge = guarded.get_dpop(&token, &world.proof_with(&token, Some(&"x".repeat(65_536))).await).await;
    huge.refused(401, Some("invalid_dpop_proof"), "proof_malformed");
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn rows_372_and_383_refuse_nonces_of_another_epoch_key_or_resource() {
    let world = World::new();
    let guarded = demanding(&world);
    let token = world.token().await;
    let epoch = EpochId::from_bytes([3; 16]);
    let at = Timestamp::from_seconds(world.now());
    let good = NonceIssuer::new(RESOURCE, NonceKey::from_bytes(NONCE_KEY)).issue(&epoch, at);
    let others = [
        NonceIssuer::new(RESOURCE, NonceKey::from_bytes(NONCE_KEY)).issue(&EpochId::from_bytes([4; 16]), at),
        NonceIssuer::new(RESOURCE, NonceKey::from_bytes([8; 32])).issue(&epoch, at),
        NonceIssuer::new("https://tenant-b.example", NonceKey::from_bytes(NONCE_KEY)).issue(&epoch, at),
    ];
    for other in others {
        let answer = guarded.get_dpop(&token, &world.proof_with(&token, Some(&other)).await).await;
        challenged(&answer, "nonce_unknown");
    }
    guarded.get_dpop(&token, &world.proof_with(&token, Some(&good)).await).await.granted();
}

#[tokio::test]
async fn row_373_does_not_let_a_client_drop_the_nonce() {
    let world = World::new();
    let guarded = demanding(&world);
    let token = world.token().await;
    let nonce = challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_missing");
    guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await.granted();
    challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_missing");
}

#[tokio::test]
async fn row_374_judges_the_time_with_a_good_nonce_too() {
    let world = World::new();
    let guarded = demanding(&world);
    let token = world.token().await;
    let nonce = challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_missing");
    for offset in [-3_600, 3_600] {
        let claims = json!({ "nonce": nonce, "iat": world.now() + offset });
        let answer = guarded.get_dpop(&token, &world.proof_claiming(&token, claims).await).await;
        let code = if offset < 0 { "proof_stale" } else { "proof_from_future" };
        answer.refused(401, Some("invalid_dpop_proof"), code);
    }
}

#[tokio::test]
async fn row_376_looks_at_the_nonce_before_the_signature() {
    let world = World::new();
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let other = world.proof(&token).await;
    let forged = format!("{}.{}", proof.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    challenged(&demanding(&world).get_dpop(&token, &forged).await, "nonce_missing");
}

#[tokio::test]
async fn hands_a_nonce_out_on_ordinary_refusals_where_all_need_one() {
    let world = World::new();
    let guarded = demanding(&world);
    let token = world.token().await;
    let nothing = guarded.get(&[]).await;
    nothing.refused(401, None, "no_credentials");
    let nonce = nothing.nonces()[0].to_owned();
    let wrong = guarded.get_dpop(&token, &world.proof_claiming(&token, json!({ "htm": "PUT" })).await).await;
    wrong.refused(401, Some("invalid_dpop_proof"), "htm_mismatch");
    assert_eq!(wrong.nonces().len(), 1);
    guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await.granted();
}

#[tokio::test]
async fn asks_for_a_nonce_where_the_memory_does_not_reach() {
    let world = World::new();
    let floor = Timestamp::from_seconds(world.now() + 10);
    *world.store.epoch.lock().unwrap() = Epoch { id: EpochId::from_bytes([9; 16]), floor };
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let nonce = challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_demanded");
    guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await.granted();
    world.clock.advance(11);
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
}

#[tokio::test]
async fn refuses_outright_where_the_memory_does_not_reach_and_nonces_are_off() {
    let world = World::new();
    let floor = Timestamp::from_seconds(world.now() + 10);
    *world.store.epoch.lock().unwrap() = Epoch { id: EpochId::from_bytes([9; 16]), floor };
    let guarded = world.guarded(world.config().with_nonce_policy(NoncePolicy::Never));
    let token = world.token().await;
    let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
    answer.refused(401, Some("invalid_dpop_proof"), "proof_before_epoch");
    assert!(answer.nonces().is_empty());
    world.clock.advance(11);
    guarded.get_dpop(&token, &world.proof(&token).await).await.granted();
}

#[tokio::test]
async fn hands_out_a_nonce_of_the_epoch_that_began_while_the_request_was_judged() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let floor = Timestamp::from_seconds(world.now() + 10);
    *world.store.next_epoch.lock().unwrap() = Some(Epoch { id: EpochId::from_bytes([9; 16]), floor });
    let nonce = challenged(&guarded.get_dpop(&token, &world.proof(&token).await).await, "nonce_demanded");
    guarded.get_dpop(&token, &world.proof_with(&token, Some(&nonce)).await).await.granted();
}
