//! How far back a storage remembers: its epoch, the highest time it has seen, and what it has forgotten.

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::{Timestamp, Window};

/// Entries are kept this much longer than they could be accepted, in seconds: more than clocks may differ.
const KEPT_LONGER: i64 = 60;

/// The one row that says how complete the memory is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Memory {
    pub(super) epoch: Epoch,
    pub(super) highest_seen: Timestamp,
    /// Of all assertions that were swept, the highest `not_after`.
    pub(super) assertions_forgotten: Timestamp,
    /// The `max_age` by which entries were kept.
    pub(super) max_age: i64,
}

impl Memory {
    /// A memory that begins now and knows nothing of what was before, when the clocks of those who accepted it may have
    /// been `apart` seconds ahead.
    pub(super) fn begin(id: EpochId, window: Window, apart: i64, now: Timestamp) -> Self {
        Self {
            epoch: Epoch { id, floor: now.plus(window.max_ahead()).plus(apart) },
            highest_seen: now,
            assertions_forgotten: Timestamp::MIN,
            max_age: window.max_age(),
        }
    }

    /// True when proofs could be acceptable at `now` of which no record is left: the clock went back behind what was
    /// swept, or the window became wider than the one by which entries were kept. A clock that went back by no more
    /// than `step_back` seconds is taken to stand still.
    pub(super) fn is_incomplete(&self, window: Window, step_back: i64, now: Timestamp) -> bool {
        self.highest_seen.since(now) > step_back || window.max_age() > self.max_age
    }

    /// The same memory in a new epoch, behind whose floor it asks for nonces.
    pub(super) fn in_new_epoch(&self, id: EpochId, window: Window, now: Timestamp) -> Self {
        let highest = self.highest_seen.max(now);
        let floor = highest.plus(window.max_ahead()).max(self.epoch.floor);
        let epoch = Epoch { id, floor };
        Self { epoch, highest_seen: now, max_age: window.max_age(), ..*self }
    }

    /// Entries whose `not_after` lies before this may be swept.
    pub(super) fn sweep_before(&self, now: Timestamp) -> Timestamp {
        self.highest_seen.max(now).plus(-KEPT_LONGER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: EpochId = EpochId::from_bytes([1; 16]);
    const NEW: EpochId = EpochId::from_bytes([2; 16]);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn begins_with_a_floor_that_covers_what_could_have_been_accepted_before() {
        let memory = Memory::begin(OLD, Window::RFC, 0, at(1_000));
        assert_eq!(memory.epoch, Epoch { id: OLD, floor: at(1_010) });
    }

    #[test]
    fn takes_a_small_step_back_for_standing_still() {
        let memory = Memory::begin(OLD, Window::RFC, 0, at(1_000));
        assert!(!memory.is_incomplete(Window::RFC, 1, at(999)));
        assert!(memory.is_incomplete(Window::RFC, 1, at(998)));
    }

    #[test]
    fn is_incomplete_when_the_window_widens_and_not_when_it_narrows() {
        let memory = Memory::begin(OLD, Window::RFC, 0, at(1_000));
        assert!(memory.is_incomplete(Window::MCP, 1, at(1_000)));
        assert!(!memory.is_incomplete(Window::STRICT, 1, at(1_000)));
        let widened = memory.in_new_epoch(NEW, Window::MCP, at(1_000));
        assert!(!widened.is_incomplete(Window::MCP, 1, at(1_000)));
        assert_eq!(widened.epoch, Epoch { id: NEW, floor: at(1_300) });
    }

    #[test]
    fn never_lowers_the_floor_however_often_the_clock_goes_back() {
        let memory = Memory { highest_seen: at(9_000), ..Memory::begin(OLD, Window::RFC, 0, at(1_000)) };
        let back = memory.in_new_epoch(NEW, Window::RFC, at(1_000));
        assert_eq!((back.epoch.floor, back.highest_seen), (at(9_010), at(1_000)));
        let again = back.in_new_epoch(OLD, Window::RFC, at(990));
        assert_eq!((again.epoch.floor, again.highest_seen), (at(9_010), at(990)));
    }
}
