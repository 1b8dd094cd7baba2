//! Where used proofs are remembered: in this process, or in a store that many nodes share.

use std::sync::Arc;
use std::time::Duration;

use countersign_dpop::NonceKeyRing;
use countersign_dpop::replay::ReplayStore;
use countersign_dpop::time::{Clock, Timestamp, Window};
use countersign_replay::{
    LATENCY_BOUNDS, MemoryReplayConfig, MemoryReplayStore, RedisReplayConfig, RedisReplayFault, RedisReplayStats,
    RedisReplayStore,
};

use crate::config::{ReplaySetting, Settings};
use crate::gateway::GatewayError;
use crate::metrics::Text;

/// How long the start waits for a shared store. One that is only away does not stop the start.
const REACH: Duration = Duration::from_secs(1);

/// The store of a gateway.
#[derive(Clone, Debug)]
pub(crate) enum Replay {
    Memory(Arc<MemoryReplayStore>),
    Redis { server: String, store: Arc<RedisReplayStore> },
}

impl Replay {
    /// Opens the store. A shared one gives its nonce key to `nonce_keys`.
    pub(crate) async fn open(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        nonce_keys: &NonceKeyRing,
    ) -> Result<Self, GatewayError> {
        let window = settings.widest_window();
        let capacity = settings.replay.capacity();
        match &settings.replay {
            ReplaySetting::Memory { .. } | ReplaySetting::Node { .. } => {
                let config = MemoryReplayConfig { capacity, window, ..MemoryReplayConfig::default() };
                Ok(Self::Memory(Arc::new(MemoryReplayStore::new(config, clock.now())?)))
            }
            ReplaySetting::Redis { server, .. } => {
                let quota = u64::from(capacity) * u64::from(MemoryReplayConfig::DEFAULT_QUOTA_PERCENT) / 100;
                let config = RedisReplayConfig {
                    server: server.clone(),
                    window,
                    quota: u32::try_from(quota).ok().map(|quota| quota.max(1)),
                    nonce_keys: Some(nonce_keys.clone()),
                };
                let store = Arc::new(RedisReplayStore::open(config, Arc::clone(clock))?);
                let replay = Self::Redis { server: server.to_string(), store };
                replay.check_at_start().await?;
                Ok(replay)
            }
        }
    }

    /// A shared store that is there and would forget proofs is a fault of the configuration.
    async fn check_at_start(&self) -> Result<(), GatewayError> {
        let Self::Redis { server, store } = self else { return Ok(()) };
        match store.reached(REACH).await {
            Ok(()) | Err(RedisReplayFault::Away { .. }) => Ok(()),
            Err(fault @ RedisReplayFault::Evicts { .. }) => {
                Err(GatewayError::ReplayServer { server: server.clone(), fault })
            }
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn ReplayStore> {
        match self {
            Self::Memory(store) => Arc::clone(store) as _,
            Self::Redis { store, .. } => Arc::clone(store) as _,
        }
    }

    /// Remembers for `window` too.
    pub(crate) fn widen(&self, window: Window, now: Timestamp) {
        match self {
            Self::Memory(store) => store.widen(window, now),
            Self::Redis { store, .. } => store.widen(window),
        }
    }

    /// Which store cannot be used, and why.
    pub(crate) fn fault(&self) -> Option<(String, String)> {
        match self {
            Self::Memory(_) => None,
            Self::Redis { server, store } => store.fault().map(|fault| (server.clone(), fault.to_string())),
        }
    }

    /// Writes its state.
    pub(crate) fn render(&self, text: &mut Text) {
        match self {
            Self::Memory(store) => {
                let stats = store.stats();
                text.gauge("countersign_replay_entries", "Proofs remembered", stats.live_entries);
                text.gauge("countersign_replay_capacity", "Proofs that can be remembered", stats.capacity);
                text.counter("countersign_replay_epochs_total", "Epochs begun", stats.epochs_begun);
            }
            Self::Redis { store, .. } => render_shared(&store.stats(), text),
        }
    }
}

fn render_shared(stats: &RedisReplayStats, text: &mut Text) {
    text.gauge("countersign_replay_available", "Whether the replay store can be used", u8::from(stats.available));
    text.counter("countersign_replay_epochs_total", "Epochs heard of", stats.epochs_seen);
    text.gauge(
        "countersign_replay_clock_difference_seconds",
        "Seconds by which this clock is ahead of the replay store's",
        stats.clock_difference,
    );
    text.counter("countersign_replay_failures_total", "Questions the replay store did not answer", stats.failures);
    text.histogram(
        ("countersign_replay_seconds", "Seconds until the replay store answered"),
        &LATENCY_BOUNDS.map(|bound| bound.as_secs_f64()),
        stats.latency,
        stats.latency_sum.as_secs_f64(),
    );
}
