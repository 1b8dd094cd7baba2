//! `countersign bench`: measures itself against a bare verification of the cryptographic library, in one run.

mod authserver;
mod check;
mod fixture;
mod measure;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::CommandError;
use crate::render::{self, BOLD, DIM, styled};

/// Measures, and compares with one bare signature verification of the cryptographic library
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign bench check --json\n\nFigures are thread CPU time, medians of interleaved \
rounds. Compare ratios; absolute figures depend on the machine and its neighbours."
)]
pub(crate) struct BenchCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The whole check of a request at a resource server, with the access token cached
    #[command(after_help = "Example:\n  countersign bench check --json")]
    Check {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
        /// Rounds to measure; more rounds, steadier medians
        #[arg(long, default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        rounds: u32,
    },
    /// Tokens of the authorization server, on SQLite and, where `COUNTERSIGN_DATABASE` names an empty database, Postgres
    #[command(
        name = "authserver",
        after_help = "Example:\n  countersign bench authserver --json\n\nFigures are CPU \
time of this process (of Postgres: not of its server), medians of rounds; the ratio is to one assertion \
verification, one proof verification and one signature by the cryptographic library in this process."
    )]
    AuthServer(authserver::AuthServerBench),
}

/// One row of the answer.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    ns_median: f64,
    ratio_to_library_verify: f64,
    engine: &'static str,
    keys: usize,
}

impl BenchCommand {
    /// Measures and prints.
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        let (json, rounds) = match &self.what {
            What::AuthServer(bench) => return bench.run(),
            What::Check { json, rounds } => (*json, *rounds),
        };
        let bar = progress(u64::from(rounds) + 1);
        let rows = check::run(rounds as usize, &bar)?;
        bar.finish_and_clear();
        if json {
            render::json(&rows)?;
        } else {
            table(&rows);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A progress bar on stderr; nothing where no terminal is.
fn progress(rounds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:24} {bar:30} {pos}/{len} rounds, {eta} left");
    let bar = ProgressBar::new(rounds);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message("making keys and proofs");
    bar
}

fn table(rows: &[Row]) {
    let heading = format!("{:24} {:>12} {:>10}  {:8} {:>6}", "", "ns (median)", "ratio", "engine", "keys");
    render::line(styled(BOLD, heading));
    for row in rows {
        let (name, ns, ratio) = (row.name, row.ns_median, row.ratio_to_library_verify);
        render::line(format_args!("{name:24} {ns:>12.0} {ratio:>10.3}  {:8} {:>6}", row.engine, row.keys));
    }
    render::line(styled(DIM, "ratio: to library-verify, one bare ES256 verification by aws-lc-rs in this process"));
}
