//! `countersign authserver backup`: a copy of the SQLite database while it is in use.

use std::path::PathBuf;
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
        let data = settings.data();
        make_private_directory(&self.to)
            .map_err(|fault| CommandError::configuration(format!("{}: {fault}", self.to.display())))?;
        let copy = self.to.join(SqlStorage::FILE);
        SqlStorage::backup_sqlite(data, &copy).await.map_err(CommandError::configuration)?;
        let (key, key_copy) = (data.join("sealing.key"), self.to.join("sealing.key"));
        std::fs::copy(&key, &key_copy)
            .map_err(|fault| CommandError::configuration(format!("{}: {fault}", key.display())))?;
        render::line(format_args!("{} holds the database and the key that opens it", self.to.display()));
        Ok(ExitCode::SUCCESS)
    }
}

fn make_private_directory(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}
