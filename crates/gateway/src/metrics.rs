//! Counters in the text format of Prometheus. Every label has a bounded set of values.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use countersign_resource::{Decision, DecisionOutcome, PresentedScheme, Stage};
use http::StatusCode;

/// Upper bounds of the clock offsets' buckets, in seconds.
const OFFSETS: [i64; 11] = [-300, -60, -10, -5, -1, 0, 1, 5, 10, 60, 300];

/// Everything counted. Shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    decisions: Counters<DecisionLabels>,
    troubles: Counters<&'static str>,
    answers: [AtomicU64; 6],
    nonces: AtomicU64,
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
        if let Some(offset) = decision.offset {
            let bucket = OFFSETS.iter().position(|bound| offset <= *bound).unwrap_or(OFFSETS.len());
            self.offsets[bucket].fetch_add(1, Ordering::Relaxed);
            self.offset_sum.fetch_add(offset, Ordering::Relaxed);
        }
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

    /// All of it as text. `more` is what is counted elsewhere: name, type, meaning, value.
    pub(crate) fn render(&self, more: &[(&str, &str, &str, u64)]) -> String {
        let mut text = Text::default();
        self.render_counters(&mut text);
        self.render_offsets(&mut text);
        self.render_reloads(&mut text);
        text.family("countersign_requests_in_flight", "gauge", "Requests under way");
        text.sample("countersign_requests_in_flight", "", self.in_flight.load(Ordering::Relaxed));
        text.family("countersign_connections", "gauge", "Open connections of clients");
        text.sample("countersign_connections", "", self.connections.load(Ordering::Relaxed));
        for (name, kind, help, value) in more {
            text.family(name, kind, help);
            text.sample(name, "", value);
        }
        text.0
    }

    fn render_counters(&self, text: &mut Text) {
        text.family("countersign_decisions_total", "counter", "Requests judged");
        for ((route, outcome, code, stage, scheme, bound), count) in self.decisions.snapshot() {
            let labels = format!(
                "{{route=\"{route}\",outcome=\"{outcome}\",code=\"{code}\",stage=\"{stage}\",scheme=\"{scheme}\",bound=\"{bound}\"}}"
            );
            text.sample("countersign_decisions_total", &labels, count);
        }
        text.family("countersign_gateway_errors_total", "counter", "Requests not judged, or not answered by the API");
        for (code, count) in self.troubles.snapshot() {
            text.sample("countersign_gateway_errors_total", &format!("{{code=\"{code}\"}}"), count);
        }
        text.family("countersign_answers_total", "counter", "Answers by class of status");
        for (class, counter) in self.answers.iter().enumerate().skip(1) {
            let labels = format!("{{class=\"{class}xx\"}}");
            text.sample("countersign_answers_total", &labels, counter.load(Ordering::Relaxed));
        }
        text.family("countersign_nonces_issued_total", "counter", "Answers that carried a fresh nonce");
        text.sample("countersign_nonces_issued_total", "", self.nonces.load(Ordering::Relaxed));
    }

    fn render_reloads(&self, text: &mut Text) {
        text.family("countersign_config_reloads_total", "counter", "Changes of the configuration while serving");
        for (outcome, counter) in ["taken", "refused"].iter().zip(&self.reloads) {
            let labels = format!("{{outcome=\"{outcome}\"}}");
            text.sample("countersign_config_reloads_total", &labels, counter.load(Ordering::Relaxed));
        }
        text.family(
            "countersign_config_stale",
            "gauge",
            "1 while an older configuration is in force than the file has",
        );
        text.sample("countersign_config_stale", "", u8::from(self.stale_config.load(Ordering::Relaxed)));
    }

    fn render_offsets(&self, text: &mut Text) {
        const NAME: &str = "countersign_clock_offset_seconds";
        text.family(NAME, "histogram", "Seconds by which clients' clocks are ahead, by their proofs");
        let mut sum = 0;
        for (place, counter) in self.offsets.iter().enumerate() {
            sum += counter.load(Ordering::Relaxed);
            let bound = OFFSETS.get(place).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            text.sample("countersign_clock_offset_seconds_bucket", &format!("{{le=\"{bound}\"}}"), sum);
        }
        text.sample("countersign_clock_offset_seconds_sum", "", self.offset_sum.load(Ordering::Relaxed));
        text.sample("countersign_clock_offset_seconds_count", "", sum);
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

/// Text in the format of Prometheus.
#[derive(Default)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    // Writing to a string cannot fail.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }

    pub(crate) fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
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
