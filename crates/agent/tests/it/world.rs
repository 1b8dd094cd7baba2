//! Authorization server, gateway, an ordinary API, and an agent in front of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use countersign_agent::journal::{Entry, Event, Journal};
use countersign_agent::{Agent, AgentSettings, BindingSettings, Listen, Policy, Running};
use countersign_authserver::config::{AuthSetting, ClientConfig as Registered, ResourceConfig};
use countersign_authserver::{AuthServer, AuthServerConfig};
use countersign_client::config::{Authentication, ClientSecret, KeyPlaces};
use countersign_client::keys::{KeyName, KeyPlace, KeyStore, MemoryKeyStore};
use countersign_client::{Client, ClientConfig};
use countersign_dpop::jose::Algorithm;
use countersign_dpop::time::{Clock, SystemClock};
use countersign_gateway::{DecisionLines, Gateway, GatewayConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The secret of the test's clients: a canary.
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret-0123456789abcdef";

/// The servers.
pub(crate) struct World {
    pub(crate) issuer: String,
    pub(crate) gateway: String,
    /// `Authorization` and `DPoP` of what came to the gateway, as the wire had them.
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// A server that repeats everything it gets, credentials included.
    pub(crate) mirror: String,
    pub(crate) directory: TempDir,
}

/// One request as the resource saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
}

impl World {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (front, back, mirror) = (listener().await, listener().await, listener().await);
        let (gateway, issuer) = (url(&front), url(&back));
        let mirror_url = url(&mirror);
        authserver(back, &issuer, &[&gateway, &mirror_url], &directory).await;
        let upstream = listener().await;
        let upstream_url = url(&upstream);
        tokio::spawn(async move { axum::serve(upstream, api()).await });
        let seen = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(serve_mirror(mirror, Arc::clone(&seen)));
        let config = GatewayConfig {
            public_origin: Some(gateway.clone()),
            upstream: Some(upstream_url),
            issuer: Some(issuer.clone()),
            audience: Some(gateway.clone()),
            ..GatewayConfig::default()
        };
        let settings = config.resolve(directory.path()).expect("a gateway's settings");
        let sink = Arc::new(DecisionLines::new(std::io::sink()));
        let running = Gateway::on_listener(front, settings, Arc::new(SystemClock), sink).await.expect("a gateway");
        tokio::spawn(running.serve(std::future::pending()));
        Self { issuer, gateway, seen, mirror: mirror_url, directory }
    }

    /// A client of its own key for `resource`.
    pub(crate) fn client(&self, resource: &str) -> Client {
        let keys = MemoryKeyStore::new(Arc::new(SystemClock));
        let name = KeyName::parse("dpop").expect("a name");
        keys.generate(&name, Algorithm::Es256).expect("a key");
        self.client_with(resource, &keys)
    }

    pub(crate) fn client_with(&self, resource: &str, keys: &MemoryKeyStore) -> Client {
        self.client_at(resource, keys, Arc::new(SystemClock))
    }

    pub(crate) fn client_at(&self, resource: &str, keys: &MemoryKeyStore, clock: Arc<dyn Clock>) -> Client {
        let places = KeyPlaces { store: KeyPlace::Memory, dpop: KeyName::parse("dpop").expect("a name") };
        let secret = ClientSecret::Inline(CLIENT_SECRET.to_owned().into());
        let authentication = Authentication::ClientSecretBasic { secret };
        let config = ClientConfig::new(&self.issuer, "agent", authentication, places)
            .and_then(|config| config.with_resource(resource))
            .expect("a client's configuration");
        Client::open(&config, keys, clock).expect("a client")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn agent(&self, settings: AgentSettings) -> Agent {
        let journal = Journal::open(&self.path("journal.jsonl"), Arc::new(SystemClock)).expect("a journal");
        Agent::new(settings, journal, Arc::new(SystemClock)).expect("an agent")
    }

    /// What a binding at `resource` is made of.
    pub(crate) fn settings(&self, name: &str, resource: &str, policy: Policy) -> BindingSettings {
        let origin = resource.split('/').take(3).collect::<Vec<_>>().join("/");
        BindingSettings {
            name: name.parse().expect("a name"),
            resource: resource.to_owned(),
            client: self.client(&origin),
            listen: Listen::Socket(self.path(&format!("run/{name}.sock"))),
            policy,
            scope: Some("read write".to_owned()),
            reason: None,
            lifetime: None,
        }
    }

    /// A binding at the gateway's `path` by a socket.
    pub(crate) async fn socket(&self, agent: &Agent, path: &str, policy: Policy) -> (Running, PathBuf) {
        let resource = format!("{}{path}", self.gateway);
        let running = agent.open(self.settings("reader", &resource, policy)).await.expect("a binding");
        let socket = running.socket.clone().expect("a socket");
        (running, socket)
    }

    pub(crate) fn last_seen(&self) -> Seen {
        self.seen.lock().expect("not poisoned").last().expect("a request").clone()
    }

    /// The lines of the journal.
    pub(crate) fn journal(&self) -> Vec<Entry<'static>> {
        let text = std::fs::read_to_string(self.path("journal.jsonl")).expect("a journal");
        let leaked: &'static str = Box::leak(text.into_boxed_str());
        leaked.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
    }

    /// How often something happened.
    pub(crate) fn count(&self, event: Event) -> usize {
        self.journal().iter().filter(|entry| entry.event == event).count()
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port")
}

fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().expect("an address"))
}

async fn authserver(place: TcpListener, issuer: &str, resources: &[&str], directory: &TempDir) {
    let mut config = AuthServerConfig::new(issuer, "authserver");
    config.clients.push(Registered {
        secret: Some(CLIENT_SECRET.to_owned().into()),
        grants: vec!["client_credentials".to_owned()],
        scopes: vec!["read".to_owned(), "write".to_owned()],
        dpop_bound_access_tokens: Some(true),
        ..Registered::new("agent", AuthSetting::ClientSecretBasic)
    });
    for resource in resources {
        config.resources.push(ResourceConfig::new(*resource, ["read", "write"]));
    }
    let settings = config.resolve(directory.path()).expect("an authorization server's settings");
    let server = AuthServer::open(settings, Arc::new(SystemClock)).await.expect("an authorization server");
    let server = server.bind_listener(place).expect("a bound server");
    tokio::spawn(server.serve(std::future::pending()));
}

/// An ordinary API.
fn api() -> Router {
    let echo = |request: Request| async move {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 10_000_000).await.unwrap_or_default();
        let names: Vec<String> = head.headers.keys().map(ToString::to_string).collect();
        axum::Json(serde_json::json!({
            "method": head.method.as_str(),
            "target": head.uri.to_string(),
            "fields": names,
            "cookie": head.headers.get("cookie").and_then(|cookie| cookie.to_str().ok()),
            "length": body.len(),
            "body": String::from_utf8_lossy(&body[..body.len().min(1_000)]),
        }))
    };
    Router::new()
        .route("/redirect", get(|| async { ([("location", "/v1/there?x=1")], StatusCode::FOUND) }))
        .route("/elsewhere", get(|| async { ([("location", "http://other.example/x")], StatusCode::FOUND) }))
        .route("/events", get(events))
        .route(
            "/cookie",
            get(|| async { ([("set-cookie", "a=b"), ("www-authenticate", "Basic"), ("alt-svc", "h3")], "cookie") }),
        )
        .fallback(any(echo))
}

/// One event, and then nothing for ever.
async fn events() -> Response {
    let first = futures_util::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"data: one\n\n")) });
    let body = Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()));
    ([("content-type", "text/event-stream")], body).into_response()
}

/// Takes any token, notes what came, and repeats it.
async fn serve_mirror(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>) {
    let mirror = move |request: Request| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, _) = request.into_parts();
            let fields: Vec<String> = head
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
                .collect();
            let authorization = head.headers.get("authorization").cloned();
            seen.lock().expect("not poisoned").push(Seen {
                method: head.method.to_string(),
                target: head.uri.to_string(),
                headers: head.headers,
            });
            let mut response = fields.join("\n").into_response();
            if let Some(authorization) = authorization {
                response.headers_mut().insert("x-repeated", authorization);
            }
            response.headers_mut().insert("dpop-nonce", "canary-nonce-0123456789abcdef".parse().expect("a value"));
            response
        }
    };
    let app = Router::new().fallback(any(mirror));
    let _ = axum::serve(listener, app).await;
}
