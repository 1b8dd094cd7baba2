//! Who plays: authorization server, gateway, MCP server, and the agent with its bindings.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_agent::journal::Journal;
use countersign_agent::policy::ApprovalMode;
use countersign_agent::{Agent, AgentSettings, BindingSettings, Listen, Policy, Running};
use countersign_client::config::KeyPlaces;
use countersign_client::keys::{KeyName, KeyStore};
use countersign_client::{Client, ClientConfig, Step};
use countersign_dpop::jose::SoftwareKey;
use countersign_dpop::time::{Clock, SystemClock, Timestamp};
use countersign_gateway::{DecisionSink, GatewayConfig};
use countersign_resource::Decision;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::ledger;
use crate::chain::{self, CLIENT_ID, DataDirectory, Place};
use crate::engine::EngineFlag;
use crate::error::CommandError;

/// The gateway's configuration, but for its addresses.
const EXAMPLE: &str = include_str!("../../../../../../examples/mcp/gateway.toml");
/// How far the clock of one binding is off, in seconds.
pub(super) const CLOCK_OFF: i64 = 600;

/// Everybody.
pub(super) struct Cast {
    pub(super) issuer: String,
    pub(super) gateway: String,
    pub(super) agent: Agent,
    pub(super) journal: PathBuf,
    pub(super) decisions: Arc<Lines>,
    data: DataDirectory,
    ledger: String,
    engine: EngineFlag,
    front: SocketAddr,
    gateway_ended: CancellationToken,
    gateway_task: Option<JoinHandle<()>>,
    pub(super) ended: CancellationToken,
    /// Private keys, to be looked for in everything that was ever shown.
    pub(super) canaries: Vec<Zeroizing<String>>,
    directory: tempfile::TempDir,
}

/// One binding and the client behind it, which only this process has.
pub(super) struct Bound {
    pub(super) running: Running,
    pub(super) client: Client,
    pub(super) socket: PathBuf,
    pub(super) steps: Arc<Mutex<Vec<Step>>>,
}

/// The gateway's decisions, as lines of JSON.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Vec<String>>);

impl DecisionSink for Lines {
    fn record(&self, decision: &Decision) {
        let line = serde_json::to_string(decision).unwrap_or_default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Lines {
    pub(super) fn all(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

/// A clock that is ahead.
#[derive(Debug)]
struct ClockAhead;

impl Clock for ClockAhead {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(CLOCK_OFF)
    }
}

impl Cast {
    /// Starts everybody; the gateway verifies by `engine`.
    pub(super) async fn gather(engine: EngineFlag) -> Result<Self, CommandError> {
        let directory = tempfile::Builder::new().prefix("countersign-mcp-").tempdir();
        let directory =
            directory.map_err(|fault| CommandError::internal(format!("no temporary directory: {fault}")))?;
        let data = DataDirectory::open(directory.path())?;
        let ended = CancellationToken::new();
        let (front, back, behind) = (place().await?, place().await?, place().await?);
        let (gateway, issuer, ledger) = (front.url(), back.url(), behind.url());
        ledger::serve(behind, ended.clone());
        chain::client(&data, &issuer, &gateway)?;
        let server = chain::authserver(back, &data, &[&gateway], Arc::new(SystemClock)).await?;
        let stop = ended.clone();
        tokio::spawn(async move { server.serve(async move { stop.cancelled().await }).await });
        let journal = directory.path().join("journal.jsonl");
        let opened = Journal::open(&journal, Arc::new(SystemClock)).map_err(CommandError::internal)?;
        let agent =
            Agent::new(AgentSettings::default(), opened, Arc::new(SystemClock)).map_err(CommandError::internal)?;
        let mut cast = Self {
            issuer,
            gateway,
            agent,
            journal,
            decisions: Arc::default(),
            data,
            ledger,
            engine,
            front: front.address(),
            gateway_ended: CancellationToken::new(),
            gateway_task: None,
            ended,
            canaries: Vec::new(),
            directory,
        };
        cast.start_gateway(front).await?;
        Ok(cast)
    }

    async fn start_gateway(&mut self, front: Place) -> Result<(), CommandError> {
        let example: GatewayConfig = toml::from_str(EXAMPLE).map_err(CommandError::internal)?;
        let lower = self.engine.said().over(example);
        let sink: Arc<dyn DecisionSink> = Arc::clone(&self.decisions) as _;
        let gateway = chain::gateway(front, &self.ledger, &self.issuer, sink, lower).await?;
        self.gateway_ended = CancellationToken::new();
        let ended = self.gateway_ended.clone();
        self.gateway_task =
            Some(tokio::spawn(async move { gateway.serve(async move { ended.cancelled().await }).await }));
        Ok(())
    }

    /// Stops the gateway and starts it anew, at the same address.
    pub(super) async fn restart_gateway(&mut self) -> Result<(), CommandError> {
        self.gateway_ended.cancel();
        if let Some(task) = self.gateway_task.take() {
            let _ = task.await;
        }
        let front = Place::bind(self.front).await?;
        self.start_gateway(front).await
    }

    /// A binding with a key of its own.
    pub(super) async fn bind(&mut self, name: &str, scope: &str, policy: Policy) -> Result<Bound, CommandError> {
        let clock: Arc<dyn Clock> = if name == "late" { Arc::new(ClockAhead) } else { Arc::new(SystemClock) };
        let steps: Arc<Mutex<Vec<Step>>> = Arc::default();
        let notes = Arc::clone(&steps);
        let client = self.client(name, scope, clock)?.with_observer(move |step| {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(step.clone());
        });
        let settings = BindingSettings {
            name: name.parse().map_err(CommandError::internal)?,
            resource: format!("{}/mcp", self.gateway),
            client: client.clone(),
            listen: Listen::Socket(self.directory.path().join(format!("sockets/{name}.sock"))),
            policy,
            scope: Some(scope.to_owned()),
            reason: Some("the demonstration".to_owned()),
            lifetime: None,
        };
        let running = self.agent.open(settings).await.map_err(CommandError::internal)?;
        let socket = running.socket.clone().unwrap_or_default();
        Ok(Bound { running, client, socket, steps })
    }

    /// Another client of the same issuer: the attacker, with the key that every chain has.
    pub(super) fn stranger(&self) -> Result<Client, CommandError> {
        let config = chain::client(&self.data, &self.issuer, &self.gateway)?;
        Client::open(&config, &self.data.keys(), Arc::new(SystemClock)).map_err(CommandError::internal)
    }

    /// A client whose private key is known here, so that it can be looked for everywhere.
    fn client(&mut self, name: &str, scope: &str, clock: Arc<dyn Clock>) -> Result<Client, CommandError> {
        let keys = self.data.keys();
        let dpop = KeyName::parse(name).map_err(CommandError::internal)?;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(CommandError::internal)?;
        let document = pair.to_pkcs8v1().map_err(CommandError::internal)?;
        let text = Zeroizing::new(STANDARD.encode(document.as_ref()));
        let pem =
            Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", text.as_str()));
        let key = SoftwareKey::from_text(pem.as_bytes(), None).map_err(CommandError::internal)?;
        keys.import(&dpop, key).map_err(CommandError::internal)?;
        self.canaries.push(Zeroizing::new(text.chars().skip(40).take(40).collect()));
        let known = chain::client(&self.data, &self.issuer, &self.gateway)?;
        let places = KeyPlaces { store: known.keys().store.clone(), dpop };
        let config = ClientConfig::new(&self.issuer, CLIENT_ID, known.authentication().clone(), places)
            .and_then(|config| config.with_resource(&self.gateway))
            .map(|config| config.with_scope(scope))
            .map_err(CommandError::internal)?;
        Client::open(&config, &keys, clock).map_err(CommandError::internal)
    }

    /// Stops everybody.
    pub(super) async fn leave(mut self) {
        self.agent.stop().await;
        self.gateway_ended.cancel();
        if let Some(task) = self.gateway_task.take() {
            let _ = task.await;
        }
        self.ended.cancel();
    }
}

/// What the reader may do.
pub(super) fn reader() -> Policy {
    Policy {
        tools: Some(vec!["read_ledger".to_owned()]),
        read_only_tools: vec!["read_ledger".to_owned()],
        ..Policy::default()
    }
}

/// What the writer may do: a person approves each write.
pub(super) fn writer() -> Policy {
    Policy {
        tools: Some(["read_ledger", "write_ledger"].map(str::to_owned).to_vec()),
        read_only_tools: vec!["read_ledger".to_owned()],
        approval: ApprovalMode::PerWrite,
        ..Policy::default()
    }
}

async fn place() -> Result<Place, CommandError> {
    Place::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await
}

/// The whole text of a file.
pub(super) fn text_of(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(CommandError::internal)
}
