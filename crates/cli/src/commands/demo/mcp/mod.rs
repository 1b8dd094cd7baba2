//! `countersign demo mcp`: an MCP client that never holds a secret, and an attacker who holds everything but keys.

mod attacker;
mod cast;
mod ledger;
mod scenes;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use self::cast::Cast;
use crate::engine::EngineFlag;
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::render::{self, BAD, BOLD, DIM, GOOD, styled};

/// Lets an AI agent's client use an MCP server without ever holding a secret, and an attacker try everything
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign demo mcp\n\nAuthorization server, gateway, an unmodified MCP server, the \
agent and an unmodified MCP client run in this process, on loopback, over real HTTP and Unix sockets, with data that is \
thrown away. The exit code is 0 only if every row is right."
)]
pub(crate) struct DemoMcp {
    /// Tell the result as one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineFlag,
    #[command(flatten)]
    log: LogFlags,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    scene: &'static str,
    what: String,
    expected: String,
    found: String,
    right: bool,
}

/// The table as it grows, and everything that was ever shown or received: it is searched for secrets at the end.
#[derive(Debug, Default)]
struct Table {
    rows: Vec<Row>,
    transcript: String,
    quiet: bool,
}

impl Table {
    fn scene(&self, text: &str) {
        if !self.quiet {
            render::line(styled(BOLD, format_args!("\n{text}")));
        }
    }

    fn tell(&mut self, text: &str) {
        self.transcript.push_str(text);
        self.transcript.push('\n');
        if !self.quiet {
            render::line(format_args!("     {}", styled(DIM, text)));
        }
    }

    fn row(&mut self, scene: &'static str, what: &str, expected: &str, found: &str) {
        let right = found == expected;
        self.transcript.push_str(found);
        if !self.quiet {
            let mark = if right { format!("{GOOD}✓{GOOD:#}") } else { format!("{BAD}✗{BAD:#}") };
            let wanted = if right { String::new() } else { format!("  expected {expected}") };
            render::line(format_args!("  {mark}  {what:<66} {found}{wanted}"));
        }
        self.rows.push(Row {
            scene,
            what: what.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            right,
        });
    }
}

impl DemoMcp {
    pub(super) async fn run(self) -> Result<ExitCode, CommandError> {
        logging::start(&self.log, LevelFilter::OFF);
        let mut table = Table { quiet: self.json, ..Table::default() };
        let cast = Cast::gather(self.engine).await?;
        let ended = scenes::play(cast, &mut table).await;
        ended?;
        let right = table.rows.iter().filter(|row| row.right).count();
        let all = table.rows.len();
        if self.json {
            render::json(&serde_json::json!({ "rows": table.rows, "right": right, "of": all }))?;
        } else {
            render::line(format_args!("\n{right} of {all} as they should be"));
        }
        Ok(if right == all { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}
