//! `bench gateway`: the gateway beside nginx, each on one core of this machine in the same run.

mod checker;
mod load;
mod memory;
mod nginx;
mod party;
mod traffic;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use countersign_resource::es256::Engine;
use indicatif::ProgressBar;

pub(crate) use self::checker::CheckerCommand;
use self::load::{Load, Run};
pub(crate) use self::memory::FullGatewayCommand;
use self::party::{Cores, Party};
use self::traffic::Traffic;
use super::measure::{alone, median};
use super::output::progress;
use super::row::{Column, Group, Row, Section};
use crate::error::CommandError;
use crate::serving;

/// Connections that are kept busy, each with one request after the other.
const CONNECTIONS: usize = 32;
/// A share of a round's requests that goes over one connection, for the time that one request takes.
const ALONE: usize = 200;
/// A gateway that has just started asks for nonces until proofs made before its start are too old.
const EPOCH: Duration = Duration::from_secs(12);

/// CPU time of a request with the full check on a warm key, in microseconds.
const GOAL: f64 = 22.0;

/// Flags of `bench gateway`.
#[derive(Debug, Args)]
pub(crate) struct GatewayBench {
    /// Rounds to measure; more rounds, steadier medians
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Requests to each server in a round
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(500..=50_000))]
    requests: u32,
    /// Clients, each with its own key and token
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    keys: u32,
    /// Connections that stay open without a request, for the memory that they take
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=25_000))]
    idle_connections: u32,
    /// Used proofs that are remembered, for the memory that they take
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=50_000_000))]
    replay_entries: u32,
    /// Only these rows, and no memory: faster, and long enough on one server for a profiler to look at it
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = party::NAMES)]
    only: Vec<String>,
}

/// Served with all connections busy, by the clock on the wall.
static REQUESTS_PER_SECOND: Column = Column::new("requests_per_second", "req/s", 0).more_is_better();
/// CPU time of the server's processes; absent for what shares the load's process.
static CPU_US: Column = Column::new("cpu_us_per_request", "µs CPU", 1);
static P50: Column = Column::new("p50_us", "p50 µs", 0);
static P99: Column = Column::new("p99_us", "p99 µs", 0);
/// One connection, one request at a time: the time beyond that of asking the upstream itself.
static ADDED_P50: Column = Column::new("added_p50_us", "+p50 µs", 0);
static ADDED_P99: Column = Column::new("added_p99_us", "+p99 µs", 0);
/// Medians of the ratios of each round, of requests a second.
static TO_NGINX: Column = Column::new("ratio_to_nginx", "x nginx", 2).more_is_better();
static TO_ASKING: Column = Column::new("ratio_to_nginx_auth_request", "x auth_request", 2).more_is_better();
/// The same of requests for one second of the server's CPU time.
static CPU_TO_NGINX: Column = Column::new("cpu_ratio_to_nginx", "x by CPU", 2).more_is_better();
static CPU_TO_ASKING: Column =
    Column::new("cpu_ratio_to_nginx_auth_request", "x auth_request by CPU", 2).more_is_better();

/// What the rows are, for the help.
pub(super) const ROWS: &str = "\
Rows:
  direct                the upstream, with nothing in between
  gateway               the full check of token and proof, and forwarding
  gateway-decision-log  the same, with every decision written to a file
  gateway-library       the same without tables: the library verifies every proof
  nginx                 nginx as a plain proxy with connections kept to the upstream
  nginx-auth-request    nginx that asks a checker about every request; the checker verifies token and
                        proof with the library each time and answers with an empty 204
  idle-connections      memory of a gateway with connections open that were of use once
  replay-entries        memory of a gateway that remembers used proofs

Servers run one at a time on one core, load and upstream on another one, which is kept from sleeping so
that no server pays for waking it; but with one request at a time it sleeps. The CPU time is that of all
processes of a row. +p50 and +p99 are of one request at a time, beyond direct. Ratios are of requests a
second, and of requests for the same CPU time; the latter move little with what else the machine does.";

/// What the rounds brought for one server.
#[derive(Default)]
struct Samples {
    rate: Vec<f64>,
    cpu: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    alone_p50: Vec<f64>,
    alone_p99: Vec<f64>,
}

impl GatewayBench {
    /// As without flags.
    pub(super) const fn with_defaults(quick: bool) -> Self {
        let (rounds, requests, idle_connections, replay_entries) =
            if quick { (3, 2_000, 1_000, 100_000) } else { (7, 4_000, 10_000, 1_000_000) };
        Self { rounds, requests, keys: 1, idle_connections, replay_entries, only: Vec::new() }
    }

    /// Measures every row, on a thread of its own that stays on the load's core.
    pub(super) fn measure(&self, engine: Engine) -> Result<Section, CommandError> {
        serving::raise_file_limit();
        let cores = Cores::find()?;
        alone(async || {
            cores.take_load()?;
            self.sections(&cores, engine).await
        })
    }

    async fn sections(&self, cores: &Cores, engine: Engine) -> Result<Section, CommandError> {
        let bar = progress(u64::from(self.rounds) + 4);
        let mut notes = cores.notes();
        let traffic = Traffic::new(self.keys)?;
        let load = Load::start().await?;
        bar.set_message("starting servers");
        let parties = self.start(&traffic, cores, load.upstream(), engine, &mut notes).await?;
        bar.set_message("waiting for the first epoch");
        tokio::time::sleep(EPOCH).await;
        bar.inc(1);
        bar.set_message("measuring");
        let samples = self.rounds(&traffic, &load, &parties, &bar).await?;
        let rows = rows(&parties, &samples);
        drop(parties);
        let title = "CPU time of a request".to_owned();
        let mut groups = vec![Group { title, plotted: &CPU_US, rows }];
        if self.only.is_empty() {
            groups.push(self.memory(&traffic, cores, load.upstream(), &bar, &mut notes).await?);
        }
        bar.finish_and_clear();
        Ok(Section { name: "gateway", title: "The gateway beside nginx", notes, groups })
    }

    /// Starts what is wanted of all that is compared.
    async fn start(
        &self,
        traffic: &Traffic,
        cores: &Cores,
        upstream: SocketAddr,
        engine: Engine,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Party>, CommandError> {
        let is_wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|only| only == name);
        party::start(traffic, cores, upstream, engine, is_wanted, notes).await
    }

    async fn memory(
        &self,
        traffic: &Traffic,
        cores: &Cores,
        upstream: SocketAddr,
        bar: &ProgressBar,
        notes: &mut Vec<String>,
    ) -> Result<Group, CommandError> {
        bar.set_message("open connections");
        let mut rows = vec![memory::idle(traffic, cores, upstream, self.idle_connections, notes).await?];
        bar.inc(1);
        bar.set_message("used proofs");
        match memory::replay(cores, self.replay_entries).await {
            Ok(row) => rows.push(row),
            Err(fault) => notes.push(format!("used proofs: not measured: {}", fault.message())),
        }
        Ok(Group { title: "Memory".to_owned(), plotted: &memory::BYTES_EACH, rows })
    }

    /// Every server in turn, round after round, with the same requests; the first round warms up and does not count.
    async fn rounds(
        &self,
        traffic: &Traffic,
        load: &Load,
        parties: &[Party],
        bar: &ProgressBar,
    ) -> Result<Vec<Samples>, CommandError> {
        let mut all: Vec<Samples> = parties.iter().map(|_| Samples::default()).collect();
        for round in 0..=self.rounds {
            let requests = traffic.requests(self.requests as usize).await?;
            let (alone, busy) = requests.split_at(ALONE.min(requests.len() / 2));
            for (party, samples) in parties.iter().zip(&mut all) {
                let single = load.drive(party.address, alone, 1).await?;
                let before = party.cpu_nanoseconds()?;
                let run = load.drive(party.address, busy, CONNECTIONS).await?;
                let spent = party.cpu_nanoseconds()?.zip(before).map(|(after, before)| after.saturating_sub(before));
                if run.refused + single.refused > 0 {
                    return Err(party.refused(run.refused + single.refused));
                }
                if round > 0 {
                    samples.add(&run, &single, spent);
                }
            }
            bar.inc(1);
        }
        Ok(all)
    }
}

impl Samples {
    #[expect(clippy::cast_precision_loss, reason = "seconds in nanoseconds are far below 2^52")]
    fn add(&mut self, run: &Run, alone: &Run, cpu_nanoseconds: Option<u64>) {
        self.rate.push(run.per_second());
        if let Some(spent) = cpu_nanoseconds {
            self.cpu.push(spent as f64 / 1_000.0 / run.served() as f64);
        }
        self.p50.push(run.quantile(0.5));
        self.p99.push(run.quantile(0.99));
        self.alone_p50.push(alone.quantile(0.5));
        self.alone_p99.push(alone.quantile(0.99));
    }
}

fn rows(parties: &[Party], samples: &[Samples]) -> Vec<Row> {
    let of = |name: &str| parties.iter().position(|party| party.name == name).map(|place| &samples[place]);
    let (direct, plain, asking) = (of(party::DIRECT), of(party::NGINX), of(party::NGINX_AUTH_REQUEST));
    let over = |ours: &[f64], theirs: Option<&Vec<f64>>| {
        let ratios: Vec<f64> = ours.iter().zip(theirs?).map(|(ours, theirs)| ours / theirs).collect();
        (!ratios.is_empty()).then(|| median(ratios))
    };
    let added =
        |own: &[f64], direct: Option<&Vec<f64>>| Some((median(own.to_vec()) - median(direct?.clone())).max(0.0));
    let row = |(party, own): (&Party, &Samples)| {
        let goal = (party.name == party::GATEWAY).then_some(GOAL);
        let mut row = Row::new(party.name, "one request").with(&REQUESTS_PER_SECOND, median(own.rate.clone()));
        for (column, figure) in [
            (&CPU_US, (!own.cpu.is_empty()).then(|| median(own.cpu.clone()))),
            (&P50, Some(median(own.p50.clone()))),
            (&P99, Some(median(own.p99.clone()))),
            (&ADDED_P50, added(&own.alone_p50, direct.map(|direct| &direct.alone_p50))),
            (&ADDED_P99, added(&own.alone_p99, direct.map(|direct| &direct.alone_p99))),
            (&TO_NGINX, over(&own.rate, plain.map(|plain| &plain.rate))),
            (&TO_ASKING, over(&own.rate, asking.map(|asking| &asking.rate))),
            (&CPU_TO_NGINX, over(&own.cpu, plain.map(|plain| &plain.cpu)).map(f64::recip)),
            (&CPU_TO_ASKING, over(&own.cpu, asking.map(|asking| &asking.cpu)).map(f64::recip)),
        ] {
            if let Some(figure) = figure {
                row.set(column, figure);
            }
        }
        row.with_goal(goal)
    };
    parties.iter().zip(samples).map(row).collect()
}
