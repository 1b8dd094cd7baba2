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
    let mut bytes = [7; ReplayKey::LENGTH];
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

/// The second is for clocks that go back; what comes later may have been dropped, or may not.
#[test]
fn judges_a_proof_for_a_second_more_and_then_asks_for_a_nonce() {
    let store = store(1_000);
    assert_eq!(record(&store, &entry(1, 0), 0), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(1, 0), 61), Ok(Recorded::Replayed));
    assert_eq!(record(&store, &entry(2, 0), 61), Ok(Recorded::First));
    for number in 1..=3 {
        assert_eq!(record(&store, &entry(number, 0), 62), Ok(Recorded::NonceDemanded));
    }
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

#[test]
fn refuses_a_quota_outside_one_to_a_hundred_percent() {
    for quota_percent in [0, 101, 255] {
        let config = MemoryReplayConfig { quota_percent, ..MemoryReplayConfig::default() };
        let refused = MemoryReplayStore::new(config, at(0)).expect_err("no such quota");
        assert_eq!(refused, MemoryReplayError::QuotaPercent(quota_percent));
    }
}

#[test]
fn a_quota_is_at_least_one_entry_and_at_most_all() {
    let quota = |capacity, quota_percent| {
        let config = MemoryReplayConfig { capacity, quota_percent, ..MemoryReplayConfig::default() };
        MemoryReplayStore::new(config, at(0)).expect("the configuration is good").stats().quota
    };
    assert_eq!(quota(1, 1), 1);
    assert_eq!(quota(10, 5), 1);
    assert_eq!(quota(1_000, 5), 50);
    assert_eq!(quota(1_000, 100), 1_000);
    assert_eq!(quota(u32::MAX, 100), u64::from(u32::MAX));
    assert_eq!(quota(u32::MAX, 5), 214_748_364);
}

#[test]
fn the_default_is_two_million_entries_five_percent_each_in_the_window_rfc() {
    let stats = MemoryReplayStore::new(MemoryReplayConfig::default(), at(0)).expect("good").stats();
    assert_eq!((stats.capacity, stats.quota, stats.epochs_begun), (2_000_000, 100_000, 1));
    assert_eq!(stats.epoch.floor, at(10));
}

#[test]
fn takes_a_second_back_for_the_same_time() {
    let store = store(1_000);
    let epoch = store.epoch(at(100));
    assert_eq!(store.epoch(at(99)), epoch);
    assert_ne!(store.epoch(at(98)).id, epoch.id);
    assert_eq!(store.stats().epochs_begun, 2);
}

/// The floor never goes down, and what it covers is refused in every later epoch.
#[test]
fn the_floor_stays_at_the_highest_time_ever_seen() {
    let store = store(1_000);
    store.epoch(at(1_000));
    let floors = [500, 900, 100, 3].map(|now| store.epoch(at(now)).floor);
    assert_eq!(floors, [at(1_010); 4]);
    assert_eq!(store.stats().epochs_begun, 4, "forward to 900 begins no epoch");
    assert_eq!(store.epoch(at(2_000)).floor, at(1_010));
    assert_eq!(store.epoch(at(0)).floor, at(2_010));
}

#[test]
fn keeps_entries_within_reach_when_the_clock_goes_back() {
    let store = store(1_000);
    let epoch = store.epoch(at(0));
    assert_eq!(record(&store, &entry(1, -50), 0), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(2, -30), 0), Ok(Recorded::First));
    let next = store.epoch(at(-40));
    assert_ne!(next.id, epoch.id);
    assert_eq!(store.stats().live_entries, 2);
    // Known even to one who somehow has a nonce of the new epoch for the same jti.
    assert_eq!(record(&store, &with_nonce(entry(1, -40), next.id), -40), Ok(Recorded::Replayed));
    // An hour back nothing is within reach, and the room is given back.
    store.epoch(at(-3_600));
    assert_eq!(store.stats().live_entries, 0);
}

#[test]
fn a_wider_window_begins_an_epoch_and_loses_nothing() {
    let store = store(1_000);
    for number in 0..100 {
        let iat = i64::from(number % 70) - 60;
        assert_eq!(record(&store, &entry(number, iat), 0), Ok(Recorded::First));
    }
    let before = store.epoch(at(0));
    store.widen(Window::MCP, at(0));
    let after = store.epoch(at(0));
    assert_ne!(after.id, before.id);
    assert_eq!(after.floor, at(300));
    assert_eq!(store.stats().live_entries, 100);
    for number in 0..100 {
        let again = with_nonce(entry(number, 0), after.id);
        assert_eq!(record(&store, &again, 0), Ok(Recorded::Replayed));
    }
}

#[test]
fn a_window_that_reaches_no_further_changes_nothing() {
    let store = store(1_000);
    let before = store.epoch(at(0));
    for window in [Window::RFC, Window::STRICT, Window::FAPI2, Window::new(60, 0).expect("a window")] {
        store.widen(window, at(0));
    }
    assert_eq!(store.epoch(at(0)), before);
    store.widen(Window::new(0, 11).expect("a window"), at(0));
    assert_eq!(store.epoch(at(0)).floor, at(11));
    assert_eq!(store.stats().epochs_begun, 2);
}

/// What a verifier with a narrower window recorded is kept for the widest window, so that a window may be narrowed
/// and widened again.
#[test]
fn remembers_for_the_widest_window() {
    let store = store(1_000);
    let narrow = ReplayEntry { not_after: at(10), ..entry(1, 0) };
    assert_eq!(record(&store, &narrow, 0), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(1, 0), 60), Ok(Recorded::Replayed));
}

#[test]
fn widens_at_the_highest_time_when_its_own_is_old() {
    let store = store(1_000);
    store.epoch(at(500));
    store.widen(Window::MCP, at(0));
    assert_eq!(store.epoch(at(500)).floor, at(800));
    assert_eq!(store.stats().epochs_begun, 2);
}

#[test]
fn does_not_take_what_it_could_not_remember_for_long_enough() {
    let store = store(1_000);
    let too_wide = |answer: Result<Recorded, ReplayStoreError>| match answer {
        Err(ReplayStoreError::Unavailable { reason }) => {
            reason == "the verifier's window is wider than the replay store's"
        }
        Ok(_) | Err(_) => false,
    };
    assert_eq!(record(&store, &entry(1, 10), 0), Ok(Recorded::First));
    assert!(too_wide(record(&store, &entry(2, 11), 0)));
    let longer = |seconds| ReplayEntry { not_after: at(seconds), ..entry(3, 0) };
    assert!(too_wide(record(&store, &longer(71), 0)));
    assert_eq!(record(&store, &longer(70), 0), Ok(Recorded::First));
    assert_eq!(store.stats().live_entries, 2);
}

/// When it is full, what has passed in shards that nobody has come to since makes room.
#[test]
fn makes_room_everywhere_before_it_refuses() {
    let config = MemoryReplayConfig { capacity: 1, quota_percent: 100, ..MemoryReplayConfig::default() };
    let store = MemoryReplayStore::with_shards(config, at(-100), 256).expect("the configuration is good");
    let shard = |number: u32| std::ptr::from_ref(store.shard(store.secret.place(&key(number))));
    let elsewhere = (1..10_000).find(|number| shard(*number) != shard(0)).expect("there are other shards");
    assert_eq!(record(&store, &entry(0, 0), 0), Ok(Recorded::First));
    assert_eq!(record(&store, &entry(elsewhere, 1), 1), Err(ReplayStoreError::Full { capacity: 1 }));
    assert_eq!(record(&store, &entry(elsewhere, 100), 100), Ok(Recorded::First));
    let stats = store.stats();
    assert_eq!((stats.live_entries, stats.dropped_entries), (1, 1));
}

/// A full store does not go through all shards for everyone who asks.
#[test]
fn sweeps_at_most_once_a_second() {
    let store = store(100);
    assert!(!store.sweep(), "at the time it began nothing can have passed");
    store.epoch(at(0));
    assert!(store.sweep());
    assert!(!store.sweep());
    store.epoch(at(1));
    assert!(store.sweep());
}

#[test]
fn counts_what_it_holds_and_what_it_dropped() {
    let store = store(1_000);
    for number in 0..10 {
        assert_eq!(record(&store, &entry(number, 0), 0), Ok(Recorded::First));
        assert_eq!(record(&store, &entry(number, 0), 0), Ok(Recorded::Replayed));
    }
    let stats = store.stats();
    assert_eq!((stats.live_entries, stats.dropped_entries, stats.capacity), (10, 0, 1_000));
    assert_eq!(stats.memory_bytes, 6 * 64, "a line for four homes, and two more");
    store.epoch(at(1_000));
    let stats = store.stats();
    assert_eq!((stats.live_entries, stats.dropped_entries), (0, 10));
    assert_eq!(stats.epoch, store.epoch(at(1_000)));
}

/// Two hundred thousand live entries over several windows: never over 40 bytes each, and no spike on the way.
#[test]
fn takes_little_memory_for_an_entry() {
    let config = MemoryReplayConfig { capacity: 300_000, quota_percent: 100, ..MemoryReplayConfig::default() };
    // As few shards as give each many entries.
    let store = MemoryReplayStore::with_shards(config, at(-100), 8).expect("the configuration is good");
    let per_second = 200_000_u32 / 61;
    let (mut number, mut steady, mut most) = (0, 0, 0);
    for second in 0..200 {
        for _ in 0..per_second {
            number += 1;
            assert_eq!(record(&store, &entry(number, second), second), Ok(Recorded::First));
        }
        most = most.max(store.stats().memory_bytes);
        if second == 100 {
            steady = most;
        }
    }
    let live = u64::from(per_second) * 61;
    assert!(store.stats().memory_bytes < 30 * live, "{} bytes an entry", store.stats().memory_bytes / live);
    assert!(most < steady * 5 / 4, "{most} bytes at the most, {steady} before");
    // A flood's memory is given back in time.
    for second in 200..400 {
        number += 1;
        assert_eq!(record(&store, &entry(number, second), second), Ok(Recorded::First));
        store.stats();
    }
    assert!(store.stats().memory_bytes < steady / 10);
}

/// Row 525: keys that are alike are as far apart as others, and nobody can know where they go.
#[test]
fn keys_that_are_alike_are_spread_evenly_by_a_secret() {
    let count = 16_000;
    let config = MemoryReplayConfig { capacity: count, quota_percent: 100, ..MemoryReplayConfig::default() };
    let new_store = || MemoryReplayStore::with_shards(config, at(-100), 16).expect("the configuration is good");
    let (one, other) = (new_store(), new_store());
    let mut shards = [0; 16];
    let mut moved = 0;
    for number in 0..count {
        let [here, there] = [&one, &other].map(|store| store.secret.place(&key(number)));
        shards[here.shard as usize >> 28] += 1;
        moved += u32::from(here.tag != there.tag && here.shard != there.shard);
    }
    assert!(shards.iter().all(|entries| (800..1_200).contains(entries)), "{shards:?}");
    assert!(moved > count - 10, "another process places them elsewhere");
}

#[test]
fn shows_no_secret_and_no_entry() {
    let store = store(10);
    assert_eq!(record(&store, &entry(1, 0), 0), Ok(Recorded::First));
    let shown = format!("{store:?}");
    let id = store.epoch(at(0)).id;
    let expected = format!(
        "MemoryReplayStore {{ capacity: Capacity {{ live: 1, dropped: 0, limit: 10 }}, highest: {:?}, epoch: Epoch {{ id: {id:?}, floor: {:?} }}, .. }}",
        at(0),
        at(-90)
    );
    assert_eq!(shown, expected);
}

#[test]
fn has_more_shards_the_larger_it_is() {
    let capacities = [1, 32_767, 32_768, 100_000, 2_000_000, 4_194_304, 16_777_215, 33_619_968, u32::MAX];
    assert_eq!(capacities.map(super::shards_for), [1, 1, 2, 8, 64, 64, 64, 128, 1_024]);
}
