//! The quick form: one binding from flags, with the login that it needs. `agent`, `run` and `mcp` share it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args;
use countersign_agent::journal::{Journal, JournalError};
use countersign_agent::policy::ApprovalMode;
use countersign_agent::{Agent, AgentSettings, BindingName, BindingSettings, Listen, Policy, Running};
use countersign_client::keys::{KeyName, KeyPlace, KeyStore};
use countersign_client::login::{ClientChoice, Login, LoginPlan, LoginTools};
use countersign_client::sessions::{Session, SessionStore};
use countersign_client::{Client, ClientConfig, Endpoint};
use countersign_dpop::time::SystemClock;
use http::Method;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use zeroize::Zeroizing;

use crate::error::CommandError;
use crate::{input, keys, render};

/// How long a person may take in the browser.
const PATIENCE: Duration = Duration::from_mins(10);
/// How many agents of one name may run at a time.
const MAX_INSTANCES: u32 = 64;

/// What makes one binding.
#[derive(Clone, Debug, Args)]
pub(crate) struct Quick {
    /// File that describes the client, instead of a login
    #[arg(long, value_name = "FILE")]
    client: Option<PathBuf>,
    /// Scopes to ask for, with blanks between them
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// Where the key lives: memory (gone with the process), file, secret-service, kernel-keyring, pkcs11:MODULE,TOKEN
    #[arg(long, value_name = "STORE", default_value = "file")]
    keys: String,
    /// Issuer to log in at, if not the first that the resource names
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Identifier of a client that is registered at the issuer, without a secret
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Command that opens the login page; the address is added to it
    #[arg(long, value_name = "CMD")]
    browser: Option<String>,
    /// Print the address of the login page instead of opening it
    #[arg(long, conflicts_with = "browser")]
    no_browser: bool,
    /// Name of the binding; made of the resource's host otherwise
    #[arg(long, value_name = "NAME")]
    name: Option<BindingName>,
    /// What it is for, shown to whoever approves
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Method that may be used; may be given more than once
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<Method>,
    /// Path of the resource's origin that may be used, with all below it; may be given more than once
    #[arg(long = "path", value_name = "PATH")]
    paths: Vec<String>,
    /// MCP tool that may be called; may be given more than once
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// MCP tool whose calls change nothing; may be given more than once
    #[arg(long = "read-only-tool", value_name = "TOOL")]
    read_only_tools: Vec<String>,
    /// When a person has to approve: never, first-use, per-tool, per-call, per-write
    #[arg(long, value_name = "MODE", default_value = "never")]
    approval: ApprovalMode,
    /// Requests in a minute
    #[arg(long, value_name = "N")]
    per_minute: Option<u32>,
    /// Let cookies through
    #[arg(long)]
    cookies: bool,
    /// How long the binding may be used, in seconds
    #[arg(long, value_name = "SECONDS")]
    lifetime: Option<u32>,
    /// Where journal and sockets are; below the data directory otherwise
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sealing: keys::Sealing,
}

/// Key and token of a binding, and what is to be dropped when it is revoked.
pub(crate) struct Identity {
    pub(crate) client: Client,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) key: KeyName,
    scope: Option<String>,
}

/// An agent and the directory that is its own.
pub(crate) struct Home {
    pub(crate) agent: Agent,
    pub(crate) directory: PathBuf,
    identities: OnceLock<Arc<Vec<Identity>>>,
}

/// What a process that holds keys does first: no core file, no debugger of the same user.
pub(crate) fn harden() {
    let limit = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(fault) = setrlimit(Resource::Core, limit) {
        tracing::warn!(%fault, "core files cannot be switched off");
    }
    if let Err(fault) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%fault, "this process can be looked into by others of the same user");
    }
}

impl Quick {
    /// One agent with one binding at `resource`.
    pub(crate) async fn open(
        &self,
        resource: &str,
        listen: impl FnOnce(&Path) -> Listen,
        settings: AgentSettings,
    ) -> Result<(Home, Running), CommandError> {
        harden();
        let name = self.binding_name(resource)?;
        let identity = self.identity(resource, &name).await?;
        let home = Home::open(self.directory.as_deref(), name.as_str(), settings)?;
        let scope = self.scope.clone().or(identity.scope.clone());
        let running = home
            .agent
            .open(BindingSettings {
                listen: listen(&home.directory),
                name,
                resource: resource.to_owned(),
                client: identity.client.clone(),
                policy: self.policy(),
                scope,
                reason: self.reason.clone(),
                lifetime: self.lifetime,
            })
            .await
            .map_err(CommandError::configuration)?;
        home.revoke_with(vec![identity]);
        home.open_control().await?;
        Ok((home, running))
    }

    fn policy(&self) -> Policy {
        Policy {
            methods: self.methods.clone(),
            paths: self.paths.clone(),
            mcp_methods: None,
            tools: (!self.tools.is_empty()).then(|| self.tools.clone()),
            read_only_tools: self.read_only_tools.clone(),
            per_minute: self.per_minute,
            approval: self.approval,
            cookies: self.cookies,
        }
    }

    fn binding_name(&self, resource: &str) -> Result<BindingName, CommandError> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let url = Endpoint::parse(resource).map_err(|fault| {
            CommandError::configuration(format!("the resource: {fault}"))
                .with_hint("write the whole URL, like https://mcp.example.com/mcp")
        })?;
        let host = url.origin();
        let host = host.rsplit('/').next().unwrap_or_default().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let name: String = host.trim_matches('-').chars().take(60).collect();
        name.parse().map_err(CommandError::configuration)
    }

    async fn identity(&self, resource: &str, name: &BindingName) -> Result<Identity, CommandError> {
        if let Some(file) = &self.client {
            return of_file(file, &self.sealing);
        }
        let plan = self.plan(resource, name)?;
        log_in(&plan, &self.visit(), &self.sealing).await
    }

    fn plan(&self, resource: &str, name: &BindingName) -> Result<LoginPlan, CommandError> {
        let store = if self.keys == "memory" {
            KeyPlace::Memory
        } else {
            KeyPlace::parse_with_default(&self.keys, &keys::directory(None)?).map_err(CommandError::configuration)?
        };
        let mut plan = LoginPlan::new(resource, store);
        plan.label = format!("agent {name}");
        plan.issuer.clone_from(&self.issuer);
        plan.scope.clone_from(&self.scope);
        if let Some(client_id) = &self.client_id {
            let authentication = countersign_client::config::Authentication::None;
            plan.client = ClientChoice::Registered { client_id: client_id.clone(), authentication };
        }
        Ok(plan)
    }

    fn visit(&self) -> Visit {
        match (&self.browser, self.no_browser) {
            (Some(command), _) => Visit::Command(command.clone()),
            (None, true) => Visit::Print,
            (None, false) => Visit::System,
        }
    }
}

/// The client that a file describes, with its key.
pub(crate) fn of_file(file: &Path, sealing: &keys::Sealing) -> Result<Identity, CommandError> {
    let text = input::read_private_text(file, "the client's configuration")?;
    let directory = file.parent().unwrap_or(Path::new("."));
    let config = ClientConfig::parse(&text, directory)
        .map_err(|fault| CommandError::configuration(format!("{}: {fault}", file.display())))?;
    let places = config.keys();
    let store = places.store.open(sealing.passphrase_for_kept_key()?, Arc::new(SystemClock));
    let store = store.map_err(keys::store_error)?;
    let client = Client::open(&config, store.as_ref(), Arc::new(SystemClock)).map_err(CommandError::configuration)?;
    Ok(Identity { client, key: places.dpop.clone(), keys: store, scope: None })
}

/// The session that is kept for this binding, or a new one.
pub(crate) async fn log_in(plan: &LoginPlan, visit: &Visit, sealing: &keys::Sealing) -> Result<Identity, CommandError> {
    let sessions = if plan.store == KeyPlace::Memory {
        SessionStore::in_memory()
    } else {
        SessionStore::in_directory(sessions_directory()?)
    };
    let store = plan.store.open(sealing.passphrase_for_new_key()?, Arc::new(SystemClock));
    let store = store.map_err(keys::store_error)?;
    let session = match kept(&sessions, plan)? {
        Some(session) => session,
        None => new_session(plan, visit, &sessions, &store).await?,
    };
    let client = Client::of_session(&session, sessions, store.as_ref(), Arc::new(SystemClock))
        .map_err(CommandError::configuration)?;
    let scope = session.tokens.access.scope().map(str::to_owned);
    Ok(Identity { client, key: session.config.keys().dpop.clone(), keys: store, scope })
}

/// A kept session of this very binding that is good still: its label and its resource are this one's.
fn kept(sessions: &SessionStore, plan: &LoginPlan) -> Result<Option<Session>, CommandError> {
    let url = Endpoint::parse(&plan.url).map_err(CommandError::configuration)?;
    let listed = sessions.list().map_err(CommandError::configuration)?;
    let own = listed.into_iter().filter_map(|listed| listed.session.ok()).filter(|session| {
        session.label == plan.label
            && session.config.keys().store == plan.store
            && session.reach().is_some_and(|reach| reach.contains(&url))
            && session.can_renew()
    });
    Ok(own.max_by_key(|session| session.created))
}

async fn new_session(
    plan: &LoginPlan,
    visit: &Visit,
    sessions: &SessionStore,
    store: &Arc<dyn KeyStore>,
) -> Result<Session, CommandError> {
    let tools = LoginTools::new(Arc::clone(store), sessions.clone(), Arc::new(SystemClock));
    let failed = |fault: countersign_client::LoginError| CommandError::internal(format!("no login: {fault}"));
    let login = Login::prepare(plan, &tools).await.map_err(failed)?;
    let session = login.by_code(PATIENCE, |address| visit.open(address)).await.map_err(failed)?;
    sessions.save(&session).map_err(CommandError::internal)?;
    Ok(session)
}

/// Where sessions are kept.
pub(crate) fn sessions_directory() -> Result<PathBuf, CommandError> {
    let keys = keys::directory(None)?;
    Ok(keys.parent().unwrap_or(Path::new(".")).join("sessions"))
}

/// How a person comes to the login page.
#[derive(Clone, Debug)]
pub(crate) enum Visit {
    /// By this command of a shell; the address is its last argument.
    Command(String),
    /// By the system's browser.
    System,
    /// He goes there himself.
    Print,
}

impl Visit {
    fn open(&self, address: &str) -> std::io::Result<()> {
        let mut command = match self {
            Self::Print => {
                render::status(format_args!("log in at {address}"));
                return Ok(());
            }
            Self::Command(line) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("{line} \"$0\""), address]);
                command
            }
            Self::System => {
                render::status(format_args!("log in at {address}"));
                let mut command = Command::new(if cfg!(target_os = "macos") { "open" } else { "xdg-open" });
                command.arg(address);
                command
            }
        };
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        match (spawned, self) {
            (Ok(mut child), _) => {
                std::thread::spawn(move || child.wait());
                Ok(())
            }
            // The address stands on the terminal.
            (Err(_), Self::System) => Ok(()),
            (Err(fault), _) => Err(fault),
        }
    }
}

impl Home {
    /// Opens an agent in `given`, or in the first directory of its name that no other agent uses.
    pub(crate) fn open(given: Option<&Path>, name: &str, settings: AgentSettings) -> Result<Self, CommandError> {
        if let Some(directory) = given {
            let journal = journal(directory)?.map_err(CommandError::configuration)?;
            return Self::with(journal, directory, settings);
        }
        let base = base_directory()?;
        for number in 1..=MAX_INSTANCES {
            let directory = base.join(if number == 1 { name.to_owned() } else { format!("{name}-{number}") });
            match journal(&directory)? {
                Ok(journal) => return Self::with(journal, &directory, settings),
                Err(JournalError::InUse) => {}
                Err(fault) => return Err(broken(&directory, &fault)),
            }
        }
        Err(CommandError::configuration(format!("{MAX_INSTANCES} agents of this name run already")))
    }

    fn with(journal: Journal, directory: &Path, settings: AgentSettings) -> Result<Self, CommandError> {
        let agent = Agent::new(settings, journal, Arc::new(SystemClock)).map_err(CommandError::configuration)?;
        Ok(Self { agent, directory: directory.to_owned(), identities: OnceLock::new() })
    }

    /// What is dropped with a binding: its session at the issuer, and its key.
    pub(crate) fn revoke_with(&self, identities: Vec<Identity>) {
        let identities = Arc::new(identities);
        let _ = self.identities.set(Arc::clone(&identities));
        self.agent.on_revoke(Box::new(move |binding| {
            let identities = Arc::clone(&identities);
            Box::pin(async move {
                let own = identities.iter().find(|identity| identity.client.jkt() == binding.jkt());
                let own = own.ok_or_else(|| "nobody knows its key".to_owned())?;
                let told = own.client.log_out().await.map_err(|fault| fault.to_string());
                own.keys.delete(&own.key).map_err(|fault| fault.to_string())?;
                told.map(drop)
            })
        }));
    }

    /// The client of a binding.
    pub(crate) fn client(&self, running: &Running) -> Option<&Client> {
        let identities = self.identities.get()?.iter();
        identities.map(|identity| &identity.client).find(|client| client.jkt() == running.binding.jkt())
    }

    /// Serves the control socket.
    pub(crate) async fn open_control(&self) -> Result<(), CommandError> {
        let path = self.directory.join(CONTROL);
        self.agent.open_control(&path).await.map_err(CommandError::configuration)
    }
}

/// The name of the control socket.
pub(crate) const CONTROL: &str = "control.sock";
/// The name of the journal.
pub(crate) const JOURNAL: &str = "journal.jsonl";

fn journal(directory: &Path) -> Result<Result<Journal, JournalError>, CommandError> {
    use std::os::unix::fs::DirBuilderExt;
    let refused = |fault| CommandError::configuration(format!("cannot make {}: {fault}", directory.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(refused)?;
    Ok(Journal::open(&directory.join(JOURNAL), Arc::new(SystemClock)))
}

fn broken(directory: &Path, fault: &JournalError) -> CommandError {
    CommandError::configuration(format!("{}: {fault}", directory.join(JOURNAL).display()))
        .with_hint("keep it for whoever looks into this, under another name, and start again")
}

/// Where agents have their directories.
pub(crate) fn base_directory() -> Result<PathBuf, CommandError> {
    let keys = keys::directory(None)?;
    Ok(keys.parent().unwrap_or(Path::new(".")).join("agent"))
}

/// Secrets of a binding that a program's output must not hold: the token it uses now.
pub(crate) async fn secrets(running: &Client) -> Vec<Zeroizing<String>> {
    match running.token().await {
        Ok(token) => vec![Zeroizing::new(token.expose_secret().to_owned())],
        Err(_) => Vec::new(),
    }
}

/// Where a program reaches a binding: the port if one is asked for, else the socket.
pub(crate) fn listen(port: Option<SocketAddr>, socket: Option<PathBuf>) -> Listen {
    match (port, socket) {
        (_, Some(path)) => Listen::Socket(path),
        (Some(address), None) => Listen::Port(address),
        (None, None) => Listen::Port(SocketAddr::from(([127, 0, 0, 1], 0))),
    }
}
