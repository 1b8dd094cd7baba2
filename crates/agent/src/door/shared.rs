//! Journal, approvals, lock and clock, which are the same for every door.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use countersign_dpop::time::Clock;

use crate::approval::Approvals;
use crate::journal::{Entry, Journal, Noted};
use crate::lock::Lock;

/// What all bindings of an agent share.
pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) lock: Lock,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) notify: Vec<String>,
    pub(crate) requests: AtomicU64,
}

/// How long a line may wait that nothing depends on.
const NOTE_WAIT: Duration = Duration::from_millis(20);

impl Shared {
    /// Has a line written that nothing depends on, with the next one or a moment later.
    pub(super) fn note(self: &Arc<Self>, entry: &Entry<'_>) {
        if self.journal.note(entry) == Noted::First {
            let shared = Arc::downgrade(self);
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(NOTE_WAIT).await;
                    let Some(shared) = shared.upgrade() else { return };
                    if shared.journal.settle() {
                        return;
                    }
                }
            });
        }
    }
}
