//! `countersign authserver`: the issuer.

mod backup;
mod client;
mod config;
mod grants;
mod init;
mod keys;
mod user;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use countersign_authserver::{AuthServer, BindError};
use countersign_dpop::time::{SystemClock, Timestamp};
use tracing_subscriber::filter::LevelFilter;

use self::config::ConfigFile;
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::serving;

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
    Init(init::InitCommand),
    Client(client::ClientCommand),
    User(user::UserCommand),
    Keys(keys::KeysCommand),
    Grants(grants::GrantsCommand),
    Backup(backup::BackupCommand),
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
        let (file, settings) = ConfigFile::read(self.config.as_deref().unwrap_or(Path::new("authserver.toml")))?;
        let listen = self.listen.or(settings.listen()).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8090)));
        let admin = self.admin.or(settings.admin());
        serving::raise_file_limit();
        let shutdown = serving::shutdown_signal()?;
        let bound = AuthServer::open_and_bind(settings, Arc::new(SystemClock), listen).await;
        let mut bound = bound.map_err(|fault| match fault {
            BindError::Listen(fault) => serving::cannot_listen(listen, &fault),
            BindError::Open(fault) => file.cannot_open(&fault),
            BindError::Tls(fault) => CommandError::configuration(fault),
        })?;
        if let Some(admin) = admin {
            bound = bound.with_admin(admin).await.map_err(|fault| serving::cannot_listen(admin, &fault))?;
        }
        serving::ready_at(if bound.is_tls() { "https" } else { "http" }, bound.local_addr(), bound.admin_addr());
        bound.serve(shutdown).await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Opens the server that the configuration describes without serving, beside one that does.
async fn open(config: &Path) -> Result<AuthServer, CommandError> {
    let (file, settings) = ConfigFile::read(config)?;
    AuthServer::open(settings, Arc::new(SystemClock)).await.map_err(|fault| file.cannot_open(&fault))
}

/// A date as people read it, in UTC.
fn date(date: Timestamp) -> String {
    let since_epoch = Duration::from_secs(u64::try_from(date.seconds()).unwrap_or_default());
    SystemTime::UNIX_EPOCH.checked_add(since_epoch).map(httpdate::fmt_http_date).unwrap_or_default()
}
