//! `countersign demo`: the whole chain on this machine, told step by step, and then the thief.

mod attacks;
mod mcp;
mod page;
mod stage;
mod story;
pub(crate) mod upstream;
mod verdicts;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use self::stage::Stage;
use self::story::Story;
use crate::engine::EngineFlag;
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::{render, serving};

/// Shows the whole chain at work on this machine, then a thief with a stolen token trying every trick
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Examples:\n  countersign demo --once\n  countersign demo --port 8000\n  countersign demo mcp\n\nEverything runs in this \
process, on loopback, over real HTTP, with data that is thrown away. With --once the exit code is 0 only if every \
attack was stopped as it should be."
)]
pub(crate) struct DemoCommand {
    #[command(subcommand)]
    what: Option<DemoWhat>,
    /// End after the story instead of serving on
    #[arg(long)]
    once: bool,
    /// Port of the page that shows the last verdicts; 0 picks a free one
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "once")]
    port: u16,
    /// Tell the story as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineFlag,
    #[command(flatten)]
    log: LogFlags,
}

#[derive(Debug, Subcommand)]
enum DemoWhat {
    /// Lets an AI agent's client use an MCP server without ever holding a secret, and an attacker try everything
    Mcp(mcp::DemoMcp),
}

impl DemoCommand {
    /// Tells the story; serves on unless told otherwise.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(DemoWhat::Mcp(command)) = self.what {
            return command.run().await;
        }
        logging::start(&self.log, LevelFilter::ERROR);
        let shutdown = serving::shutdown_signal()?;
        let place = if self.once { None } else { Some(page::place(self.port).await?) };
        let mut story = Story::new(!self.json);
        let stage = Stage::set(&mut story, &self.engine).await?;
        stage.honest_client(&mut story).await?;
        let rows = stage.thief(&mut story).await?;
        stage.honest_client_again(&mut story).await?;
        let right = story.end(&rows);
        if self.json {
            render::json(&story.to_json(&rows, right))?;
        }
        if let Some(place) = place {
            page::serve(place, &stage, &rows, shutdown).await?;
        }
        stage.strike().await;
        Ok(if right { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
