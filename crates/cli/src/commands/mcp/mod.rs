//! `countersign mcp`: MCP over standard input and output, for clients that start their servers as programs. The
//! server's own transport is streamable HTTP; token, proof and nonce stay in this process.

mod bridge;
mod events;

use std::process::ExitCode;

use clap::Args;
use countersign_agent::{AgentSettings, Listen};
use tracing_subscriber::filter::LevelFilter;

use self::bridge::Bridge;
use super::agent::quick::Quick;
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::{chain, render};

/// Speaks MCP over standard input and output with a server that wants bound tokens
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  countersign mcp https://mcp.example.com/mcp\n  countersign mcp \
https://mcp.example.com/mcp --approval per-write --read-only-tool search\n  countersign mcp \
https://mcp.example.com/mcp --print-config ledger\n\nFor clients that start their MCP servers as programs: the \
configuration names this command and holds no token. --print-config prints that entry.")]
pub(crate) struct McpCommand {
    /// URL of the MCP server
    #[arg(value_name = "URL")]
    url: String,
    /// Print the entry for a client's configuration under this name, and end
    #[arg(long, value_name = "NAME")]
    print_config: Option<String>,
    #[command(flatten)]
    quick: Quick,
    #[command(flatten)]
    log: LogFlags,
}

impl McpCommand {
    /// Speaks until standard input ends.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        logging::start(&self.log, LevelFilter::WARN);
        if let Some(name) = &self.print_config {
            let program = std::env::current_exe().map_or_else(|_| chain::program(), |path| path.display().to_string());
            let arguments: Vec<String> = std::env::args().skip(1).collect();
            let arguments = without_print_config(arguments);
            render::json(&serde_json::json!({ "mcpServers": { name: { "command": program, "args": arguments } } }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let (home, running) = self.quick.open(&self.url, |_, _| Listen::Nowhere, AgentSettings::default()).await?;
        let ended = Bridge::new(running).speak().await;
        home.agent.stop().await;
        ended.map(|()| ExitCode::SUCCESS)
    }
}

/// The arguments without `--print-config NAME`.
fn without_print_config(arguments: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--print-config" {
            arguments.next();
        } else if !argument.starts_with("--print-config=") {
            kept.push(argument);
        }
    }
    kept
}
