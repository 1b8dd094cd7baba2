//! What is good for one request only.

use countersign_authserver::storage::{AssertionEntry, AssertionKey, SingleUse, Storage, Verdict};
use countersign_dpop::replay::{ReplayEntry, ReplayKey};
use countersign_dpop::time::NumericDate;

use super::{NOW, Opener, at};

pub(super) async fn records_each_entry_once(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let both = |p, a| (Some(proof(p, NOW)), Some(assertion(a, NOW + 60)));
    for (entries, verdict) in [
        (both(1, 1), Verdict::First),
        (both(1, 2), Verdict::ProofReplayed),
        (both(2, 1), Verdict::AssertionReplayed),
        (both(2, 2), Verdict::First), // neither was left behind by the refusals
        ((Some(proof(2, NOW)), None), Verdict::ProofReplayed),
        ((None, Some(assertion(2, NOW + 60))), Verdict::AssertionReplayed),
        ((None, None), Verdict::First),
        ((None, None), Verdict::First),
    ] {
        assert_eq!(record(storage.as_ref(), entries.0, entries.1, NOW).await, verdict, "{entries:?}");
    }
    assert_eq!(storage.count_recorded().await.unwrap(), 4);
}

pub(super) async fn of_many_at_once_exactly_one_is_first(opener: &dyn Opener) {
    let (one, two) = (opener.open(NOW - 600).await, opener.open(NOW - 600).await);
    for id in 0..4 {
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                let storage = if n % 2 == 0 { one.clone() } else { two.clone() };
                // Half of them agree in the proof only, half in the assertion only, one pair of each kind in both.
                let entries = SingleUse {
                    proof: Some(proof(id, NOW)),
                    assertion: Some(assertion(if n % 4 < 2 { id } else { 100 + n }, NOW + 60)),
                };
                tokio::spawn(async move { storage.record(&entries, at(NOW)).await.unwrap() })
            })
            .collect();
        let mut first = 0;
        for task in tasks {
            first += u32::from(task.await.unwrap() == Verdict::First);
        }
        assert_eq!(first, 1);
    }
}

/// What is refused for its assertion leaves its proof to whoever comes at the same time, before or after it.
pub(super) async fn a_refused_one_of_many_at_once_leaves_nothing(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    assert_eq!(record(storage.as_ref(), Some(proof(1, NOW)), Some(assertion(1, NOW + 60)), NOW).await, Verdict::First);
    let requests = (0..50).map(|n| (100 + n / 2, if n % 2 == 0 { 1 } else { 100 + n / 2 }));
    let tasks: Vec<_> = requests
        .map(|(proof_id, assertion_id)| {
            let (proof, assertion) = (Some(proof(proof_id, NOW)), Some(assertion(assertion_id, NOW + 60)));
            let storage = storage.clone();
            tokio::spawn(async move {
                let verdict = storage.record(&SingleUse { proof, assertion }, at(NOW)).await.unwrap();
                (assertion_id, verdict)
            })
        })
        .collect();
    for task in tasks {
        let (assertion, verdict) = task.await.unwrap();
        assert_eq!(verdict == Verdict::First, assertion != 1, "{verdict:?}");
    }
    assert_eq!(storage.count_recorded().await.unwrap(), 2 + 2 * 25);
}

pub(super) async fn remembers_across_a_restart(opener: &dyn Opener) {
    let storage = opener.open(NOW - 600).await;
    let epoch = storage.epoch();
    assert_eq!(record(storage.as_ref(), Some(proof(1, NOW)), Some(assertion(1, NOW + 60)), NOW).await, Verdict::First);
    drop(storage);
    let storage = opener.open(NOW).await;
    assert_eq!(storage.epoch(), epoch);
    assert_eq!(record(storage.as_ref(), Some(proof(1, NOW)), None, NOW).await, Verdict::ProofReplayed);
    assert_eq!(record(storage.as_ref(), None, Some(assertion(1, NOW + 60)), NOW).await, Verdict::AssertionReplayed);
}

/// A proof that is acceptable for a minute from `iat` on.
pub(super) fn proof(id: u8, iat: i64) -> ReplayEntry {
    ReplayEntry {
        key: ReplayKey::from_bytes([id; ReplayKey::LENGTH]),
        iat: NumericDate::from_seconds(iat),
        not_after: at(iat + 60),
        nonce_epoch: None,
        quota: None,
    }
}

pub(super) fn assertion(id: u8, not_after: i64) -> AssertionEntry {
    AssertionEntry { key: AssertionKey::from_bytes([id; 32]), not_after: at(not_after) }
}

pub(super) async fn record(
    storage: &dyn Storage,
    proof: Option<ReplayEntry>,
    assertion: Option<AssertionEntry>,
    now: i64,
) -> Verdict {
    storage.record(&SingleUse { proof, assertion }, at(now)).await.unwrap()
}
