//! Replay and the store (bad-input group I).

use countersign_dpop::ProofMaker;
use countersign_dpop::jose::sign_compact;
use countersign_dpop::replay::ReplayStoreError;
use countersign_dpop::time::Clock;
use countersign_dpop::{NonceKey, ProofRequest, PublicOrigin};
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{DpopLayer, Issuers, ResourceConfig, ResourceServer};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::Arc;
use tower::Layer;

use crate::world::{Backend, Guarded, NONCE_KEY, World, key, request};

#[tokio::test]
async fn row_326_refuses_a_proof_the_second_time() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let proof = world.proof(&token).await;
    guarded.get_dpop(&token, &proof).await.granted();
    for _ in 0..3 {
        guarded.get_dpop(&token, &proof).await.refused(401, Some("invalid_dpop_proof"), "replayed");
    }
}

#[tokio::test]
async fn rows_327_346_and_359_know_a_proof_by_key_and_jti_alone() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    guarded.get_dpop(&token, &world.proof_claiming(&token, json!({})).await).await.granted();
    world.clock.advance(1);
    let newer = world.proof_claiming(&token, json!({})).await;
    guarded.get_dpop(&token, &newer).await.refused(401, Some("invalid_dpop_proof"), "replayed");
    let elsewhere = world.proof_claiming(&token, json!({ "htu": "https://rs.example/c" })).await;
    let fields = [("authorization", &*format!("DPoP {token}")), ("dpop", &*elsewhere)];
    let answer = guarded.send(request("GET", "/c", &fields)).await;
    answer.refused(401, Some("invalid_dpop_proof"), "replayed");
    let other_query = world.proof_claiming(&token, json!({ "htu": "https://rs.example/a/b?x" })).await;
    guarded.get_dpop(&token, &other_query).await.refused(401, Some("invalid_dpop_proof"), "replayed");
    let other_case = world.proof_claiming(&token, json!({ "htm": "get" })).await;
    guarded.get_dpop(&token, &other_case).await.refused(401, Some("invalid_dpop_proof"), "htm_mismatch");
}

#[tokio::test]
async fn row_329_takes_the_same_jti_of_another_key() {
    let mut world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    guarded.get_dpop(&token, &world.proof_claiming(&token, json!({})).await).await.granted();
    world.client_key = key();
    world.client = ProofMaker::new(world.client_key.clone());
    let token = world.token().await;
    guarded.get_dpop(&token, &world.proof_claiming(&token, json!({})).await).await.granted();
}

#[tokio::test]
async fn rows_331_and_332_spend_nothing_on_a_refusal() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let good = world.proof_claiming(&token, json!({})).await;
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, "A".repeat(86));
    guarded.get_dpop(&token, &forged).await.refused(401, Some("invalid_dpop_proof"), "proof_bad_signature");
    for (wrong, code) in [
        (json!({ "htu": "https://rs.example/x" }), "htu_mismatch"),
        (json!({ "ath": "A".repeat(43) }), "ath_mismatch"),
        (json!({ "ath": null }), "ath_missing"),
        (json!({ "iat": world.now() - 3_600 }), "proof_stale"),
    ] {
        let answer = guarded.get_dpop(&token, &world.proof_claiming(&token, wrong).await).await;
        answer.refused(401, Some("invalid_dpop_proof"), code);
    }
    let nonce = guarded.get_dpop(&token, &world.proof_claiming(&token, json!({ "nonce": "guess" })).await).await;
    nonce.refused(401, Some("use_dpop_nonce"), "nonce_unknown");
    assert_eq!(world.store.len(), 0);
    guarded.get_dpop(&token, &good).await.granted();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn row_336_takes_exactly_one_of_64_copies_sent_at_once() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let sends = (0..64).map(|_| {
        let (guarded, token, proof) = (guarded.clone(), token.clone(), proof.clone());
        tokio::spawn(async move { guarded.get_dpop(&token, &proof).await })
    });
    let mut granted = 0;
    for answer in join_all(sends).await {
        let answer = answer.unwrap();
        if answer.status == 200 {
            answer.granted();
            granted += 1;
        } else {
            answer.refused(401, Some("invalid_dpop_proof"), "replayed");
        }
    }
    assert_eq!(granted, 1);
}

#[tokio::test]
async fn rows_338_and_340_refuse_when_the_store_cannot_judge() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    let proof = world.proof(&token).await;
    let faults = [
        (ReplayStoreError::Unavailable { reason: "away".into() }, 503, "replay_store_unavailable"),
        (ReplayStoreError::Full { capacity: 1 }, 503, "replay_store_full"),
        (ReplayStoreError::QuotaExhausted { quota: 1 }, 429, "replay_quota_exhausted"),
    ];
    for (fault, status, code) in faults {
        *world.store.fault.lock().unwrap() = Some(fault);
        let answer = guarded.get_dpop(&token, &proof).await;
        answer.refused(status, None, code);
        assert_eq!(answer.headers["retry-after"], "5");
    }
    *world.store.fault.lock().unwrap() = None;
    guarded.get_dpop(&token, &proof).await.granted();
}

#[tokio::test]
async fn row_350_keeps_odd_jtis_apart() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    let token = world.token().await;
    for jti in ["*", ":", "\n", "a:b", "a\u{0}b", "\u{1f511}", "*:*"] {
        let proof = world.proof_claiming(&token, json!({ "jti": jti })).await;
        guarded.get_dpop(&token, &proof).await.granted();
        guarded.get_dpop(&token, &proof).await.refused(401, Some("invalid_dpop_proof"), "replayed");
    }
}

#[tokio::test]
async fn row_353_does_not_take_a_proof_at_a_second_resource() {
    let world = World::new();
    let token = world.token_claiming(json!({ "aud": ["https://rs.example", "https://rs2.example"] })).await;
    let fetch: Arc<dyn Fetch> = Arc::new(Offline);
    let issuers = Issuers::new(vec![world.issuer()], &fetch).unwrap();
    let second =
        ResourceConfig::new("https://rs2.example", PublicOrigin::parse("https://rs2.example").unwrap(), issuers);
    let second = Guarded(DpopLayer::new(world.server(second.unwrap())).layer(Backend));
    let proof = world.proof(&token).await;
    second.get_dpop(&token, &proof).await.refused(401, Some("invalid_dpop_proof"), "htu_mismatch");
    world.guarded(world.config()).get_dpop(&token, &proof).await.granted();
}

#[tokio::test]
async fn row_354_keeps_resources_apart_in_one_store() {
    let world = World::new();
    let token = world.token_claiming(json!({ "aud": ["https://rs.example", "https://rs.example/b"] })).await;
    let fetch: Arc<dyn Fetch> = Arc::new(Offline);
    let issuers = Issuers::new(vec![world.issuer()], &fetch).unwrap();
    let config =
        ResourceConfig::new("https://rs.example/b", PublicOrigin::parse("https://rs.example").unwrap(), issuers);
    let server = ResourceServer::new(
        config.unwrap(),
        world.store.clone(),
        world.clock.shared(),
        NonceKey::from_bytes(NONCE_KEY),
    );
    let other = Guarded(DpopLayer::new(server).layer(Backend));
    let proof = world.proof(&token).await;
    world.guarded(world.config()).get_dpop(&token, &proof).await.granted();
    other.get_dpop(&token, &proof).await.granted();
    other.get_dpop(&token, &proof).await.refused(401, Some("invalid_dpop_proof"), "replayed");
}

#[tokio::test]
async fn row_517_leaves_no_record_of_proofs_without_a_good_token() {
    let world = World::new();
    let guarded = world.guarded(world.config());
    for number in 0..20 {
        let attacker = key();
        let token = format!("not.a.token{number}");
        let make = ProofMaker::new(attacker.clone());
        let asked = ProofRequest { method: "GET", url: crate::world::URL, token: Some(&token), nonce: None };
        let proof = make.make(&asked, world.clock.now()).await.unwrap();
        guarded.get_dpop(&token, &proof).await.refused(401, Some("invalid_token"), "token_malformed");
        let (header, claims) = ("{\"typ\":\"at+jwt\",\"alg\":\"ES256\"}", world.claims().to_string());
        let forged = sign_compact(&*attacker, header, &claims).await.unwrap();
        let asked = ProofRequest { token: Some(&forged), ..asked };
        let proof = make.make(&asked, world.clock.now()).await.unwrap();
        guarded.get_dpop(&forged, &proof).await.refused(401, Some("invalid_token"), "token_bad_signature");
    }
    assert_eq!(world.store.len(), 0);
}
