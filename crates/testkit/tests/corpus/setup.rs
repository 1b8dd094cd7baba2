//! Replay stores, with faults where a case wants one.

use std::sync::Arc;

use countersign_dpop::replay::{Epoch, EpochId, Recording, ReplayEntry, ReplayStore, ReplayStoreError};
use countersign_dpop::time::Timestamp;
use countersign_probe::corpus::{SiteSettings, StoreSetting};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_testkit::corpus::settings;

pub(crate) const NONCE_KEY: [u8; 32] = [7; 32];

/// A store that began at `start`.
pub(crate) fn store(case: &SiteSettings, start: Timestamp) -> Arc<dyn ReplayStore> {
    match case.store {
        StoreSetting::Memory => {
            let window = settings::window(case);
            let config = MemoryReplayConfig { capacity: 10_000, window, ..MemoryReplayConfig::default() };
            Arc::new(MemoryReplayStore::new(config, start).unwrap())
        }
        StoreSetting::Unreachable => {
            let reason = "nobody there".to_owned();
            Arc::new(FaultyStore(ReplayStoreError::Unavailable { reason }))
        }
        StoreSetting::Full => Arc::new(FaultyStore(ReplayStoreError::Full { capacity: 1 })),
    }
}

#[derive(Debug)]
struct FaultyStore(ReplayStoreError);

impl ReplayStore for FaultyStore {
    fn epoch(&self, _now: Timestamp) -> Epoch {
        Epoch { id: EpochId::default(), floor: Timestamp::MIN }
    }

    fn record<'a>(&'a self, _entry: &'a ReplayEntry, _now: Timestamp) -> Recording<'a> {
        Recording::ready(Err(self.0.clone()))
    }
}
