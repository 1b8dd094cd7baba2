//! Measures how much more two threads check than one, and what a check costs: `cargo run --release -p
//! countersign-resource --example two_cores`. Time is processor time of the threads that work, so that neighbours on
//! the machine do not count; what the threads do to each other does.
#![expect(clippy::print_stdout, reason = "an example shows its figures")]

use std::error::Error;
use std::fs;
use std::sync::{Arc, Barrier};
use std::thread;

use countersign_dpop::jose::{
    Algorithm, Algorithms, InvalidSignature, JwkSet, PublicJwk, SoftwareKey, VerificationKey, VerifyAlgorithm,
    sign_compact,
};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{NonceKey, ProofMaker, ProofRequest, PublicOrigin};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{IssuerConfig, Issuers, Outcome, RequestFacts, ResourceConfig, ResourceServer};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, header};

const ISSUER: &str = "https://issuer.example";
const RESOURCE: &str = "https://api.example";
const PATH: &str = "/orders/17?view=full";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// Clients of each thread.
const CLIENTS: usize = 50;
/// Checks of each thread in a round.
const CHECKS: usize = 20_000;
const ROUNDS: usize = 9;
/// Requests whose fields fit into a processor's own cache.
const AT_ONCE: usize = 100;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    for (name, algorithms) in [
        ("everything but the signature", Algorithms::from_implementations(vec![Arc::new(BelieveAnything)])),
        ("the whole check", Algorithms::all()),
    ] {
        let api = Api::new(algorithms)?;
        let clients = [api.clients(0)?, api.clients(1)?];
        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.extend(api.check_at_once(&clients[..1])?);
            let each = api.check_at_once(&clients)?;
            together.push(each.iter().sum::<f64>() / 2.0);
        }
        let (alone, together) = (median(alone), median(together));
        println!(
            "{name}: {alone:.0} ns alone, {together:.0} ns beside another: {:.2} times as many",
            2.0 * alone / together
        );
    }
    Ok(())
}

/// A guarded resource and its issuer.
struct Api {
    issuer: SoftwareKey,
    server: ResourceServer,
}

struct Client {
    maker: ProofMaker,
    token: String,
}

impl Api {
    fn new(algorithms: Algorithms) -> Result<Self> {
        let issuer = SoftwareKey::generate(Algorithm::Es256)?;
        let keys = JwkSet::from_keys(vec![VerificationKey { kid: None, alg: None, key: issuer.public_jwk().clone() }]);
        let fetch: Arc<dyn Fetch> = Arc::new(Offline);
        let issuers = Issuers::new(vec![IssuerConfig::with_key_set(ISSUER, keys)?], &fetch)?;
        let config =
            ResourceConfig::new(RESOURCE, PublicOrigin::parse(RESOURCE)?, issuers)?.with_algorithms(algorithms);
        let memory = MemoryReplayConfig { quota_percent: 100, ..MemoryReplayConfig::default() };
        let replay = MemoryReplayStore::new(memory, NOW.plus(-3_600))?;
        let clock = Arc::new(StandingClock);
        Ok(Self { issuer, server: ResourceServer::new(config, Arc::new(replay), clock, NonceKey::generate()?) })
    }

    fn clients(&self, thread: usize) -> Result<Vec<Client>> {
        (0..CLIENTS).map(|number| self.client(&format!("client-{thread}-{number}"))).collect()
    }

    fn client(&self, name: &str) -> Result<Client> {
        let maker = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256)?));
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": name, "client_id": name, "scope": "orders:read orders:write",
            "jti": name, "iat": NOW.seconds(), "exp": NOW.plus(300).seconds(), "cnf": { "jkt": maker.jkt().to_string() },
        });
        let claims = claims.to_string();
        let token = sign_compact(&self.issuer, r#"{"typ":"at+jwt","alg":"ES256"}"#, &claims);
        Ok(Client { maker, token: token.now_or_never().ok_or("the key does not sign at once")?? })
    }

    /// Fresh requests of each group of clients, checked by a thread for each group at once; nanoseconds of each
    /// thread for a check.
    fn check_at_once(&self, groups: &[Vec<Client>]) -> Result<Vec<f64>> {
        let requests: Result<Vec<Vec<HeaderMap>>> = groups.iter().map(|clients| requests(clients)).collect();
        let barrier = Barrier::new(groups.len());
        thread::scope(|scope| {
            let check = |requests: Vec<HeaderMap>| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    self.check(&requests)
                })
            };
            let threads: Vec<_> = requests?.into_iter().map(check).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread ended early")?).collect()
        })
    }

    fn check(&self, requests: &[HeaderMap]) -> Result<f64> {
        let (mut nanoseconds, mut granted) = (0, 0);
        for requests in requests.chunks(AT_ONCE) {
            // A request that has just come in has just been read.
            requests.iter().for_each(read);
            let began = processor_time();
            granted += requests.iter().filter(|headers| self.grants(headers)).count();
            nanoseconds += processor_time() - began;
        }
        if granted < requests.len() {
            return Err("a good request was refused; the figures mean nothing".into());
        }
        Ok(ratio(nanoseconds, granted))
    }

    fn grants(&self, headers: &HeaderMap) -> bool {
        let facts = RequestFacts { method: "GET", path_and_query: PATH, headers, authority: None };
        let verdict = self.server.judge(&facts).now_or_never();
        verdict.is_some_and(|verdict| matches!(verdict.outcome, Outcome::Granted(_)))
    }
}

/// Fresh requests by the clients in turn.
fn requests(clients: &[Client]) -> Result<Vec<HeaderMap>> {
    clients.iter().cycle().take(CHECKS).map(Client::request).collect()
}

impl Client {
    fn request(&self) -> Result<HeaderMap> {
        let request =
            ProofRequest { method: "GET", url: &format!("{RESOURCE}{PATH}"), token: Some(&self.token), nonce: None };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("api.example"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("DPoP {}", self.token))?);
        headers.insert(countersign_dpop::headers::DPOP, HeaderValue::try_from(self.maker.make_now(&request, NOW)?)?);
        Ok(headers)
    }
}

#[derive(Debug)]
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Takes every signature, so that everything else can be measured.
#[derive(Debug)]
struct BelieveAnything;

impl VerifyAlgorithm for BelieveAnything {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Es256
    }

    fn verify(&self, _: &PublicJwk, _: &[u8], _: &[u8]) -> std::result::Result<(), InvalidSignature> {
        Ok(())
    }
}

/// Looks at every byte.
fn read(headers: &HeaderMap) {
    for (name, value) in headers {
        std::hint::black_box(name.as_str().bytes().chain(value.as_bytes().iter().copied()).fold(0, u8::wrapping_add));
    }
}

/// Nanoseconds that this thread has run.
fn processor_time() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(nanoseconds: u64, count: usize) -> f64 {
    nanoseconds as f64 / count as f64
}
