//! What the rows work on: a resource server, clients with keys and tokens, and requests that no store has seen.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use countersign_dpop::jose::{
    Algorithm, Algorithms, JwkSet, ProofSigner, PublicJwk, SoftwareKey, VerificationKey, sign_compact,
};
use countersign_dpop::time::{Clock, Timestamp, Window};
use countersign_dpop::{NonceKey, ProofMaker, ProofRequest, PublicOrigin};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::es256::{Engine, Verifier};
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{IssuerConfig, Issuers, KeyCache, Outcome, RequestFacts, ResourceConfig, ResourceServer};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, header};

use crate::error::CommandError;

pub(super) const ISSUER: &str = "https://issuer.example";
pub(super) const RESOURCE: &str = "https://api.example";
const PATH: &str = "/orders/17?view=full";
/// When it is, for benches that make their own proofs.
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// Seconds that tokens live.
const TOKEN_LIFE: i64 = 3_600;
/// More proofs than any run presents; memory is asked for only when they come.
const PROOFS: u32 = 100_000_000;

#[derive(Debug)]
struct StandingClock(Timestamp);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A resource server with its issuer's key, so that tokens can be made for it.
pub(super) struct Fixture {
    issuer: Issuer,
    pub(super) server: ResourceServer,
}

/// The issuer of all tokens, and what time it is for it.
pub(super) struct Issuer {
    key: SoftwareKey,
    now: Timestamp,
}

/// A client: its key and a token bound to it.
#[derive(Clone)]
pub(super) struct BenchClient {
    maker: ProofMaker,
    token: String,
    now: Timestamp,
}

impl Fixture {
    /// A server that accepts `algorithms` and began long enough ago not to ask for nonces. `key_cache` is in bytes.
    pub(super) fn new(algorithms: Algorithms, key_cache: u64, engine: Engine) -> Result<Self, CommandError> {
        let issuer = Issuer::new(NOW)?;
        let server = server(issuer.public_jwk(), NOW, Window::RFC, key_cache, engine, |config| {
            config.with_algorithms(algorithms)
        })?;
        Ok(Self { issuer, server })
    }

    /// A client with a new key for `algorithm` and a token.
    pub(super) fn client(&self, algorithm: Algorithm) -> Result<BenchClient, CommandError> {
        self.client_with(&new_key(algorithm)?)
    }

    /// A client with `key` and a token that nobody has seen.
    pub(super) fn client_with(&self, key: &ProofMaker) -> Result<BenchClient, CommandError> {
        self.issuer.client_with(key)
    }

    /// Judges a request; true when it was granted.
    pub(super) fn judge(&self, fields: &HeaderMap) -> bool {
        is_granted(&self.server, fields)
    }

    /// One right request by `client`.
    ///
    /// # Errors
    /// It was refused.
    pub(super) fn warm(&self, client: &BenchClient) -> Result<(), CommandError> {
        let refused = || CommandError::internal("a request to warm up with was refused");
        self.judge(&client.right_request()?).then_some(()).ok_or_else(refused)
    }
}

impl Issuer {
    /// An issuer with a new key.
    pub(super) fn new(now: Timestamp) -> Result<Self, CommandError> {
        Ok(Self { key: SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?, now })
    }

    /// The key that its tokens are signed with.
    pub(super) fn public_jwk(&self) -> &PublicJwk {
        self.key.public_jwk()
    }

    /// A client with `key` and a new token.
    pub(super) fn client_with(&self, key: &ProofMaker) -> Result<BenchClient, CommandError> {
        let (maker, number, now) = (key.clone(), random()?, self.now);
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": format!("user-{number:016x}"), "client_id": "orders-app",
            "scope": "orders:read orders:write", "jti": format!("token-{number:016x}"),
            "iat": now.seconds(), "exp": now.plus(TOKEN_LIFE).seconds(), "cnf": { "jkt": maker.jkt().to_string() },
        });
        let claims = claims.to_string();
        let token = sign_compact(&self.key, r#"{"typ":"at+jwt","alg":"ES256"}"#, &claims);
        let token = at_once(token)?.map_err(CommandError::internal)?;
        Ok(BenchClient { maker, token, now })
    }
}

/// A server that trusts tokens by `issuer`, has tables for `engine` in `key_cache` bytes, asks for no nonces, and whose
/// clock stands at `now`.
pub(super) fn server(
    issuer: &PublicJwk,
    now: Timestamp,
    window: Window,
    key_cache: u64,
    engine: Engine,
    configured: impl FnOnce(ResourceConfig) -> ResourceConfig,
) -> Result<ResourceServer, CommandError> {
    let keys = JwkSet::from_keys(vec![VerificationKey { kid: None, alg: None, key: issuer.clone() }]);
    let issuer_config = IssuerConfig::with_key_set(ISSUER, keys).map_err(CommandError::internal)?;
    let fetch: Arc<dyn Fetch> = Arc::new(Offline);
    let issuers = Issuers::new(vec![issuer_config], &fetch).map_err(CommandError::internal)?;
    let origin = PublicOrigin::parse(RESOURCE).map_err(CommandError::internal)?;
    let config = ResourceConfig::new(RESOURCE, origin, issuers).map_err(CommandError::internal)?;
    let config = config.with_window(window).with_key_cache(KeyCache::new(key_cache, Verifier::new(engine)));
    let memory = MemoryReplayConfig { capacity: PROOFS, quota_percent: 100, window };
    // It began long ago, so that it remembers all that may come.
    let replay = MemoryReplayStore::new(memory, now.plus(-3_600)).map_err(CommandError::internal)?;
    let nonce_key = NonceKey::generate().map_err(CommandError::internal)?;
    Ok(ResourceServer::new(configured(config), Arc::new(replay), Arc::new(StandingClock(now)), nonce_key))
}

/// True when `server` grants the request.
pub(super) fn is_granted(server: &ResourceServer, fields: &HeaderMap) -> bool {
    let facts = RequestFacts { method: "GET", path_and_query: PATH, headers: fields, authority: None };
    // Polled where it was made, as a server does that awaits it.
    match pin!(server.judge(&facts)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => matches!(verdict.outcome, Outcome::Granted(_)),
        Poll::Pending => false,
    }
}

impl BenchClient {
    /// A fresh proof for `url`.
    pub(super) fn proof(&self, url: &str) -> Result<String, CommandError> {
        let request = ProofRequest { method: "GET", url, token: Some(&self.token), nonce: None };
        at_once(self.maker.make(&request, self.now))?.map_err(CommandError::internal)
    }

    /// A client with another key and the same token, which is not bound to it.
    pub(super) fn with_key(&self, maker: ProofMaker) -> Self {
        Self { maker, token: self.token.clone(), now: self.now }
    }

    /// The client's key.
    pub(super) fn signer(&self) -> &dyn ProofSigner {
        self.maker.signer()
    }

    /// The fields of a right request with a fresh proof.
    pub(super) fn right_request(&self) -> Result<HeaderMap, CommandError> {
        self.request_with(&self.proof(&url())?)
    }

    /// The fields of a request with `proof`.
    pub(super) fn request_with(&self, proof: &str) -> Result<HeaderMap, CommandError> {
        request(&self.token, proof)
    }

    /// The access token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

/// The fields of a request with `token` and `proof`.
pub(super) fn request(token: &str, proof: &str) -> Result<HeaderMap, CommandError> {
    let mut fields = HeaderMap::new();
    fields.insert(header::HOST, HeaderValue::from_static("api.example"));
    fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    fields.insert(header::AUTHORIZATION, value(&format!("DPoP {token}"))?);
    fields.insert(countersign_dpop::headers::DPOP, value(proof)?);
    Ok(fields)
}

/// A new key for `algorithm`.
pub(super) fn new_key(algorithm: Algorithm) -> Result<ProofMaker, CommandError> {
    let key = SoftwareKey::generate(algorithm).map_err(CommandError::internal)?;
    Ok(ProofMaker::new(Arc::new(key)))
}

/// The URL that right requests are for.
pub(super) fn url() -> String {
    format!("{RESOURCE}{PATH}")
}

/// A URL of the same server that requests are not for.
pub(super) fn elsewhere() -> String {
    format!("{RESOURCE}/elsewhere")
}

/// Software keys and memory answer at once; waiting would be measured as work.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    future.now_or_never().ok_or_else(|| CommandError::internal("an operation that should be immediate has to wait"))
}

fn value(text: &str) -> Result<HeaderValue, CommandError> {
    HeaderValue::from_str(text).map_err(CommandError::internal)
}

fn random() -> Result<u64, CommandError> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CommandError::internal("no random bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}
