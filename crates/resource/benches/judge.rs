//! Judging whole requests: `cargo bench -p countersign-resource`. Beside a bare verification, with many keys and other
//! algorithms, `countersign bench check` measures the same.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a program for a terminal")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use countersign_dpop::jose::{Algorithm, JwkSet, SoftwareKey, VerificationKey, sign_compact};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{NonceKey, ProofMaker, ProofRequest, PublicOrigin, headers};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{IssuerConfig, Issuers, Outcome, RequestFacts, ResourceConfig, ResourceServer};
use divan::Bencher;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, header};

const ISSUER: &str = "https://issuer.example";
const RESOURCE: &str = "https://api.example";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

#[derive(Debug)]
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct Client {
    maker: ProofMaker,
    token: String,
}

fn main() {
    divan::main();
}

fn server(issuer: &SoftwareKey) -> ResourceServer {
    let key = VerificationKey { kid: None, alg: None, key: issuer.public_jwk().clone() };
    let fetch: Arc<dyn Fetch> = Arc::new(Offline);
    let issuer = IssuerConfig::with_key_set(ISSUER, JwkSet::from_keys(vec![key])).unwrap();
    let issuers = Issuers::new(vec![issuer], &fetch).unwrap();
    let config = ResourceConfig::new(RESOURCE, PublicOrigin::parse(RESOURCE).unwrap(), issuers).unwrap();
    let memory = MemoryReplayConfig { capacity: 50_000_000, quota_percent: 100, ..MemoryReplayConfig::default() };
    let replay = MemoryReplayStore::new(memory, NOW.plus(-3_600)).unwrap();
    ResourceServer::new(config, Arc::new(replay), Arc::new(StandingClock), NonceKey::generate().unwrap())
}

impl Client {
    fn new(issuer: &SoftwareKey, algorithm: Algorithm) -> Self {
        let maker = ProofMaker::new(Arc::new(SoftwareKey::generate(algorithm).unwrap()));
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": "user", "client_id": "app", "scope": "read", "jti": "token",
            "iat": NOW.seconds(), "exp": NOW.plus(300).seconds(), "cnf": { "jkt": maker.jkt().to_string() },
        });
        let claims = claims.to_string();
        let token = sign_compact(issuer, r#"{"typ":"at+jwt","alg":"ES256"}"#, &claims);
        Self { maker, token: token.now_or_never().unwrap().unwrap() }
    }

    fn request(&self, path: &str) -> HeaderMap {
        let url = format!("{RESOURCE}{path}");
        let request = ProofRequest { method: "GET", url: &url, token: Some(&self.token), nonce: None };
        let proof = self.maker.make_now(&request, NOW).unwrap();
        let mut fields = HeaderMap::new();
        fields.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("DPoP {}", self.token)).unwrap());
        fields.insert(headers::DPOP, HeaderValue::from_str(&proof).unwrap());
        fields
    }
}

fn is_granted(server: &ResourceServer, fields: &HeaderMap) -> bool {
    let facts = RequestFacts { method: "GET", path_and_query: "/orders", headers: fields, authority: None };
    // Polled where it was made, as a server does that awaits it.
    match pin!(server.judge(&facts)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => matches!(verdict.outcome, Outcome::Granted(_)),
        Poll::Pending => false,
    }
}

/// A client that has come often.
#[divan::bench(args = [Algorithm::Es256, Algorithm::Ed25519])]
fn known_client(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let (server, client) = (server(&issuer), Client::new(&issuer, algorithm));
    assert!((0..50).all(|_| is_granted(&server, &client.request("/orders"))));
    bencher.with_inputs(|| client.request("/orders")).bench_refs(|request| is_granted(&server, request));
}

/// A client that has never come.
#[divan::bench(args = [Algorithm::Es256, Algorithm::Ed25519])]
fn new_client(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let server = server(&issuer);
    bencher
        .with_inputs(|| Client::new(&issuer, algorithm).request("/orders"))
        .bench_refs(|request| is_granted(&server, request));
}

/// A proof for another URL.
#[divan::bench]
fn refused(bencher: Bencher<'_, '_>) {
    let issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let (server, client) = (server(&issuer), Client::new(&issuer, Algorithm::Es256));
    bencher.with_inputs(|| client.request("/elsewhere")).bench_refs(|request| is_granted(&server, request));
}
