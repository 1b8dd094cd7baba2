//! The quick form: one binding from flags, with the login that it needs. `agent`, `run` and `mcp` share it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use countersign_agent::config::BindingConfig;
use countersign_agent::policy::ApprovalMode;
use countersign_agent::{AgentSettings, BindingName, BindingSettings, Listen, Policy, Running};
use countersign_client::Endpoint;
use countersign_client::config::Authentication;
use countersign_client::login::{ClientChoice, LoginPlan};
use http::Method;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use super::home::Home;
use super::identity::{Desk, Identity, log_in, of_file};
use crate::browser::Browser;
use crate::error::CommandError;
use crate::keys;
use crate::sessions::Sessions;

/// What makes one binding.
#[derive(Clone, Debug, Args)]
pub(crate) struct Quick {
    /// File that describes the client, instead of a login
    #[arg(long, value_name = "FILE")]
    client: Option<PathBuf>,
    /// Scopes to ask for, with blanks between them
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// Where the key lives: memory (gone with the process), file, secret-service, kernel-keyring,
    /// pkcs11:MODULE,TOKEN, or the directory of sealed files [default: file]
    #[arg(long, value_name = "STORE", env = "COUNTERSIGN_KEYS")]
    keys: Option<String>,
    #[command(flatten)]
    sessions: Sessions,
    /// Issuer to log in at, if not the first that the resource names
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Identifier of a client that is registered at the issuer, without a secret
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Command that opens the page to log in; its address is added as the last argument
    #[arg(long, value_name = "CMD", env = "COUNTERSIGN_BROWSER")]
    browser: Option<String>,
    /// Print the address of the page to log in and open nothing
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

/// What a login is to be for.
struct Wanted {
    issuer: Option<String>,
    client_id: Option<String>,
    scope: Option<String>,
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
        listen: impl FnOnce(&Path, &BindingName) -> Listen,
        settings: AgentSettings,
    ) -> Result<(Home, Running), CommandError> {
        harden();
        let name = self.binding_name(resource)?;
        // Nobody logs in to an agent that cannot be.
        let home = Home::open(self.directory.as_deref(), name.as_str(), settings).await?;
        let identity = self.identity(resource, &name).await?;
        let scope = self.scope.clone().or(identity.scope.clone());
        let running = home
            .agent
            .open(BindingSettings {
                listen: listen(&home.directory, &name),
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
        let (issuer, client_id) = (self.issuer.clone(), self.client_id.clone());
        let plan = self.plan_for(resource, name, Wanted { issuer, client_id, scope: self.scope.clone() })?;
        log_in(&plan, &self.desk()).await
    }

    /// What logins are made with.
    pub(crate) fn desk(&self) -> Desk<'_> {
        let browser = Browser::of(self.browser.clone(), self.no_browser);
        Desk { browser, sessions: &self.sessions, sealing: &self.sealing }
    }

    /// How a binding of a configuration logs in: flags are for what it does not say.
    pub(crate) fn plan(&self, config: &BindingConfig) -> Result<LoginPlan, CommandError> {
        let wanted = Wanted {
            issuer: config.issuer.clone().or_else(|| self.issuer.clone()),
            client_id: config.client_id.clone().or_else(|| self.client_id.clone()),
            scope: config.scope.clone(),
        };
        self.plan_for(&config.resource, &config.name, wanted)
    }

    fn plan_for(&self, resource: &str, name: &BindingName, wanted: Wanted) -> Result<LoginPlan, CommandError> {
        let mut plan = LoginPlan::new(resource, keys::place(self.keys.as_deref())?);
        plan.label = format!("agent {name}");
        (plan.issuer, plan.scope) = (wanted.issuer, wanted.scope);
        if let Some(client_id) = wanted.client_id {
            plan.client = ClientChoice::Registered { client_id, authentication: Authentication::None };
        }
        Ok(plan)
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
