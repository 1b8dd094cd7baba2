//! One file or folder per command.

mod authserver;
mod key;

use std::process::ExitCode;

use clap::Subcommand;

use crate::error::CommandError;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Issues access tokens that are bound to the client's key
    #[command(name = "authserver")]
    AuthServer(authserver::AuthServerCommand),
    /// Makes, keeps and shows keys; a private key is never printed
    Key(key::KeyCommand),
}

impl Command {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::AuthServer(command) => command.run().await,
            Self::Key(command) => command.run(),
        }
    }
}
