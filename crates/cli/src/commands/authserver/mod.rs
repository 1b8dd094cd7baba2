//! `countersign authserver`: the issuer.

mod backup;
mod client;
mod grants;
mod init;
mod keys;
mod user;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use countersign_authserver::{AuthServer, AuthServerConfig, BindError, Settings};
use countersign_dpop::time::SystemClock;
use tracing_subscriber::filter::LevelFilter;

use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::{input, serving};

/// Issues access tokens that are bound to the client's key
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:\n  countersign authserver init --config authserver.toml\n  \
countersign authserver --config authserver.toml")]
pub(crate) struct AuthServerCommand {
    /// TOML file with issuer, data directory, clients and resources
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", required = true)]
    config: Option<PathBuf>,
    /// Address to listen on; port 0 picks a free one [default: the file's, else 127.0.0.1:8090]
    #[arg(long, value_name = "ADDR", env = "COUNTERSIGN_LISTEN")]
    listen: Option<SocketAddr>,
    /// Address for /healthz, /readyz and /metrics [default: the file's, else none]
    #[arg(long, value_name = "ADDR", env = "COUNTERSIGN_ADMIN")]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    log: LogFlags,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what users have approved, and take it back
    Grants(grants::GrantsCommand),
    /// Copy the SQLite database and the sealing key while the server runs
    Backup(backup::BackupCommand),
    /// Write a commented configuration to start from
    Init(init::InitCommand),
    Keys(keys::KeysCommand),
    Client(client::ClientCommand),
    /// Add, change and list users
    User(user::UserCommand),
}

impl AuthServerCommand {
    /// Serves until a signal comes, or does what the subcommand says.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        match &self.action {
            Some(Action::Init(init)) => return init.run(),
            Some(Action::Keys(keys)) => return keys.run().await,
            Some(Action::Client(client)) => return client.run().await,
            Some(Action::Grants(grants)) => return grants.run().await,
            Some(Action::User(user)) => return user.run().await,
            Some(Action::Backup(backup)) => return backup.run().await,
            None => {}
        }
        logging::start(&self.log, LevelFilter::INFO);
        let settings = settings(self.config.as_deref().unwrap_or(Path::new("authserver.toml")))?;
        let listen = self.listen.or(settings.listen()).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8090)));
        let admin = self.admin.or(settings.admin());
        serving::raise_file_limit();
        let shutdown = serving::shutdown_signal()?;
        let bound = AuthServer::open_and_bind(settings, Arc::new(SystemClock), listen).await;
        let mut bound = bound.map_err(|fault| match fault {
            BindError::Listen(fault) => serving::cannot_listen(listen, &fault),
            BindError::Open(_) | BindError::Tls(_) => CommandError::configuration(fault),
        })?;
        if let Some(admin) = admin {
            bound = bound.with_admin(admin).await.map_err(|fault| serving::cannot_listen(admin, &fault))?;
        }
        serving::ready_at(if bound.is_tls() { "https" } else { "http" }, bound.local_addr(), bound.admin_addr());
        bound.serve(shutdown).await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Where the database is, as `postgres://…`; over the file. There is no flag for it: everybody sees flags.
const DATABASE_VARIABLE: &str = "COUNTERSIGN_DATABASE";

/// Opens the server that the configuration describes without serving, beside one that does.
async fn open(config: &Path) -> Result<AuthServer, CommandError> {
    AuthServer::open(settings(config)?, Arc::new(SystemClock)).await.map_err(CommandError::configuration)
}

/// Reads the configuration; files it names count from its own directory.
fn settings(file: &Path) -> Result<Settings, CommandError> {
    let mut config: AuthServerConfig = input::read_toml(file, "the configuration")?;
    if let Some(url) = std::env::var_os(DATABASE_VARIABLE) {
        let not_text = |_| CommandError::configuration(format!("{DATABASE_VARIABLE} is not UTF-8 text"));
        config.database = Some(url.into_string().map_err(not_text)?.into());
        config.database_file = None;
    }
    config.resolve(file.parent().unwrap_or(Path::new("."))).map_err(|faults| {
        CommandError::configuration(format!("the configuration {} is not right:\n{faults}", file.display()))
            .with_hint("nothing was started; countersign authserver init writes an example")
    })
}
