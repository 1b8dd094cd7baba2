//! `bench agent`: what a request costs that the agent signs, beside forwarding it and beside signing in process.

mod stage;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use countersign_agent::{Agent, Listen};
use countersign_client::Client;
use countersign_dpop::jose::{Algorithm, SoftwareKey};
use futures_util::future::try_join_all;
use indicatif::ProgressBar;

use self::stage::{Caller, Place};
use super::measure::{Measured, Samples, alone};
use super::output::progress;
use super::resident;
use super::row::{Column, Group, PER_SECOND, Row, Section, US_CPU_MEDIAN};
use crate::error::CommandError;
use crate::serving;

/// Flags of `bench agent`.
#[derive(Debug, Args)]
pub(crate) struct AgentBench {
    /// Rounds to measure; more rounds, steadier medians
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(3..=1_000))]
    rounds: u32,
    /// How many bindings one agent holds when memory is looked at
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    bindings: u32,
}

/// What the rows are, for the long help.
pub(super) const ROWS: &str = "\
library-sign  one signature by the cryptographic library
forward       a proxy of the same forwarder that signs nothing: its thread's CPU time
forward-sign  the same with one bare signature for each request, which costs more there than among signatures only
agent         the agent by its port: its thread's CPU time; time added to a direct call
rest          agent less forward-sign: everything else the agent does for a request: policy, two lines of journal, token
              and proof but for the signature, looking the answer through
direct        a client that makes token and proof in its own process
…-busy        the same with eight programs at a time: nobody sleeps between two requests, and waking is no part of it
bindings-…    memory for a binding with key and client; used: after its first request, with token and connection";

static US_P50: Column = Column::new("us_p50", "µs (p50)", 0);
static US_P99: Column = Column::new("us_p99", "µs (p99)", 0);
static ADDED_US_P50: Column = Column::new("added_us_p50", "added (p50)", 0);
static ADDED_US_P99: Column = Column::new("added_us_p99", "added (p99)", 0);
static KIB_PER_BINDING: Column = Column::new("kib_per_binding", "KiB a binding", 1);
static BINDINGS: Column = Column::new("bindings", "bindings", 0);

/// Requests a round, one at a time.
const CALLS: usize = 100;
/// How many programs there are at a time where the agent is busy, and requests a round of each.
const PROGRAMS: usize = 8;
const CALLS_OF_EACH: usize = 25;
/// What everything beside forwarding and the signature may cost, in microseconds.
const REST_GOAL: f64 = 30.0;

impl AgentBench {
    /// As without flags.
    pub(super) fn with_defaults(quick: bool) -> Self {
        if quick { Self { rounds: 5, bindings: 100 } } else { Self { rounds: 21, bindings: 1_000 } }
    }

    /// Measures every row.
    pub(super) fn measure(&self) -> Result<Section, CommandError> {
        serving::raise_file_limit();
        let (memory, requests) = alone(async || {
            let bar = progress(u64::from(self.rounds) + u64::from(self.bindings));
            let memory = self.memory(&bar).await?;
            let requests = self.requests(&bar).await?;
            bar.finish_and_clear();
            Ok((memory, requests))
        })?;
        let group = |title: &str, plotted, rows| Group { title: title.to_owned(), plotted, rows };
        Ok(Section {
            name: "agent",
            title: "The signing agent",
            notes: vec![
                "CPU time is that of the agent's thread; program and resource have threads of their own".to_owned(),
                format!(
                    "rest: at most {REST_GOAL} µs are wanted; µs (p50, p99) are on the wall, one request at a time; \
                     busy: {PROGRAMS} at a time"
                ),
            ],
            groups: vec![group("A request", &US_CPU_MEDIAN, requests), group("Memory", &KIB_PER_BINDING, memory)],
        })
    }

    async fn requests(&self, bar: &ProgressBar) -> Result<Vec<Row>, CommandError> {
        let directory = tempfile::tempdir().map_err(CommandError::internal)?;
        let (agent_place, resource_place) = (Place::new()?, Place::new()?);
        let resource = stage::resource(&resource_place).await?;
        let key = Arc::new(SoftwareKey::generate(Algorithm::Es256).map_err(CommandError::internal)?);
        let plain = stage::plain_proxy(&agent_place, resource, None).await?;
        let signing = stage::plain_proxy(&agent_place, resource, Some(Arc::clone(&key))).await?;
        let url = self.open_one(&agent_place, directory.path(), resource).await?;
        let mut ways = Ways {
            agent_place,
            forward: callers(&format!("http://{plain}")).await?,
            signing: callers(&format!("http://{signing}")).await?,
            agent: callers(&url).await?,
            direct: stage::client_of(resource)?,
            resource,
            key,
        };
        let mut taken = Taken::default();
        for _ in 0..=self.rounds {
            ways.round(&mut taken).await?;
            bar.inc(1);
        }
        Ok(taken.rows())
    }

    /// An agent with one binding by a port, on its own thread.
    async fn open_one(&self, place: &Place, directory: &Path, resource: SocketAddr) -> Result<String, CommandError> {
        let agent = stage::agent(directory)?;
        let settings = stage::binding("bench", resource, Listen::Port(SocketAddr::from(([127, 0, 0, 1], 0))))?;
        let opened = place.run(async move { (agent.open(settings).await, agent) }).await?;
        let (running, _agent) = opened;
        let running = running.map_err(CommandError::internal)?;
        running.url.ok_or_else(|| CommandError::internal("the binding has no address"))
    }

    /// One agent with many bindings; memory as the system counts it.
    async fn memory(&self, bar: &ProgressBar) -> Result<Vec<Row>, CommandError> {
        let directory = tempfile::tempdir().map_err(CommandError::internal)?;
        let place = Place::new()?;
        let resource = stage::resource(&place).await?;
        let agent = stage::agent(directory.path())?;
        // The first ones bring what all share.
        let mut opened = Vec::new();
        for number in 0..10 {
            opened.push(open(&agent, directory.path(), resource, number).await?);
        }
        for running in &opened {
            use_once(running).await?;
        }
        let before = resident::now();
        opened.clear();
        for number in 10..10 + self.bindings {
            opened.push(open(&agent, directory.path(), resource, number).await?);
            bar.inc(1);
        }
        let idle = resident::now().saturating_sub(before);
        for running in &opened {
            use_once(running).await?;
        }
        let used = resident::now().saturating_sub(before);
        let row = |name: &str, about, bytes: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a few hundred megabytes")]
            let each = bytes as f64 / f64::from(self.bindings) / 1_024.0;
            Row::new(format!("bindings-{name}"), about)
                .with(&BINDINGS, u64::from(self.bindings))
                .with(&KIB_PER_BINDING, each)
        };
        Ok(vec![
            row("idle", "opened, with key and client", idle),
            row("used", "after a first request, with token and connection", used),
        ])
    }
}

async fn open(
    agent: &Agent,
    directory: &Path,
    resource: SocketAddr,
    number: u32,
) -> Result<countersign_agent::Running, CommandError> {
    let name = format!("b{number}");
    let socket = Listen::Socket(directory.join(format!("s/{name}")));
    agent.open(stage::binding(&name, resource, socket)?).await.map_err(CommandError::internal)
}

async fn use_once(running: &countersign_agent::Running) -> Result<(), CommandError> {
    use http_body_util::{BodyExt, Empty};
    let request =
        http::Request::get("/orders/17").body(Empty::<bytes::Bytes>::new()).map_err(CommandError::internal)?;
    let response = running.answer(request).await;
    let status = response.status();
    response.into_body().collect().await.map_err(CommandError::internal)?;
    let wrong = || CommandError::internal(format!("a binding answered with {status}"));
    if status.is_success() { Ok(()) } else { Err(wrong()) }
}

async fn callers(url: &str) -> Result<Vec<Caller>, CommandError> {
    try_join_all((0..PROGRAMS).map(|_| Caller::connect(url))).await
}

/// Everything that a request can go by.
struct Ways {
    agent_place: Place,
    forward: Vec<Caller>,
    signing: Vec<Caller>,
    agent: Vec<Caller>,
    direct: Client,
    resource: SocketAddr,
    key: Arc<SoftwareKey>,
}

/// What was measured so far.
#[derive(Default)]
struct Taken {
    rounds: usize,
    forward_cpu: Vec<f64>,
    signing_cpu: Vec<f64>,
    agent_cpu: Vec<f64>,
    forward_busy: Vec<f64>,
    signing_busy: Vec<f64>,
    agent_busy: Vec<f64>,
    sign_cpu: Vec<f64>,
    forward: Vec<f64>,
    agent: Vec<f64>,
    direct: Vec<f64>,
}

impl Ways {
    /// Each way in turn. The first round warms up and does not count.
    async fn round(&mut self, taken: &mut Taken) -> Result<(), CommandError> {
        let (forward_cpu, mut forward) = one_by_one(&self.agent_place, &mut self.forward).await?;
        let (signing_cpu, _) = one_by_one(&self.agent_place, &mut self.signing).await?;
        let (agent_cpu, mut agent) = one_by_one(&self.agent_place, &mut self.agent).await?;
        let forward_busy = all_at_once(&self.agent_place, &mut self.forward).await?;
        let signing_busy = all_at_once(&self.agent_place, &mut self.signing).await?;
        let agent_busy = all_at_once(&self.agent_place, &mut self.agent).await?;
        let mut direct = Vec::new();
        for _ in 0..CALLS {
            direct.push(stage::call_directly(&self.direct, self.resource).await?);
        }
        let signed = self.sign()?;
        taken.rounds += 1;
        if taken.rounds > 1 {
            taken.forward_cpu.push(forward_cpu);
            taken.signing_cpu.push(signing_cpu);
            taken.agent_cpu.push(agent_cpu);
            taken.forward_busy.push(forward_busy);
            taken.signing_busy.push(signing_busy);
            taken.agent_busy.push(agent_busy);
            taken.sign_cpu.push(signed);
            taken.forward.append(&mut forward);
            taken.agent.append(&mut agent);
            taken.direct.append(&mut direct);
        }
        Ok(())
    }

    fn sign(&self) -> Result<f64, CommandError> {
        let mut samples = Samples::of_this_thread().already_warm();
        samples.begin();
        for _ in 0..CALLS {
            self.key.sign_now(&stage::SIGNED).map_err(CommandError::internal)?;
        }
        samples.end(CALLS);
        Ok(samples.cpu().median / 1_000.0)
    }
}

/// The CPU time of the place for a request, and the time on the wall of each.
async fn one_by_one(place: &Place, callers: &mut [Caller]) -> Result<(f64, Vec<f64>), CommandError> {
    let mut times = Vec::new();
    let began = place.cpu().await?;
    if let Some(caller) = callers.first_mut() {
        for _ in 0..CALLS {
            times.push(caller.call().await?);
        }
    }
    Ok((microseconds_each(place.cpu().await?.saturating_sub(began), CALLS), times))
}

/// The CPU time of the place for a request, when all call at the same time.
async fn all_at_once(place: &Place, callers: &mut [Caller]) -> Result<f64, CommandError> {
    let began = place.cpu().await?;
    try_join_all(callers.iter_mut().map(async |caller| {
        for _ in 0..CALLS_OF_EACH {
            caller.call().await?;
        }
        Ok::<_, CommandError>(())
    }))
    .await?;
    Ok(microseconds_each(place.cpu().await?.saturating_sub(began), PROGRAMS * CALLS_OF_EACH))
}

impl Taken {
    fn rows(mut self) -> Vec<Row> {
        let one = [self.forward_cpu, self.signing_cpu, self.agent_cpu, self.sign_cpu];
        let [forward, signing, agent, sign] = one.map(Measured::of);
        let [forward_busy, signing_busy, agent_busy] =
            [self.forward_busy, self.signing_busy, self.agent_busy].map(Measured::of);
        for times in [&mut self.forward, &mut self.agent, &mut self.direct] {
            times.sort_by(f64::total_cmp);
        }
        let rest = |name: &'static str, about: &'static str, agent: &Measured, signing: &Measured| {
            Row::new(name, about).with(&US_CPU_MEDIAN, agent.median - signing.median).with_goal(Some(REST_GOAL))
        };
        let cpu = |name: &'static str, about: &'static str, measured: &Measured| {
            Row::new(name, about)
                .with(&US_CPU_MEDIAN, measured.median)
                .with_spread(measured.quartiles[0], measured.quartiles[1])
        };
        vec![
            cpu("library-sign", "one signature by the library", &sign),
            timed(cpu("forward", "a proxy that signs nothing", &forward), &self.forward),
            cpu("forward-sign", "the same with one bare signature", &signing),
            timed(cpu("agent", "the agent, by its port", &agent), &self.agent)
                .with(&ADDED_US_P50, percentile(&self.agent, 50) - percentile(&self.direct, 50))
                .with(&ADDED_US_P99, percentile(&self.agent, 99) - percentile(&self.direct, 99)),
            rest("rest", "the agent beyond forwarding and one signature", &agent, &signing),
            timed(Row::new("direct", "a client that signs in its own process"), &self.direct),
            cpu("forward-busy", "the proxy, many programs at a time", &forward_busy)
                .with(&PER_SECOND, 1e6 / forward_busy.median),
            cpu("forward-sign-busy", "the same with one bare signature", &signing_busy),
            cpu("agent-busy", "the agent, many programs at a time", &agent_busy)
                .with(&PER_SECOND, 1e6 / agent_busy.median),
            rest("rest-busy", "the same with many programs at a time", &agent_busy, &signing_busy),
        ]
    }
}

fn timed(row: Row, sorted: &[f64]) -> Row {
    row.with(&US_P50, percentile(sorted, 50)).with(&US_P99, percentile(sorted, 99))
}

/// Of sorted times the one that so many of a hundred do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "rounds last milliseconds")]
fn microseconds_each(nanoseconds: u64, calls: usize) -> f64 {
    nanoseconds as f64 / calls as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<f64> = (1..=101).map(f64::from).collect();
        assert!((percentile(&times, 50) - 51.0).abs() < f64::EPSILON);
        assert!((percentile(&times, 99) - 100.0).abs() < f64::EPSILON);
        assert!(percentile(&[], 99).abs() < f64::EPSILON);
    }
}
