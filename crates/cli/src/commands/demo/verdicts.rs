//! The last verdicts of the gateway, for the page.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use countersign_gateway::DecisionSink;
use countersign_resource::Decision;

/// How many are kept.
const KEPT: usize = 40;

/// Keeps the last verdicts.
#[derive(Debug, Default)]
pub(super) struct LastVerdicts(Mutex<VecDeque<Decision>>);

impl LastVerdicts {
    /// The verdicts, newest first.
    pub(super) fn newest_first(&self) -> Vec<Decision> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }
}

impl DecisionSink for LastVerdicts {
    fn record(&self, decision: &Decision) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(decision.clone());
    }
}
