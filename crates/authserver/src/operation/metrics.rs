//! Counters in the text format of Prometheus. Every label has a bounded set of values.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;

/// Upper bounds of the clock offsets' buckets, in seconds.
const OFFSETS: [i64; 11] = [-300, -60, -10, -5, -1, 0, 1, 5, 10, 60, 300];
/// Upper bounds of the commits' buckets, in microseconds.
const COMMITS: [u64; 9] = [500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000];

/// Everything counted. Shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By endpoint, outcome and code.
    decisions: Mutex<BTreeMap<(&'static str, &'static str, &'static str), u64>>,
    /// By grant and whether bound.
    tokens: Mutex<BTreeMap<(&'static str, bool), u64>>,
    answers: [AtomicU64; 6],
    limited: [AtomicU64; 2],
    nonces: AtomicU64,
    offsets: [AtomicU64; OFFSETS.len() + 1],
    offset_sum: AtomicI64,
    commits: [AtomicU64; COMMITS.len() + 1],
    commit_sum: AtomicU64,
    commit_failures: AtomicU64,
    in_flight: Arc<AtomicI64>,
    connections: Arc<AtomicI64>,
    draining: AtomicBool,
}

/// Something that counts as open or under way until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicI64>);

impl Metrics {
    pub(crate) fn request(&self) -> InFlight {
        InFlight::new(&self.in_flight)
    }

    pub(crate) fn connection(&self) -> InFlight {
        InFlight::new(&self.connections)
    }

    pub(crate) fn decision(&self, endpoint: &'static str, outcome: &'static str, code: &'static str) {
        let mut decisions = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        *decisions.entry((endpoint, outcome, code)).or_default() += 1;
    }

    pub(crate) fn token(&self, grant: &'static str, bound: bool) {
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner).entry((grant, bound)).or_default() += 1;
    }

    /// Notes by how many seconds a client's clock is ahead, by its proof.
    pub(crate) fn offset(&self, offset: i64) {
        let bucket = OFFSETS.iter().position(|bound| offset <= *bound).unwrap_or(OFFSETS.len());
        self.offsets[bucket].fetch_add(1, Ordering::Relaxed);
        self.offset_sum.fetch_add(offset, Ordering::Relaxed);
    }

    pub(crate) fn commit(&self, took: Duration, succeeded: bool) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = COMMITS.iter().position(|bound| took <= *bound).unwrap_or(COMMITS.len());
        self.commits[bucket].fetch_add(1, Ordering::Relaxed);
        self.commit_sum.fetch_add(took, Ordering::Relaxed);
        if !succeeded {
            self.commit_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn answer(&self, status: StatusCode, with_nonce: bool) {
        if let Some(counter) = self.answers.get(usize::from(status.as_u16() / 100)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        if with_nonce {
            self.nonces.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn limited(&self, by: super::Limited) {
        self.limited[by as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The server was told to stop.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// All of it as text.
    pub(crate) fn render(&self, recorded: u64, capacity: u64) -> String {
        let mut text = Text::default();
        self.render_decisions(&mut text);
        self.render_answers(&mut text);
        self.render_histograms(&mut text);
        text.one("countersign_as_requests_in_flight", "gauge", "Requests under way", &self.in_flight);
        text.one("countersign_as_connections", "gauge", "Open connections", &self.connections);
        text.family("countersign_as_single_use_entries", "gauge", "Proofs and assertions remembered");
        text.sample("countersign_as_single_use_entries", "", recorded);
        text.family("countersign_as_single_use_capacity", "gauge", "Proofs and assertions that can be remembered");
        text.sample("countersign_as_single_use_capacity", "", capacity);
        text.0
    }

    fn render_decisions(&self, text: &mut Text) {
        text.family("countersign_as_decisions_total", "counter", "Requests judged");
        for ((endpoint, outcome, code), count) in &*self.decisions.lock().unwrap_or_else(PoisonError::into_inner) {
            let labels = format!("{{endpoint=\"{endpoint}\",outcome=\"{outcome}\",code=\"{code}\"}}");
            text.sample("countersign_as_decisions_total", &labels, count);
        }
        text.family("countersign_as_tokens_issued_total", "counter", "Access tokens issued");
        for ((grant, bound), count) in &*self.tokens.lock().unwrap_or_else(PoisonError::into_inner) {
            let labels = format!("{{grant=\"{grant}\",bound=\"{bound}\"}}");
            text.sample("countersign_as_tokens_issued_total", &labels, count);
        }
    }

    fn render_answers(&self, text: &mut Text) {
        text.family("countersign_as_answers_total", "counter", "Answers by class of status");
        for (class, counter) in self.answers.iter().enumerate().skip(1) {
            let labels = format!("{{class=\"{class}xx\"}}");
            text.sample("countersign_as_answers_total", &labels, counter.load(Ordering::Relaxed));
        }
        text.family("countersign_as_limited_total", "counter", "Requests refused because there were too many");
        for (by, counter) in ["source", "client"].iter().zip(&self.limited) {
            let labels = format!("{{by=\"{by}\"}}");
            text.sample("countersign_as_limited_total", &labels, counter.load(Ordering::Relaxed));
        }
        text.family("countersign_as_nonces_issued_total", "counter", "Answers that carried a fresh nonce");
        text.sample("countersign_as_nonces_issued_total", "", self.nonces.load(Ordering::Relaxed));
    }

    fn render_histograms(&self, text: &mut Text) {
        let name = "countersign_as_clock_offset_seconds";
        text.family(name, "histogram", "Seconds by which clients' clocks are ahead, by their proofs");
        text.buckets(name, &OFFSETS.map(|bound| bound.to_string()), &self.offsets);
        text.sample(&format!("{name}_sum"), "", self.offset_sum.load(Ordering::Relaxed));
        let name = "countersign_as_commit_seconds";
        text.family(name, "histogram", "How long the storage took for a durable write, waiting included");
        text.buckets(name, &COMMITS.map(|bound| in_seconds(bound).to_string()), &self.commits);
        text.sample(&format!("{name}_sum"), "", in_seconds(self.commit_sum.load(Ordering::Relaxed)));
        text.family("countersign_as_commit_failures_total", "counter", "Writes that the storage did not carry out");
        text.sample("countersign_as_commit_failures_total", "", self.commit_failures.load(Ordering::Relaxed));
    }
}

fn in_seconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64()
}

impl InFlight {
    fn new(gauge: &Arc<AtomicI64>) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(gauge))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    // Writing to a string cannot fail.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, gauge: &AtomicI64) {
        self.family(name, kind, help);
        self.sample(name, "", gauge.load(Ordering::Relaxed));
    }

    /// The buckets of a histogram and its count.
    fn buckets(&mut self, name: &str, bounds: &[String], counters: &[AtomicU64]) {
        let mut sum = 0;
        for (place, counter) in counters.iter().enumerate() {
            sum += counter.load(Ordering::Relaxed);
            let bound = bounds.get(place).map_or("+Inf", String::as_str);
            self.sample(&format!("{name}_bucket"), &format!("{{le=\"{bound}\"}}"), sum);
        }
        self.sample(&format!("{name}_count"), "", sum);
    }
}
