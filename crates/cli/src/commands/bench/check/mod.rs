//! `bench check`: what a request costs at a resource server beyond the network.

mod judging;
mod library;
mod threads;

use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use bytesize::ByteSize;
use clap::Args;
use countersign_dpop::jose::{Algorithm, Algorithms};
use countersign_resource::DEFAULT_KEY_CACHE;
use countersign_resource::es256::Engine;
use indicatif::ProgressBar;

use self::judging::{Bad, BelieveAnything, Cold, Known, Refused, Seen};
use self::library::{LibraryVerify, library_sign, make_proof};
use self::threads::{SPEED_UP_CPU, SPEED_UP_WALL, two_threads};
use super::fixture::{BenchClient, Fixture};
use super::measure::{Work, interleaved};
use super::output::progress;
use super::row::{Column, ENGINE, Group, KEYS, NS_MEDIAN, RATIO_TO_LIBRARY_VERIFY, Row, Section};
use crate::error::CommandError;

/// What the rows are, for `--help`.
pub(super) const ROWS: &str = "\
Rows; those of another algorithm than ES256 end in its name:
  library-verify           one bare verification by aws-lc-rs, message, signature and key at hand
  check-warm-N-keys        what a running server sees: N clients in turn, each with a token and a
                           key that have come --warm times before, and a fresh proof
  check-warm-N-keys-2-threads  the same on two threads at once, and how much more they serve
  check-cold               a client whose key the server has never seen; its token it has
  check-new-client         neither key nor token seen: the very first request of a client
  check-without-signature  all of a warm check but the proof's signature, which is believed
  reject-junk              a proof for another URL under an unknown key: refused before any signature
  reject-forged            right in all but the signature, under an unknown key: the dearest refusal
  library-sign             one bare signature by aws-lc-rs
  make-proof               a whole proof, as a client makes it

Every proof and its jti is new to the server, and recorded. Each right request has to be granted and each
wrong one refused, or nothing is printed. The ratio is to library-verify of the row's algorithm.
Keys for RSA are slow to make: its rows have one key, and cold keys that the server has forgotten.";

/// Calls a round for each row: enough for the clock, few enough to interleave well.
const CALLS: usize = 60;
/// The most client keys that a row may have.
const MAX_KEYS: usize = 100_000;

static RATIO_TO_LIBRARY_SIGN: Column = Column::new("ratio_to_library_sign", "to sign", 3);

/// Flags of `bench check`.
#[derive(Debug, Args)]
pub(crate) struct CheckBench {
    /// Algorithms to measure, with commas between; all that are implemented if not given
    #[arg(long, value_delimiter = ',', value_parser = algorithm, value_name = "LIST")]
    algs: Vec<Algorithm>,
    /// Numbers of known clients to measure with, with commas between
    #[arg(long, value_delimiter = ',', value_parser = number_of_keys, default_value = "1,1500,10000", value_name = "LIST")]
    keys: Vec<usize>,
    /// Rounds to measure; more rounds, steadier medians
    #[arg(long, default_value_t = 41, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Requests of each known client before measuring; fewer than 34 leave its key with a small table or none
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    warm: u32,
    /// Memory for the keys of known clients; as much as a server has if not given
    #[arg(long, default_value = "256MB", value_name = "SIZE")]
    key_cache: ByteSize,
    /// A first look in seconds: ES256, 1 and 1,500 keys, 9 rounds
    #[arg(long, conflicts_with_all = ["algs", "keys", "rounds", "warm"])]
    quick: bool,
}

/// What is measured, after quick or not.
struct Plan {
    algorithms: Vec<Algorithm>,
    keys: Vec<usize>,
    rounds: usize,
    warm: u32,
    key_cache: u64,
    engine: Engine,
}

impl CheckBench {
    /// As without flags.
    pub(super) fn with_defaults(quick: bool) -> Self {
        let keys = vec![1, 1_500, 10_000];
        Self { algs: Vec::new(), keys, rounds: 41, warm: 40, key_cache: ByteSize::b(DEFAULT_KEY_CACHE), quick }
    }

    /// Measures every row.
    pub(super) fn measure(&self, engine: Engine) -> Result<Section, CommandError> {
        let plan = self.plan(engine);
        let bar = progress((plan.algorithms.len() + 1) as u64 * (plan.rounds as u64 + 1));
        let (mut groups, mut making) = (Vec::new(), Vec::new());
        for &algorithm in &plan.algorithms {
            let (judging, made) = plan.rows(algorithm, &bar)?;
            let title = format!("{algorithm}, to one bare verification");
            groups.push(Group { title, plotted: &RATIO_TO_LIBRARY_VERIFY, rows: judging });
            making.extend(made);
        }
        let title = "Making a proof, to one bare signature".to_owned();
        groups.push(Group { title, plotted: &RATIO_TO_LIBRARY_SIGN, rows: making });
        bar.finish_and_clear();
        Ok(Section {
            name: "check",
            title: "The whole check of a request",
            notes: vec!["ratio: to library-verify, one bare verification by aws-lc-rs in this process".to_owned()],
            groups,
        })
    }

    fn plan(&self, engine: Engine) -> Plan {
        let key_cache = self.key_cache.as_u64();
        if self.quick {
            return Plan {
                algorithms: vec![Algorithm::Es256],
                keys: vec![1, 1_500],
                rounds: 9,
                warm: 40,
                key_cache,
                engine,
            };
        }
        let mut algorithms = self.algs.clone();
        if algorithms.is_empty() {
            // EdDSA is another name of Ed25519.
            algorithms = Algorithm::ALL.iter().copied().filter(|algorithm| *algorithm != Algorithm::EdDsa).collect();
        }
        Plan { algorithms, keys: self.keys.clone(), rounds: self.rounds as usize, warm: self.warm, key_cache, engine }
    }
}

impl Plan {
    /// The rows of one algorithm: of judging, and of making proofs.
    fn rows(&self, algorithm: Algorithm, bar: &ProgressBar) -> Result<(Vec<Row>, Vec<Row>), CommandError> {
        bar.set_message(format!("{algorithm}: making and warming up keys"));
        let parties = Parties::new(self, algorithm)?;
        bar.set_message(format!("{algorithm}: measuring"));
        let mut rows = parties.rows(algorithm).measure(self.rounds, || bar.inc(1))?;
        let known = parties.known.iter().rfind(|known| (2..=1_500).contains(&known.clients.len()));
        if let Some(known) = known.filter(|_| algorithm == Algorithm::Es256) {
            bar.set_message("two threads against one");
            let row = self.two_threads(known, &rows.0, bar)?;
            rows.0.push(row);
        }
        Ok(rows)
    }

    /// Known keys make a difference where they get tables, and RSA keys take long to make.
    fn key_counts(&self, algorithm: Algorithm) -> Vec<usize> {
        if is_slow_to_make(algorithm) { vec![1] } else { self.keys.clone() }
    }

    fn two_threads(&self, known: &KnownClients, rows: &[Row], bar: &ProgressBar) -> Result<Row, CommandError> {
        let two = two_threads(&known.fixture, &known.clients, self.rounds, || bar.inc(1))?;
        let library = rows[0].figure(&NS_MEDIAN).unwrap_or(f64::NAN);
        let name = format!("check-warm-{}-keys-2-threads", known.clients.len());
        Ok(Row::new(name, "a warm check while two threads check at once")
            .with(&NS_MEDIAN, two.cpu.median)
            .with(&RATIO_TO_LIBRARY_VERIFY, two.cpu.median / library)
            .with(&ENGINE, warm_engine(Algorithm::Es256, self.engine))
            .with(&KEYS, known.clients.len())
            .with(&SPEED_UP_CPU, two.speed_up_cpu)
            .with(&SPEED_UP_WALL, two.speed_up_wall)
            .with_spread(two.cpu.quartiles[0] / library, two.cpu.quartiles[1] / library))
    }
}

/// Who takes part for one algorithm. Every number of known clients has a server of its own, so that none pushes the keys
/// of another out of its memory.
struct Parties {
    known: Vec<KnownClients>,
    /// A server that knows nobody for long.
    cold: Fixture,
    /// A server that believes every signature, and its client.
    believing: KnownClients,
    engine: Engine,
}

/// A server, and clients that have come to it often.
struct KnownClients {
    fixture: Fixture,
    clients: Vec<BenchClient>,
}

impl Parties {
    fn new(plan: &Plan, algorithm: Algorithm) -> Result<Self, CommandError> {
        let known = |count| KnownClients::new(Algorithms::all(), algorithm, count, plan);
        let believing = Algorithms::from_implementations(vec![Arc::new(BelieveAnything)]);
        Ok(Self {
            known: plan.key_counts(algorithm).into_iter().map(known).collect::<Result<_, _>>()?,
            cold: Fixture::new(Algorithms::all(), plan.key_cache, plan.engine)?,
            believing: KnownClients::new(believing, Algorithm::Es256, 1, plan)?,
            engine: plan.engine,
        })
    }

    fn rows(&self, algorithm: Algorithm) -> Rows<'_> {
        let KnownClients { fixture, clients } = &self.known[0];
        let one = &clients[0];
        let mut rows = Rows::new(algorithm);
        rows.add("library-verify", 1, "library", Box::new(LibraryVerify::new(one.clone(), algorithm)));
        for known in &self.known {
            let count = known.clients.len();
            let name = if count == 1 { "check-warm-1-key".to_owned() } else { format!("check-warm-{count}-keys") };
            let engine = warm_engine(algorithm, self.engine);
            rows.add(&name, count, engine, Box::new(Known::new(&known.fixture, &known.clients)));
        }
        let cold = |seen| Box::new(Cold::new(&self.cold, algorithm, seen));
        rows.add("check-cold", CALLS, "library", cold(Seen::Token));
        rows.add("check-new-client", CALLS, "library", cold(Seen::Nothing));
        if algorithm == Algorithm::Es256 {
            let believed = Known::new(&self.believing.fixture, &self.believing.clients);
            rows.add("check-without-signature", 1, "none", Box::new(believed));
            rows.add("reject-junk", CALLS, "none", Box::new(Refused::new(fixture, one, Bad::Junk)));
            rows.add("reject-forged", CALLS, "library", Box::new(Refused::new(fixture, one, Bad::Forged)));
        }
        rows.add("library-sign", 1, "library", library_sign(one));
        rows.add("make-proof", 1, "library", make_proof(one));
        rows
    }
}

impl KnownClients {
    fn new(accepted: Algorithms, algorithm: Algorithm, count: usize, plan: &Plan) -> Result<Self, CommandError> {
        let fixture = Fixture::new(accepted, plan.key_cache, plan.engine)?;
        let clients: Vec<_> = (0..count).map(|_| fixture.client(algorithm)).collect::<Result<_, _>>()?;
        warm(&fixture, &clients, plan.warm)?;
        Ok(Self { fixture, clients })
    }
}

/// Rows of one algorithm, and the work that will fill them.
struct Rows<'a> {
    algorithm: Algorithm,
    unfilled: Vec<Row>,
    works: Vec<Box<dyn Work + 'a>>,
}

impl<'a> Rows<'a> {
    fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, unfilled: Vec::new(), works: Vec::new() }
    }

    fn add(&mut self, name: &str, keys: usize, engine: &'static str, work: Box<dyn Work + 'a>) {
        let full_name = match self.algorithm {
            Algorithm::Es256 => name.to_owned(),
            other => format!("{name}-{}", other.name().to_ascii_lowercase()),
        };
        let goal = (self.algorithm == Algorithm::Es256).then(|| goal(name, engine)).flatten();
        let row = Row::new(full_name, about(name))
            .with(&NS_MEDIAN, 0.0)
            .with(&RATIO_TO_LIBRARY_VERIFY, 0.0)
            .with(&ENGINE, engine)
            .with(&KEYS, keys);
        self.unfilled.push(row.with_goal(goal));
        self.works.push(work);
    }

    /// The rows of judging, and the two of signing, which are the last.
    fn measure(mut self, rounds: usize, progress: impl FnMut()) -> Result<(Vec<Row>, Vec<Row>), CommandError> {
        let measured = interleaved(&mut self.works, rounds, CALLS, progress)?;
        let library = measured[0].median;
        let judging = self.unfilled.len() - 2;
        let sign = measured[judging].median;
        let filled = self.unfilled.into_iter().zip(&measured).enumerate().map(|(number, (row, measured))| {
            let row = row.with(&NS_MEDIAN, measured.median).with(&RATIO_TO_LIBRARY_VERIFY, measured.median / library);
            let [low, high] = measured.quartiles;
            if number < judging {
                return row.with_spread(low / library, high / library);
            }
            row.with(&RATIO_TO_LIBRARY_SIGN, measured.median / sign).with_spread(low / sign, high / sign)
        });
        let mut rows: Vec<_> = filled.collect();
        let signing = rows.split_off(judging);
        Ok((rows, signing))
    }
}

/// Lets every client make `times` right requests, on as many threads as there are cores.
fn warm(fixture: &Fixture, clients: &[BenchClient], times: u32) -> Result<(), CommandError> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = clients.len().div_ceil(threads).max(1);
    let run = |clients: &[BenchClient]| (0..times).try_for_each(|_| clients.iter().try_for_each(|c| fixture.warm(c)));
    thread::scope(|scope| {
        let threads: Vec<_> = clients.chunks(share).map(|clients| scope.spawn(move || run(clients))).collect();
        let mut ended = threads.into_iter().map(ScopedJoinHandle::join);
        ended.try_for_each(|ended| ended.unwrap_or_else(|_| Err(CommandError::internal("warming up ended early"))))
    })
}

/// Who verifies the signatures of clients that the server knows.
fn warm_engine(algorithm: Algorithm, engine: Engine) -> &'static str {
    if algorithm == Algorithm::Es256 { engine.name() } else { "library" }
}

/// True for keys of primes that have to be found.
fn is_slow_to_make(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Ps256 | Algorithm::Rs256)
}

fn about(name: &str) -> &'static str {
    match name {
        "library-verify" => "one bare verification by aws-lc-rs",
        "check-cold" => "a client whose key was never seen; its token was",
        "check-new-client" => "the very first request of a client: neither key nor token seen",
        "check-without-signature" => "all of a warm check but the proof's signature",
        "reject-junk" => "an unsigned proof for another URL, under an unknown key",
        "reject-forged" => "right in all but the signature, under an unknown key",
        "library-sign" => "one bare signature by aws-lc-rs",
        "make-proof" => "a whole proof, as a client makes it",
        _ => "known clients in turn, each with a fresh proof",
    }
}

/// What the project wants of a row's ratio, by the engine at work.
fn goal(name: &str, engine: &str) -> Option<f64> {
    let has_lanes = engine == "ifma";
    match name {
        "check-warm-1-key" => Some(if has_lanes { 0.13 } else { 0.40 }),
        "check-warm-1500-keys" => Some(if has_lanes { 0.20 } else { 0.40 }),
        "check-cold" => Some(1.15),
        "check-without-signature" => Some(0.025),
        "reject-junk" => Some(0.04),
        _ => None,
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    let names = || Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ");
    name.parse().map_err(|_| format!("not one of {}", names()))
}

fn number_of_keys(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_KEYS).contains(number));
    number.ok_or_else(|| format!("not a number from 1 to {MAX_KEYS}"))
}
