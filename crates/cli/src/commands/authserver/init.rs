//! `countersign authserver init`: a commented configuration to start from.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_dpop::jose::encode_base64url;

use crate::error::CommandError;
use crate::render;

/// Write a commented configuration to start from; an existing file is left as it is
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign authserver init --config authserver.toml")]
pub(crate) struct InitCommand {
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "authserver.toml")]
    config: PathBuf,
}

impl InitCommand {
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        let refused = |fault: std::io::Error| {
            CommandError::configuration(format!(
                "{} was not written: {fault}; what is there was left as it is",
                self.config.display()
            ))
        };
        // It will hold secrets sooner or later, so it is its owner's from the start.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.config).map_err(refused)?;
        file.write_all(EXAMPLE.replace(PLACEHOLDER, &draw_secret()?).as_bytes()).map_err(refused)?;
        render::line(format_args!("{} written; read it, change it, then:", self.config.display()));
        render::line(format_args!("  countersign authserver --config {}", self.config.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Nobody is to run a server with a secret that everybody has read.
fn draw_secret() -> Result<String, CommandError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CommandError::internal("no random bytes"))?;
    Ok(encode_base64url(bytes))
}

/// What stands in place of the secret of the example's client.
const PLACEHOLDER: &str = "a secret is drawn here";

/// What is written. A test starts a server with it.
const EXAMPLE: &str = include_str!("../../../templates/authserver.toml");
