//! The store in memory keeps the contract of replay stores.

use std::sync::Arc;

use countersign_dpop::replay::ReplayStore;
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_testkit::replay_contract::{self, Wanted};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_in_memory_keeps_the_contract() {
    replay_contract::run(make).await;
}

async fn make(wanted: Wanted) -> Arc<dyn ReplayStore> {
    let Wanted { capacity, quota_percent, window, now } = wanted;
    let config = MemoryReplayConfig { capacity, window, quota_percent };
    Arc::new(MemoryReplayStore::new(config, now).expect("the configuration is good"))
}
