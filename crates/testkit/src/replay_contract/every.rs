//! What holds for every store.

use std::future::Future;
use std::sync::Arc;

use countersign_dpop::jose::Jkt;
use countersign_dpop::replay::{EpochId, RealmId, ReplayEntry, ReplayKey, ReplayStore};
use countersign_dpop::time::{NumericDate, Timestamp};
use tokio::sync::Barrier;

use super::Wanted;
use super::trial::{Answer, FIRST, NONCE_DEMANDED, REPLAYED, Trial, key, of_party, with_nonce};
use crate::keys;

/// Runs the checks that hold for every store, shared or not, bounded or not.
pub async fn every_store<Made>(make: impl Fn(Wanted) -> Made)
where
    Made: Future<Output = Arc<dyn ReplayStore>>,
{
    let make = &make;
    let trial = async || Trial::begin(make, Wanted::ROOMY).await;
    takes_a_key_once(trial().await).await;
    takes_a_key_once_whatever_else_the_proof_says(trial().await).await;
    keeps_keys_apart(trial().await).await;
    keeps_odd_identifiers_apart(trial().await).await;
    takes_one_of_many_at_once(trial().await).await;
    remembers_through_the_last_second(trial().await).await;
    remembers_proofs_from_ahead_and_behind(trial().await).await;
    keeps_its_epoch(&trial().await);
    demands_a_nonce_up_to_the_floor(trial().await).await;
    takes_no_nonce_of_another_epoch(trial().await).await;
    withstands_every_number(trial().await).await;
}

async fn takes_a_key_once(trial: Trial) {
    assert_eq!(trial.fresh(1, 0).await, FIRST, "an unseen key is taken");
    for _ in 0..3 {
        assert_eq!(trial.fresh(1, 0).await, REPLAYED, "the same proof twice, one after the other (row 326)");
    }
}

/// The key of an entry is its identity; times, nonce and party are not.
async fn takes_a_key_once_whatever_else_the_proof_says(trial: Trial) {
    let proof = trial.proof(1, 0);
    assert_eq!(trial.record(&proof, 0).await, FIRST);
    for seconds in [-1, 1, 5, 30, 60] {
        let later = trial.proof(1, seconds.max(0));
        assert_eq!(trial.record(&later, seconds.max(0)).await, REPLAYED, "the same jti with a new iat (row 327)");
    }
    let nonce = with_nonce(proof, trial.epoch.id);
    assert_eq!(trial.record(&nonce, 60).await, REPLAYED, "the same key with a nonce");
    assert_eq!(trial.record(&of_party(proof, "another"), 60).await, REPLAYED, "the same key from another party");
}

async fn keeps_keys_apart(trial: Trial) {
    for number in 0..1_000 {
        assert_eq!(trial.fresh(number, 0).await, FIRST, "key {number} is another key");
    }
    let mut bytes = *key(0).as_bytes();
    for position in 0..bytes.len() {
        bytes[position] ^= 1;
        let entry = ReplayEntry { key: ReplayKey::from_bytes(bytes), ..trial.proof(0, 0) };
        assert_eq!(trial.record(&entry, 0).await, FIRST, "keys that differ in byte {position} are two keys");
    }
    for number in 0..1_000 {
        assert_eq!(trial.fresh(number, 0).await, REPLAYED, "key {number} was seen");
    }
}

/// Rows 329 (another key), 350 (separators and globs) and 354 (another realm).
async fn keeps_odd_identifiers_apart(trial: Trial) {
    let (mine, theirs) = (keys::es256().public_jwk().jkt(), keys::other_es256().public_jwk().jkt());
    let entry = |realm: &str, jkt: &Jkt, jti: &str| {
        trial.entry(ReplayKey::new(&RealmId::of(realm), jkt, jti), NumericDate::from_seconds(trial.start.seconds()))
    };
    let jtis =
        ["*", "?", "a:b", "a", "b", ":", "\n", "\r\n", "a\0b", "%00", "{a}", "'; --", "\u{1f511}", "é", "e\u{301}"];
    for round in [FIRST, REPLAYED] {
        for jti in jtis {
            assert_eq!(trial.record(&entry("https://a.example", &mine, jti), 0).await, round, "jti {jti:?} (row 350)");
            assert_eq!(trial.record(&entry("https://a.example", &theirs, jti), 0).await, round, "row 329");
            assert_eq!(trial.record(&entry("https://b.example", &mine, jti), 0).await, round, "row 354");
        }
    }
}

/// Row 336.
async fn takes_one_of_many_at_once(trial: Trial) {
    for round in 0..20 {
        let answers = at_once(&trial, 64, move |trial, _| trial.proof(round, 0)).await;
        assert_eq!(answers.iter().filter(|answer| **answer == FIRST).count(), 1, "exactly one of 64 copies is first");
        assert_eq!(answers.iter().filter(|answer| **answer == REPLAYED).count(), 63, "the others are replays");
    }
    let answers = at_once(&trial, 64, |trial, task| trial.proof(1_000 + task, 0)).await;
    assert!(answers.iter().all(|answer| *answer == FIRST), "different keys at once do not disturb each other");
}

/// Row 334.
async fn remembers_through_the_last_second(trial: Trial) {
    let proof = trial.proof(1, 0);
    assert_eq!(trial.record(&proof, 0).await, FIRST);
    let last = trial.window.max_age();
    for seconds in [1, last - 1, last] {
        assert_eq!(trial.record(&proof, seconds).await, REPLAYED, "{seconds} s later it is still acceptable");
    }
    for seconds in [last + 1, last + 2, 2 * last, 1_000 * last] {
        assert_ne!(trial.record(&proof, seconds).await, FIRST, "{seconds} s later it is past, and still not first");
    }
}

/// Clients' clocks differ: their proofs end at different times and none may be forgotten before its own.
async fn remembers_proofs_from_ahead_and_behind(trial: Trial) {
    let now = trial.window.max_age();
    let made: Vec<_> = (now - trial.window.max_age()..=now + trial.window.max_ahead()).collect();
    for (number, iat) in (0..).zip(&made) {
        assert_eq!(trial.record(&trial.proof(number, *iat), now).await, FIRST, "acceptable from {iat}");
    }
    for later in now..=now + trial.window.max_ahead() + trial.window.max_age() {
        for (number, iat) in (0..).zip(&made) {
            let acceptable = iat + trial.window.max_age() >= later;
            if acceptable {
                let answer = trial.record(&trial.proof(number, *iat), later).await;
                assert_eq!(answer, REPLAYED, "made at {iat}, taken at {now}, sent again at {later}");
            }
        }
    }
}

fn keeps_its_epoch(trial: &Trial) {
    assert_ne!(trial.epoch.id, EpochId::default(), "an epoch has an identifier");
    let reached = Wanted::ROOMY.now.plus(trial.window.max_ahead());
    assert!(trial.epoch.floor >= reached, "the floor lies past whatever was acceptable before");
    for seconds in [0, 0, 1, 60, 3_600] {
        assert_eq!(trial.store.epoch(trial.at(seconds)), trial.epoch, "time that goes forward begins no epoch");
    }
}

async fn demands_a_nonce_up_to_the_floor(trial: Trial) {
    let floor = trial.epoch.floor.seconds();
    let proof = |number, iat| trial.entry(key(number), iat);
    #[expect(clippy::cast_precision_loss, reason = "the floor lies within what f64 holds exactly")]
    let half_past = NumericDate::from_f64(floor as f64 + 0.5).expect("a number");
    let dates = [NumericDate::from_seconds(floor - 1), NumericDate::from_seconds(floor), half_past];
    for (number, iat) in (0..).zip(dates) {
        let old = proof(number, iat);
        assert_eq!(trial.record(&old, 0).await, NONCE_DEMANDED, "an earlier memory may have held iat {iat}");
        assert_eq!(trial.record(&old, 0).await, NONCE_DEMANDED, "it was not recorded");
        let with_nonce = with_nonce(old, trial.epoch.id);
        assert_eq!(trial.record(&with_nonce, 0).await, FIRST, "a nonce of this epoch speaks for it (row 332)");
        assert_eq!(trial.record(&with_nonce, 0).await, REPLAYED, "once");
    }
    let young = proof(9, NumericDate::from_seconds(floor + 1));
    assert_eq!(trial.record(&young, 0).await, FIRST, "past the floor no nonce is needed");
}

async fn takes_no_nonce_of_another_epoch(trial: Trial) {
    let mut other = *trial.epoch.id.as_bytes();
    other[15] ^= 1;
    let old = with_nonce(trial.proof(1, -1), EpochId::from_bytes(other));
    assert_eq!(trial.record(&old, 0).await, NONCE_DEMANDED, "a nonce of another epoch is none");
    let young = with_nonce(trial.proof(2, 0), EpochId::from_bytes(other));
    assert_eq!(trial.record(&young, 0).await, FIRST, "past the floor the nonce's epoch does not matter");
}

/// Whatever the numbers, no panic, and nothing is first twice.
async fn withstands_every_number(trial: Trial) {
    const EDGES: [i64; 8] = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1_700_000_000, i64::MAX - 1, i64::MAX];
    let mut number = 0;
    for iat in EDGES {
        for not_after in EDGES {
            number += 1;
            let entry = ReplayEntry {
                iat: NumericDate::from_seconds(iat),
                not_after: Timestamp::from_seconds(not_after),
                ..with_nonce(trial.proof(number, 0), trial.epoch.id)
            };
            let answers = [trial.record(&entry, 0).await, trial.record(&entry, 0).await];
            assert_ne!(answers[1], FIRST, "iat {iat}, not_after {not_after}");
        }
    }
    assert_eq!(trial.fresh(1_000, 0).await, FIRST, "an honest proof is still taken");
}

async fn at_once(trial: &Trial, tasks: u32, proof: impl Fn(&Trial, u32) -> ReplayEntry) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(tasks as usize));
    let start = |task| {
        let (trial, barrier, entry) = (trial.clone(), Arc::clone(&barrier), proof(trial, task));
        tokio::spawn(async move {
            barrier.wait().await;
            trial.record(&entry, 0).await
        })
    };
    let running: Vec<_> = (0..tasks).map(start).collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.expect("no task panics"));
    }
    answers
}
