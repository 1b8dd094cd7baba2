//! Issuers' keys: fetched once, kept for a while, fetched again.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::time::Timestamp;
use countersign_resource::fetch::{Fetch, Fetching};
use countersign_resource::{
    IssuerConfig, LookupCounts, MAX_BACKOFF, RENEW_KEYS_AFTER, STALE_KEYS_FOR, TryCounts, UNKNOWN_KEY_FLOOR,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::Request;
use serde_json::json;

use crate::web::{KEYS, Scene, key_set};
use crate::world::{ISSUER, World, config_for};

#[tokio::test]
async fn fetches_keys_when_the_first_token_comes_and_not_again() {
    let scene = Scene::new();
    assert_eq!(scene.missing().as_deref(), Some("not fetched yet"));
    let token = scene.token("k1").await;
    for _ in 0..5 {
        scene.send(&token).await.granted();
    }
    assert_eq!(scene.web.asked(), [KEYS]);
    assert_eq!(scene.missing(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fetches_once_for_any_number_of_requests() {
    let scene = Arc::new(Scene::new());
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *scene.web.gate.lock().unwrap() = Some(gate.clone());
    let token = scene.token("k1").await;
    let sends: Vec<_> = (0..64)
        .map(|_| {
            let (scene, token) = (scene.clone(), token.clone());
            tokio::spawn(async move { scene.send(&token).await })
        })
        .collect();
    while scene.web.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    gate.add_permits(64);
    for answer in join_all(sends).await {
        answer.unwrap().granted();
    }
    assert_eq!(scene.web.asked(), [KEYS]);
}

#[tokio::test]
async fn a_request_that_is_given_up_does_not_end_the_fetch_of_the_others() {
    let scene = Scene::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *scene.web.gate.lock().unwrap() = Some(gate.clone());
    let token = scene.token("k1").await;
    {
        let given_up = Box::pin(scene.send(&token));
        assert!(given_up.now_or_never().is_none());
    }
    gate.add_permits(1);
    scene.send(&token).await.granted();
    assert_eq!(scene.web.asked(), [KEYS]);
}

#[tokio::test]
async fn heals_when_an_issuer_that_was_away_comes_back_and_waits_longer_each_time() {
    let scene = Scene::new();
    scene.web.set_away(true);
    let token = scene.token("k1").await;
    let mut tries = Vec::new();
    for second in 0..100 {
        let answer = scene.send(&token).await;
        answer.refused(503, None, "issuer_unavailable");
        if !scene.web.asked().is_empty() {
            tries.push(second);
        }
        scene.world.clock.advance(1);
    }
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 61, 91]);
    assert_eq!(scene.missing().as_deref(), Some("https://issuer.example/keys: no answer: connection refused"));
    assert_eq!(scene.world.store.len(), 0);
    scene.web.set_away(false);
    scene.world.clock.advance(MAX_BACKOFF);
    scene.send(&token).await.granted();
    assert_eq!(scene.missing(), None);
    // The next time it is away, the pauses begin short again.
    scene.web.set_away(true);
    scene.web.asked();
    scene.world.clock.advance(RENEW_KEYS_AFTER);
    for asked in [1, 1, 0, 1] {
        scene.send(&token).await.granted();
        assert_eq!(scene.web.asked().len(), asked);
        scene.world.clock.advance(1);
    }
}

#[tokio::test]
async fn refetches_for_an_unknown_kid_once_in_a_while() {
    let mut scene = Scene::new();
    let old = scene.token("k1").await;
    scene.send(&old).await.granted();
    scene.world.clock.advance(UNKNOWN_KEY_FLOOR - 1);
    scene.web.asked();
    scene.rotate("k2");
    let new = scene.token("k2").await;
    scene.send(&new).await.refused(401, Some("invalid_token"), "issuer_key_unknown");
    assert!(scene.web.asked().is_empty(), "too early");
    scene.world.clock.advance(1);
    scene.send(&new).await.granted();
    assert_eq!(scene.web.asked(), [KEYS]);
    // A token of the key that is gone is refused, although it was verified and remembered.
    scene.send(&old).await.refused(401, Some("invalid_token"), "issuer_key_unknown");
    let mut fetches = 0;
    for number in 0..=(UNKNOWN_KEY_FLOOR * 3) {
        let invented = scene.token(&format!("invented {number}")).await;
        scene.send(&invented).await.refused(401, Some("invalid_token"), "issuer_key_unknown");
        fetches += scene.web.asked().len();
        scene.world.clock.advance(1);
    }
    assert_eq!(fetches, 3);
    scene.send(&new).await.granted();
}

#[tokio::test]
async fn judges_a_forged_token_again_when_the_keys_have_changed() {
    let mut scene = Scene::new();
    let good_key = scene.world.issuer_key.clone();
    scene.rotate("k1");
    let ours = scene.world.issuer_key.clone();
    scene.world.issuer_key = good_key.clone();
    let token = scene.token("k1").await;
    for _ in 0..2 {
        scene.send(&token).await.refused(401, Some("invalid_token"), "token_bad_signature");
    }
    scene.web.put(KEYS, 200, key_set(&[(&ours, "k0"), (&good_key, "k1")]));
    scene.world.clock.advance(RENEW_KEYS_AFTER);
    scene.send(&token).await.refused(401, Some("invalid_token"), "token_bad_signature");
    scene.send(&token).await.granted();
}

#[tokio::test]
async fn renews_keys_without_letting_requests_wait() {
    let mut scene = Scene::new();
    let token = scene.token("k1").await;
    scene.send(&token).await.granted();
    scene.web.asked();
    // The issuer hangs: requests go on with the keys at hand.
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *scene.web.gate.lock().unwrap() = Some(gate.clone());
    scene.rotate("k2");
    scene.world.clock.advance(RENEW_KEYS_AFTER);
    for _ in 0..3 {
        scene.send(&token).await.granted();
    }
    assert_eq!(scene.web.asked(), [KEYS]);
    gate.add_permits(1);
    // The next request gets the fetch on, the one after it has the new keys.
    scene.send(&token).await.granted();
    scene.send(&token).await.refused(401, Some("invalid_token"), "issuer_key_unknown");
}

#[tokio::test]
async fn uses_old_keys_for_a_while_when_the_issuer_is_away_and_no_longer() {
    let scene = Scene::new();
    let token = scene.token("k1").await;
    scene.send(&token).await.granted();
    scene.web.set_away(true);
    scene.world.clock.advance(STALE_KEYS_FOR - 1);
    scene.send(&token).await.granted();
    let fresh_token = scene.token("k1").await;
    scene.send(&fresh_token).await.granted();
    assert_eq!(scene.missing(), None);
    scene.world.clock.advance(1);
    scene.send(&token).await.refused(503, None, "issuer_unavailable");
    assert!(scene.missing().is_some());
    scene.web.set_away(false);
    scene.world.clock.advance(MAX_BACKOFF);
    scene.send(&token).await.granted();
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_neither_fetches_nor_service() {
    let scene = Scene::new();
    let token = scene.token("k1").await;
    scene.send(&token).await.granted();
    scene.web.asked();
    scene.world.clock.advance(-50_000);
    let token = scene.token("k1").await;
    scene.send(&token).await.granted();
    assert_eq!(scene.web.asked(), [KEYS]);
    scene.web.set_away(true);
    scene.world.clock.advance(RENEW_KEYS_AFTER);
    scene.send(&token).await.granted();
    assert_eq!(scene.web.asked().len(), 1);
    scene.world.clock.advance(-50_000);
    scene.web.set_away(false);
    let token = scene.token("k1").await;
    scene.send(&token).await.granted();
}

#[tokio::test]
async fn renewing_in_the_background_makes_ready_without_requests() {
    let scene = Scene::new();
    let now = |scene: &Scene| Timestamp::from_seconds(scene.world.now());
    scene.issuers.renew(now(&scene)).await;
    assert_eq!((scene.missing(), scene.web.asked().len()), (None, 1));
    scene.issuers.renew(now(&scene)).await;
    assert!(scene.web.asked().is_empty(), "still young");
    scene.world.clock.advance(RENEW_KEYS_AFTER - 60);
    scene.issuers.renew(now(&scene)).await;
    assert_eq!(scene.web.asked(), [KEYS]);
}

#[tokio::test]
async fn a_fetch_that_breaks_down_is_a_fault_and_not_the_end() {
    #[derive(Debug)]
    struct Panics;
    impl Fetch for Panics {
        fn fetch(&self, _request: Request<Bytes>) -> Fetching {
            Box::pin(async {
                assert!(std::hint::black_box(false), "planned");
                pending().await
            })
        }
    }
    let world = World::new();
    let issuer = IssuerConfig::with_key_set_url(ISSUER, KEYS).unwrap();
    let guarded = world.guarded(config_for(vec![issuer], Panics));
    let token = world.token().await;
    for _ in 0..3 {
        let answer = guarded.get_dpop(&token, &world.proof(&token).await).await;
        answer.refused(503, None, "issuer_unavailable");
        world.clock.advance(MAX_BACKOFF);
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_does_not_trouble_tokens_that_are_refused_anyway() {
    let scene = Scene::new();
    scene.web.set_away(true);
    let expired = scene.world.token_claiming(json!({ "exp": 1 })).await;
    scene.send(&expired).await.refused(401, Some("invalid_token"), "token_expired");
    let elsewhere = scene.world.token_claiming(json!({ "aud": "x" })).await;
    scene.send(&elsewhere).await.refused(401, Some("invalid_token"), "audience_mismatch");
    scene.guarded.get_dpop("garbage", "garbage").await.refused(401, Some("invalid_dpop_proof"), "proof_malformed");
    assert!(scene.web.asked().is_empty());
    let token = scene.token("k1").await;
    scene.guarded.get_bearer(&token).await.refused(401, Some("invalid_token"), "bearer_not_accepted");
}

#[tokio::test]
async fn observing_a_bad_proof_asks_no_issuer_and_names_the_client_by_what_is_at_hand() {
    let mut scene = Scene::new();
    scene.observe();
    let token = scene.token("k1").await;
    let observed = async |token: &str| {
        let answer = scene.guarded.get_dpop(token, "garbage").await;
        let decision = answer.decision.unwrap();
        assert_eq!((answer.status.as_u16(), decision.code), (200, "proof_malformed"));
        decision.client
    };
    assert_eq!(observed(&token).await, None, "there are no keys yet");
    assert!(scene.web.asked().is_empty());
    scene.issuers.renew(Timestamp::from_seconds(scene.world.now())).await;
    assert_eq!(scene.web.asked(), [KEYS]);
    assert_eq!(observed(&token).await.as_deref(), Some("app"));
    assert_eq!(observed(&token).await.as_deref(), Some("app"), "remembered");
    assert_eq!(observed(&scene.token("other-kid").await).await, None);
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert_eq!(observed(&forged).await, None);
    assert_eq!(observed("garbage").await, None);
    scene.world.clock.advance(STALE_KEYS_FOR);
    assert_eq!(observed(&token).await, None, "keys too old to judge by");
    assert!(scene.web.asked().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn what_is_remembered_and_what_is_fetched_is_counted() {
    let scene = Scene::new();
    let token = scene.token("k1").await;
    for _ in 0..3 {
        scene.send(&token).await.granted();
    }
    let counts = scene.issuers.counts();
    assert_eq!(counts.tokens, LookupCounts { hits: 2, misses: 1 });
    assert_eq!(counts.keys, LookupCounts { hits: 2, misses: 1 });
    assert_eq!(counts.key_fetches, TryCounts { answered: 1, failed: 0 });
    scene.web.set_away(true);
    scene.world.clock.advance(RENEW_KEYS_AFTER);
    scene.issuers.renew(Timestamp::from_seconds(scene.world.now())).await;
    assert_eq!(scene.issuers.counts().key_fetches, TryCounts { answered: 1, failed: 1 });
    let fetch: Arc<dyn Fetch> = scene.web.clone();
    let issuer = IssuerConfig::with_key_set_url(ISSUER, KEYS).unwrap();
    let replaced = scene.issuers.replaced_by(vec![issuer], &fetch).unwrap();
    assert_eq!(replaced.counts(), scene.issuers.counts(), "counts go on");
}
