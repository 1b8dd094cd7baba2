//! Where verdicts are written down.

use std::fmt;
use std::io::Write;

use countersign_resource::Decision;

use super::access::AccessRecord;
use super::lines::Lines;

/// Takes every verdict, and every access. Called while a request waits, so it must neither block nor take long.
pub trait DecisionSink: fmt::Debug + Send + Sync {
    /// Takes one verdict.
    fn record(&self, decision: &Decision);

    /// Takes what became of one request once its answer has begun.
    fn access(&self, _access: &AccessRecord<'_>) {}

    /// True when accesses are wanted at all.
    fn wants_access(&self) -> bool {
        false
    }

    /// How many lines could not be written down since the start.
    fn lost(&self) -> u64 {
        0
    }
}

/// Writes nothing down.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDecisions;

impl DecisionSink for NoDecisions {
    fn record(&self, _decision: &Decision) {}
}

/// Writes one line of JSON per verdict, and no accesses.
#[derive(Debug)]
pub struct DecisionLines(Lines);

impl DecisionLines {
    /// Writes to `writer`. Dropping writes what is still waiting.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Lines::new(writer))
    }
}

impl DecisionSink for DecisionLines {
    fn record(&self, decision: &Decision) {
        self.0.write(decision.to_json());
    }

    fn lost(&self) -> u64 {
        self.0.lost()
    }
}
