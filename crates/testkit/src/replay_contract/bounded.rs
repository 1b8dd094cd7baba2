//! What holds for a store with a capacity and quotas of its own.

use std::future::Future;
use std::sync::Arc;

use countersign_dpop::replay::{ReplayStore, ReplayStoreError};

use super::Wanted;
use super::trial::{Answer, FIRST, REPLAYED, Trial, of_party};

/// Runs the checks for a store that holds exactly the capacity and the quotas it was made with.
pub async fn bounded_store<Made>(make: impl Fn(Wanted) -> Made)
where
    Made: Future<Output = Arc<dyn ReplayStore>>,
{
    let make = &make;
    let small = async || Trial::begin(make, Wanted { capacity: SMALL, ..Wanted::ROOMY }).await;
    let shared = async || Trial::begin(make, Wanted { capacity: SMALL, quota_percent: 5, ..Wanted::ROOMY }).await;
    refuses_when_full_and_forgets_nothing(small().await).await;
    is_not_filled_by_replays(small().await).await;
    has_room_again_after_the_window(small().await).await;
    holds_each_party_to_its_share(shared().await).await;
    gives_the_share_back_after_the_window(shared().await).await;
}

const SMALL: u32 = 1_000;
const QUOTA: u32 = 50;
const FULL: Answer = Err(ReplayStoreError::Full { capacity: SMALL as u64 });
const USED_UP: Answer = Err(ReplayStoreError::QuotaExhausted { quota: QUOTA as u64 });

/// Rows 342 and 343.
async fn refuses_when_full_and_forgets_nothing(trial: Trial) {
    fill(&trial, 0).await;
    for number in SMALL..SMALL + 100 {
        assert_eq!(trial.fresh(number, 1).await, FULL, "one more than the capacity");
    }
    for number in 0..SMALL {
        let answer = trial.record(&trial.proof(number, 0), 60).await;
        assert_eq!(answer, REPLAYED, "a live entry was never dropped to make room");
    }
}

async fn is_not_filled_by_replays(trial: Trial) {
    for number in 0..SMALL - 1 {
        assert_eq!(trial.fresh(number, 0).await, FIRST);
        assert_eq!(trial.fresh(number, 0).await, REPLAYED);
    }
    assert_eq!(trial.fresh(SMALL, 0).await, FIRST, "replays take no room");
    assert_eq!(trial.fresh(SMALL + 1, 0).await, FULL);
}

async fn has_room_again_after_the_window(trial: Trial) {
    fill(&trial, 0).await;
    assert_eq!(trial.fresh(SMALL, 0).await, FULL);
    // Twice the window's length is enough for any store to drop what has passed.
    let later = 2 * (trial.window.max_age() + trial.window.max_ahead());
    assert_eq!(trial.fresh(SMALL, later).await, FIRST, "what was refused was not recorded");
    for number in 0..SMALL - 1 {
        assert_eq!(trial.fresh(number, later).await, FIRST, "what has passed has made room");
    }
    assert_eq!(trial.fresh(SMALL + 1, later).await, FULL);
}

async fn holds_each_party_to_its_share(trial: Trial) {
    let proof = |party, number| of_party(trial.proof(number, 0), party);
    for number in 0..QUOTA {
        assert_eq!(trial.record(&proof("greedy", number), 0).await, FIRST);
        assert_eq!(trial.record(&proof("greedy", number), 0).await, REPLAYED, "a replay uses up no share");
    }
    for number in QUOTA..2 * QUOTA {
        assert_eq!(trial.record(&proof("greedy", number), 0).await, USED_UP, "one more than its share");
    }
    assert_eq!(trial.record(&proof("greedy", 0), 0).await, REPLAYED, "a replay is told as one all the same");
    for number in QUOTA..2 * QUOTA {
        assert_eq!(trial.record(&proof("modest", number), 0).await, FIRST, "another party has its own share");
    }
    assert_eq!(trial.fresh(9_999, 0).await, FIRST, "an entry of no party counts against no share");
}

async fn gives_the_share_back_after_the_window(trial: Trial) {
    let proof = |number, seconds| of_party(trial.proof(number, seconds), "client");
    for number in 0..QUOTA {
        assert_eq!(trial.record(&proof(number, 0), 0).await, FIRST);
    }
    assert_eq!(trial.record(&proof(QUOTA, 0), trial.window.max_age()).await, USED_UP, "while its entries live");
    let later = 2 * (trial.window.max_age() + trial.window.max_ahead());
    for number in 0..QUOTA {
        assert_eq!(trial.record(&proof(number, later), later).await, FIRST, "its entries have passed");
    }
    assert_eq!(trial.record(&proof(QUOTA, later), later).await, USED_UP);
}

async fn fill(trial: &Trial, seconds: i64) {
    for number in 0..SMALL {
        assert_eq!(trial.fresh(number, seconds).await, FIRST, "there is room for {number}");
    }
}
