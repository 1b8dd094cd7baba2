//! Played servers: an issuer and a resource on one loopback port that answer as the test says, and a client for them.

use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use countersign_client::config::{Authentication, ClientConfig, ClientSecret, KeyPlaces};
use countersign_client::keys::{KeyName, KeyPlace, KeyStore, MemoryKeyStore};
use countersign_client::{Client, RequestBody, Step};
use countersign_dpop::jose::{Algorithm, decode_base64url};
use countersign_dpop::time::{Clock, Timestamp};
use countersign_testkit::FakeClock;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const TOKEN: &str = "canary-access-token-ZpR7";
pub(crate) const SECRET: &str = "canary-client-secret-Qx81";

/// A clock that shows [`NOW`].
pub(crate) fn set_clock() -> Arc<FakeClock> {
    Arc::new(FakeClock::at(Timestamp::from_seconds(NOW)))
}

/// A request as the played server got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The server's own origin.
    pub(crate) origin: String,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The claims of the proof.
    pub(crate) fn proof(&self) -> Value {
        let fields: Vec<_> = self.headers.get_all("dpop").iter().collect();
        assert_eq!(fields.len(), 1, "exactly one proof");
        part(self.field("dpop"), 1)
    }

    /// The value of a member of the form.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        let body = String::from_utf8(self.body.to_vec()).expect("text");
        let value = body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")))?.to_owned();
        Some(percent_decode(&value))
    }
}

/// Part `index` of a compact JWS, decoded as JSON.
pub(crate) fn part(jws: &str, index: usize) -> Value {
    let part = jws.split('.').nth(index).expect("a part");
    serde_json::from_slice(&decode_base64url(part).expect("base64url")).expect("JSON")
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let hex = str::from_utf8(&tail[..2]).expect("hex");
            bytes.push(u8::from_str_radix(hex, 16).expect("hex"));
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).expect("text")
}

type Play = dyn Fn(&Seen) -> Response + Send + Sync;

struct Stage {
    origin: String,
    seen: Mutex<Vec<Seen>>,
    play: Box<Play>,
}

/// A server on a loopback port. It lives as long as the test's runtime.
#[derive(Clone)]
pub(crate) struct Played(Arc<Stage>);

impl Played {
    /// Starts a server that answers every request by `play`.
    pub(crate) async fn start(play: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let stage = Arc::new(Stage { origin, seen: Mutex::default(), play: Box::new(play) });
        let router = axum::Router::new().fallback(answer).with_state(stage.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self(stage)
    }

    pub(crate) fn origin(&self) -> &str {
        &self.0.origin
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().expect("not poisoned").clone()
    }

    /// The requests for `path` so far.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path == path).collect()
    }
}

async fn answer(State(stage): State<Arc<Stage>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 16 << 20).await.expect("a body");
    let seen = Seen {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
        origin: stage.origin.clone(),
    };
    stage.seen.lock().expect("not poisoned").push(seen.clone());
    (stage.play)(&seen)
}

pub(crate) fn reply(status: u16, fields: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body.into()).expect("a response")
}

pub(crate) fn reply_json(status: u16, body: &Value) -> Response {
    reply(status, &[("content-type", "application/json")], body.to_string())
}

pub(crate) fn metadata(origin: &str) -> Value {
    json!({
        "issuer": origin,
        "token_endpoint": format!("{origin}/token"),
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "none"],
        "dpop_signing_alg_values_supported": ["ES256", "Ed25519"],
    })
}

pub(crate) fn token_answer() -> Value {
    json!({ "access_token": TOKEN, "token_type": "DPoP", "expires_in": 300 })
}

/// What an issuer without surprises answers; `None` for what is not an issuer's.
pub(crate) fn honest_issuer(seen: &Seen) -> Option<Response> {
    match seen.path.as_str() {
        "/.well-known/oauth-authorization-server" => Some(reply_json(200, &metadata(&seen.origin))),
        "/token" => Some(reply_json(200, &token_answer())),
        _ => None,
    }
}

/// An honest issuer beside a resource that answers by `play`.
pub(crate) async fn resource(play: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Played {
    Played::start(move |seen| honest_issuer(seen).unwrap_or_else(|| play(seen))).await
}

pub(crate) fn nonce_challenge(nonce: &str) -> Response {
    let challenge = r#"DPoP error="use_dpop_nonce", algs="ES256""#;
    reply(401, &[("www-authenticate", challenge), ("dpop-nonce", nonce)], "")
}

pub(crate) fn nonce_error(nonce: &str) -> Response {
    let body = json!({ "error": "use_dpop_nonce" }).to_string();
    reply(400, &[("content-type", "application/json"), ("dpop-nonce", nonce)], body)
}

pub(crate) fn name(name: &str) -> KeyName {
    KeyName::parse(name).expect("a name")
}

/// A store with the keys `dpop` and `robot`.
pub(crate) fn keys(clock: Arc<dyn Clock>) -> MemoryKeyStore {
    let store = MemoryKeyStore::new(clock);
    for key in ["dpop", "robot"] {
        store.generate(&name(key), Algorithm::Es256).expect("a key");
    }
    store
}

pub(crate) fn by_secret() -> Authentication {
    Authentication::ClientSecretBasic { secret: ClientSecret::Inline(SECRET.into()) }
}

pub(crate) fn config(issuer: &str, authentication: Authentication) -> ClientConfig {
    let places = KeyPlaces { store: KeyPlace::Files("unused".into()), dpop: name("dpop") };
    let config = ClientConfig::new(issuer, "robot", authentication, places);
    config.and_then(|config| config.with_base_url(issuer)).expect("a configuration")
}

/// A client with a secret at the played issuer.
pub(crate) fn client(server: &Played) -> Client {
    client_with_clock(server, set_clock())
}

pub(crate) fn client_with_clock(server: &Played, clock: Arc<FakeClock>) -> Client {
    Client::open(&config(server.origin(), by_secret()), &keys(clock.clone()), clock).expect("a client")
}

/// A client at the played issuer for a resource elsewhere.
pub(crate) fn client_for(issuer: &Played, base_url: &str) -> Client {
    let clock = set_clock();
    let config = config(issuer.origin(), by_secret()).with_base_url(base_url).expect("a URL");
    Client::open(&config, &keys(clock.clone()), clock).expect("a client")
}

/// Collects the steps that a client tells.
pub(crate) fn observed(client: Client) -> (Client, Arc<Mutex<Vec<Step>>>) {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = steps.clone();
    (client.with_observer(move |step| told.lock().expect("not poisoned").push(step.clone())), steps)
}

pub(crate) fn get(url: &str) -> http::Request<RequestBody> {
    http::Request::get(url).body(RequestBody::empty()).expect("a request")
}
