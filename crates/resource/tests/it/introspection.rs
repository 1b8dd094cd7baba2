//! Issuers that are asked about their tokens (RFC 7662).

use std::collections::HashMap;
use std::sync::Arc;

use countersign_dpop::Ath;
use countersign_dpop::PublicOrigin;
use countersign_dpop::jose::{CompactJws, JwsBuffer};
use countersign_resource::fetch::{Fetch, FetchError, MAX_BODY_LENGTH};
use countersign_resource::{
    DpopLayer, INTROSPECTION_CACHE, Introspection, IntrospectionCredential, IssuerConfig, Issuers, MAX_INTROSPECTIONS,
    ResourceConfig,
};
use futures_util::future::join_all;
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::Layer;

use crate::web::{KEYS, Web, key_set};
use crate::world::{Answer, Backend, Guarded, ISSUER, RESOURCE, World, changed, key};

const ENDPOINT: &str = "https://asked.example/introspect";
const ASKED: &str = "https://asked.example";
const METADATA: &str = "https://asked.example/.well-known/oauth-authorization-server";
const OPAQUE: &str = "opaque-token-1";

/// A resource with one issuer that is asked and one that signs JWTs.
struct Scene {
    world: World,
    web: Arc<Web>,
    issuers: Issuers,
    guarded: Guarded,
}

impl Scene {
    fn new() -> Self {
        let credential = IntrospectionCredential::SecretBasic(SecretString::from("s3cret/+"));
        Self::of(Introspection::new("rs 1", credential).at(ENDPOINT).unwrap())
    }

    fn of(asking: Introspection) -> Self {
        let world = World::new();
        let web = Arc::new(Web::default());
        web.put(KEYS, 200, key_set(&[(&world.issuer_key, "k1")]));
        let fetch: Arc<dyn Fetch> = web.clone();
        let signing = IssuerConfig::with_key_set_url(ISSUER, KEYS).unwrap();
        let issuers = Issuers::new(vec![signing, IssuerConfig::introspected(ASKED, asking).unwrap()], &fetch).unwrap();
        let config = ResourceConfig::new(RESOURCE, PublicOrigin::parse(RESOURCE).unwrap(), issuers.clone()).unwrap();
        let guarded = Guarded(DpopLayer::new(world.server(config)).layer(Backend));
        let scene = Self { world, web, issuers, guarded };
        scene.say(&json!({}));
        scene
    }

    /// Lets the issuer say what it says of a good token, with changes; null takes a member away.
    fn say(&self, changes: &Value) {
        let good = json!({
            "active": true, "iss": ASKED, "aud": RESOURCE, "sub": "alice", "client_id": "app", "scope": "read",
            "exp": self.world.now() + 3_600, "token_type": "DPoP", "cnf": { "jkt": self.world.client.jkt().to_string() },
        });
        self.web.put(ENDPOINT, 200, changed(good, changes).to_string());
    }

    async fn send(&self, token: &str) -> Answer {
        self.guarded.get_dpop(token, &self.world.proof(token).await).await
    }

    fn missing(&self) -> Vec<String> {
        let now = countersign_dpop::time::Timestamp::from_seconds(self.world.now());
        self.issuers.readiness(now).into_iter().map(|missing| missing.fault.to_string()).collect()
    }

    async fn renew(&self) {
        self.issuers.renew(countersign_dpop::time::Timestamp::from_seconds(self.world.now())).await;
    }
}

#[tokio::test]
async fn an_opaque_token_is_what_the_issuer_says_it_is() {
    let scene = Scene::new();
    scene.send(OPAQUE).await.granted();
    assert_eq!(scene.web.asked(), [ENDPOINT]);
    let (fields, body) = scene.web.posted.lock().unwrap().pop().unwrap();
    // "rs%201:s3cret%2F%2B" by RFC 6749 §2.3.1.
    assert_eq!(fields["authorization"], "Basic cnMlMjAxOnMzY3JldCUyRiUyQg==");
    assert_eq!(fields["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(body, "token=opaque-token-1&token_type_hint=access_token");
}

#[tokio::test]
async fn tokens_of_several_issuers_are_taken_side_by_side() {
    let scene = Scene::new();
    scene.send(OPAQUE).await.granted();
    scene.web.asked();
    let signed = scene.world.token().await;
    scene.send(&signed).await.granted();
    assert_eq!(scene.web.asked(), [KEYS]);
    // A JWT of an issuer that is asked is asked about; its signature is the issuer's affair.
    let asked = scene.world.token_claiming(json!({ "iss": ASKED })).await;
    scene.send(&asked).await.granted();
    assert_eq!(scene.web.asked(), [ENDPOINT]);
    // One of an issuer that nobody knows is not.
    let foreign = scene.world.token_claiming(json!({ "iss": "https://evil.example" })).await;
    scene.send(&foreign).await.refused(401, Some("invalid_token"), "issuer_unknown");
    assert!(scene.web.asked().is_empty());
}

#[tokio::test]
async fn revocation_is_seen_within_the_cache_time_and_an_answer_is_asked_for_once_in_it() {
    let scene = Scene::new();
    scene.send(OPAQUE).await.granted();
    scene.say(&json!({ "active": false }));
    scene.world.clock.advance(INTROSPECTION_CACHE - 1);
    scene.send(OPAQUE).await.granted();
    assert_eq!(scene.web.asked().len(), 1);
    scene.world.clock.advance(1);
    scene.send(OPAQUE).await.refused(401, Some("invalid_token"), "token_inactive");
    // Refusals are remembered too, apart.
    scene.say(&json!({}));
    scene.send(OPAQUE).await.refused(401, Some("invalid_token"), "token_inactive");
    assert_eq!(scene.web.asked().len(), 1);
    scene.world.clock.advance(INTROSPECTION_CACHE);
    scene.send(OPAQUE).await.granted();
}

#[tokio::test]
async fn an_answer_is_never_believed_past_exp_nor_longer_than_said() {
    let scene = Scene::new();
    scene.say(&json!({ "exp": scene.world.now() + 10 }));
    scene.send(OPAQUE).await.granted();
    scene.world.clock.advance(10);
    scene.send(OPAQUE).await.refused(401, Some("invalid_token"), "token_expired");
    let credential = IntrospectionCredential::SecretBasic(SecretString::from("x"));
    let scene = Scene::of(Introspection::new("rs", credential).at(ENDPOINT).unwrap().with_cache(0));
    scene.send(OPAQUE).await.granted();
    scene.send(OPAQUE).await.granted();
    assert_eq!(scene.web.asked().len(), 2, "nothing is remembered");
}

#[tokio::test]
async fn many_requests_with_one_token_ask_once() {
    let scene = Scene::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    *scene.web.gate.lock().unwrap() = Some(gate.clone());
    let sending = join_all((0..20).map(|_| scene.send(OPAQUE)));
    let opening = async {
        tokio::task::yield_now().await;
        gate.add_permits(20);
    };
    let (answers, ()) = tokio::join!(sending, opening);
    answers.iter().for_each(Answer::granted);
    assert_eq!(scene.web.asked().len(), 1);
}

#[tokio::test]
async fn made_up_tokens_do_not_become_a_load_on_the_issuer() {
    let scene = Scene::new();
    *scene.web.gate.lock().unwrap() = Some(Arc::new(tokio::sync::Semaphore::new(0)));
    let hanging: Vec<_> = (0..MAX_INTROSPECTIONS).map(|index| format!("made-up-{index}")).collect();
    let mut waiting = Box::pin(join_all(hanging.iter().map(|token| scene.send(token))));
    let more = async {
        while scene.web.asked.lock().unwrap().len() < MAX_INTROSPECTIONS {
            tokio::task::yield_now().await;
        }
        scene.send("one-too-many").await
    };
    let answer = tokio::select! {
        _ = &mut waiting => panic!("the issuer hangs"),
        answer = more => answer,
    };
    answer.refused(503, None, "issuer_unavailable");
    // Who hangs up gives the place back.
    drop(waiting);
    *scene.web.gate.lock().unwrap() = None;
    scene.send(OPAQUE).await.granted();
}

#[tokio::test]
async fn what_is_active_is_still_judged() {
    for (changes, status, error, code) in [
        (json!({ "active": null }), 503, None, "issuer_unavailable"),
        (json!({ "active": "true" }), 503, None, "issuer_unavailable"),
        (json!({ "iss": "https://evil.example" }), 401, Some("invalid_token"), "issuer_unknown"),
        (json!({ "iss": 1 }), 401, Some("invalid_token"), "issuer_unknown"),
        (json!({ "token_type": "refresh_token" }), 401, Some("invalid_token"), "token_typ_mismatch"),
        (json!({ "typ": "Refresh" }), 401, Some("invalid_token"), "token_typ_mismatch"),
        (json!({ "typ": "ID" }), 401, Some("invalid_token"), "token_typ_mismatch"),
        (json!({ "token_use": "id_token" }), 401, Some("invalid_token"), "token_typ_mismatch"),
        (json!({ "aud": "https://other.example" }), 401, Some("invalid_token"), "audience_mismatch"),
        (json!({ "aud": null }), 401, Some("invalid_token"), "token_bad_claim"),
        (json!({ "exp": "soon" }), 401, Some("invalid_token"), "token_bad_claim"),
        (json!({ "exp": 1 }), 401, Some("invalid_token"), "token_expired"),
        (json!({ "cnf": null }), 401, Some("invalid_token"), "token_not_bound"),
        (json!({ "cnf": { "jkt": "x" } }), 401, Some("invalid_token"), "token_bad_claim"),
        (json!({ "cnf": { "jkt": key().public_jwk().jkt().to_string() } }), 401, Some("invalid_token"), "jkt_mismatch"),
    ] {
        let scene = Scene::new();
        scene.say(&changes);
        scene.send(OPAQUE).await.refused(status, error, code);
    }
    let scene = Scene::new();
    scene.say(&json!({ "exp": null, "iss": null, "token_type": null }));
    scene.send(OPAQUE).await.granted();
}

#[tokio::test]
async fn every_trouble_of_the_issuer_is_503_and_heals() {
    let huge = " ".repeat(MAX_BODY_LENGTH + 1);
    for (status, page) in [
        (500, "{}"),
        (302, ""),
        (401, "{}"),
        (404, ""),
        (200, "<html>"),
        (200, "{\"active\":tr"),
        (200, huge.as_str()),
        (200, "[]"),
    ] {
        let scene = Scene::new();
        scene.web.put(ENDPOINT, status, page);
        scene.send(OPAQUE).await.refused(503, None, "issuer_unavailable");
        assert_eq!(scene.missing().len(), 2, "the one that signs was not asked yet");
        scene.say(&json!({}));
        scene.world.clock.advance(5);
        scene.renew().await;
        assert!(scene.missing().is_empty(), "{status} {:?}", scene.missing());
        scene.send(OPAQUE).await.granted();
    }
    for fault in [FetchError::Timeout, FetchError::TooLarge, FetchError::Failed { reason: "refused".to_owned() }] {
        let scene = Scene::new();
        *scene.web.away.lock().unwrap() = Some(fault);
        scene.send(OPAQUE).await.refused(503, None, "issuer_unavailable");
        scene.web.asked();
        // There is a pause between tries, for all tokens.
        scene.send("another").await.refused(503, None, "issuer_unavailable");
        assert!(scene.web.asked().is_empty());
        scene.web.set_away(false);
        scene.world.clock.advance(1);
        scene.send(OPAQUE).await.granted();
    }
}

#[tokio::test]
async fn one_odd_token_is_no_pause_for_the_others() {
    let scene = Scene::new();
    scene.send(OPAQUE).await.granted();
    scene.web.put(ENDPOINT, 400, "{\"error\":\"invalid_request\"}");
    scene.send("odd").await.refused(401, Some("invalid_token"), "token_inactive");
    scene.web.put(ENDPOINT, 200, "not JSON");
    scene.send("odder").await.refused(503, None, "issuer_unavailable");
    scene.say(&json!({}));
    scene.send("good").await.granted();
    scene.renew().await;
    assert!(scene.missing().is_empty());
}

#[tokio::test]
async fn an_answer_that_cannot_be_had_again_is_not_believed_any_longer() {
    let scene = Scene::new();
    scene.send(OPAQUE).await.granted();
    scene.web.set_away(true);
    scene.world.clock.advance(INTROSPECTION_CACHE);
    scene.send(OPAQUE).await.refused(503, None, "issuer_unavailable");
}

#[tokio::test]
async fn nobody_asks_before_the_proof_is_right() {
    let scene = Scene::new();
    let proof = scene.world.proof("another-token").await;
    scene.guarded.get_dpop(OPAQUE, &proof).await.refused(401, Some("invalid_dpop_proof"), "ath_mismatch");
    assert!(scene.web.asked().is_empty());
}

#[tokio::test]
async fn observing_a_bad_proof_asks_nobody_about_the_token() {
    let scene = Scene::new();
    let config = ResourceConfig::new(RESOURCE, PublicOrigin::parse(RESOURCE).unwrap(), scene.issuers.clone()).unwrap();
    let config = config.with_stage(countersign_resource::Stage::Observe);
    let observing = Guarded(DpopLayer::new(scene.world.server(config)).layer(Backend));
    let observed = async || observing.get_dpop(OPAQUE, "garbage").await.decision.unwrap();
    assert_eq!((observed().await.code, observed().await.client), ("proof_malformed", None));
    assert!(scene.web.asked().is_empty());
    scene.send(OPAQUE).await.granted();
    assert_eq!(scene.web.asked(), [ENDPOINT]);
    assert_eq!(observed().await.client.as_deref(), Some("app"), "by the answer that is remembered");
    let counts = scene.issuers.counts();
    assert_eq!((counts.introspection.hits, counts.introspection.misses), (0, 1));
    assert_eq!((counts.questions.answered, counts.questions.failed), (1, 0));
    scene.world.clock.advance(INTROSPECTION_CACHE);
    assert_eq!(observed().await.client, None);
    assert!(scene.web.asked().is_empty());
}

#[tokio::test]
async fn the_endpoint_is_found_in_the_metadata_and_the_client_can_prove_itself_by_a_key() {
    let signer = key();
    let credential = IntrospectionCredential::PrivateKeyJwt { signer: signer.clone(), kid: Some("rs-key".to_owned()) };
    let scene = Scene::of(Introspection::new("rs", credential));
    scene.send(OPAQUE).await.refused(503, None, "issuer_unavailable");
    scene.world.clock.advance(1);
    scene.web.put(METADATA, 200, json!({ "issuer": ASKED, "introspection_endpoint": ENDPOINT }).to_string());
    scene.send(OPAQUE).await.granted();
    let (fields, body) = scene.web.posted.lock().unwrap().pop().unwrap();
    assert!(!fields.contains_key("authorization"));
    let form: HashMap<_, _> = body.split('&').filter_map(|pair| pair.split_once('=')).collect();
    assert_eq!((form["token"], form["client_id"]), (OPAQUE, "rs"));
    assert_eq!(form["client_assertion_type"], "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer");
    let mut buffer = JwsBuffer::new();
    let jws = CompactJws::split(form["client_assertion"].as_bytes(), &mut buffer, 4_096).unwrap();
    let header: Value = serde_json::from_slice(jws.header()).unwrap();
    assert_eq!(header, json!({ "typ": "JWT", "alg": "ES256", "kid": "rs-key" }));
    let claims: Value = serde_json::from_slice(jws.payload()).unwrap();
    let now = scene.world.now();
    assert_eq!(claims["exp"].as_i64().unwrap() - now, 60);
    for (claim, expected) in [("iss", "rs"), ("sub", "rs"), ("aud", ASKED)] {
        assert_eq!(claims[claim], expected);
    }
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
}

#[tokio::test]
async fn no_secret_is_shown() {
    let credential = IntrospectionCredential::SecretBasic(SecretString::from("canary-secret"));
    let asking = Introspection::new("rs", credential).at(ENDPOINT).unwrap();
    let shown = format!("{asking:?} {:?}", IssuerConfig::introspected(ASKED, asking.clone()).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
    let scene = Scene::of(asking);
    scene.web.put(ENDPOINT, 500, "canary-body");
    let answer = scene.send("canary-token").await;
    let said =
        format!("{:?} {:?} {} {:?} {:?}", answer.decision, answer.refusal, answer.body, scene.missing(), scene.issuers);
    assert!(!said.contains("canary"), "{said}");
    let _ = Ath::of("canary-token");
}
