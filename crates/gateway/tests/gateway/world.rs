//! A gateway with everything around it: issuer, client, clock, upstream.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};

use countersign_dpop::jose::{Algorithm, Jkt, JwkSet, SoftwareKey, VerificationKey, encode_base64url, sign_compact};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_dpop::{ProofMaker, ProofRequest};
use countersign_gateway::{DecisionSink, Gateway, GatewayConfig, NoDecisions, Reloader, Settings};
use countersign_resource::{Decision, IssuerConfig};
use countersign_testkit::FakeClock;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::wire::Wire;

pub(crate) const ORIGIN: &str = "https://api.example.com";
pub(crate) const HOST: &str = "api.example.com";
const ISSUER: &str = "https://idp.example.com";
const START: i64 = 1_800_000_000;

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) clock: FakeClock,
    pub(crate) upstream: TcpListener,
    pub(crate) decisions: Arc<Recorder>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<()>,
    pub(crate) settings: Settings,
    pub(crate) reloader: Reloader,
    issuer: SoftwareKey,
    client: ProofMaker,
}

/// Keeps every decision.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Vec<Decision>>);

impl Recorder {
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().iter().map(|decision| decision.code).collect()
    }

    pub(crate) fn all(&self) -> Vec<Decision> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> String {
        self.0.lock().unwrap().iter().map(Decision::to_json).collect::<Vec<_>>().join("\n")
    }
}

impl DecisionSink for Recorder {
    fn record(&self, decision: &Decision) {
        self.0.lock().unwrap().push(decision.clone());
    }
}

impl World {
    /// Settings of a gateway that is not started.
    pub(crate) async fn settings_for_tests() -> Settings {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        settings(upstream.local_addr().unwrap(), &SoftwareKey::generate(Algorithm::Es256).unwrap())
    }

    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts with changed settings. The clock has left the time behind in which every proof needs a nonce.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let decisions = Arc::new(Recorder::default());
        let sink = Arc::clone(&decisions) as Arc<dyn DecisionSink>;
        Self { decisions, ..Self::start_all(change, sink, NonZeroUsize::MIN).await }
    }

    /// Starts with so many threads that serve.
    pub(crate) async fn start_on(workers: usize) -> Self {
        Self::start_all(|_| (), Arc::new(NoDecisions), workers.try_into().unwrap()).await
    }

    /// Starts with other logs; `decisions` stays empty.
    pub(crate) async fn start_logging(sink: Arc<dyn DecisionSink>) -> Self {
        Self::start_all(|_| (), sink, NonZeroUsize::MIN).await
    }

    async fn start_all(change: impl FnOnce(&mut Settings), sink: Arc<dyn DecisionSink>, workers: NonZeroUsize) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let mut settings = settings(upstream.local_addr().unwrap(), &issuer);
        change(&mut settings);
        let clock = FakeClock::at(Timestamp::from_seconds(START));
        let gateway = Gateway::bind(settings.clone(), clock.shared(), sink).await.unwrap();
        let (address, admin) = (gateway.local_addr(), gateway.admin_addr().unwrap());
        let (reloader, gateway) = (gateway.reloader(), gateway.with_workers(workers).unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(gateway.serve(async move {
            // Dropped or sent: over either way.
            let _ = stopped.await;
        }));
        clock.advance(60);
        let key = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let client = ProofMaker::new(Arc::new(key));
        let decisions = Arc::default();
        Self { address, admin, clock, upstream, decisions, stop, served, settings, reloader, issuer, client }
    }

    /// Ends the gateway and everything that holds its logs.
    pub(crate) async fn finish(self) {
        let Self { stop, served, reloader, .. } = self;
        drop((stop, reloader));
        served.await.unwrap();
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::new(TcpStream::connect(self.address).await.unwrap())
    }

    pub(crate) async fn connect_admin(&self) -> Wire {
        Wire::new(TcpStream::connect(self.admin).await.unwrap())
    }

    /// The next connection of the gateway to the upstream.
    pub(crate) async fn accept(&self) -> Wire {
        Wire::new(self.upstream.accept().await.unwrap().0)
    }

    pub(crate) fn jkt(&self) -> Jkt {
        *self.client.jkt()
    }

    /// A good token, bound to the client's key.
    pub(crate) async fn token(&self) -> String {
        self.token_with(|_| ()).await
    }

    pub(crate) async fn token_with(&self, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let now = self.clock.now().seconds();
        let mut claims = json!({
            "iss": ISSUER, "aud": ORIGIN, "sub": "al\u{ef}ce", "client_id": "client-1", "scope": "read write",
            "iat": now, "exp": now + 300, "jti": encode_base64url(now.to_be_bytes()),
            "cnf": { "jkt": self.client.jkt().to_string() },
        });
        change(&mut claims);
        sign_compact(&self.issuer, r#"{"typ":"at+jwt","alg":"ES256","kid":"k1"}"#, &claims.to_string()).await.unwrap()
    }

    pub(crate) async fn proof(&self, method: &str, url: &str, token: &str, nonce: Option<&str>) -> String {
        let request = ProofRequest { method, url, token: Some(token), nonce };
        self.client.make(&request, self.clock.now()).await.unwrap()
    }

    /// `Host`, `Authorization` and `DPoP` of a good request.
    pub(crate) async fn fields(&self, method: &str, path: &str) -> String {
        let token = self.token().await;
        let proof = self.proof(method, &format!("{ORIGIN}{path}"), &token, None).await;
        format!("Host: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n")
    }

    /// The same by a key of its own, with a token that has `changes`.
    pub(crate) async fn fields_by_another_key(&self, method: &str, path: &str, changes: serde_json::Value) -> String {
        let key = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap()));
        let token = self.token_with(|claims| {
            claims["cnf"]["jkt"] = key.jkt().to_string().into();
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
        });
        let token = token.await;
        let url = format!("{ORIGIN}{path}");
        let request = ProofRequest { method, url: &url, token: Some(&token), nonce: None };
        let proof = key.make(&request, self.clock.now()).await.unwrap();
        format!("Host: {HOST}\r\nAuthorization: DPoP {token}\r\nDPoP: {proof}\r\n")
    }

    /// A good request without a body.
    pub(crate) async fn request(&self, method: &str, path: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\n{}\r\n", self.fields(method, path).await)
    }
}

fn settings(upstream: SocketAddr, issuer: &SoftwareKey) -> Settings {
    let config = GatewayConfig {
        listen: Some("127.0.0.1:0".to_owned()),
        admin: Some("127.0.0.1:0".to_owned()),
        public_origin: Some(ORIGIN.to_owned()),
        upstream: Some(format!("http://{upstream}")),
        issuer: Some(ISSUER.to_owned()),
        audience: Some(ORIGIN.to_owned()),
        ..GatewayConfig::default()
    };
    let mut settings = config.resolve(Path::new(".")).unwrap();
    let key = VerificationKey { kid: Some("k1".to_owned()), alg: None, key: issuer.public_jwk().clone() };
    settings.issuers = vec![IssuerConfig::with_key_set(ISSUER, JwkSet::from_keys(vec![key])).unwrap()];
    settings
}
