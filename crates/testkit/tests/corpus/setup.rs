//! What a case's settings mean in the types of the core, and stores with faults.

use std::sync::Arc;

use countersign_dpop::NoncePolicy;
use countersign_dpop::jose::{Algorithm, Algorithms};
use countersign_dpop::replay::{Epoch, EpochId, Recording, ReplayEntry, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{Timestamp, Window};
use countersign_probe::corpus::{NOW, NoncePolicySetting, Server, SiteSettings, StoreSetting};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};

pub(crate) const NONCE_KEY: [u8; 32] = [7; 32];

pub(crate) fn origin(settings: &SiteSettings, server: Server) -> String {
    match server {
        Server::First => settings.origin.clone().unwrap_or_else(|| "https://rs.example".to_owned()),
        Server::Second => "https://rs2.example".to_owned(),
    }
}

pub(crate) fn algorithms(settings: &SiteSettings) -> Algorithms {
    let wanted: Vec<Algorithm> = settings.algs.iter().map(|name| name.parse().unwrap()).collect();
    if wanted.is_empty() { Algorithms::all() } else { Algorithms::all().narrowed_to(&wanted).unwrap() }
}

pub(crate) fn window(settings: &SiteSettings) -> Window {
    settings.window.as_deref().map_or(Window::RFC, |name| Window::preset(name).unwrap())
}

pub(crate) const fn nonce_policy(settings: &SiteSettings) -> NoncePolicy {
    match settings.nonce {
        NoncePolicySetting::Never => NoncePolicy::Never,
        NoncePolicySetting::Optional => NoncePolicy::Optional,
        NoncePolicySetting::Required => NoncePolicy::Required,
    }
}

/// A store that began at `start`.
pub(crate) fn store(settings: &SiteSettings, start: Timestamp) -> Arc<dyn ReplayStore> {
    let window = window(settings);
    match settings.store {
        StoreSetting::Memory => {
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

/// When a site that has been up for an hour began.
pub(crate) const fn an_hour_ago() -> Timestamp {
    NOW.plus(-3_600)
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
