//! Fills a store with ten million live entries and measures: `cargo run --release -p countersign-replay --example
//! ten_million`. Time is processor time of the one thread that works; memory is what the system gives the process.
#![expect(clippy::print_stdout, reason = "an example shows its figures")]

use std::fs;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use countersign_dpop::replay::{QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{NumericDate, Timestamp, Window};
use countersign_replay::{MemoryReplayConfig, MemoryReplayError, MemoryReplayStore};

/// One proof of iat t lives through t + 60: those of 61 seconds are acceptable at once.
const PER_SECOND: u64 = 10_000_000 / 61;
const WINDOW: Window = Window::RFC;
const START: i64 = 1_700_000_000;

fn main() -> Result<(), MemoryReplayError> {
    let config = MemoryReplayConfig { capacity: 14_000_000, window: WINDOW, quota_percent: 100 };
    let before = resident("VmRSS:");
    let store = MemoryReplayStore::new(config, Timestamp::from_seconds(START - 100))?;
    let mut traffic = Traffic { store: &store, number: 0, parties: std::array::from_fn(party) };

    let fill = traffic.run(0, 61);
    let steady = traffic.run(61, 240);
    let stats = store.stats();
    let replayed = traffic.replay(240, 1_000_000);
    let resident_now = resident("VmRSS:").saturating_sub(before);
    let peak = resident("VmHWM:").saturating_sub(before);

    let acceptable = 61 * PER_SECOND;
    println!("acceptable at once   {acceptable}");
    println!("entries held         {} ({:.3} of them)", stats.live_entries, ratio(stats.live_entries, acceptable));
    println!("fill, ns/insert      {fill:.0}");
    println!("steady, ns/insert    {steady:.0}");
    println!("replay refused, ns   {replayed:.0}");
    println!("bytes/entry, tables  {:.1}", ratio(stats.memory_bytes, acceptable));
    println!("bytes/entry, system  {:.1}", ratio(resident_now, acceptable));
    println!("bytes/entry, peak    {:.1} ({:.2} of steady)", ratio(peak, acceptable), ratio(peak, resident_now));
    Ok(())
}

struct Traffic<'a> {
    store: &'a MemoryReplayStore,
    number: u64,
    parties: [QuotaKey; 100],
}

impl Traffic<'_> {
    /// Presents fresh proofs from `from` to `until`, in seconds; returns nanoseconds for each.
    fn run(&mut self, from: i64, until: i64) -> f64 {
        let (began, first) = (processor_time(), self.number);
        for second in from..until {
            for _ in 0..PER_SECOND {
                self.number += 1;
                // Clients' clocks differ by up to four seconds either way.
                let iat = second + i64::try_from(self.number % 9).unwrap_or(0) - 4;
                let answer = record(self.store, &self.entry(self.number, iat), second);
                assert_eq!(answer, Ok(Recorded::First));
            }
        }
        ratio(processor_time() - began, self.number - first)
    }

    /// Presents the last `count` proofs again at `second`; returns nanoseconds for each.
    fn replay(&self, second: i64, count: u64) -> f64 {
        let began = processor_time();
        for number in self.number - count..self.number {
            let answer = record(self.store, &self.entry(number, second - 10), second);
            assert_eq!(answer, Ok(Recorded::Replayed));
        }
        ratio(processor_time() - began, count)
    }

    fn entry(&self, number: u64, iat: i64) -> ReplayEntry {
        let mut key = [0; ReplayKey::LENGTH];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let iat = NumericDate::from_seconds(START + iat);
        ReplayEntry {
            key: ReplayKey::from_bytes(key),
            iat,
            not_after: WINDOW.not_after(iat),
            nonce_epoch: None,
            quota: usize::try_from(number % 100).ok().map(|party| self.parties[party]),
        }
    }
}

fn party(number: usize) -> QuotaKey {
    QuotaKey::new(&["https://issuer.example", &number.to_string()])
}

fn record(store: &MemoryReplayStore, entry: &ReplayEntry, second: i64) -> Result<Recorded, ReplayStoreError> {
    let recording = pin!(store.record(entry, Timestamp::from_seconds(START + second)));
    match recording.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(ReplayStoreError::Unavailable { reason: "a store in memory answers at once".to_owned() }),
    }
}

/// Nanoseconds that this thread has run.
fn processor_time() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
}

/// A line of the process's status, in bytes.
fn resident(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1_024
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
