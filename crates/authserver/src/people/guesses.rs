//! Limits on guessing passwords: so many wrong ones for a name in so many minutes, whether there is such a user or not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use countersign_dpop::time::Timestamp;

use crate::storage::EntryId;

/// Wrong passwords for a name until it has to wait.
pub(super) const LIMIT: u32 = 10;
/// Seconds in which they are counted, and after which all is forgotten.
pub(super) const WINDOW: i64 = 300;
/// The most names that are counted at a time.
const MAX_NAMES: usize = 10_000;

/// Counts by name. Of this process: of several instances each counts for itself.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<EntryId, Count>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    wrong: u32,
    since: Timestamp,
}

impl Guesses {
    /// Counts a try before it is made, so that many at once are counted too.
    ///
    /// # Errors
    /// The seconds to wait.
    pub(super) fn begin(&self, username: &str, now: Timestamp) -> Result<(), i64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = EntryId::of(username);
        if !counts.contains_key(&id) {
            make_room(&mut counts, now);
        }
        let count = counts.entry(id).or_insert(Count { wrong: 0, since: now });
        if is_over(*count, now) {
            *count = Count { wrong: 0, since: now };
        }
        if count.wrong >= LIMIT {
            return Err((WINDOW - now.since(count.since)).max(1));
        }
        count.wrong += 1;
        Ok(())
    }

    /// The try was right: all is forgotten.
    pub(super) fn was_right(&self, username: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&EntryId::of(username));
    }
}

fn is_over(count: Count, now: Timestamp) -> bool {
    !(0..WINDOW).contains(&now.since(count.since))
}

/// When full, the name with the fewest wrong tries is forgotten: who wants a name forgotten has to fill the whole
/// table first, at one expensive try each.
fn make_room(counts: &mut HashMap<EntryId, Count>, now: Timestamp) {
    if counts.len() < MAX_NAMES {
        return;
    }
    counts.retain(|_, count| !is_over(*count, now));
    if counts.len() >= MAX_NAMES
        && let Some(least) = counts.iter().min_by_key(|(_, count)| count.wrong).map(|(id, _)| *id)
    {
        counts.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn makes_a_name_wait_after_so_many_wrong_tries() {
        let guesses = Guesses::default();
        for _ in 0..LIMIT {
            assert_eq!(guesses.begin("ada", at(100)), Ok(()));
        }
        assert_eq!(guesses.begin("ada", at(110)), Err(290));
        assert_eq!(guesses.begin("ben", at(110)), Ok(()), "another name is another count");
        assert_eq!(guesses.begin("ada", at(399)), Err(1));
        assert_eq!(guesses.begin("ada", at(400)), Ok(()));
        assert_eq!(guesses.begin("ada", at(99)), Ok(()), "a clock that was set back locks nobody out");
    }

    #[test]
    fn forgets_wrong_tries_after_a_right_one() {
        let guesses = Guesses::default();
        for _ in 0..3 * LIMIT {
            assert_eq!(guesses.begin("ada", at(100)), Ok(()));
            guesses.was_right("ada");
        }
    }

    #[test]
    fn stays_small() {
        let guesses = Guesses::default();
        for _ in 0..LIMIT {
            let _ = guesses.begin("ada", at(100));
        }
        for n in 0..=MAX_NAMES {
            let _ = guesses.begin(&n.to_string(), at(100));
        }
        assert_eq!(guesses.0.lock().unwrap().len(), MAX_NAMES);
        assert!(guesses.begin("ada", at(100)).is_err(), "and keeps those who guessed most");
    }
}
