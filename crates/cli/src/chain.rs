//! Authorization server and gateway in one process, with one registered client: what `up` and `demo` run on.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_authserver::config::{AuthSetting, ClientConfig as RegisteredClient, ResourceConfig};
use countersign_authserver::{AuthServer, AuthServerConfig, BoundAuthServer};
use countersign_client::ClientConfig;
use countersign_client::config::{AssertionKey, Authentication, KeyPlaces};
use countersign_client::keys::{KeyName, KeyPlace, KeyStore, SealedFileStore};
use countersign_dpop::jose::Algorithm;
use countersign_dpop::time::{Clock, SystemClock};
use countersign_gateway::{DecisionSink, Gateway, GatewayConfig};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::commands::gateway::cannot_start;
use crate::error::CommandError;
use crate::serving::cannot_listen;

/// The client that is registered.
pub(crate) const CLIENT_ID: &str = "demo";
/// The scopes that it may ask for.
pub(crate) const SCOPES: [&str; 2] = ["read", "write"];
const DPOP_KEY: &str = "dpop";
const ASSERTION_KEY: &str = "client-auth";

/// A socket that is bound before the server behind it is configured, because its URL is part of the configuration.
pub(crate) struct Place {
    listener: TcpListener,
    address: SocketAddr,
}

impl Place {
    /// Binds `address`; port 0 picks one.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, CommandError> {
        let listener = TcpListener::bind(address).await.map_err(|fault| cannot_listen(address, &fault))?;
        let address = listener.local_addr().map_err(|fault| cannot_listen(address, &fault))?;
        Ok(Self { listener, address })
    }

    /// The URL under which the place is reached on this machine.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The socket itself.
    pub(crate) fn into_listener(self) -> TcpListener {
        self.listener
    }
}

/// The data directory of a chain: the client's keys, the authorization server's database, `client.toml`.
pub(crate) struct DataDirectory(PathBuf);

impl DataDirectory {
    /// Opens the directory, made with mode 0700 if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, CommandError> {
        let refused = |fault| CommandError::configuration(format!("cannot make {}: {fault}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(refused)?;
        Ok(Self(path.canonicalize().map_err(refused)?))
    }

    /// The store of the client's keys, sealed by its device key.
    pub(crate) fn keys(&self) -> SealedFileStore {
        SealedFileStore::new(self.0.join("keys"), Arc::new(SystemClock))
    }

    /// Where the description of the client is.
    pub(crate) fn client_file(&self) -> PathBuf {
        self.0.join("client.toml")
    }

    /// Writes the description of the client, for its owner only.
    pub(crate) fn write_client(&self, client: &ClientConfig) -> Result<(), CommandError> {
        let path = self.client_file();
        let refused = |fault| CommandError::configuration(format!("cannot write {}: {fault}", path.display()));
        let new = path.with_extension("toml.new");
        // One that an interrupted run left behind is in the way of making it with the right mode.
        let _ = std::fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(refused)?;
        file.write_all(client.to_toml().expose_secret().as_bytes()).map_err(refused)?;
        file.sync_all().map_err(refused)?;
        std::fs::rename(&new, &path).map_err(refused)
    }
}

/// The client at `issuer` that asks for tokens for `resource`; its two keys are made if they are not there.
pub(crate) fn client(data: &DataDirectory, issuer: &str, resource: &str) -> Result<ClientConfig, CommandError> {
    let keys = data.keys();
    for name in [DPOP_KEY, ASSERTION_KEY] {
        keys.open_or_generate(&key_name(name)?, Algorithm::Es256).map_err(CommandError::configuration)?;
    }
    let authentication =
        Authentication::PrivateKeyJwt { key: AssertionKey::Stored(key_name(ASSERTION_KEY)?), kid: None };
    let places = KeyPlaces { store: KeyPlace::Files(data.0.join("keys")), dpop: key_name(DPOP_KEY)? };
    ClientConfig::new(issuer, CLIENT_ID, authentication, places)
        .and_then(|config| config.with_resource(resource))
        .map(|config| config.with_scope(&SCOPES.join(" ")))
        .map_err(CommandError::internal)
}

/// The name of the key that proofs are made with.
pub(crate) fn dpop_key() -> Result<KeyName, CommandError> {
    key_name(DPOP_KEY)
}

/// An authorization server at `place` that knows the client and issues tokens for `resources`, the first by default.
pub(crate) async fn authserver(
    place: Place,
    data: &DataDirectory,
    resources: &[&str],
    clock: Arc<dyn Clock>,
) -> Result<BoundAuthServer, CommandError> {
    let mut config = AuthServerConfig::new(place.url(), "authserver");
    let public = data.keys().show(&key_name(ASSERTION_KEY)?).map_err(CommandError::configuration)?.public;
    let jwk: serde_json::Value = serde_json::from_str(&public.to_json()).map_err(CommandError::internal)?;
    config.clients.push(RegisteredClient {
        jwks: Some(serde_json::json!({ "keys": [jwk] })),
        grants: vec!["client_credentials".to_owned()],
        scopes: SCOPES.map(str::to_owned).to_vec(),
        dpop_bound_access_tokens: Some(true),
        ..RegisteredClient::new(CLIENT_ID, AuthSetting::PrivateKeyJwt)
    });
    for resource in resources {
        let scopes = SCOPES.map(str::to_owned).to_vec();
        config.resources.push(ResourceConfig::new(*resource, scopes));
    }
    let settings = config.resolve(&data.0).map_err(CommandError::internal)?;
    let server = AuthServer::open(settings, clock).await.map_err(CommandError::configuration)?;
    let address = place.address();
    server.bind_listener(place.into_listener()).map_err(|fault| cannot_listen(address, &fault))
}

/// A gateway at `place` in front of `upstream` that takes tokens of `issuer`.
pub(crate) async fn gateway(
    place: Place,
    upstream: &str,
    issuer: &str,
    decisions: Arc<dyn DecisionSink>,
    lower: GatewayConfig,
) -> Result<Gateway, CommandError> {
    let config = GatewayConfig {
        listen: Some(place.address().to_string()),
        public_origin: Some(place.url()),
        upstream: Some(upstream.to_owned()),
        issuer: Some(issuer.to_owned()),
        audience: Some(place.url()),
        ..GatewayConfig::default()
    };
    let settings = config.over(lower).resolve(Path::new(".")).map_err(CommandError::configuration)?;
    Gateway::on_listener(place.into_listener(), settings, Arc::new(SystemClock), decisions).await.map_err(cannot_start)
}

/// How this program was called, for commands to type next.
pub(crate) fn program() -> String {
    std::env::args().next().map_or_else(|| "countersign".to_owned(), |name| quoted(&name))
}

/// `text` as one word of a shell's command line.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+:@%,=".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

fn key_name(name: &str) -> Result<KeyName, CommandError> {
    KeyName::parse(name).map_err(CommandError::internal)
}
