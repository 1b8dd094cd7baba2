//! `countersign`: OAuth DPoP end to end in one binary.
#![forbid(unsafe_code)]

mod browser;
mod chain;
mod commands;
mod config_lines;
mod engine;
mod error;
mod input;
mod keys;
mod logging;
mod notify;
mod render;
mod serving;
mod sessions;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;

/// Makes a stolen OAuth token useless: OAuth DPoP (RFC 9449) end to end.
///
/// A client signs every request with a key it never shows; the authorization server binds tokens to that key; the
/// gateway checks token, proof and binding on every request.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, arg_required_else_help = true, propagate_version = true)]
#[command(after_help = "Start with:  countersign demo --once\n\nExit codes: 0 fine, 1 refused or a finding, 2 usage, \
configuration or internal.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}

fn start(arguments: Arguments) -> Result<ExitCode, error::CommandError> {
    // One crypto backend for TLS and proofs; a second provider in the process would be refused here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|fault| error::CommandError::internal(format!("the runtime does not start: {fault}")))?;
    runtime.block_on(arguments.command.run())
}
