//! Issuers' keys: found, fetched once, kept for a while, fetched again.

use std::collections::HashMap;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign_dpop::jose::SoftwareKey;
use countersign_resource::fetch::{Fetch, FetchError, Fetching, MAX_BODY_LENGTH};
use countersign_resource::{
    DpopLayer, IssuerConfig, IssuerConfigError, Issuers, MAX_BACKOFF, RENEW_KEYS_AFTER, STALE_KEYS_FOR,
    UNKNOWN_KEY_FLOOR,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::{Request, Response};
use serde_json::json;
use tower::Layer;

use crate::world::{Answer, Backend, Guarded, ISSUER, World, config_for, key};

const KEYS: &str = "https://issuer.example/keys";

/// The issuer's web server, played: answers by URL, counts, and can be made to hang.
#[derive(Debug, Default)]
struct Web {
    pages: Mutex<HashMap<String, (u16, String)>>,
    asked: Mutex<Vec<String>>,
    away: Mutex<Option<FetchError>>,
    gate: Mutex<Option<Arc<tokio::sync::Semaphore>>>,
}

impl Web {
    fn put(&self, url: &str, status: u16, page: impl Into<String>) {
        self.pages.lock().unwrap().insert(url.to_owned(), (status, page.into()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn set_away(&self, away: bool) {
        let fault = FetchError::Failed { reason: "connection refused".to_owned() };
        *self.away.lock().unwrap() = away.then_some(fault);
    }
}

impl Fetch for Web {
    fn fetch(&self, request: Request<Bytes>) -> Fetching {
        let url = request.uri().to_string();
        self.asked.lock().unwrap().push(url.clone());
        let away = self.away.lock().unwrap().clone();
        let page = self.pages.lock().unwrap().get(&url).cloned().unwrap_or((404, String::new()));
        let gate = self.gate.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            match away {
                Some(fault) => Err(fault),
                None => Ok(Response::builder().status(page.0).body(Bytes::from(page.1)).unwrap()),
            }
        })
    }
}

fn key_set(keys: &[(&SoftwareKey, &str)]) -> String {
    let each = keys.iter().map(|(key, kid)| {
        let mut jwk: serde_json::Value = serde_json::from_str(&key.public_jwk().to_json()).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    });
    json!({ "keys": each.collect::<Vec<_>>() }).to_string()
}

struct Scene {
    world: World,
    web: Arc<Web>,
    issuers: Issuers,
    guarded: Guarded,
}

impl Scene {
    /// An issuer whose keys stand at [`KEYS`].
    fn new() -> Self {
        Self::of(IssuerConfig::with_key_set_url(ISSUER, KEYS).unwrap())
    }

    fn of(issuer: IssuerConfig) -> Self {
        let world = World::new();
        let web = Arc::new(Web::default());
        web.put(KEYS, 200, key_set(&[(&world.issuer_key, "k1")]));
        let fetch: Arc<dyn Fetch> = web.clone();
        let issuers = Issuers::new(vec![issuer], &fetch).unwrap();
        let origin = countersign_dpop::PublicOrigin::parse(crate::world::RESOURCE).unwrap();
        let config =
            countersign_resource::ResourceConfig::new(crate::world::RESOURCE, origin, issuers.clone()).unwrap();
        let guarded = Guarded(DpopLayer::new(world.server(config)).layer(Backend));
        Self { world, web, issuers, guarded }
    }

    fn rotate(&mut self, kid: &str) {
        self.world.issuer_key = key();
        self.web.put(KEYS, 200, key_set(&[(&self.world.issuer_key, kid)]));
    }

    async fn token(&self, kid: &str) -> String {
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": kid });
        let claims = crate::world::changed(self.world.claims(), &json!({ "exp": self.world.now() + 100_000 }));
        self.world.token_of(header, claims).await
    }

    async fn send(&self, token: &str) -> Answer {
        self.guarded.get_dpop(token, &self.world.proof(token).await).await
    }

    fn missing(&self) -> Option<String> {
        let now = countersign_dpop::time::Timestamp::from_seconds(self.world.now());
        self.issuers.readiness(now).pop().map(|missing| missing.fault.to_string())
    }
}

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
async fn finds_keys_by_the_metadata_of_rfc_8414_then_of_openid() {
    let metadata = |issuer: &str| json!({ "issuer": issuer, "jwks_uri": KEYS }).to_string();
    let oauth = "https://issuer.example/.well-known/oauth-authorization-server";
    let openid = "https://issuer.example/.well-known/openid-configuration";
    for (places, expected) in [(vec![oauth, openid], vec![oauth, KEYS]), (vec![openid], vec![oauth, openid, KEYS])] {
        let scene = Scene::of(IssuerConfig::discovered(ISSUER).unwrap());
        for place in places {
            scene.web.put(place, 200, metadata(ISSUER));
        }
        scene.send(&scene.token("k1").await).await.granted();
        assert_eq!(scene.web.asked(), expected);
    }
}

#[tokio::test]
async fn asks_at_the_right_places_for_issuers_with_a_path_or_a_slash() {
    let host = "https://issuer.example";
    for (issuer, expected) in [
        (
            "https://issuer.example/realms/a",
            vec![
                format!("{host}/.well-known/oauth-authorization-server/realms/a"),
                format!("{host}/realms/a/.well-known/openid-configuration"),
                format!("{host}/.well-known/openid-configuration/realms/a"),
            ],
        ),
        (
            "https://issuer.example/",
            vec![
                format!("{host}/.well-known/oauth-authorization-server"),
                format!("{host}/.well-known/openid-configuration"),
            ],
        ),
    ] {
        let scene = Scene::of(IssuerConfig::discovered(issuer).unwrap());
        let claims = crate::world::changed(scene.world.claims(), &json!({ "iss": issuer }));
        let token = scene.world.token_with(claims).await;
        scene.send(&token).await.refused(503, None, "issuer_unavailable");
        assert_eq!(scene.web.asked(), expected);
    }
}

#[tokio::test]
async fn refuses_metadata_of_another_issuer_and_documents_that_are_wrong() {
    let oauth = "https://issuer.example/.well-known/oauth-authorization-server";
    let page = |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": keys }).to_string();
    let cases = [
        (200, page("https://issuer.example/", KEYS), "is the metadata of another issuer"),
        (200, page("https://evil.example", KEYS), "is the metadata of another issuer"),
        (200, page(ISSUER, "http://issuer.example/keys"), "jwks_uri"),
        (200, page(ISSUER, "http://127.0.0.1/keys"), "jwks_uri"),
        (200, page(ISSUER, "https://127.0.0.1/keys"), "jwks_uri"),
        (200, page(ISSUER, "/keys"), "jwks_uri"),
        (200, json!({ "issuer": ISSUER }).to_string(), "is not issuer metadata"),
        (200, "<html>".to_owned(), "is not issuer metadata"),
        (200, format!("{{\"issuer\":\"x\",{}", &page(ISSUER, KEYS)[1..]), "is not issuer metadata"),
        (302, page(ISSUER, KEYS), "answers 404"),
        (500, page(ISSUER, KEYS), "answers 404"),
    ];
    for (status, page, reason) in cases {
        let scene = Scene::of(IssuerConfig::discovered(ISSUER).unwrap());
        scene.web.put(oauth, status, page.clone());
        scene.send(&scene.token("k1").await).await.refused(503, None, "issuer_unavailable");
        let missing = scene.missing().unwrap();
        assert!(missing.contains(reason), "{page}: {missing}");
    }
}

#[tokio::test]
async fn refuses_key_sets_that_are_wrong() {
    let scene = Scene::new();
    let token = scene.token("k1").await;
    let mut private: serde_json::Value = serde_json::from_str(&key_set(&[(&scene.world.issuer_key, "k1")])).unwrap();
    private["keys"][0]["d"] = json!("AAAA");
    let good = key_set(&[(&scene.world.issuer_key, "k1")]);
    for (status, page) in [
        (200, "{}".to_owned()),
        (200, "{\"keys\":[]}".to_owned()),
        (200, "<html>".to_owned()),
        (200, private.to_string()),
        (200, good[..good.len() - 1].to_owned()),
        (200, format!("{good}{}", " ".repeat(MAX_BODY_LENGTH))),
        (204, String::new()),
        (301, good.clone()),
        (404, good.clone()),
        (503, good.clone()),
    ] {
        scene.web.put(KEYS, status, page);
        let answer = scene.send(&token).await;
        answer.refused(503, None, "issuer_unavailable");
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(!answer.body.contains("issuer.example"), "{}", answer.body);
        scene.world.clock.advance(MAX_BACKOFF);
    }
    scene.web.put(KEYS, 200, good);
    scene.send(&token).await.granted();
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
    let now = |scene: &Scene| countersign_dpop::time::Timestamp::from_seconds(scene.world.now());
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

#[test]
fn reads_key_sets_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = write("good.json", &key_set(&[(&key(), "k1")]));
    assert!(IssuerConfig::with_key_set_file(ISSUER, &good).is_ok());
    let fault = |path: &Path| IssuerConfig::with_key_set_file(ISSUER, path).unwrap_err();
    assert!(matches!(fault(&directory.path().join("none.json")), IssuerConfigError::File { .. }));
    assert!(matches!(fault(directory.path()), IssuerConfigError::File { .. }));
    assert!(matches!(fault(&write("empty.json", "")), IssuerConfigError::KeySet { .. }));
    assert!(matches!(fault(&write("html.json", "<html>")), IssuerConfigError::KeySet { .. }));
    let huge = write("huge.json", &" ".repeat(MAX_BODY_LENGTH + 1));
    assert!(matches!(fault(&huge), IssuerConfigError::FileTooLarge { .. }));
    let private = format!("{{\"keys\":[{{\"kty\":\"oct\",\"k\":\"{}\"}}]}}", "A".repeat(43));
    let message = fault(&write("private.json", &private)).to_string();
    assert!(!message.contains("AAAA"), "{message}");
}

#[test]
fn refuses_issuers_and_addresses_that_are_not_https() {
    for bad in ["issuer", "", "http://issuer.example", "https://issuer.example?x", "https://u@issuer.example"] {
        assert!(matches!(IssuerConfig::discovered(bad), Err(IssuerConfigError::Issuer { .. })), "{bad}");
        if !bad.contains('?') {
            let fault = IssuerConfig::with_key_set_url(ISSUER, bad);
            assert!(matches!(fault, Err(IssuerConfigError::KeySetUrl { .. })), "{bad}");
        }
    }
    assert!(IssuerConfig::discovered("http://127.0.0.1:9999").is_ok());
    assert!(IssuerConfig::with_key_set_url(ISSUER, "https://issuer.example/keys?tenant=a").is_ok());
    let fetch: Arc<dyn Fetch> = Arc::new(Web::default());
    let one = || IssuerConfig::discovered(ISSUER).unwrap();
    assert!(matches!(Issuers::new(vec![], &fetch), Err(IssuerConfigError::None)));
    assert!(matches!(Issuers::new(vec![one(), one()], &fetch), Err(IssuerConfigError::Repeated { .. })));
}
