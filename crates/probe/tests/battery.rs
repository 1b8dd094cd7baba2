//! The battery against a server that is guarded, against ones that are careless, and against none.
#![expect(clippy::unwrap_used, reason = "a world that cannot be made fails the test")]

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use countersign_dpop::jose::{Algorithm, JwkSet, ProofSigner, SoftwareKey, VerificationKey, encode_base64url};
use countersign_dpop::replay::ReplayStore;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{NonceKey, NoncePolicy, PublicOrigin};
use countersign_probe::battery::{
    Attack, AttackRow, Battery, BatteryInput, Carrier, CarryError, Carrying, Loot, Session, Verdict,
};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::fetch::Offline;
use countersign_resource::{DpopLayer, IssuerConfig, Issuers, ResourceConfig, ResourceServer};
use countersign_testkit::FakeClock;
use http::{Method, Request, Response, StatusCode};
use tower::{Layer, ServiceExt};

const ISSUER: &str = "https://as.example";
const RESOURCE: &str = "https://rs.example";
const URL: &str = "https://rs.example/accounts?page=1";
const NOW: Timestamp = Timestamp::from_seconds(1_750_000_000);

#[tokio::test]
async fn every_attack_is_stopped_as_expected_by_a_guarded_server() {
    for age in [0, 3_600] {
        for policy in [NoncePolicy::Optional, NoncePolicy::Required] {
            let world = World::new();
            let rows = run(&world.input(), &world.guarded(policy, age)).await;
            let wrong: Vec<&AttackRow> = rows.iter().filter(|row| !row.is_right()).collect();
            assert!(wrong.is_empty(), "{policy:?}, server up for {age} s: {wrong:#?}");
        }
    }
}

#[tokio::test]
async fn with_nonces_switched_off_an_invented_one_proves_nothing() {
    let world = World::new();
    let rows = run(&world.input(), &world.guarded(NoncePolicy::Never, 3_600)).await;
    for row in &rows {
        let expected = if row.name == Attack::InventedNonce.name() { Verdict::NotTried } else { Verdict::Stopped };
        assert_eq!(row.verdict, expected, "{row:?}");
    }
}

#[tokio::test]
async fn a_thief_without_an_honest_session_is_stopped_all_the_same() {
    let world = World::new();
    let loot = Loot { token: world.honest.token.clone(), captured: None };
    let input = BatteryInput::new(Method::GET, URL, loot, FakeClock::at(NOW).shared()).unwrap();
    let rows = run(&input, &world.guarded(NoncePolicy::Optional, 3_600)).await;
    let not_tried: Vec<&str> = names(&rows, Verdict::NotTried);
    assert_eq!(
        not_tried,
        [
            "captured_proof",
            "twice_at_once",
            "foreign_audience",
            "expired_token",
            "other_issuer",
            "refused_spends_nothing"
        ]
    );
    assert!(rows.iter().all(|row| row.is_right() || row.verdict == Verdict::NotTried), "{rows:#?}");
}

#[tokio::test]
async fn a_server_that_serves_everything_lets_every_attack_through() {
    let world = World::new();
    let rows = run(&world.input(), &Always(StatusCode::OK)).await;
    let caught = names(&rows, Verdict::GotThrough);
    // Such a server never hands out a nonce, so there is none to have invented.
    assert_eq!(caught.len(), Attack::ALL.len() - 1, "{rows:#?}");
    assert_eq!(names(&rows, Verdict::NotTried), ["invented_nonce"]);
    assert!(rows.iter().all(|row| !row.stopped));
}

#[tokio::test]
async fn a_server_that_refuses_everything_proves_little() {
    let world = World::new();
    let rows = run(&world.input(), &Always(StatusCode::FORBIDDEN)).await;
    assert!(rows.iter().all(|row| !row.is_right()));
    assert_eq!(names(&rows, Verdict::Inconclusive), ["captured_proof", "twice_at_once", "refused_spends_nothing"]);
}

#[tokio::test]
async fn a_server_that_is_away_stops_nothing() {
    let world = World::new();
    let rows = run(&world.input(), &Away).await;
    assert!(rows.iter().all(|row| row.verdict == Verdict::Inconclusive && !row.stopped));
    assert_eq!(rows[0].note.as_deref(), Some("no answer: nobody there"));
}

#[tokio::test]
async fn no_row_and_no_debug_text_holds_a_token() {
    let world = World::new();
    let input = world.input();
    let rows = run(&input, &world.guarded(NoncePolicy::Optional, 0)).await;
    let text = format!("{input:?} {rows:?}");
    for session in [&world.honest, &world.expired, &world.foreign_audience, &world.other_issuer] {
        for part in session.token.split('.') {
            assert!(!text.contains(part));
        }
    }
}

async fn run(input: &BatteryInput, carrier: &dyn Carrier) -> Vec<AttackRow> {
    Battery::new(input, carrier).unwrap().run().await
}

fn names(rows: &[AttackRow], verdict: Verdict) -> Vec<&'static str> {
    rows.iter().filter(|row| row.verdict == verdict).map(|row| row.name).collect()
}

/// An issuer, another one, and sessions of every kind.
struct World {
    keys: JwkSet,
    honest: Session,
    foreign_audience: Session,
    expired: Session,
    other_issuer: Session,
}

impl World {
    fn new() -> Self {
        let issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let other = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let key = VerificationKey { kid: Some("k".to_owned()), alg: None, key: issuer.public_jwk().clone() };
        Self {
            keys: JwkSet::from_keys(vec![key]),
            honest: session(&issuer, RESOURCE, 300),
            foreign_audience: session(&issuer, "https://elsewhere.example", 300),
            expired: session(&issuer, RESOURCE, -300),
            other_issuer: session(&other, RESOURCE, 300),
        }
    }

    fn input(&self) -> BatteryInput {
        let loot = Loot { token: self.honest.token.clone(), captured: None };
        BatteryInput::new(Method::GET, URL, loot, FakeClock::at(NOW).shared())
            .unwrap()
            .with_honest_session(self.honest.clone())
            .with_foreign_audience(self.foreign_audience.clone())
            .with_expired_token(self.expired.clone())
            .with_other_issuer(self.other_issuer.clone())
    }

    /// A server that has been up for `age` seconds.
    fn guarded(&self, policy: NoncePolicy, age: i64) -> Guarded {
        let issuer = IssuerConfig::with_key_set(ISSUER, self.keys.clone()).unwrap();
        let issuers = Issuers::new(vec![issuer], &(Arc::new(Offline) as _)).unwrap();
        let origin = PublicOrigin::parse(RESOURCE).unwrap();
        let config = ResourceConfig::new(RESOURCE, origin, issuers).unwrap().with_nonce_policy(policy);
        let store = MemoryReplayStore::new(MemoryReplayConfig::default(), NOW.plus(-age)).unwrap();
        let store: Arc<dyn ReplayStore> = Arc::new(store);
        let server = ResourceServer::new(config, store, FakeClock::at(NOW).shared(), NonceKey::from_bytes([7; 32]));
        Guarded { layer: DpopLayer::new(server) }
    }
}

fn session(issuer: &SoftwareKey, audience: &str, lifetime: i64) -> Session {
    let key: Arc<dyn ProofSigner> = Arc::new(SoftwareKey::generate(Algorithm::Ed25519).unwrap());
    let jkt = key.public_jwk().jkt();
    let header = r#"{"typ":"at+jwt","alg":"ES256","kid":"k"}"#;
    let (iat, exp) = (NOW.plus(-600), NOW.plus(lifetime));
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"{audience}","sub":"s","client_id":"c","jti":"j","iat":{iat},"exp":{exp},"cnf":{{"jkt":"{jkt}"}}}}"#
    );
    let input = format!("{}.{}", encode_base64url(header), encode_base64url(claims));
    let signature = issuer.sign_now(input.as_bytes()).unwrap();
    Session { token: format!("{input}.{}", encode_base64url(signature)), key }
}

#[derive(Debug)]
struct Guarded {
    layer: DpopLayer,
}

impl Carrier for Guarded {
    fn carry(&self, request: Request<Bytes>) -> Carrying<'_> {
        let handler = tower::service_fn(|_| async { Ok::<_, Infallible>(Response::new(Bytes::new())) });
        let service = self.layer.layer(handler);
        Box::pin(async move {
            let answer = service.oneshot(request).await.unwrap_or_else(|never| match never {});
            Ok(answer.map(|_| ()))
        })
    }
}

#[derive(Debug)]
struct Always(StatusCode);

impl Carrier for Always {
    fn carry(&self, _: Request<Bytes>) -> Carrying<'_> {
        let mut answer = Response::new(());
        *answer.status_mut() = self.0;
        Box::pin(async move { Ok(answer) })
    }
}

#[derive(Debug)]
struct Away;

impl Carrier for Away {
    fn carry(&self, _: Request<Bytes>) -> Carrying<'_> {
        Box::pin(async { Err(CarryError { reason: "nobody there".to_owned() }) })
    }
}
