//! `bench replay`: what remembering a proof costs, in time and in memory.

mod memory;
mod redis;

use std::time::Duration;

use clap::Args;
use countersign_dpop::time::Window;
use countersign_replay::RedisServer;

use super::measure::Measured;
use super::output::progress;
use super::row::{Column, Group, NS_MEDIAN, PER_SECOND, Row, Section, US_WALL_MEDIAN};
use crate::error::CommandError;

/// What the rows are, for `--help`.
pub(super) const ROWS: &str = "\
Rows:
  fill              an insert on the way from nothing to N live entries, tables growing; the mean
  insert            an insert among N live entries, as many leaving as come; the median second
  refuse-replay     a proof that is remembered, presented again
  memory            bytes an entry, by the system (resident set) and by the tables; the peak since the
                    start as a ratio to what the full store takes
  std-hash-set      the same inserts into a standard HashSet of 16-byte keys behind one lock, which knows
                    neither expiry nor quotas: the measure of the ratio
  redis-…           one round trip each, one at a time and 32 at a time; with --redis or
                    COUNTERSIGN_REPLAY only. The time is on the wall; the ratio stays empty

Traffic is made up: 61 seconds of proofs are acceptable at once, clients' clocks differ by up to 4 s either
way, a hundred parties share the load. Its seconds pass as fast as the store can take them.";

/// Seconds of proofs that are acceptable at once in the window `rfc`.
const SECONDS: i64 = 61;
const WINDOW: Window = Window::RFC;
/// The longest that a Redis server is waited for.
const REACHED_WITHIN: Duration = Duration::from_secs(3);

/// What the system gives the process for an entry.
static BYTES_SYSTEM: Column = Column::new("bytes_per_entry_system", "B/entry, system", 1);
/// What the store's tables take for an entry.
static BYTES_TABLES: Column = Column::new("bytes_per_entry_tables", "B/entry, tables", 1);
/// The most that the system ever gave, by what it gives at the end.
static PEAK: Column = Column::new("peak_over_steady", "peak/steady", 2);
/// How many entries are live.
static ENTRIES: Column = Column::new("entries", "entries", 0);
/// What the project wants of the memory of an entry, in bytes, when there are ten million.
const BYTES_GOAL: f64 = 20.0;
static RATIO_TO_HASH_SET: Column = Column::new("ratio_to_std_hash_set", "ratio", 3);

/// Flags of `bench replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayBench {
    /// Live entries to measure with
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(10_000..=500_000_000))]
    entries: u32,
    /// Seconds of traffic once the store is full; they pass faster than real ones
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// A server to measure round trips to, as `gateway --replay` takes it; a URL with a password belongs into
    /// `COUNTERSIGN_REPLAY`, which is read too
    #[arg(long, env = "COUNTERSIGN_REPLAY", hide_env_values = true, value_name = "URL")]
    redis: Option<String>,
    /// A first look in seconds: one million entries, 10 seconds of traffic
    #[arg(long, conflicts_with_all = ["entries", "rounds"])]
    quick: bool,
}

impl ReplayBench {
    /// As without flags.
    pub(super) fn with_defaults(quick: bool) -> Self {
        Self { entries: 10_000_000, rounds: 120, redis: None, quick }
    }

    /// Measures every row.
    pub(super) fn measure(&self) -> Result<Section, CommandError> {
        let (entries, rounds) = if self.quick { (1_000_000, 10) } else { (self.entries, self.rounds) };
        let server = self.redis.as_deref().map(RedisServer::parse).transpose();
        let server = server.map_err(|fault| CommandError::configuration(format!("--redis: {fault}")))?;
        let bar = progress(u64::from(rounds) + 3 * SECONDS.unsigned_abs());
        let (times, memory) = memory::measure(entries, rounds, &bar)?;
        let group = |title: &str, plotted, rows| Group { title: title.to_owned(), plotted, rows };
        let mut groups = vec![
            group("To inserts into a plain hash set", &RATIO_TO_HASH_SET, times),
            group("Memory, in bytes an entry, as the system counts", &BYTES_SYSTEM, vec![memory]),
        ];
        if let Some(server) = server {
            bar.set_message("Redis");
            groups.push(group(
                "Round trips to Redis, in microseconds on the wall",
                &US_WALL_MEDIAN,
                redis::measure(server)?,
            ));
        }
        bar.finish_and_clear();
        let note = "ratio: to inserts into a standard HashSet of 16-byte keys behind one lock, in this process";
        Ok(Section { name: "replay", title: "Remembering proofs", notes: vec![note.to_owned()], groups })
    }
}

/// A row of CPU time.
fn row(name: &'static str, about: &'static str, nanoseconds: Measured, entries: u64) -> Row {
    Row::new(name, about)
        .with(&NS_MEDIAN, nanoseconds.median)
        .with(&RATIO_TO_HASH_SET, 0.0)
        .with(&PER_SECOND, 1_000_000_000.0 / nanoseconds.median)
        .with(&ENTRIES, entries)
}

/// A row of time on the wall.
fn wall_row(name: &'static str, about: &'static str, nanoseconds: Measured) -> Row {
    Row::new(name, about)
        .with(&US_WALL_MEDIAN, nanoseconds.median / 1_000.0)
        .with(&PER_SECOND, 1_000_000_000.0 / nanoseconds.median)
}
