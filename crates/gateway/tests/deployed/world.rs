//! Gateways side by side, an API that counts, and a client.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use countersign_dpop::jose::{Algorithm, JwkSet, SoftwareKey, VerificationKey, sign_compact};
use countersign_dpop::time::{Clock, SystemClock};
use countersign_dpop::{NoncePolicy, ProofMaker, ProofRequest};
use countersign_gateway::config::ReplaySetting;
use countersign_gateway::{Gateway, GatewayConfig, GatewayError, NoDecisions, Settings};
use countersign_replay::RedisServer;
use countersign_resource::IssuerConfig;
use countersign_testkit::service::{Service, find, free_address};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const ORIGIN: &str = "https://api.example.com";
pub(crate) const HOST: &str = "api.example.com";
const ISSUER: &str = "https://idp.example.com";
/// The field by which the API tells the requests apart.
pub(crate) const NUMBER: &str = "x-number";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    /// How often the API saw each number.
    pub(crate) seen: Arc<Mutex<HashMap<String, u32>>>,
    pub(crate) upstream: SocketAddr,
    issuer: SoftwareKey,
    change: Box<dyn Fn(&mut Settings)>,
    clock: Arc<dyn Clock>,
    pub(crate) client: Arc<HonestClient>,
}

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

pub(crate) struct HonestClient {
    proofs: ProofMaker,
    token: String,
    clock: Arc<dyn Clock>,
    http: Client<HttpConnector, Empty<Bytes>>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl World {
    pub(crate) async fn start(nodes: usize, replay: ReplaySetting) -> Self {
        Self::start_with(nodes, move |settings| {
            if matches!(replay, ReplaySetting::Node { .. }) {
                settings.nonce = NoncePolicy::Required;
            }
            settings.replay = replay.clone();
        })
        .await
    }

    /// Starts gateways with changed settings.
    pub(crate) async fn start_with(nodes: usize, change: impl Fn(&mut Settings) + 'static) -> Self {
        Self::start_at(Arc::new(SystemClock), nodes, change).await
    }

    pub(crate) async fn start_at(
        clock: Arc<dyn Clock>,
        nodes: usize,
        change: impl Fn(&mut Settings) + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let upstream = count(Arc::clone(&seen)).await;
        let issuer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let client = Arc::new(HonestClient::new(&issuer, Arc::clone(&clock)).await);
        let mut world = Self { nodes: Vec::new(), seen, upstream, issuer, change: Box::new(change), client, clock };
        for _ in 0..nodes {
            let address = free_address().unwrap();
            world.nodes.push(world.node(address).await.unwrap());
        }
        world
    }

    pub(crate) async fn node(&self, address: SocketAddr) -> Result<Node, GatewayError> {
        let gateway = Gateway::bind(self.settings(address), Arc::clone(&self.clock), Arc::new(NoDecisions)).await?;
        let (address, admin) = (gateway.local_addr(), gateway.admin_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(gateway.serve(async move {
            // Dropped or sent: over either way.
            let _ = stopped.await;
        }));
        Ok(Node { address, admin, stop, served })
    }

    /// Ends a node.
    pub(crate) async fn stop(&mut self, place: usize) {
        let node = self.nodes.remove(place);
        let _ = node.stop.send(());
        node.served.await.unwrap();
    }

    /// Ends a node and starts it again at the same address, with nothing of what it remembered.
    pub(crate) async fn restart(&mut self, place: usize) {
        let node = self.nodes.remove(place);
        let _ = node.stop.send(());
        node.served.await.unwrap();
        let node = self.node(node.address).await.unwrap();
        self.nodes.insert(place, node);
    }

    /// Other settings for the gateways to come.
    pub(crate) fn change(&mut self, change: impl Fn(&mut Settings) + 'static) {
        self.change = Box::new(change);
    }

    fn settings(&self, address: SocketAddr) -> Settings {
        let config = GatewayConfig {
            listen: Some(address.to_string()),
            admin: Some("127.0.0.1:0".to_owned()),
            public_origin: Some(ORIGIN.to_owned()),
            upstream: Some(format!("http://{}", self.upstream)),
            issuer: Some(ISSUER.to_owned()),
            audience: Some(ORIGIN.to_owned()),
            ..GatewayConfig::default()
        };
        let mut settings = config.resolve(Path::new(".")).unwrap();
        let key = VerificationKey { kid: Some("k1".to_owned()), alg: None, key: self.issuer.public_jwk().clone() };
        settings.issuers = vec![IssuerConfig::with_key_set(ISSUER, JwkSet::from_keys(vec![key])).unwrap()];
        (self.change)(&mut settings);
        settings
    }

    /// Waits until the admin address of a node answers `/readyz` so; the answer.
    pub(crate) async fn until_ready(&self, place: usize, status: StatusCode) -> Answer {
        let admin = self.nodes[place].admin;
        let asking = async {
            loop {
                let request = Request::get(format!("http://{admin}/readyz")).body(Empty::new()).unwrap();
                let answer = self.client.send(request).await.unwrap();
                if answer.status == status {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap()
    }

    pub(crate) async fn metrics(&self, place: usize) -> String {
        let url = format!("http://{}/metrics", self.nodes[place].admin);
        self.client.send(Request::get(url).body(Empty::new()).unwrap()).await.unwrap().body
    }
}

impl HonestClient {
    async fn new(issuer: &SoftwareKey, clock: Arc<dyn Clock>) -> Self {
        let proofs = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap()));
        let now = clock.now().seconds();
        let claims = json!({
            "iss": ISSUER, "aud": ORIGIN, "sub": "alice", "client_id": "client-1", "scope": "read", "iat": now, "exp": now + 3_600,
            "jti": "t1", "cnf": { "jkt": proofs.jkt().to_string() },
        });
        let header = r#"{"typ":"at+jwt","alg":"ES256","kid":"k1"}"#;
        let token = sign_compact(issuer, header, &claims.to_string()).await.unwrap();
        Self { proofs, token, clock, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn proof(&self, nonce: Option<&str>) -> String {
        self.proof_for("GET", "/", nonce).await
    }

    pub(crate) async fn proof_for(&self, method: &str, path: &str, nonce: Option<&str>) -> String {
        let url = format!("{ORIGIN}{path}");
        let request = ProofRequest { method, url: &url, token: Some(&self.token), nonce };
        self.proofs.make(&request, self.clock.now()).await.unwrap()
    }

    /// Sends the request `number` with `proof`. `None` when no answer came, as from a node that has just ended.
    pub(crate) async fn present(&self, node: SocketAddr, number: &str, proof: &str) -> Option<Answer> {
        let fields = [("host", HOST), ("authorization", &self.credentials()), ("dpop", proof), (NUMBER, number)];
        self.exchange(node, "GET", "/", &fields).await
    }

    /// The value of `Authorization`.
    pub(crate) fn credentials(&self) -> String {
        format!("DPoP {}", self.token)
    }

    pub(crate) async fn exchange(
        &self,
        server: SocketAddr,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
    ) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(format!("http://{server}{target}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        self.send(request.body(Empty::new()).unwrap()).await
    }

    /// Sends a request as an honest client does: once more, with a fresh proof, when it is given a nonce.
    pub(crate) async fn ask(&self, node: SocketAddr, number: &str) -> Answer {
        let first = self.present(node, number, &self.proof(None).await).await.unwrap();
        match first.nonce() {
            Some(nonce) if first.status == StatusCode::UNAUTHORIZED => {
                self.present(node, number, &self.proof(Some(&nonce)).await).await.unwrap()
            }
            _ => first,
        }
    }

    async fn send(&self, request: Request<Empty<Bytes>>) -> Option<Answer> {
        let response = self.http.request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Some(Answer { status: head.status, headers: head.headers, body })
    }
}

impl Answer {
    pub(crate) fn nonce(&self) -> Option<String> {
        self.headers.get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned())
    }
}

/// An API that counts how often it sees each number, and answers with what it received.
async fn count(seen: Arc<Mutex<HashMap<String, u32>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let seen = Arc::clone(&seen);
            let service = service_fn(move |request: Request<Incoming>| {
                let number = request.headers().get(NUMBER).map(|number| number.to_str().unwrap().to_owned());
                *seen.lock().unwrap().entry(number.unwrap_or_default()).or_default() += 1;
                let mut lines = vec![format!("{} {}", request.method(), request.uri())];
                lines.extend(
                    request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())),
                );
                async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(lines.join("\n"))))) }
            });
            tokio::spawn(async move {
                // A gateway that ends closes its connections as it likes.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// A redis-server that keeps nothing on disk.
pub(crate) fn redis(address: SocketAddr, more: &[&str]) -> Service {
    Service::start(address, |directory| {
        let mut command = Command::new(find("redis-server").unwrap());
        let port = address.port().to_string();
        command.current_dir(directory).args(["--bind", "127.0.0.1", "--save", "", "--port", &port]).args(more);
        Ok(command)
    })
    .unwrap()
}

pub(crate) fn shared(address: SocketAddr) -> ReplaySetting {
    let server = RedisServer::parse(&format!("redis://{address}")).unwrap();
    ReplaySetting::Redis { server, capacity: ReplaySetting::DEFAULT_CAPACITY }
}
