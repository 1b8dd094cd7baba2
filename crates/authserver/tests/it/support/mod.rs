//! A server, a clock, two clients and what they send.

pub(crate) mod answer;
pub(crate) mod browser;
pub(crate) mod fetch;
pub(crate) mod flow;
pub(crate) mod jwt;

use std::sync::{Arc, Once};

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_authserver::fetch::Fetch;
use countersign_authserver::storage::{SqlStorage, Storage};
use countersign_authserver::{AuthServer, AuthServerConfig, Settings};
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use countersign_dpop::time::{Clock, Timestamp, Window};
use countersign_testkit::FakeClock;
use http::{HeaderName, Method, Request, header};
use serde_json::json;
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) use self::answer::Answer;
pub(crate) use self::jwt::{Assertion, Proof};

pub(crate) const ISSUER: &str = "https://as.example";
pub(crate) const TOKEN_URL: &str = "https://as.example/token";
pub(crate) const API: &str = "https://api.example";
pub(crate) const SECRET: &str = "canary-secret-8f3a1d0c5b";
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A server with its surroundings. The clock begins at [`NOW`], past the floor of the first epoch.
pub(crate) struct World {
    pub(crate) server: AuthServer,
    pub(crate) clock: FakeClock,
    pub(crate) dir: TempDir,
    pub(crate) config: String,
    /// The key of the clients that sign assertions.
    pub(crate) client_key: Arc<SoftwareKey>,
    /// The key that proofs are made with.
    pub(crate) key: SoftwareKey,
}

impl World {
    /// One resource; a client of each kind: `jwt` and `basic` get what they ask for, `bound` gets bound tokens only.
    pub(crate) async fn new() -> Self {
        Self::with(|config| config).await
    }

    pub(crate) async fn with(change: impl FnOnce(String) -> String) -> Self {
        let client_key = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let config = change(default_config(&client_key));
        Self::open(config, Arc::new(client_key)).await
    }

    pub(crate) async fn open(config: String, client_key: Arc<SoftwareKey>) -> Self {
        hear_everything();
        let dir = tempfile::tempdir().unwrap();
        let clock = FakeClock::at(at(NOW - 600));
        let server = AuthServer::open(settings(&config, &dir), clock.shared()).await.unwrap();
        clock.set(at(NOW));
        let key = SoftwareKey::generate(Algorithm::Es256).unwrap();
        Self { server, clock, dir, config, client_key, key }
    }

    /// A server on a storage of `wrap`'s making.
    pub(crate) async fn on_storage(wrap: impl FnOnce(Arc<dyn Storage>) -> Arc<dyn Storage>) -> Self {
        let mut world = Self::new().await;
        let now = world.clock.now();
        let storage = SqlStorage::open_sqlite(&world.dir.path().join("data"), Window::RFC, now).await.unwrap();
        let settings = settings(&world.config, &world.dir);
        world.server = AuthServer::open_with(settings, wrap(Arc::new(storage)), world.clock.shared()).await.unwrap();
        world
    }

    /// A server that fetches by `fetch`.
    pub(crate) async fn fetching(fetch: Arc<dyn Fetch>, change: impl FnOnce(String) -> String) -> Self {
        let mut world = Self::with(change).await;
        let now = world.clock.now();
        let storage =
            Arc::new(SqlStorage::open_sqlite(&world.dir.path().join("data"), Window::RFC, now).await.unwrap());
        let settings = settings(&world.config, &world.dir);
        world.server = AuthServer::open_fetching(settings, storage, world.clock.shared(), fetch).await.unwrap();
        world
    }

    /// Opens the same data directory anew, as after a restart.
    pub(crate) async fn restart(&mut self) {
        let settings = settings(&self.config, &self.dir);
        self.server = AuthServer::open(settings, self.clock.shared()).await.unwrap();
    }

    pub(crate) fn router(&self) -> Router {
        self.server.router()
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().seconds()
    }

    /// A request that the token endpoint grants when nothing about it is changed: client `jwt`, no proof.
    pub(crate) fn request(&self) -> TokenRequest {
        TokenRequest::plain().assertion(&self.assertion("jwt").text())
    }

    /// The same with a proof: a bound token.
    pub(crate) fn bound_request(&self) -> TokenRequest {
        self.request().proof(&self.proof().text())
    }

    pub(crate) fn assertion(&self, client: &str) -> Assertion {
        Assertion::new(self.client_key.clone(), client, self.now())
    }

    pub(crate) fn proof(&self) -> Proof<'_> {
        Proof::new(&self.key, self.now())
    }

    pub(crate) async fn send(&self, request: &TokenRequest) -> Answer {
        self.send_raw(request.to_http()).await
    }

    pub(crate) async fn send_raw(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send_raw(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn settings(config: &str, dir: &TempDir) -> Settings {
    toml::from_str::<AuthServerConfig>(config).unwrap().resolve(dir.path()).unwrap()
}

pub(crate) fn default_config(client_key: &SoftwareKey) -> String {
    let jwks = jwks_toml(&[client_key]);
    format!(
        r#"
issuer = "{ISSUER}"
data = "data"

[[resource]]
identifier = "{API}"
scopes = ["read", "write", "admin"]

[[client]]
client_id = "jwt"
auth = "private_key_jwt"
jwks = {jwks}
grants = ["client_credentials"]
scopes = ["read", "write"]

[[client]]
client_id = "bound"
auth = "private_key_jwt"
jwks = {jwks}
grants = ["client_credentials"]
scopes = ["read"]
dpop_bound_access_tokens = true

[[client]]
client_id = "basic"
auth = "client_secret_basic"
secret = "{SECRET}"
grants = ["client_credentials"]
scopes = ["read", "write"]
"#
    )
}

/// Public keys as an inline table of TOML.
pub(crate) fn jwks_toml(keys: &[&SoftwareKey]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|key| {
            let jwk: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&key.public_jwk().to_json()).unwrap();
            let members: Vec<String> = jwk.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("{{ {} }}", members.join(", "))
        })
        .collect();
    format!("{{ keys = [{}] }}", keys.join(", "))
}

/// A request to the token endpoint, to be changed.
#[derive(Clone)]
pub(crate) struct TokenRequest {
    path: &'static str,
    parameters: Vec<(String, String)>,
    fields: Vec<(HeaderName, String)>,
}

impl TokenRequest {
    /// A request without client authentication.
    pub(crate) fn plain() -> Self {
        Self::to("/token").set("grant_type", "client_credentials")
    }

    /// A request to another endpoint, without anything.
    pub(crate) fn to(path: &'static str) -> Self {
        Self { path, parameters: Vec::new(), fields: Vec::new() }
    }

    /// Sets a parameter, in place of the one that is there.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).add(name, value)
    }

    /// Adds a parameter, beside the one that is there.
    pub(crate) fn add(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.parameters.retain(|(own, _)| own != name);
        self
    }

    pub(crate) fn field(mut self, name: HeaderName, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }

    pub(crate) fn assertion(self, text: &str) -> Self {
        self.set("client_assertion_type", JWT_BEARER).set("client_assertion", text)
    }

    pub(crate) fn basic(self, id: &str, secret: &str) -> Self {
        let credentials = STANDARD.encode(format!("{}:{}", form_encode(id), form_encode(secret)));
        self.field(header::AUTHORIZATION, &format!("Basic {credentials}"))
    }

    pub(crate) fn proof_instead(mut self, text: &str) -> Self {
        self.fields.retain(|(name, _)| name != "dpop");
        self.proof(text)
    }

    pub(crate) fn proof(self, text: &str) -> Self {
        self.field(HeaderName::from_static("dpop"), text)
    }

    pub(crate) fn to_http(&self) -> Request<Body> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body())).unwrap()
    }

    fn body(&self) -> String {
        let pair = |(name, value): &(String, String)| format!("{}={}", form_encode(name), form_encode(value));
        self.parameters.iter().map(pair).collect::<Vec<_>>().join("&")
    }
}

pub(crate) fn form_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// The public key as a JWK.
pub(crate) fn jwk(key: &SoftwareKey) -> serde_json::Value {
    serde_json::from_str(&key.public_jwk().to_json()).unwrap_or(json!(null))
}

/// Makes every place that logs speak before any is reached. One that is reached first where nobody listens would stay
/// silent for a test on another thread that begins to listen at that moment.
fn hear_everything() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap());
}
