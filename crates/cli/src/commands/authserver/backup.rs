//! `countersign authserver backup`: a copy of the SQLite database while it is in use.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use countersign_authserver::storage::SqlStorage;

use super::config::ConfigFile;
use crate::error::CommandError;
use crate::render;

/// Copy the SQLite database and the sealing key into a new directory, while the server runs
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign authserver backup --config authserver.toml --to /backup/2026-11-21\n\n\
Restore it by naming that directory as data in the configuration."
)]
pub(crate) struct BackupCommand {
    /// TOML file of the server
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG", default_value = "authserver.toml")]
    config: PathBuf,
    /// Directory to make; it must not exist yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

impl BackupCommand {
    pub(crate) async fn run(&self) -> Result<ExitCode, CommandError> {
        let (_, settings) = ConfigFile::read(&self.config)?;
        if settings.uses_postgres() {
            return Err(CommandError::configuration("the database is in Postgres: back it up with pg_dump"));
        }
        let to = &self.to;
        make_private_directory(to).map_err(|fault| cannot_make(to, &fault))?;
        if let Err(fault) = copy(settings.data(), to).await {
            // What was made is no backup, and would be in the way of the next try.
            let _ = std::fs::remove_dir_all(to);
            return Err(fault);
        }
        render::line(format_args!("{} holds the database and the key that opens it", to.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Copies database and sealing key.
async fn copy(data: &Path, to: &Path) -> Result<(), CommandError> {
    SqlStorage::backup_sqlite(data, &to.join(SqlStorage::FILE)).await.map_err(CommandError::configuration)?;
    let key = data.join("sealing.key");
    let copied = std::fs::copy(&key, to.join("sealing.key"));
    copied.map(drop).map_err(|fault| CommandError::configuration(format!("{}: {fault}", key.display())))
}

fn cannot_make(to: &Path, fault: &io::Error) -> CommandError {
    if fault.kind() == io::ErrorKind::AlreadyExists {
        let said = format!("{} is there already; it was left as it is", to.display());
        return CommandError::configuration(said).with_hint("name a directory that does not exist yet");
    }
    CommandError::configuration(format!("{} cannot be made: {fault}", to.display()))
}

fn make_private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}
