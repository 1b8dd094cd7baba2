//! What the store in memory is told, and what it tells.

use countersign_dpop::replay::Epoch;
use countersign_dpop::time::Window;

/// How large the store in memory may grow and for which window it remembers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryReplayConfig {
    /// The most entries held at a time, at least 1. One takes about 19 bytes when there are many.
    pub capacity: u32,
    /// The verifier's window.
    pub window: Window,
    /// The share of the capacity that one party may use, 1 to 100.
    pub quota_percent: u8,
}

impl MemoryReplayConfig {
    /// Two million entries: over 28,000 proofs a second in the window `rfc`.
    pub const DEFAULT_CAPACITY: u32 = 2_000_000;
    /// Five percent, so that it takes twenty parties together to fill the store.
    pub const DEFAULT_QUOTA_PERCENT: u8 = 5;

    pub(super) fn quota(self) -> Result<u32, MemoryReplayError> {
        if self.capacity == 0 {
            return Err(MemoryReplayError::NoCapacity);
        }
        if !(1..=100).contains(&self.quota_percent) {
            return Err(MemoryReplayError::QuotaPercent(self.quota_percent));
        }
        let quota = u64::from(self.capacity) * u64::from(self.quota_percent) / 100;
        Ok(u32::try_from(quota).unwrap_or(self.capacity).max(1))
    }
}

impl Default for MemoryReplayConfig {
    fn default() -> Self {
        Self { capacity: Self::DEFAULT_CAPACITY, window: Window::RFC, quota_percent: Self::DEFAULT_QUOTA_PERCENT }
    }
}

/// Why a store in memory cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MemoryReplayError {
    /// A capacity of nothing.
    #[error("the replay store needs a capacity of at least 1 entry")]
    NoCapacity,
    /// A quota outside 1 to 100 percent.
    #[error("a quota of {0} percent is not within 1 to 100")]
    QuotaPercent(u8),
    /// The system gave no randomness.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// The state of a store in memory, for metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryReplayStats {
    /// Entries held. An entry is dropped with its slot, up to a slot's width after its proof has expired.
    pub live_entries: u64,
    /// The most entries held at a time.
    pub capacity: u64,
    /// The most entries that one party may hold.
    pub quota: u64,
    /// Entries dropped since the start because their time had passed.
    pub dropped_entries: u64,
    /// Bytes of memory that the entries have taken.
    pub memory_bytes: u64,
    /// Epochs begun, the first one at the start included.
    pub epochs_begun: u64,
    /// The current epoch.
    pub epoch: Epoch,
}
