//! The store in memory at several sizes: `cargo bench -p countersign-replay`. Ten million entries, the memory they take and
//! what stands beside it are in `countersign bench replay`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a program for a terminal")]

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use countersign_dpop::replay::{Recorded, ReplayEntry, ReplayKey, ReplayStore};
use countersign_dpop::time::{NumericDate, Timestamp, Window};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use divan::Bencher;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn main() {
    divan::main();
}

fn store(entries: u64) -> MemoryReplayStore {
    let config = MemoryReplayConfig { capacity: 50_000_000, quota_percent: 100, ..MemoryReplayConfig::default() };
    let store = MemoryReplayStore::new(config, NOW.plus(-3_600)).unwrap();
    for number in 0..entries {
        assert_eq!(record(&store, number), Recorded::First);
    }
    store
}

fn record(store: &MemoryReplayStore, number: u64) -> Recorded {
    let mut key = [0; ReplayKey::LENGTH];
    key[..8].copy_from_slice(&number.to_le_bytes());
    let iat = NumericDate::from_seconds(NOW.seconds() - i64::try_from(number % 55).unwrap());
    let entry = ReplayEntry {
        key: ReplayKey::from_bytes(key),
        iat,
        not_after: Window::RFC.not_after(iat),
        nonce_epoch: None,
        quota: None,
    };
    match pin!(store.record(&entry, NOW)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer.unwrap(),
        Poll::Pending => panic!("a store in memory answers at once"),
    }
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn insert(bencher: Bencher<'_, '_>, entries: u64) {
    let store = store(entries);
    let next = Cell::new(entries);
    bencher.bench_local(|| {
        next.set(next.get() + 1);
        record(&store, next.get())
    });
}

#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn refuse_replay(bencher: Bencher<'_, '_>, entries: u64) {
    let store = store(entries);
    let next = Cell::new(0);
    bencher.bench_local(|| {
        next.set((next.get() + 1) % entries);
        record(&store, next.get())
    });
}
