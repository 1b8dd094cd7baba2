//! `countersign gateway init`: a commented configuration to start from.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::error::CommandError;
use crate::render;

/// Writes a commented configuration to start from; an existing file is left as it is
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  countersign gateway init --config gateway.toml")]
pub(super) struct InitCommand {
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,
}

impl InitCommand {
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let shown = self.config.display();
        let refused = |fault: std::io::Error| {
            CommandError::configuration(format!("{shown} was not written: {fault}; what is there was left as it is"))
        };
        let mut file = OpenOptions::new().write(true).create_new(true).open(&self.config).map_err(refused)?;
        file.write_all(EXAMPLE.as_bytes()).map_err(refused)?;
        render::line(format_args!("{shown} written; read it, change it, then:"));
        render::line(format_args!("  countersign gateway check --config {shown}"));
        render::line(format_args!("  countersign gateway --config {shown}"));
        Ok(ExitCode::SUCCESS)
    }
}

/// What is written. A test reads it back.
pub(super) const EXAMPLE: &str = include_str!("../../../templates/gateway.toml");
