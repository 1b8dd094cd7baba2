//! What holds for a store in the memory of one process: it begins anew with the process, and the times it is told are
//! its only clock.

use std::future::Future;
use std::sync::Arc;

use countersign_dpop::replay::ReplayStore;

use super::Wanted;
use super::trial::{FIRST, NONCE_DEMANDED, REPLAYED, Trial, with_nonce};

/// Runs the checks for a store in one process.
pub async fn store_in_one_process<Made>(make: impl Fn(Wanted) -> Made)
where
    Made: Future<Output = Arc<dyn ReplayStore>>,
{
    let make = &make;
    let trial = async || Trial::begin(make, Wanted::ROOMY).await;
    begins_an_epoch_with_each_process(trial().await, trial().await).await;
    takes_nothing_again_after_a_restart(make).await;
    forgets_after_the_window(trial().await).await;
    overlooks_a_second(trial().await).await;
    takes_nothing_again_when_the_clock_goes_back(trial().await).await;
    serves_honest_clients_after_the_clock_went_back(trial().await).await;
    judges_late_entries_by_the_highest_time(trial().await).await;
}

async fn begins_an_epoch_with_each_process(one: Trial, other: Trial) {
    assert_ne!(one.epoch.id, other.epoch.id, "each process has an epoch of its own");
    let foreign = with_nonce(one.proof(1, -1), other.epoch.id);
    assert_eq!(one.record(&foreign, 0).await, NONCE_DEMANDED, "a nonce of the other process is none");
}

/// Row 341: whatever one process took, at any moment, the next one does not take while it is acceptable.
async fn takes_nothing_again_after_a_restart<Made>(make: &impl Fn(Wanted) -> Made)
where
    Made: Future<Output = Arc<dyn ReplayStore>>,
{
    let before = Trial::begin(make, Wanted::ROOMY).await;
    let ahead = before.window.max_ahead();
    for (number, iat) in (0..).zip([100, 100 - before.window.max_age(), 100 + ahead]) {
        assert_eq!(before.record(&before.proof(number, iat), 100).await, FIRST);
    }
    let after = make(Wanted { now: before.at(100), ..Wanted::ROOMY }).await;
    for (number, iat) in (0..).zip([100, 100 - before.window.max_age(), 100 + ahead]) {
        for seconds in 100..=iat + before.window.max_age() {
            let answer = after.record(&before.proof(number, iat), before.at(seconds)).await;
            assert_eq!(answer, NONCE_DEMANDED, "made at {iat}, sent again at {seconds}, after a restart at 100");
        }
    }
    let next = before.proof(9, 100 + ahead + 1);
    assert_eq!(after.record(&next, before.at(100 + ahead + 1)).await, FIRST, "asked for a nonce until the floor only");
}

async fn forgets_after_the_window(trial: Trial) {
    assert_eq!(trial.fresh(1, 0).await, FIRST);
    let later = 2 * (trial.window.max_age() + trial.window.max_ahead());
    assert_eq!(trial.fresh(1, later).await, FIRST, "what has passed takes no memory");
}

/// A step back of under a second: no epoch, and not a moment's forgetting.
async fn overlooks_a_second(trial: Trial) {
    let last = trial.window.max_age();
    assert_eq!(trial.fresh(1, 0).await, FIRST);
    assert_eq!(trial.store.epoch(trial.at(last + 1)), trial.epoch);
    assert_eq!(trial.fresh(2, last + 1).await, FIRST);
    assert_eq!(trial.store.epoch(trial.at(last)), trial.epoch, "a second back begins no epoch");
    assert_eq!(trial.record(&trial.proof(1, 0), last).await, REPLAYED, "acceptable again, and remembered");
    assert_eq!(trial.fresh(3, last).await, FIRST, "and fresh proofs are taken");
}

/// Row 344, for steps of any size and proofs of any age.
async fn takes_nothing_again_when_the_clock_goes_back(trial: Trial) {
    let mut number = 0;
    let mut taken = Vec::new();
    let mut now = 100;
    for step in [2_u16, 3, 11, 59, 60, 61, 71, 600, 3_600, 50_000] {
        let stride = usize::from(step) / 20 + 1;
        let step = i64::from(step);
        for iat in [now - trial.window.max_age(), now, now + trial.window.max_ahead()] {
            number += 1;
            let proof = with_nonce(trial.proof(number, iat), trial.store.epoch(trial.at(now)).id);
            assert_eq!(trial.record(&proof, now).await, FIRST, "made at {iat}, presented at {now}");
            taken.push(proof);
        }
        let before = trial.store.epoch(trial.at(now));
        let back = trial.store.epoch(trial.at(now - step));
        assert_ne!(back.id, before.id, "{step} s back begin an epoch");
        assert!(back.floor >= trial.at(now + trial.window.max_ahead()), "its floor covers what was taken before");
        // Forward again, through every moment at which one of them would be acceptable.
        for later in (now - step..=now + trial.window.max_ahead() + trial.window.max_age()).step_by(stride) {
            for proof in &taken {
                assert_ne!(trial.record(proof, later).await, FIRST, "taken before the clock went back {step} s");
            }
        }
        now += 1_000;
        trial.store.epoch(trial.at(now));
    }
}

/// Clients that answer the challenge with a fresh proof are served, at once and through the hour that comes twice.
async fn serves_honest_clients_after_the_clock_went_back(trial: Trial) {
    assert_eq!(trial.fresh(0, 3_600).await, FIRST);
    for seconds in 0..=3_700 {
        let epoch = trial.store.epoch(trial.at(seconds));
        let number = 10 + u32::try_from(seconds).expect("not negative");
        let proof = trial.proof(number, seconds);
        let needed = epoch.demands_nonce(proof.iat);
        assert_eq!(needed, seconds <= 3_600 + trial.window.max_ahead(), "a nonce is asked for until the floor");
        if needed {
            assert_eq!(trial.record(&proof, seconds).await, NONCE_DEMANDED);
        }
        let proof = with_nonce(proof, epoch.id);
        assert_eq!(trial.record(&proof, seconds).await, FIRST, "{seconds} s into the hour that comes twice");
        assert_eq!(trial.record(&proof, seconds).await, REPLAYED);
    }
}

/// A request may take long between its reading of the clock and its record; that is no clock set back.
async fn judges_late_entries_by_the_highest_time(trial: Trial) {
    let last = trial.window.max_age();
    assert_eq!(trial.fresh(1, 0).await, FIRST);
    assert_eq!(trial.fresh(2, last + 30).await, FIRST, "time goes on");
    assert_ne!(trial.record(&trial.proof(1, 0), last).await, FIRST, "its record may be gone, so it is not first");
    assert_ne!(trial.record(&trial.proof(3, 0), last).await, FIRST, "nor is one that cannot be told from it");
    assert_eq!(trial.record(&trial.proof(4, 40), 40).await, FIRST, "one that has not passed is taken");
    assert_eq!(trial.store.epoch(trial.at(last + 30)), trial.epoch, "and no epoch began");
}
