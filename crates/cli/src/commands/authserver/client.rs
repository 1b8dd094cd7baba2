//! `countersign authserver client`: clients that are not of the configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use countersign_authserver::config::{AuthSetting, ClientConfig};
use countersign_authserver::{AddClientError, AddedClient, ClientListing, Registrar};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::error::CommandError;
use crate::input;
use crate::render::{self, NAME, styled};

/// Add, list, switch off and remove clients, while the server serves
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign authserver client add reports --auth client_secret_basic \\\n    \
--grant client_credentials --scope read --config authserver.toml")]
pub(crate) struct ClientCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a client; its secret, if it has one, is printed once and kept as a hash
    Add(AddCommand),
    /// List every client, those of the configuration included
    #[command(after_help = "Example:\n  countersign authserver client list --config authserver.toml")]
    List(Common),
    /// Show one client
    #[command(after_help = "Example:\n  countersign authserver client show reports --config authserver.toml")]
    Show(One),
    /// Switch a client off: it can no longer authenticate
    #[command(after_help = "Example:\n  countersign authserver client disable reports --config authserver.toml")]
    Disable(One),
    /// Switch a client on again
    #[command(after_help = "Example:\n  countersign authserver client enable reports --config authserver.toml")]
    Enable(One),
    /// Forget a client
    #[command(after_help = "Example:\n  countersign authserver client remove reports --config authserver.toml")]
    Remove(One),
}

#[derive(Debug, Args)]
struct Common {
    /// TOML file of the server; it may be serving meanwhile
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", default_value = "authserver.toml")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct One {
    /// Its identifier
    client_id: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign authserver client add reports --auth private_key_jwt \\\n    \
--jwks reports.jwks.json --grant client_credentials --scope read --config authserver.toml")]
struct AddCommand {
    /// Its identifier
    client_id: String,
    /// How it authenticates
    #[arg(long, value_enum)]
    auth: AuthFlag,
    /// A grant it may use, by its name on the wire; may stand several times
    #[arg(long = "grant", value_name = "GRANT", required = true)]
    grants: Vec<String>,
    /// A scope it may ask for; may stand several times
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Where its users may be sent back to; may stand several times
    #[arg(long = "redirect-uri", value_name = "URL")]
    redirect_uris: Vec<String>,
    /// File with its public keys, a JWK Set
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks: Option<PathBuf>,
    /// Where its public keys are published
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// Give it bound tokens only
    #[arg(long)]
    bound: bool,
    /// What it is called
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum AuthFlag {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

impl From<AuthFlag> for AuthSetting {
    fn from(flag: AuthFlag) -> Self {
        match flag {
            AuthFlag::None => Self::None,
            AuthFlag::ClientSecretBasic => Self::ClientSecretBasic,
            AuthFlag::ClientSecretPost => Self::ClientSecretPost,
            AuthFlag::PrivateKeyJwt => Self::PrivateKeyJwt,
        }
    }
}

impl ClientCommand {
    pub(crate) async fn run(&self) -> Result<ExitCode, CommandError> {
        match &self.action {
            Action::Add(add) => add.run().await,
            Action::List(common) => show(&listed(common).await?, common.json),
            Action::Show(one) => {
                let found: Vec<_> = listed(&one.common).await?;
                let found: Vec<_> = found.into_iter().filter(|client| client.client_id == one.client_id).collect();
                if found.is_empty() { Ok(unknown()) } else { show(&found, one.common.json) }
            }
            Action::Disable(one) => one.set_disabled(true).await,
            Action::Enable(one) => one.set_disabled(false).await,
            Action::Remove(one) => {
                let clients = super::open(&one.common.config).await?.clients();
                let removed = clients.remove(&one.client_id).await.map_err(CommandError::internal)?;
                Ok(if removed { ExitCode::SUCCESS } else { unknown() })
            }
        }
    }
}

impl One {
    async fn set_disabled(&self, disabled: bool) -> Result<ExitCode, CommandError> {
        let clients = super::open(&self.common.config).await?.clients();
        let changed = clients.set_disabled(&self.client_id, disabled).await.map_err(CommandError::internal)?;
        Ok(if changed { ExitCode::SUCCESS } else { unknown() })
    }
}

fn unknown() -> ExitCode {
    render::error_line("refused", "no client of that name is registered beside the configuration");
    ExitCode::from(1)
}

async fn listed(common: &Common) -> Result<Vec<ClientListing>, CommandError> {
    super::open(&common.config).await?.clients().list().await.map_err(CommandError::internal)
}

#[derive(Serialize)]
struct AddedJson<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
}

impl AddCommand {
    async fn run(&self) -> Result<ExitCode, CommandError> {
        let jwks = self.jwks.as_deref().map(|file| input::read_text(file, "the JWK Set")).transpose()?;
        let read =
            |text: &String| serde_json::from_str(text).map_err(|_| CommandError::configuration("--jwks: not JSON"));
        let written = ClientConfig {
            jwks: jwks.as_ref().map(read).transpose()?,
            jwks_uri: self.jwks_uri.clone(),
            redirect_uris: self.redirect_uris.clone(),
            grants: self.grants.clone(),
            scopes: self.scopes.clone(),
            dpop_bound_access_tokens: self.bound.then_some(true),
            ..ClientConfig::new(&self.client_id, self.auth.into())
        };
        let clients = super::open(&self.common.config).await?.clients();
        match clients.add(written, self.name.clone()).await {
            Ok(added) => self.say(&added),
            Err(AddClientError::Taken) => {
                render::error_line("refused", "there is a client of that name");
                Ok(ExitCode::from(1))
            }
            Err(AddClientError::Wrong(faults)) => Err(CommandError::configuration(faults)),
            Err(fault) => Err(CommandError::internal(fault)),
        }
    }

    fn say(&self, added: &AddedClient) -> Result<ExitCode, CommandError> {
        let secret = added.secret.as_ref().map(ExposeSecret::expose_secret);
        if self.common.json {
            render::json(&AddedJson { client_id: &added.client_id, client_secret: secret })?;
            return Ok(ExitCode::SUCCESS);
        }
        render::line(format_args!("client_id      {}", styled(NAME, &added.client_id)));
        if let Some(secret) = secret {
            render::line(format_args!("client_secret  {secret}"));
            render::status("the secret is shown this once; the server keeps a hash of it");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(clients: &[ClientListing], json: bool) -> Result<ExitCode, CommandError> {
    if json {
        render::json(&clients)?;
        return Ok(ExitCode::SUCCESS);
    }
    for client in clients {
        let by = match client.registered_by {
            Registrar::Configuration => "configuration",
            Registrar::Operator => "operator",
            Registrar::Itself => "itself",
        };
        let state = if client.disabled { "  off" } else { "" };
        let bound = if client.dpop_bound_access_tokens { "  bound tokens only" } else { "" };
        let name = client.name.as_ref().map(|name| format!("  {name:?}")).unwrap_or_default();
        render::line(format_args!("{}{name}  {}  by {by}{bound}{state}", styled(NAME, &client.client_id), client.auth));
        render::line(format_args!("  grants: {}", client.grants.join(", ")));
        render::line(format_args!("  scopes: {}", client.scopes.join(" ")));
    }
    Ok(ExitCode::SUCCESS)
}
