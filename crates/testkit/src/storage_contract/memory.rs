//! How far back the storage remembers.

use countersign_authserver::storage::Verdict;
use countersign_dpop::replay::{EpochId, ReplayEntry, ReplayKey};

use super::once::{assertion, proof, record};
use super::{NOW, Opener, at};

pub(super) async fn demands_a_nonce_of_its_epoch_at_and_before_the_floor(opener: &dyn Opener) {
    let storage = opener.open(NOW).await;
    let epoch = storage.epoch();
    // Ten seconds ahead by this clock, or by one that may be ahead of it.
    let floor = NOW + 10 + if opener.clock_difference() > 1 { opener.clock_difference() } else { 0 };
    assert_eq!(epoch.floor, at(floor));
    let with = |id, iat, nonce_epoch| Some(ReplayEntry { nonce_epoch, ..proof(id, iat) });
    let other = EpochId::from_bytes([7; 16]);
    for (entry, verdict) in [
        (with(1, NOW, None), Verdict::NonceDemanded),
        (with(1, floor, None), Verdict::NonceDemanded),
        (with(1, NOW, Some(other)), Verdict::NonceDemanded),
        (with(1, NOW, Some(epoch.id)), Verdict::First),
        (with(1, NOW, Some(epoch.id)), Verdict::ProofReplayed),
        (with(2, floor + 1, None), Verdict::First),
        (with(3, floor + 1, Some(other)), Verdict::First),
    ] {
        assert_eq!(record(storage.as_ref(), entry, None, NOW).await, verdict, "{entry:?}");
    }
}

pub(super) async fn sweeps_what_has_ended_and_nothing_that_lives(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    for id in 0..5 {
        let entries = (Some(proof(id, NOW + i64::from(id))), Some(assertion(id, NOW + 60 + i64::from(id))));
        assert_eq!(record(storage.as_ref(), entries.0, entries.1, NOW).await, Verdict::First);
    }
    assert_eq!(storage.sweep(at(NOW + 60)).await.unwrap(), 0);
    assert_eq!(storage.sweep(at(NOW + 60 + 60 + 3)).await.unwrap(), 6, "three of each kind ended a minute ago");
    assert_eq!(storage.count_recorded().await.unwrap(), 4);
    assert_eq!(record(storage.as_ref(), Some(proof(4, NOW + 4)), None, NOW + 123).await, Verdict::ProofReplayed);
}

pub(super) async fn sweeps_a_little_while_it_records(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let unique = |n: u16, iat: i64| {
        let mut key = [0; ReplayKey::LENGTH];
        key[..2].copy_from_slice(&n.to_be_bytes());
        Some(ReplayEntry { key: ReplayKey::from_bytes(key), ..proof(0, iat) })
    };
    for n in 0..100 {
        assert_eq!(record(storage.as_ref(), unique(n, NOW), None, NOW).await, Verdict::First);
    }
    for n in 100..200 {
        assert_eq!(record(storage.as_ref(), unique(n, NOW + 1_000), None, NOW + 1_000).await, Verdict::First);
    }
    assert_eq!(storage.count_recorded().await.unwrap(), 100);
}

pub(super) async fn a_clock_set_back_begins_an_epoch_and_refuses_what_could_be_forgotten(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let epoch = storage.epoch();
    let entries = (Some(proof(1, NOW)), Some(assertion(1, NOW + 60)));
    assert_eq!(record(storage.as_ref(), entries.0, entries.1, NOW).await, Verdict::First);
    assert_eq!(storage.sweep(at(NOW + 3_600)).await.unwrap(), 2);
    assert_eq!(record(storage.as_ref(), None, None, NOW + 3_600).await, Verdict::First);
    // Back by as much as clocks may differ: nothing happens. Further back: a new epoch whose floor covers all that was accepted.
    let behind = NOW + 3_600 - opener.clock_difference();
    assert_eq!(record(storage.as_ref(), Some(proof(2, behind)), None, behind).await, Verdict::First);
    assert_eq!(storage.epoch(), epoch);
    assert_eq!(record(storage.as_ref(), entries.0, None, NOW).await, Verdict::NonceDemanded);
    assert_ne!(storage.epoch().id, epoch.id);
    assert_eq!(storage.epoch().floor, at(NOW + 3_610));
    for (not_after, verdict) in [(NOW + 60, Verdict::AssertionForgotten), (NOW + 61, Verdict::First)] {
        assert_eq!(record(storage.as_ref(), None, Some(assertion(1, not_after)), NOW).await, verdict);
    }
    let settled = storage.epoch();
    assert_eq!(record(storage.as_ref(), None, Some(assertion(3, NOW + 70)), NOW + 1).await, Verdict::First);
    drop(storage);
    assert_eq!(opener.open(NOW + 1).await.epoch(), settled, "one step back, one epoch");
}
