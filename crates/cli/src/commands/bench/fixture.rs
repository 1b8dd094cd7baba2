//! What the rows work on: a resource server, clients with keys and tokens, and requests that no store has seen.

use std::sync::Arc;

use countersign_dpop::jose::{Algorithm, Algorithms, JwkSet, ProofSigner, SoftwareKey, VerificationKey, sign_compact};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{NonceKey, ProofMaker, ProofRequest, PublicOrigin};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{IssuerConfig, Issuers, Outcome, RequestFacts, ResourceConfig, ResourceServer};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, header};

use crate::error::CommandError;

const ISSUER: &str = "https://issuer.example";
const RESOURCE: &str = "https://api.example";
const PATH: &str = "/orders/17?view=full";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

#[derive(Debug)]
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A resource server with its issuer's key, so that tokens can be made for it.
pub(super) struct Fixture {
    issuer: SoftwareKey,
    pub(super) server: ResourceServer,
}

/// A client: its key and a token bound to it.
pub(super) struct BenchClient {
    maker: ProofMaker,
    token: String,
}

impl Fixture {
    /// A server that accepts `algorithms`, remembers up to `proofs` proofs, and began long enough ago not to ask
    /// for nonces.
    pub(super) fn new(algorithms: Algorithms, proofs: usize) -> Result<Self, CommandError> {
        let issuer = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        let keys = JwkSet::from_keys(vec![VerificationKey { kid: None, alg: None, key: issuer.public_jwk().clone() }]);
        let issuer_config = IssuerConfig::with_key_set(ISSUER, keys).map_err(CommandError::internal)?;
        let fetch: Arc<dyn Fetch> = Arc::new(Offline);
        let issuers = Issuers::new(vec![issuer_config], &fetch).map_err(CommandError::internal)?;
        let origin = PublicOrigin::parse(RESOURCE).map_err(CommandError::internal)?;
        let config = ResourceConfig::new(RESOURCE, origin, issuers).map_err(CommandError::internal)?;
        let memory = MemoryReplayConfig {
            capacity: u32::try_from(proofs).unwrap_or(u32::MAX).max(1_000),
            quota_percent: 100,
            ..MemoryReplayConfig::default()
        };
        let replay = MemoryReplayStore::new(memory, NOW.plus(-3_600)).map_err(CommandError::internal)?;
        let nonce_key = NonceKey::generate().map_err(CommandError::internal)?;
        let config = config.with_algorithms(algorithms);
        let server = ResourceServer::new(config, Arc::new(replay), Arc::new(StandingClock), nonce_key);
        Ok(Self { issuer, server })
    }

    /// A client with a new key and a token.
    pub(super) fn client(&self, number: usize) -> Result<BenchClient, CommandError> {
        let key = SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?;
        let maker = ProofMaker::new(Arc::new(key));
        let claims = serde_json::json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": format!("user-{number}"), "client_id": format!("client-{number}"),
            "scope": "orders:read orders:write", "jti": format!("token-{number}"),
            "iat": NOW.seconds(), "exp": NOW.plus(300).seconds(), "cnf": { "jkt": maker.jkt().to_string() },
        });
        let claims = claims.to_string();
        let token = sign_compact(&self.issuer, r#"{"typ":"at+jwt","alg":"ES256"}"#, &claims);
        let token = at_once(token)?.map_err(CommandError::internal)?;
        Ok(BenchClient { maker, token })
    }

    /// The fields of a request by `client` with a fresh proof for `path`.
    pub(super) fn request(client: &BenchClient, path: &str) -> Result<HeaderMap, CommandError> {
        let url = format!("{RESOURCE}{path}");
        let proof = client.proof(&url)?;
        let mut fields = HeaderMap::new();
        fields.insert(header::HOST, HeaderValue::from_static("api.example"));
        fields.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(header::AUTHORIZATION, value(&format!("DPoP {}", client.token))?);
        fields.insert(countersign_dpop::headers::DPOP, value(&proof)?);
        Ok(fields)
    }

    /// A right request by `client`.
    pub(super) fn right_request(client: &BenchClient) -> Result<HeaderMap, CommandError> {
        Self::request(client, PATH)
    }

    /// Judges a request; true when it was granted.
    pub(super) fn judge(&self, fields: &HeaderMap) -> bool {
        let facts = RequestFacts { method: "GET", path_and_query: PATH, headers: fields, authority: None };
        let verdict = self.server.judge(&facts).now_or_never();
        verdict.is_some_and(|verdict| matches!(verdict.outcome, Outcome::Granted(_)))
    }
}

impl BenchClient {
    /// A fresh proof for `url`.
    pub(super) fn proof(&self, url: &str) -> Result<String, CommandError> {
        let request = ProofRequest { method: "GET", url, token: Some(&self.token), nonce: None };
        at_once(self.maker.make(&request, NOW))?.map_err(CommandError::internal)
    }

    /// The client's key.
    pub(super) fn signer(&self) -> &dyn ProofSigner {
        self.maker.signer()
    }
}

/// The URL that right requests are for.
pub(super) fn url() -> String {
    format!("{RESOURCE}{PATH}")
}

/// Software keys and memory answer at once; waiting would be measured as work.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    future.now_or_never().ok_or_else(|| CommandError::internal("an operation that should be immediate has to wait"))
}

fn value(text: &str) -> Result<HeaderValue, CommandError> {
    HeaderValue::from_str(text).map_err(CommandError::internal)
}
