//! A store on trial: past its floor, with short words for what the checks do.

use std::future::Future;
use std::sync::Arc;

use countersign_dpop::replay::{
    Epoch, EpochId, QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError,
};
use countersign_dpop::time::{NumericDate, Timestamp, Window};

use super::Wanted;

pub(super) type Answer = Result<Recorded, ReplayStoreError>;

pub(super) const FIRST: Answer = Ok(Recorded::First);
pub(super) const REPLAYED: Answer = Ok(Recorded::Replayed);
pub(super) const NONCE_DEMANDED: Answer = Ok(Recorded::NonceDemanded);

#[derive(Clone)]
pub(super) struct Trial {
    pub(super) store: Arc<dyn ReplayStore>,
    pub(super) window: Window,
    pub(super) epoch: Epoch,
    /// The first second at which a fresh proof needs no nonce: one after the floor.
    pub(super) start: Timestamp,
}

impl Trial {
    pub(super) async fn begin<Made>(make: &impl Fn(Wanted) -> Made, wanted: Wanted) -> Self
    where
        Made: Future<Output = Arc<dyn ReplayStore>>,
    {
        let store = make(wanted).await;
        let epoch = store.epoch(wanted.now);
        Self { store, window: wanted.window, epoch, start: epoch.floor.plus(1) }
    }

    /// `seconds` after the start.
    pub(super) fn at(&self, seconds: i64) -> Timestamp {
        self.start.plus(seconds)
    }

    /// The proof `number`, made `seconds` after the start.
    pub(super) fn proof(&self, number: u32, seconds: i64) -> ReplayEntry {
        self.entry(key(number), NumericDate::from_seconds(self.at(seconds).seconds()))
    }

    pub(super) fn entry(&self, key: ReplayKey, iat: NumericDate) -> ReplayEntry {
        ReplayEntry { key, iat, not_after: self.window.not_after(iat), nonce_epoch: None, quota: None }
    }

    /// Presents `entry` `seconds` after the start.
    pub(super) async fn record(&self, entry: &ReplayEntry, seconds: i64) -> Answer {
        self.store.record(entry, self.at(seconds)).await
    }

    /// What the store says to the proof `number` when it is made and presented `seconds` after the start.
    pub(super) async fn fresh(&self, number: u32, seconds: i64) -> Answer {
        self.record(&self.proof(number, seconds), seconds).await
    }
}

pub(super) fn key(number: u32) -> ReplayKey {
    let mut bytes = [0x5a; ReplayKey::LENGTH];
    bytes[14..18].copy_from_slice(&number.to_be_bytes());
    ReplayKey::from_bytes(bytes)
}

pub(super) fn with_nonce(entry: ReplayEntry, epoch: EpochId) -> ReplayEntry {
    ReplayEntry { nonce_epoch: Some(epoch), ..entry }
}

pub(super) fn of_party(entry: ReplayEntry, party: &str) -> ReplayEntry {
    ReplayEntry { quota: Some(QuotaKey::new(&["https://issuer.example", party])), ..entry }
}
