//! One issuer, one client, one guarded service, and a clock that stands still until told otherwise.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use countersign_dpop::jose::{Algorithm, JwkSet, SoftwareKey, VerificationKey, sign_compact};
use countersign_dpop::replay::{
    Epoch, EpochId, Recorded, Recording, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError,
};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{Ath, NonceKey, ProofMaker, ProofRequest, PublicOrigin};
use countersign_resource::fetch::{Fetch, Offline};
use countersign_resource::{
    Access, Decision, DpopLayer, DpopService, GuardedBody, IssuerConfig, Issuers, Refusal, ResourceConfig,
    ResourceServer,
};
use countersign_testkit::FakeClock;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const RESOURCE: &str = "https://rs.example";
pub(crate) const URL: &str = "https://rs.example/a/b";
pub(crate) const START: i64 = 1_700_000_000;
pub(crate) const NONCE_KEY: [u8; 32] = [7; 32];

/// A replay store that forgets nothing and can be told to fail.
#[derive(Debug)]
pub(crate) struct TestStore {
    seen: Mutex<HashSet<ReplayKey>>,
    pub(crate) epoch: Mutex<Epoch>,
    pub(crate) fault: Mutex<Option<ReplayStoreError>>,
    /// Begins when the next proof is to be recorded.
    pub(crate) next_epoch: Mutex<Option<Epoch>>,
}

impl TestStore {
    pub(crate) fn new() -> Arc<Self> {
        let epoch = Epoch { id: EpochId::from_bytes([3; 16]), floor: Timestamp::MIN };
        Arc::new(Self {
            seen: Mutex::default(),
            epoch: Mutex::new(epoch),
            fault: Mutex::default(),
            next_epoch: Mutex::default(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl ReplayStore for TestStore {
    fn epoch(&self, _now: Timestamp) -> Epoch {
        *self.epoch.lock().unwrap()
    }

    fn record<'a>(&'a self, entry: &'a ReplayEntry, _now: Timestamp) -> Recording<'a> {
        if let Some(fault) = self.fault.lock().unwrap().clone() {
            return Recording::ready(Err(fault));
        }
        if let Some(next) = self.next_epoch.lock().unwrap().take() {
            *self.epoch.lock().unwrap() = next;
        }
        let epoch = *self.epoch.lock().unwrap();
        if epoch.demands_nonce(entry.iat) && entry.nonce_epoch != Some(epoch.id) {
            return Recording::ready(Ok(Recorded::NonceDemanded));
        }
        let first = self.seen.lock().unwrap().insert(entry.key);
        Recording::ready(Ok(if first { Recorded::First } else { Recorded::Replayed }))
    }
}

/// Everything that a test plays with.
pub(crate) struct World {
    pub(crate) clock: FakeClock,
    pub(crate) store: Arc<TestStore>,
    pub(crate) issuer_key: Arc<SoftwareKey>,
    pub(crate) client: ProofMaker,
    pub(crate) client_key: Arc<SoftwareKey>,
}

impl World {
    pub(crate) fn new() -> Self {
        let client_key = key();
        Self {
            clock: FakeClock::at(Timestamp::from_seconds(START)),
            store: TestStore::new(),
            issuer_key: key(),
            client: ProofMaker::new(client_key.clone()),
            client_key,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// The issuer's keys.
    pub(crate) fn key_set(&self) -> JwkSet {
        JwkSet::from_keys(vec![verification_key(&self.issuer_key, "k1")])
    }

    pub(crate) fn issuer(&self) -> IssuerConfig {
        IssuerConfig::with_key_set(ISSUER, self.key_set()).unwrap()
    }

    pub(crate) fn config(&self) -> ResourceConfig {
        config_for(vec![self.issuer()], Offline)
    }

    pub(crate) fn server(&self, config: ResourceConfig) -> ResourceServer {
        ResourceServer::new(config, self.store.clone(), self.clock.shared(), NonceKey::from_bytes(NONCE_KEY))
    }

    pub(crate) fn guarded(&self, config: ResourceConfig) -> Guarded {
        Guarded(DpopLayer::new(self.server(config)).layer(Backend))
    }

    /// The claims of a good token.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": RESOURCE, "sub": "alice", "client_id": "app", "scope": "read write",
            "iat": self.now(), "exp": self.now() + 300, "jti": "t1",
            "cnf": { "jkt": self.client.jkt().to_string() },
        })
    }

    /// A good token.
    pub(crate) async fn token(&self) -> String {
        self.token_with(self.claims()).await
    }

    pub(crate) async fn token_with(&self, claims: Value) -> String {
        self.token_of(json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" }), claims).await
    }

    pub(crate) async fn token_of(&self, header: Value, claims: Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string()).await
    }

    pub(crate) async fn token_of_text(&self, header: &str, claims: &str) -> String {
        sign_compact(&*self.issuer_key, header, claims).await.unwrap()
    }

    /// A token with changed claims; null takes one away.
    pub(crate) async fn token_claiming(&self, changes: Value) -> String {
        self.token_with(changed(self.claims(), &changes)).await
    }

    /// A good proof for `GET` [`URL`].
    pub(crate) async fn proof(&self, token: &str) -> String {
        self.proof_with(token, None).await
    }

    pub(crate) async fn proof_with(&self, token: &str, nonce: Option<&str>) -> String {
        let request = ProofRequest { method: "GET", url: URL, token: Some(token), nonce };
        self.client.make(&request, self.clock.now()).await.unwrap()
    }

    /// A proof with changed claims; null takes one away.
    pub(crate) async fn proof_claiming(&self, token: &str, changes: Value) -> String {
        self.proof_of(json!({}), token, changes).await
    }

    /// A proof with changed header members and claims; null takes one away.
    pub(crate) async fn proof_of(&self, header_changes: Value, token: &str, claim_changes: Value) -> String {
        let jwk: Value = serde_json::from_str(&self.client_key.public_jwk().to_json()).unwrap();
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": jwk });
        let claims = json!({
            "jti": "chosen", "htm": "GET", "htu": URL, "iat": self.now(), "ath": Ath::of(token).to_string(),
        });
        let header = changed(header, &header_changes).to_string();
        sign_compact(&*self.client_key, &header, &changed(claims, &claim_changes).to_string()).await.unwrap()
    }
}

/// `object` with `changes`; null takes a member away.
pub(crate) fn changed(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

/// A resource that trusts these issuers.
pub(crate) fn config_for(issuers: Vec<IssuerConfig>, fetch: impl Fetch + 'static) -> ResourceConfig {
    let fetch: Arc<dyn Fetch> = Arc::new(fetch);
    let issuers = Issuers::new(issuers, &fetch).unwrap();
    ResourceConfig::new(RESOURCE, PublicOrigin::parse(RESOURCE).unwrap(), issuers).unwrap()
}

pub(crate) fn key() -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap())
}

pub(crate) fn verification_key(key: &SoftwareKey, kid: &str) -> VerificationKey {
    VerificationKey { kid: Some(kid.to_owned()), alg: Some(key.algorithm()), key: key.public_jwk().clone() }
}

/// The service behind the guard: answers 200 and says who called.
#[derive(Clone, Debug)]
pub(crate) struct Backend;

impl tower::Service<Request<Empty<Bytes>>> for Backend {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        let caller = request.extensions().get::<Access>().and_then(Access::subject).unwrap_or("nobody");
        let mut response = Response::new(Full::from(caller.to_owned()));
        response.headers_mut().insert("x-from", "backend".parse().unwrap());
        std::future::ready(Ok(response))
    }
}

/// The guarded service.
#[derive(Clone)]
pub(crate) struct Guarded(pub(crate) DpopService<Backend>);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) decision: Option<Decision>,
    pub(crate) refusal: Option<Refusal>,
}

impl Guarded {
    pub(crate) async fn send(&self, request: Request<Empty<Bytes>>) -> Answer {
        let response: Response<GuardedBody<_>> = self.0.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            decision: parts.extensions.get().cloned(),
            refusal: parts.extensions.get().cloned(),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// `GET` [`URL`] with these fields.
    pub(crate) async fn get(&self, fields: &[(&str, &str)]) -> Answer {
        self.send(get(fields)).await
    }

    pub(crate) async fn get_dpop(&self, token: &str, proof: &str) -> Answer {
        self.get(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)]).await
    }

    pub(crate) async fn get_bearer(&self, token: &str) -> Answer {
        self.get(&[("authorization", &format!("Bearer {token}"))]).await
    }
}

pub(crate) fn get(fields: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    request("GET", "/a/b", fields)
}

pub(crate) fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

impl Answer {
    pub(crate) fn challenges(&self) -> Vec<&str> {
        self.headers.get_all(header::WWW_AUTHENTICATE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    pub(crate) fn nonces(&self) -> Vec<&str> {
        self.headers.get_all("dpop-nonce").iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Asserts a grant.
    #[track_caller]
    pub(crate) fn granted(&self) {
        assert_eq!(self.status, StatusCode::OK, "{:?} {}", self.decision, self.body);
        assert_eq!(self.body, "alice");
        assert_eq!(self.decision.as_ref().unwrap().code, "ok");
    }

    /// Asserts a refusal by status, wire code and the decision's code. The challenge must be DPoP's and have the
    /// algorithms.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, error: Option<&str>, code: &str) {
        let decision = self.decision.as_ref().expect("a decision");
        assert_eq!((self.status.as_u16(), decision.code), (status, code), "{decision:?}");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["content-type"], "application/json");
        assert!(!self.headers.contains_key("x-from"), "the backend was asked");
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body.get("error").and_then(Value::as_str), error);
        assert_eq!(decision.error, error);
        if [400, 401, 403].contains(&status) {
            let challenge = self.challenges()[0];
            assert!(challenge.starts_with("DPoP ") && challenge.contains("algs=\"ES256 "), "{challenge}");
            if decision.scheme != countersign_resource::PresentedScheme::Bearer {
                let quoted = error.map(|error| format!("error=\"{error}\""));
                assert_eq!(challenge.contains("error="), quoted.is_some(), "{challenge}");
                assert!(challenge.contains(&quoted.unwrap_or_default()), "{challenge}");
            }
        } else {
            assert!(self.challenges().is_empty());
        }
    }
}
