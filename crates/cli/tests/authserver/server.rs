//! The server: its configuration, its processes, and the database that they share.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use countersign_authserver::storage::{PostgresAddress, SqlStorage, Storage};
use countersign_authserver::{AuthServer, AuthServerConfig, BulkApprovals};
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use countersign_dpop::time::{Clock, SystemClock, Window};
use countersign_testkit::service::free_address;
use countersign_testkit::service::postgres::{Durability, Postgres};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;

use crate::client::Client;

pub(crate) const API: &str = "https://api.example";
pub(crate) const CALLBACK: &str = "http://127.0.0.1/callback";
pub(crate) const USERNAME: &str = "ada";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Of the password, with little memory, for the sake of time.
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$PdCXlXn/xryHtNI01AxcpA$pfPtyg/OFVioHiKwwZXBcac8LHwPKNrc+/wPahIYBqs";

/// Opens what is slow to answer on a busy machine: Postgres may take longer for a connection than a server waits.
async fn patiently<T, E: std::fmt::Display>(open: impl AsyncFn() -> Result<T, E>) -> T {
    let mut tries = 20;
    loop {
        match open().await {
            Ok(opened) => return opened,
            Err(fault) => assert!(tries > 0, "{fault}"),
        }
        tries -= 1;
    }
}

/// Where servers keep what they know.
pub(crate) struct Database {
    directory: TempDir,
    postgres: Option<(Postgres, String)>,
}

impl Database {
    pub(crate) fn sqlite() -> std::io::Result<Self> {
        Ok(Self { directory: tempfile::tempdir()?, postgres: None })
    }

    pub(crate) fn postgres() -> std::io::Result<Self> {
        let server = Postgres::start(Durability::Memory)?;
        let url = server.make_database()?;
        Ok(Self { directory: tempfile::tempdir()?, postgres: Some((server, url)) })
    }

    /// The storage, beside whatever processes use it.
    pub(crate) async fn storage(&self) -> Arc<dyn Storage> {
        let now = SystemClock.now();
        Arc::new(match &self.postgres {
            Some((_, url)) => {
                let address = PostgresAddress::parse(&url.clone().into()).unwrap();
                patiently(|| SqlStorage::open_postgres(&address, Window::RFC, now)).await
            }
            None => SqlStorage::open_sqlite(&self.directory.path().join("data"), Window::RFC, now).await.unwrap(),
        })
    }
}

/// A configured issuer, whose processes come and go.
pub(crate) struct Issuer {
    pub(crate) database: Database,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Issuer {
    /// Writes the configuration. The issuer is where its first process listens.
    pub(crate) fn new(database: Database) -> Self {
        let url = format!("http://{}", free_address().unwrap());
        let key = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let issuer = Self { client: Client::new(&url, key), database, url };
        std::fs::write(issuer.directory().join("as.toml"), issuer.config()).unwrap();
        issuer
    }

    fn directory(&self) -> &Path {
        self.database.directory.path()
    }

    fn config(&self) -> String {
        let Self { url, client, database } = self;
        let mut config = format!("issuer = \"{url}\"\ndata = \"data\"\n");
        if let Some((_, url)) = &database.postgres {
            writeln!(config, "database = \"{url}\"").unwrap();
        }
        let jwk: toml::Value = serde_json::from_str(&client.key().public_jwk().to_json()).unwrap();
        write!(
            config,
            r#"
[limits]
requests_per_source = 0
requests_per_client = 0

[[resource]]
identifier = "{API}"
scopes = ["read"]

[[client]]
client_id = "app"
auth = "private_key_jwt"
jwks = {{ keys = [{jwk}] }}
grants = ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"]
redirect_uris = ["{CALLBACK}"]
scopes = ["read"]

[[client]]
client_id = "spa"
auth = "none"
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["{CALLBACK}"]
scopes = ["read"]

[[user]]
username = "{USERNAME}"
password_hash = "{PASSWORD_HASH}"
"#
        )
        .unwrap();
        config
    }

    /// Starts a process at `address` and waits for it to be ready.
    pub(crate) async fn start(&self, address: &str) -> Running {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["authserver", "--config", "as.toml", "--log", "info", "--listen", address]);
        command.current_dir(self.directory()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        loop {
            let line = lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("the server ended before it was ready:\n{said}"));
            if let Some(rest) = line.strip_prefix("ready ") {
                let url = rest.split(' ').next().unwrap().to_owned();
                return Running { process, url, said: Said::listen(said, lines) };
            }
            writeln!(said, "{line}").unwrap();
        }
    }

    /// Where the issuer says it is.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Refresh tokens of the public client, which nobody has used, without a user.
    pub(crate) async fn refresh_tokens(&self, count: usize) -> Vec<String> {
        let config: AuthServerConfig = toml::from_str(&self.config()).unwrap();
        let settings = Arc::new(config.resolve(self.directory()).unwrap());
        let server = patiently(|| AuthServer::open(settings.clone(), Arc::new(SystemClock))).await;
        let jkt = self.client.jkt();
        let (client_id, resource) = ("spa".to_owned(), API.to_owned());
        let bulk = BulkApprovals { client_id, resource, jkt, count, tokens: count };
        let tokens = server.approve_in_bulk(&bulk, |_| {}).await.unwrap();
        tokens.iter().map(|token| token.to_string()).collect()
    }
}

/// A process that serves. It is killed when dropped.
pub(crate) struct Running {
    process: tokio::process::Child,
    pub(crate) url: String,
    said: Said,
}

impl Running {
    /// SIGKILL; returns what it had said on standard error when the process is gone.
    pub(crate) async fn kill(mut self) -> String {
        self.process.kill().await.unwrap();
        self.said.all().await
    }
}

/// What a process says, read all the while: one that can write nowhere would stand still.
struct Said(tokio::task::JoinHandle<String>);

impl Said {
    fn listen(mut said: String, mut lines: Lines<BufReader<ChildStderr>>) -> Self {
        Self(tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said.push_str(&line);
                said.push('\n');
            }
            said
        }))
    }

    async fn all(self) -> String {
        self.0.await.unwrap()
    }
}
