//! `agent.toml`: what an agent is told.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use toml::Spanned;

use crate::agent::AgentSettings;
use crate::binding::{BindingName, Listen};
use crate::place::Place;
use crate::policy::{ApprovalMode, Policy};

/// The configuration of an agent.
#[derive(Debug)]
pub struct AgentConfig {
    /// Where journal, control socket and sockets are; `None` for the usual place.
    pub directory: Option<PathBuf>,
    /// How it behaves.
    pub settings: AgentSettings,
    /// The bindings.
    pub bindings: Vec<BindingConfig>,
}

/// The configuration of a binding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BindingConfig {
    /// Its name.
    pub name: BindingName,
    /// The URL that its address stands for.
    pub resource: String,
    /// The file of the client whose key and token it uses; `None` for one by login.
    pub client: Option<PathBuf>,
    /// The issuer to log in at; `None` for the first that the resource names.
    pub issuer: Option<String>,
    /// The client to log in as, one that is registered and has no secret.
    pub client_id: Option<String>,
    /// Where programs reach it; `None` for a socket of its name in the agent's directory.
    pub listen: Option<Listen>,
    /// The scopes to ask for.
    pub scope: Option<String>,
    /// What it is for.
    pub reason: Option<String>,
    /// How long it may be used, in seconds.
    pub lifetime: Option<u32>,
    /// What may be sent.
    pub policy: Policy,
}

/// What is wrong with a configuration.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}{what}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct ConfigError {
    /// The line.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    directory: Option<PathBuf>,
    approval_wait: Option<Spanned<u32>>,
    idle_lock: Option<Spanned<u32>>,
    #[serde(default)]
    notify: Vec<String>,
    #[serde(default)]
    binding: Vec<Spanned<BindingTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BindingTable {
    name: Spanned<String>,
    resource: Spanned<String>,
    client: Option<PathBuf>,
    issuer: Option<String>,
    client_id: Option<Spanned<String>>,
    socket: Option<PathBuf>,
    listen: Option<Spanned<String>>,
    scope: Option<String>,
    reason: Option<String>,
    lifetime: Option<Spanned<u32>>,
    #[serde(default)]
    policy: PolicyTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyTable {
    #[serde(default)]
    methods: Vec<Spanned<String>>,
    #[serde(default)]
    paths: Vec<Spanned<String>>,
    mcp_methods: Option<Vec<String>>,
    tools: Option<Vec<String>>,
    #[serde(default)]
    read_only_tools: Vec<String>,
    per_minute: Option<u32>,
    approval: Option<Spanned<String>>,
    #[serde(default)]
    cookies: bool,
}

impl AgentConfig {
    /// Reads the text of an `agent.toml`. Relative paths in it are taken from `directory`, that of the file.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(text: &str, directory: &Path) -> Result<Self, ConfigError> {
        let reading = Reading { text, directory };
        let file: File = toml::from_str(text).map_err(|fault| {
            let line = fault.span().map(|span| reading.line(&span));
            ConfigError { line, what: fault.message().to_owned() }
        })?;
        let defaults = AgentSettings::default();
        let settings = AgentSettings {
            approval_wait: reading
                .seconds("approval_wait", file.approval_wait.as_ref(), 3_600)?
                .map_or(defaults.approval_wait, |seconds| Duration::from_secs(seconds.into())),
            idle_lock: reading.seconds("idle_lock", file.idle_lock.as_ref(), 604_800)?,
            notify: file.notify,
            ..defaults
        };
        let mut names = BTreeSet::new();
        let mut bindings = Vec::new();
        for table in &file.binding {
            let binding = reading.binding(table.get_ref())?;
            if !names.insert(binding.name.clone()) {
                let what = format!("there are two bindings named {}", binding.name);
                return Err(reading.wrong(&table.get_ref().name.span(), what));
            }
            bindings.push(binding);
        }
        if bindings.is_empty() {
            let what = "there is no [[binding]]: the agent would have nothing to do".to_owned();
            return Err(ConfigError { line: None, what });
        }
        Ok(Self { directory: file.directory.map(|path| directory.join(path)), settings, bindings })
    }
}

struct Reading<'a> {
    text: &'a str,
    directory: &'a Path,
}

impl Reading<'_> {
    fn binding(&self, table: &BindingTable) -> Result<BindingConfig, ConfigError> {
        let name = table.name.get_ref().parse::<BindingName>();
        let name = name.map_err(|fault| self.wrong(&table.name.span(), format!("name: {fault}")))?;
        let resource = table.resource.get_ref().clone();
        Place::parse(&resource).map_err(|fault| self.wrong(&table.resource.span(), format!("resource: {fault}")))?;
        Ok(BindingConfig {
            name,
            resource,
            client: table.client.as_ref().map(|path| self.directory.join(path)),
            issuer: table.issuer.clone(),
            client_id: self.client_id(table)?,
            listen: self.listen(table)?,
            scope: table.scope.clone(),
            reason: table.reason.clone(),
            lifetime: self.seconds("lifetime", table.lifetime.as_ref(), 31_536_000)?,
            policy: self.policy(&table.policy)?,
        })
    }

    fn client_id(&self, table: &BindingTable) -> Result<Option<String>, ConfigError> {
        match (&table.client, &table.client_id) {
            (Some(_), Some(client_id)) => {
                let what = "a binding has the client of a file, or logs in as client_id, not both".to_owned();
                Err(self.wrong(&client_id.span(), what))
            }
            (_, client_id) => Ok(client_id.as_ref().map(|client_id| client_id.get_ref().clone())),
        }
    }

    fn listen(&self, table: &BindingTable) -> Result<Option<Listen>, ConfigError> {
        match (&table.socket, &table.listen) {
            (None, None) => Ok(None),
            (Some(socket), None) => Ok(Some(Listen::Socket(self.directory.join(socket)))),
            (None, Some(listen)) => {
                let address = listen.get_ref().parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
                let what = || "listen: not a loopback address and port, like 127.0.0.1:0".to_owned();
                let address = address.ok_or_else(|| self.wrong(&listen.span(), what()))?;
                Ok(Some(Listen::Port(address)))
            }
            (Some(_), Some(listen)) => {
                Err(self.wrong(&listen.span(), "a binding has a socket or a port, not both".to_owned()))
            }
        }
    }

    fn policy(&self, table: &PolicyTable) -> Result<Policy, ConfigError> {
        let method = |method: &Spanned<String>| {
            let parsed = method.get_ref().parse::<Method>();
            parsed.map_err(|_| self.wrong(&method.span(), format!("{:?} is no method", method.get_ref())))
        };
        let path = |path: &Spanned<String>| {
            let text = path.get_ref();
            let good = text.starts_with('/') && !text.contains(['?', '#', '\\']);
            let what = || format!("{text:?} is no path like /v1/orders, as the resource has it");
            if good { Ok(text.clone()) } else { Err(self.wrong(&path.span(), what())) }
        };
        let approval = table.approval.as_ref().map(|mode| {
            let parsed = mode.get_ref().parse::<ApprovalMode>();
            parsed.map_err(|fault| self.wrong(&mode.span(), fault.to_string()))
        });
        Ok(Policy {
            methods: table.methods.iter().map(method).collect::<Result<_, _>>()?,
            paths: table.paths.iter().map(path).collect::<Result<_, _>>()?,
            mcp_methods: table.mcp_methods.clone(),
            tools: table.tools.clone(),
            read_only_tools: table.read_only_tools.clone(),
            per_minute: table.per_minute,
            approval: approval.transpose()?.unwrap_or_default(),
            cookies: table.cookies,
        })
    }

    fn seconds(&self, key: &str, value: Option<&Spanned<u32>>, most: u32) -> Result<Option<u32>, ConfigError> {
        match value {
            None => Ok(None),
            Some(value) if (1..=most).contains(value.get_ref()) => Ok(Some(*value.get_ref())),
            Some(value) => Err(self.wrong(&value.span(), format!("{key}: from 1 to {most} seconds"))),
        }
    }

    fn wrong(&self, span: &Range<usize>, what: String) -> ConfigError {
        ConfigError { line: Some(self.line(span)), what }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().iter().take(span.start);
        before.filter(|byte| **byte == b'\n').count().saturating_add(1)
    }
}
