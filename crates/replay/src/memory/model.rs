//! The store under a model checker, which runs the threads of each scenario in many different orders. How to run it
//! stands in the crate's documentation.
//!
//! The scenarios that are checked in every order are the small ones; the others are checked in random orders.

use std::sync::Arc;

use countersign_dpop::replay::{Epoch, QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{NumericDate, Timestamp, Window};
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};

use super::{MemoryReplayConfig, MemoryReplayStore};

const START: i64 = 1_700_000_000;
const ORDERS: usize = 2_000;

fn in_random_orders(scenario: impl Fn() + Copy + Send + Sync + 'static) {
    Runner::new(RandomScheduler::new(ORDERS), config()).run(scenario);
    // Few changes between threads, at places chosen at random: finds what needs one thread to stop for long.
    Runner::new(PctScheduler::new(4, ORDERS), config()).run(scenario);
}

/// In every order there is, or the first so many of them.
fn in_every_order(scenario: impl Fn() + Send + Sync + 'static) {
    Runner::new(DfsScheduler::new(Some(10 * ORDERS), false), config()).run(scenario);
}

/// The cryptographic library wants more stack than threads of the model have by themselves.
fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 256 * 1_024;
    config
}

type Answer = Result<Recorded, ReplayStoreError>;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

fn entry(number: u8, iat: i64) -> ReplayEntry {
    let iat = NumericDate::from_seconds(START + iat);
    let key = ReplayKey::from_bytes([number; ReplayKey::LENGTH]);
    ReplayEntry { key, iat, not_after: Window::RFC.not_after(iat), nonce_epoch: None, quota: None }
}

fn with_nonce(entry: ReplayEntry, epoch: Epoch) -> ReplayEntry {
    ReplayEntry { nonce_epoch: Some(epoch.id), ..entry }
}

/// A store whose floor has passed at `at(0)`.
fn store(capacity: u32, shards: u32) -> Arc<MemoryReplayStore> {
    let config = MemoryReplayConfig { capacity, quota_percent: 50, ..MemoryReplayConfig::default() };
    Arc::new(MemoryReplayStore::with_shards(config, at(-100), shards).expect("the configuration is good"))
}

fn record(store: &MemoryReplayStore, entry: ReplayEntry, now: i64) -> Answer {
    store.record_now(&entry, at(now))
}

fn firsts(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| **answer == Ok(Recorded::First)).count()
}

/// Runs `jobs`, each in a thread of its own; returns all answers.
fn race(
    store: &Arc<MemoryReplayStore>,
    jobs: Vec<Box<dyn Fn(&MemoryReplayStore) -> Vec<Answer> + Send>>,
) -> Vec<Answer> {
    let start = |job: Box<dyn Fn(&MemoryReplayStore) -> Vec<Answer> + Send>| {
        let store = Arc::clone(store);
        thread::spawn(move || job(&store))
    };
    let threads: Vec<_> = jobs.into_iter().map(start).collect();
    threads.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
}

#[test]
fn one_of_many_is_first() {
    let scenario = || {
        let store = store(100, 1);
        let job = || Box::new(|store: &MemoryReplayStore| vec![record(store, entry(1, 0), 0)]) as Box<_>;
        let answers = race(&store, vec![job(), job(), job()]);
        assert_eq!(firsts(&answers), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Ok(Recorded::Replayed)).count(), 2);
        assert_eq!(store.stats().live_entries, 1);
    };
    in_every_order(scenario);
    in_random_orders(scenario);
}

#[test]
fn a_record_that_races_the_drop_of_its_slot_is_never_taken_again() {
    let scenario = || {
        let store = store(100, 1);
        assert_eq!(record(&store, entry(1, 0), 0), Ok(Recorded::First));
        let answers = race(
            &store,
            vec![
                Box::new(|store| vec![record(store, entry(1, 0), 60)]),
                Box::new(|store| vec![record(store, entry(1, 0), 59), record(store, entry(1, 0), 60)]),
                Box::new(|store| {
                    assert_eq!(record(store, entry(2, 100), 100), Ok(Recorded::First));
                    store.sweep();
                    Vec::new()
                }),
            ],
        );
        assert_eq!(firsts(&answers), 0);
    };
    in_every_order(scenario);
    in_random_orders(scenario);
}

/// A proof without a nonce, sent again and again while the clock goes back an hour and comes forward again.
#[test]
fn a_record_that_races_a_new_epoch_is_taken_once() {
    let scenario = || {
        let store = store(100, 2);
        let again = |store: &MemoryReplayStore| vec![record(store, entry(1, 0), 0), record(store, entry(1, 0), 1)];
        let mut answers = race(
            &store,
            vec![
                Box::new(again),
                Box::new(|store| {
                    store.epoch(at(-3_600));
                    vec![record(store, entry(1, 0), -3_600)]
                }),
                Box::new(|store| {
                    store.epoch(at(-3_600));
                    store.epoch(at(0));
                    vec![record(store, entry(1, 0), 0)]
                }),
            ],
        );
        for now in [-9, 0, 30, 60] {
            store.epoch(at(now));
            answers.push(record(&store, entry(1, 0), now));
        }
        assert!(firsts(&answers) <= 1, "{answers:?}");
    };
    in_random_orders(scenario);
}

/// A proof with a nonce of the epoch that is just beginning, while a further one begins.
#[test]
fn what_a_new_epoch_accepts_it_remembers() {
    let scenario = || {
        let store = store(100, 2);
        let seen = Arc::new(shuttle::sync::Mutex::new(Vec::new()));
        let client = |number: u8| {
            let seen = Arc::clone(&seen);
            Box::new(move |store: &MemoryReplayStore| {
                let epoch = store.epoch(at(-3_600));
                let proof = with_nonce(entry(number, -3_600), epoch);
                let answers = vec![record(store, proof, -3_600), record(store, proof, -3_600)];
                seen.lock().expect("no thread panics").push((proof, firsts(&answers)));
                answers
            }) as Box<dyn Fn(&MemoryReplayStore) -> Vec<Answer> + Send>
        };
        let further = Box::new(|store: &MemoryReplayStore| {
            store.epoch(at(-7_200));
            store.epoch(at(-3_600));
            Vec::new()
        });
        race(&store, vec![client(1), client(2), further]);
        for (proof, before) in seen.lock().expect("no thread panics").iter() {
            let after = [-3_600, -3_540].map(|now| record(&store, *proof, now));
            assert!(before + firsts(&after) <= 1);
        }
    };
    in_random_orders(scenario);
}

/// The window grows from `rfc` to `mcp` while a proof whose record has been dropped is sent again.
#[test]
fn a_wider_window_takes_no_old_proof_again() {
    let scenario = || {
        let store = store(100, 2);
        assert_eq!(record(&store, entry(1, 0), 0), Ok(Recorded::First));
        let wide = || {
            let proof = entry(1, 0);
            ReplayEntry { not_after: Window::MCP.not_after(proof.iat), ..proof }
        };
        let answers = race(
            &store,
            vec![
                Box::new(move |store| {
                    store.widen(Window::MCP, at(80));
                    vec![record(store, wide(), 80), record(store, wide(), 300)]
                }),
                Box::new(|store| vec![record(store, entry(1, 0), 60)]),
                Box::new(|store| vec![record(store, entry(2, 80), 80), record(store, entry(2, 80), 81)]),
            ],
        );
        assert!(firsts(&answers) <= 1, "{answers:?}");
        assert_eq!(firsts(&answers[..3]), 0);
    };
    in_random_orders(scenario);
}

#[test]
fn quota_and_capacity_are_used_exactly() {
    let scenario = || {
        let store = store(4, 2);
        let job = |number: u8, party: &'static str| {
            Box::new(move |store: &MemoryReplayStore| {
                let quota = Some(QuotaKey::new(&[party]));
                let share = |number| record(store, ReplayEntry { quota, ..entry(number, 0) }, 0);
                vec![share(number), share(number + 1)]
            }) as Box<dyn Fn(&MemoryReplayStore) -> Vec<Answer> + Send>
        };
        let answers = race(&store, vec![job(1, "a"), job(3, "a"), job(5, "b"), job(7, "c")]);
        let of_a = firsts(&answers[..4]);
        assert!(of_a <= 2);
        assert_eq!(firsts(&answers), 4);
        assert_eq!(store.stats().live_entries, 4);
        assert!(answers.iter().all(|answer| !matches!(answer, Ok(Recorded::Replayed | Recorded::NonceDemanded))));
        // Everything is given back with its slot.
        assert_eq!(firsts(&[record(&store, entry(9, 200), 200)]), 1);
        assert_eq!(store.stats().live_entries, 1);
    };
    in_random_orders(scenario);
}
