//! How many entries the whole store holds and may hold.

use countersign_dpop::replay::ReplayStoreError;

use super::sync::{AtomicU64, Ordering};

/// On cache lines of its own: it changes with every entry, and its neighbours in the store hardly ever do.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Capacity {
    live: AtomicU64,
    dropped: AtomicU64,
    limit: u64,
}

impl Capacity {
    pub(super) fn new(limit: u32) -> Self {
        Self { live: AtomicU64::new(0), dropped: AtomicU64::new(0), limit: limit.into() }
    }

    /// Takes room for one entry.
    ///
    /// # Errors
    /// [`ReplayStoreError::Full`]. Nothing is taken.
    pub(super) fn take(&self) -> Result<(), ReplayStoreError> {
        let one_more = |live| (live < self.limit).then_some(live + 1);
        match self.live.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more) {
            Ok(_) => Ok(()),
            Err(_) => Err(ReplayStoreError::Full { capacity: self.limit }),
        }
    }

    /// Gives back the room of entries that were dropped.
    pub(super) fn drop_entries(&self, entries: usize) {
        let entries = entries as u64;
        self.live.fetch_sub(entries, Ordering::SeqCst);
        self.dropped.fetch_add(entries, Ordering::SeqCst);
    }

    pub(super) fn live(&self) -> u64 {
        self.live.load(Ordering::SeqCst)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }
}
