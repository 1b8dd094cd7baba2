use std::future::Future;
use std::task::{Context, Poll, Waker};

use countersign_dpop::replay::{EpochId, QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{NumericDate, Timestamp, Window};

use super::{MemoryReplayConfig, MemoryReplayError, MemoryReplayStore};

const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

fn key(number: u32) -> ReplayKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ReplayKey::from_bytes(bytes)
}

/// A proof of the window `rfc` made at `iat`.
fn entry(number: u32, iat: i64) -> ReplayEntry {
    let iat = NumericDate::from_seconds(START + iat);
    ReplayEntry { key: key(number), iat, not_after: Window::RFC.not_after(iat), nonce_epoch: None, quota: None }
}

fn with_nonce(entry: ReplayEntry, epoch: EpochId) -> ReplayEntry {
    ReplayEntry { nonce_epoch: Some(epoch), ..entry }
}

fn of_party(entry: ReplayEntry, party: &str) -> ReplayEntry {
    ReplayEntry { quota: Some(QuotaKey::new(&[party])), ..entry }
}

/// A store that began a hundred seconds before `at(0)`, so that its floor has passed.
fn store(capacity: u32) -> MemoryReplayStore {
    let config = MemoryReplayConfig { capacity, quota_percent: 100, ..MemoryReplayConfig::default() };
    MemoryReplayStore::new(config, at(-100)).expect("the configuration is good")
}

fn record(store: &MemoryReplayStore, entry: &ReplayEntry, now: i64) -> Result<Recorded, ReplayStoreError> {
    let mut recording = store.record(entry, at(now));
    match std::pin::Pin::new(&mut recording).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a store in memory answers at once"),
    }
}

#[test]
fn takes_a_proof_once() {
    let store = store(1_000);
    assert_eq!(record(&store, &entry(1, 0), 0), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(1, 0), 0), Ok(Recorded::Replayed));
    assert_eq!(record(&store, &entry(2, 0), 0), Ok(Recorded::First));
}

#[test]
fn remembers_until_the_last_second() {
    let store = store(1_000);
    assert_eq!(record(&store, &entry(1, 0), 0), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(1, 0), 59), Ok(Recorded::Replayed));
    assert_eq!(record(&store, &entry(1, 0), 60), Ok(Recorded::Replayed));
    assert_ne!(record(&store, &entry(1, 0), 61), Ok(Recorded::First));
    assert_ne!(record(&store, &entry(1, 0), 1_000), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(1, 1_000), 1_000), Ok(Recorded::First));
}

#[test]
fn refuses_a_capacity_of_nothing() {
    let config = MemoryReplayConfig { capacity: 0, ..MemoryReplayConfig::default() };
    assert_eq!(MemoryReplayStore::new(config, at(0)).unwrap_err(), MemoryReplayError::NoCapacity);
}

#[test]
fn demands_a_nonce_after_the_start() {
    let store = MemoryReplayStore::new(MemoryReplayConfig::default(), at(0)).unwrap();
    let epoch = store.epoch(at(0));
    assert_eq!(epoch.floor, at(10));
    assert_eq!(record(&store, &entry(1, 10), 5), Ok(Recorded::NonceDemanded));
    assert_eq!(record(&store, &with_nonce(entry(1, 10), epoch.id), 5), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(2, 11), 5), Ok(Recorded::First));
}

#[test]
fn begins_an_epoch_when_the_clock_goes_back_more_than_a_second() {
    let store = store(1_000);
    let first = store.epoch(at(0));
    assert_eq!(record(&store, &entry(1, 0), 0), Ok(Recorded::First));
    assert_eq!(store.epoch(at(-1)), first);
    let second = store.epoch(at(-3_600));
    assert_ne!(second.id, first.id);
    assert_eq!(second.floor, at(10));
    assert_eq!(record(&store, &entry(1, 0), -3_600), Ok(Recorded::NonceDemanded));
    assert_eq!(record(&store, &entry(2, -3_600), -3_600), Ok(Recorded::NonceDemanded));
    assert_eq!(record(&store, &with_nonce(entry(2, -3_600), second.id), -3_600), Ok(Recorded::First));
    assert_eq!(record(&store, &with_nonce(entry(2, -3_600), second.id), -3_600), Ok(Recorded::Replayed));
}

#[test]
fn refuses_rather_than_forgets_when_full() {
    let store = store(100);
    for number in 0..100 {
        assert_eq!(record(&store, &entry(number, 0), 0), Ok(Recorded::First));
    }
    assert_eq!(record(&store, &entry(100, 0), 0), Err(ReplayStoreError::Full { capacity: 100 }));
    assert_eq!(record(&store, &entry(0, 0), 0), Ok(Recorded::Replayed));
    assert_eq!(store.stats().live_entries, 100);
    assert_eq!(record(&store, &entry(100, 100), 100), Ok(Recorded::First));
    assert_eq!(store.stats().live_entries, 1);
    assert_eq!(store.stats().dropped_entries, 100);
}

#[test]
fn holds_each_party_to_its_quota() {
    let config = MemoryReplayConfig { capacity: 1_000, ..MemoryReplayConfig::default() };
    let store = MemoryReplayStore::new(config, at(-100)).unwrap();
    for number in 0..50 {
        assert_eq!(record(&store, &of_party(entry(number, 0), "a"), 0), Ok(Recorded::First));
    }
    let exhausted = Err(ReplayStoreError::QuotaExhausted { quota: 50 });
    assert_eq!(record(&store, &of_party(entry(50, 0), "a"), 0), exhausted);
    assert_eq!(record(&store, &of_party(entry(50, 0), "b"), 0), Ok(Recorded::First));
    assert_eq!(record(&store, &of_party(entry(51, 100), "a"), 100), Ok(Recorded::First));
}
