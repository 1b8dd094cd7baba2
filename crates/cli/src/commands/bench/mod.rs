//! `countersign bench`: measures itself against a bare verification of the cryptographic library, in one run.
//!
//! A bench is a file of its own: its flags, and a function that measures and answers with a [`row::Section`]. What they
//! share is here: rows and columns in `row`, clocks, rounds and medians in `measure`, table, JSON and progress in
//! `output`.

mod agent;
mod authserver;
mod check;
mod fixture;
mod gateway;
mod measure;
mod output;
mod proofs;
mod replay;
mod report;
mod resident;
mod row;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use countersign_resource::es256::Engine;

use self::row::Section;
use crate::engine::usable;
use crate::error::CommandError;

/// Measures, and compares with one bare signature verification of the cryptographic library
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign bench check --json\n\nFigures are thread CPU time, medians of interleaved \
rounds. Compare ratios; absolute figures depend on the machine and its neighbours."
)]
pub(crate) struct BenchCommand {
    #[command(subcommand)]
    what: What,
    /// Who verifies ES256 signatures by tables of keys: library, portable, ifma [default: the fastest of this machine]
    #[arg(long, global = true, value_name = "ENGINE", env = "COUNTERSIGN_ES256_ENGINE", value_parser = usable)]
    es256_engine: Option<Engine>,
    #[command(flatten)]
    output: output::Output,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every bench, one after the other, with its defaults
    #[command(after_help = "Example:\n  countersign bench all --report report.html\n\nWith --json one object: the \
machine, and under the name of each bench an array of its rows.")]
    All {
        /// A first look in a minute instead of ten
        #[arg(long)]
        quick: bool,
    },
    /// Requests that the local agent signs, beside forwarding alone and beside signing in process; memory of bindings
    #[command(
        after_help = "Example:\n  countersign bench agent --json\n\nWhat the rows are: countersign bench agent --help",
        after_long_help = format!("Example:\n  countersign bench agent --json\n\n{}", agent::ROWS)
    )]
    Agent(agent::AgentBench),
    /// The whole check of a request at a resource server, with the access token cached
    #[command(
        after_help = "Example:\n  countersign bench check --json\n\nWhat the rows are: countersign bench check --help",
        after_long_help = format!("Example:\n  countersign bench check --json\n\n{}", check::ROWS)
    )]
    Check(check::CheckBench),
    /// Remembering proofs: time and memory at ten million live entries, and Redis where there is one
    #[command(
        after_help = "Example:\n  countersign bench replay --entries 1000000\n\nWhat the rows are: countersign bench replay --help",
        after_long_help = format!("Example:\n  countersign bench replay --entries 1000000\n\n{}", replay::ROWS)
    )]
    Replay(replay::ReplayBench),
    /// Writes requests with tokens and proofs as JSON lines, to measure other libraries with; or judges such a file
    #[command(after_help = "Example:\n  countersign bench proofs > proofs.jsonl\n  countersign bench proofs --check \
proofs.jsonl --json\n\nThe first line names the issuer, its key and the audience. The clock is the real one: proofs \
are good for the five minutes that many libraries allow.")]
    Proofs(proofs::ProofsBench),
    /// Tokens of the authorization server, on SQLite and, where `COUNTERSIGN_DATABASE` names an empty database, Postgres
    #[command(
        name = "authserver",
        after_help = "Example:\n  countersign bench authserver --json\n\nFigures are CPU \
time of this process (of Postgres: not of its server), medians of rounds; the ratio is to one assertion \
verification, one proof verification and one signature by the cryptographic library in this process.\n\nIn Postgres \
the few grants are in a schema of their own, countersign_few_grants."
    )]
    AuthServer(authserver::AuthServerBench),
    /// The gateway beside nginx on one core: requests a second, CPU time, latency, memory
    #[command(
        after_help = "Example:\n  countersign bench gateway --json\n\nWhat the rows are: countersign bench gateway --help",
        after_long_help = format!("Example:\n  countersign bench gateway --json\n\n{}", gateway::ROWS)
    )]
    Gateway(gateway::GatewayBench),
    /// What nginx asks in `bench gateway`
    #[command(hide = true)]
    GatewayChecker(gateway::CheckerCommand),
    /// A gateway that remembers many proofs, for `bench gateway`
    #[command(hide = true)]
    GatewayWithEntries(gateway::FullGatewayCommand),
}

impl BenchCommand {
    /// Measures and prints.
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        let engine = self.es256_engine.unwrap_or_else(Engine::best);
        let machine = self.output.begin(engine)?;
        let section = match &self.what {
            What::All { quick } => {
                self.output.show_all(&machine, &all(*quick, engine)?)?;
                return Ok(ExitCode::SUCCESS);
            }
            What::Proofs(bench) => match bench.to_check() {
                Some(path) => proofs::check(path, engine)?,
                None => return bench.write(),
            },
            What::Agent(bench) => bench.measure()?,
            What::AuthServer(bench) => bench.measure()?,
            What::Gateway(bench) => bench.measure(engine)?,
            What::GatewayChecker(checker) => return checker.run(),
            What::GatewayWithEntries(gateway) => return gateway.run(),
            What::Check(bench) => bench.measure(engine)?,
            What::Replay(bench) => bench.measure()?,
        };
        self.output.show(&machine, &section)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Every bench with its defaults. The replay store comes first: memory that others have left behind would hide what it
/// takes.
fn all(quick: bool, engine: Engine) -> Result<Vec<Section>, CommandError> {
    Ok(vec![
        replay::ReplayBench::with_defaults(quick).measure()?,
        check::CheckBench::with_defaults(quick).measure(engine)?,
        authserver::AuthServerBench::with_defaults(quick).measure()?,
        agent::AgentBench::with_defaults(quick).measure()?,
        gateway::GatewayBench::with_defaults(quick).measure(engine)?,
    ])
}
