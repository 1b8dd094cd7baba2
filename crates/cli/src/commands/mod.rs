//! One file or folder per command.

mod key;

use std::process::ExitCode;

use clap::Subcommand;

use crate::error::CommandError;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes, keeps and shows keys; a private key is never printed
    Key(key::KeyCommand),
}

impl Command {
    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        match self {
            Self::Key(command) => command.run(),
        }
    }
}
