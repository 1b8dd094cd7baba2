//! Counters in the text format of Prometheus. Every label has a bounded set of values.

mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign_dpop::ErrorCode;
use countersign_resource::{Decision, DecisionOutcome, IssuerCounts, PresentedScheme, Stage};
use http::StatusCode;

pub(crate) use self::text::Text;

/// Upper bounds of the clock offsets' buckets, in seconds.
const OFFSETS: [i64; 11] = [-300, -60, -10, -5, -1, 0, 1, 5, 10, 60, 300];

/// Upper bounds of the buckets for the upstream's time, in milliseconds.
const UPSTREAM_MILLIS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000];

/// Everything counted. Shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    decisions: Counters<DecisionLabels>,
    troubles: Counters<&'static str>,
    answers: [AtomicU64; 6],
    nonces: AtomicU64,
    nonce_challenges: AtomicU64,
    /// What became of requests that were handed on, by route.
    upstream: Counters<(Arc<str>, &'static str)>,
    upstream_time: [AtomicU64; UPSTREAM_MILLIS.len() + 1],
    upstream_micros: AtomicU64,
    /// Configurations taken, and those refused.
    reloads: [AtomicU64; 2],
    stale_config: AtomicBool,
    offsets: [AtomicU64; OFFSETS.len() + 1],
    offset_sum: AtomicI64,
    in_flight: Arc<AtomicI64>,
    connections: Arc<AtomicI64>,
}

/// Route, outcome, code, stage, scheme, bound: all from fixed sets of names, and the routes of the configuration.
type DecisionLabels = (Arc<str>, &'static str, &'static str, &'static str, &'static str, &'static str);

/// Something that counts as open or under way until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicI64>);

#[derive(Debug)]
struct Counters<L>(RwLock<BTreeMap<L, AtomicU64>>);

impl Metrics {
    pub(crate) fn request(&self) -> InFlight {
        InFlight::new(&self.in_flight)
    }

    pub(crate) fn connection(&self) -> InFlight {
        InFlight::new(&self.connections)
    }

    pub(crate) fn decision(&self, decision: &Decision, route: &Arc<str>, nonce: bool) {
        self.decisions.add(labels(decision, route));
        if nonce {
            self.nonces.fetch_add(1, Ordering::Relaxed);
        }
        if decision.outcome == DecisionOutcome::Refused && decision.error == Some(ErrorCode::UseDpopNonce.as_str()) {
            self.nonce_challenges.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(offset) = decision.offset {
            let bucket = OFFSETS.iter().position(|bound| offset <= *bound).unwrap_or(OFFSETS.len());
            self.offsets[bucket].fetch_add(1, Ordering::Relaxed);
            self.offset_sum.fetch_add(offset, Ordering::Relaxed);
        }
    }

    /// Counts an answer of the upstream, which began after `took`.
    pub(crate) fn upstream_answered(&self, route: &Arc<str>, status: StatusCode, took: Duration) {
        const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        self.upstream.add((Arc::clone(route), CLASSES.get(class).unwrap_or(&"other")));
        let millis = took.as_secs_f64() * 1_000.0;
        #[expect(clippy::cast_precision_loss, reason = "small whole numbers")]
        let bucket = UPSTREAM_MILLIS.iter().position(|bound| millis <= *bound as f64).unwrap_or(UPSTREAM_MILLIS.len());
        self.upstream_time[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.upstream_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Counts a request to which the upstream did not answer.
    pub(crate) fn upstream_failed(&self, route: &Arc<str>, code: &'static str) {
        self.upstream.add((Arc::clone(route), code));
    }

    /// Counts a change of the configuration.
    pub(crate) fn reload(&self, taken: bool) {
        self.reloads[usize::from(!taken)].fetch_add(1, Ordering::Relaxed);
        self.stale_config.store(!taken, Ordering::Relaxed);
    }

    pub(crate) fn trouble(&self, code: &'static str) {
        self.troubles.add(code);
    }

    pub(crate) fn answer(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100);
        if let Some(counter) = self.answers.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes all of it.
    pub(crate) fn render(&self, text: &mut Text) {
        self.render_counters(text);
        self.render_upstream(text);
        self.render_offsets(text);
        self.render_reloads(text);
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        text.gauge("countersign_requests_in_flight", "Requests under way", in_flight);
        let connections = self.connections.load(Ordering::Relaxed);
        text.gauge("countersign_connections", "Open connections of clients", connections);
    }

    fn render_counters(&self, text: &mut Text) {
        text.family("countersign_decisions_total", "counter", "Requests judged");
        for ((route, outcome, code, stage, scheme, bound), count) in self.decisions.snapshot() {
            let labels = format!(
                "{{route=\"{route}\",outcome=\"{outcome}\",code=\"{code}\",stage=\"{stage}\",scheme=\"{scheme}\",bound=\"{bound}\"}}"
            );
            text.sample("countersign_decisions_total", &labels, count);
        }
        text.family(
            "countersign_gateway_errors_total",
            "counter",
            "Requests not judged, not answered by the API, or whose answer the client did not take",
        );
        for (code, count) in self.troubles.snapshot() {
            text.sample("countersign_gateway_errors_total", &format!("{{code=\"{code}\"}}"), count);
        }
        text.family("countersign_answers_total", "counter", "Answers by class of status");
        for (class, counter) in self.answers.iter().enumerate().skip(1) {
            let labels = format!("{{class=\"{class}xx\"}}");
            text.sample("countersign_answers_total", &labels, counter.load(Ordering::Relaxed));
        }
        let nonces = self.nonces.load(Ordering::Relaxed);
        text.counter("countersign_nonces_issued_total", "Answers that carried a fresh nonce", nonces);
        let challenges = self.nonce_challenges.load(Ordering::Relaxed);
        text.counter("countersign_nonce_challenges_total", "Requests refused for want of a nonce", challenges);
    }

    fn render_upstream(&self, text: &mut Text) {
        const NAME: &str = "countersign_upstream_requests_total";
        text.family(NAME, "counter", "Requests handed on, by the class of the answer or by what went wrong");
        for ((route, outcome), count) in self.upstream.snapshot() {
            text.sample(NAME, &format!("{{route=\"{route}\",outcome=\"{outcome}\"}}"), count);
        }
        let counts = self.upstream_time.iter().map(|counter| counter.load(Ordering::Relaxed));
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        text.histogram(
            ("countersign_upstream_seconds", "Seconds until the upstream began to answer"),
            &UPSTREAM_MILLIS.map(|bound| seconds(bound * 1_000)),
            counts,
            seconds(self.upstream_micros.load(Ordering::Relaxed)),
        );
    }

    fn render_reloads(&self, text: &mut Text) {
        text.family("countersign_config_reloads_total", "counter", "Changes of the configuration while serving");
        for (outcome, counter) in ["taken", "refused"].iter().zip(&self.reloads) {
            let labels = format!("{{outcome=\"{outcome}\"}}");
            text.sample("countersign_config_reloads_total", &labels, counter.load(Ordering::Relaxed));
        }
        let stale = u8::from(self.stale_config.load(Ordering::Relaxed));
        let help = "1 while an older configuration is in force than the file has";
        text.gauge("countersign_config_stale", help, stale);
    }

    fn render_offsets(&self, text: &mut Text) {
        text.histogram(
            ("countersign_clock_offset_seconds", "Seconds by which clients' clocks are ahead, by their proofs"),
            &OFFSETS,
            self.offsets.iter().map(|counter| counter.load(Ordering::Relaxed)),
            self.offset_sum.load(Ordering::Relaxed),
        );
    }
}

/// Writes how often memory served instead of issuers.
pub(crate) fn render_issuers(counts: &IssuerCounts, text: &mut Text) {
    const LOOKUPS: &str = "countersign_cache_lookups_total";
    const FETCHES: &str = "countersign_issuer_requests_total";
    text.family(LOOKUPS, "counter", "Looks into what is remembered of tokens and issuers");
    for (cache, lookups) in [("token", counts.tokens), ("keys", counts.keys), ("introspection", counts.introspection)] {
        for (outcome, count) in [("hit", lookups.hits), ("miss", lookups.misses)] {
            text.sample(LOOKUPS, &format!("{{cache=\"{cache}\",outcome=\"{outcome}\"}}"), count);
        }
    }
    text.family(FETCHES, "counter", "What issuers were asked for: their keys with their metadata, or about tokens");
    for (what, tries) in [("keys", counts.key_fetches), ("introspection", counts.questions)] {
        for (outcome, count) in [("answered", tries.answered), ("failed", tries.failed)] {
            text.sample(FETCHES, &format!("{{what=\"{what}\",outcome=\"{outcome}\"}}"), count);
        }
    }
}

impl InFlight {
    pub(crate) fn new(gauge: &Arc<AtomicI64>) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(gauge))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<L: Ord + Clone> Counters<L> {
    fn add(&self, labels: L) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.get(&labels) {
            counter.fetch_add(1, Ordering::Relaxed);
            return;
        }
        drop(known);
        let mut counters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        counters.entry(labels).or_default().fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Vec<(L, u64)> {
        let counters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(labels, counter)| (labels.clone(), counter.load(Ordering::Relaxed))).collect()
    }
}

impl<L> Default for Counters<L> {
    fn default() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }
}

fn labels(decision: &Decision, route: &Arc<str>) -> DecisionLabels {
    let outcome = match decision.outcome {
        DecisionOutcome::Granted => "granted",
        DecisionOutcome::Observed => "observed",
        DecisionOutcome::Refused => "refused",
    };
    let scheme = match decision.scheme {
        PresentedScheme::None => "none",
        PresentedScheme::Bearer => "bearer",
        PresentedScheme::Dpop => "dpop",
    };
    let bound = match decision.bound {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    };
    (Arc::clone(route), outcome, decision.code, Stage::name(decision.stage), scheme, bound)
}
