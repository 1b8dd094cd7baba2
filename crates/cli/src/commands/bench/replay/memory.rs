//! The store in memory, filled and kept full, and a plain hash set beside it.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};

use countersign_dpop::replay::{QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore};
use countersign_dpop::time::{NumericDate, Timestamp};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use indicatif::ProgressBar;

use super::super::fixture::at_once;
use super::super::measure::{Measured, Samples, all_right};
use super::super::resident;
use super::super::row::{NS_MEDIAN, Row};
use super::{BYTES_GOAL, BYTES_SYSTEM, BYTES_TABLES, ENTRIES, PEAK, RATIO_TO_HASH_SET, SECONDS, WINDOW, row};
use crate::error::CommandError;

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const PARTIES: usize = 100;

/// The rows of time, and the one of memory.
pub(super) fn measure(entries: u32, rounds: u32, bar: &ProgressBar) -> Result<(Vec<Row>, Row), CommandError> {
    let (mut rows, memory) = of_the_store(entries, rounds, bar)?;
    bar.set_message("a plain hash set");
    let hash_set = of_a_hash_set(entries, bar)?;
    let measure = hash_set.median;
    rows.push(row("std-hash-set", "an insert into a plain HashSet behind one lock", hash_set, u64::from(entries)));
    for row in &mut rows {
        if let Some(nanoseconds) = row.figure(&NS_MEDIAN) {
            row.set(&RATIO_TO_HASH_SET, nanoseconds / measure);
        }
    }
    Ok((rows, memory))
}

fn of_the_store(entries: u32, rounds: u32, bar: &ProgressBar) -> Result<(Vec<Row>, Row), CommandError> {
    resident::forget_peak();
    let before = resident::now();
    let capacity = entries.saturating_add(entries / 2);
    let config = MemoryReplayConfig { capacity, window: WINDOW, quota_percent: 100 };
    let store = MemoryReplayStore::new(config, START.plus(-3_600)).map_err(CommandError::internal)?;
    let traffic = Traffic::new(&store, entries);
    let live = traffic.per_second * SECONDS.unsigned_abs();

    bar.set_message(format!("filling with {entries} entries"));
    let mut filling = Samples::of_this_thread().already_warm();
    for second in 0..SECONDS {
        traffic.fresh(second, &mut filling)?;
        bar.inc(1);
    }
    bar.set_message("inserting");
    let mut inserting = Samples::of_this_thread().already_warm();
    let end = SECONDS + i64::from(rounds);
    for second in SECONDS..end {
        traffic.fresh(second, &mut inserting)?;
        bar.inc(1);
    }
    bar.set_message("refusing");
    let mut refusing = Samples::of_this_thread().already_warm();
    for second in (end - SECONDS / 2)..end {
        traffic.replayed(second, end, &mut refusing)?;
        bar.inc(1);
    }
    let (now, peak) = (resident::now().saturating_sub(before), resident::peak().saturating_sub(before));
    let memory = Row::new("memory", "what the full store takes")
        .with(&ENTRIES, live)
        .with(&BYTES_SYSTEM, ratio(now, live))
        .with(&BYTES_TABLES, ratio(store.stats().memory_bytes, live))
        .with(&PEAK, ratio(peak, now))
        .with_goal((entries >= 10_000_000).then_some(BYTES_GOAL));
    let times = vec![
        row("fill", "an insert while the tables grow; the mean", filling.mean_cpu(), live),
        row("insert", "an insert into the full store", inserting.cpu(), live),
        row("refuse-replay", "a remembered proof, presented again", refusing.cpu(), live),
    ];
    Ok((times, memory))
}

/// Inserts until `entries` are in, of which the last tenth counts.
fn of_a_hash_set(entries: u32, bar: &ProgressBar) -> Result<Measured, CommandError> {
    let set = Mutex::new(HashSet::<[u8; 16]>::new());
    let mut samples = Samples::of_this_thread().already_warm();
    let a_second = u64::from(entries) / SECONDS.unsigned_abs();
    for second in 0..SECONDS.unsigned_abs() {
        let numbers = second * a_second..(second + 1) * a_second;
        samples.begin();
        let first = numbers.filter(|number| {
            let mut key = [0; 16];
            key.copy_from_slice(&key_of(*number)[..16]);
            set.lock().unwrap_or_else(PoisonError::into_inner).insert(black_box(key))
        });
        let first = first.count();
        if second * 10 >= SECONDS.unsigned_abs() * 9 {
            samples.end(first);
        }
        all_right(first, count(a_second))?;
        bar.inc(1);
    }
    Ok(samples.cpu())
}

/// Proofs by the second.
struct Traffic<'a> {
    store: &'a MemoryReplayStore,
    per_second: u64,
    parties: Vec<QuotaKey>,
}

impl<'a> Traffic<'a> {
    fn new(store: &'a MemoryReplayStore, entries: u32) -> Self {
        let party = |number: usize| QuotaKey::new(&["https://issuer.example", &number.to_string()]);
        let per_second = u64::from(entries) / SECONDS.unsigned_abs();
        Self { store, per_second, parties: (0..PARTIES).map(party).collect() }
    }

    /// The fresh proofs of `second`.
    fn fresh(&self, second: i64, samples: &mut Samples) -> Result<(), CommandError> {
        self.present(second, second, Recorded::First, samples)
    }

    /// The proofs that were fresh at `second`, presented again at `now`.
    fn replayed(&self, second: i64, now: i64, samples: &mut Samples) -> Result<(), CommandError> {
        self.present(second, now, Recorded::Replayed, samples)
    }

    fn present(&self, second: i64, now: i64, wanted: Recorded, samples: &mut Samples) -> Result<(), CommandError> {
        let from = second.unsigned_abs() * self.per_second;
        samples.begin();
        let right = (from..from + self.per_second).filter(|number| {
            let answer = at_once(self.store.record(&self.entry(*number, second), START.plus(now)));
            matches!(answer, Ok(Ok(recorded)) if recorded == wanted)
        });
        let right = right.count();
        samples.end(count(self.per_second));
        all_right(right, count(self.per_second))
    }

    fn entry(&self, number: u64, second: i64) -> ReplayEntry {
        // Clients' clocks differ by up to four seconds either way.
        let off = i64::try_from(number % 9).unwrap_or(0) - 4;
        let iat = NumericDate::from_seconds(START.plus(second + off).seconds());
        ReplayEntry {
            key: ReplayKey::from_bytes(key_of(number)),
            iat,
            not_after: WINDOW.not_after(iat),
            nonce_epoch: None,
            quota: Some(self.parties[count(number) % PARTIES]),
        }
    }
}

/// Stores hash keys with a secret of their own, so these need not look random.
fn key_of(number: u64) -> [u8; ReplayKey::LENGTH] {
    let mut key = [0; ReplayKey::LENGTH];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
