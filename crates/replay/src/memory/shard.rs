//! One shard: the entries whose keys fall to it, and the rules by which it judges them. Everything that a judgement
//! rests on lies under the shard's one lock.

use countersign_dpop::replay::{Epoch, Recorded, ReplayEntry, ReplayStoreError};
use countersign_dpop::time::{Timestamp, Window};

use super::capacity::Capacity;
use super::quota::{Party, QuotaLedger, Share};
use super::tag_table::{Found, NoMemory, Tag, TagTable};
use super::wheel::{GRACE, Layout, Wheel};

/// How far the store remembers: the widest that any of its windows has been.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Reach {
    pub(super) max_age: i64,
    pub(super) max_ahead: i64,
}

impl Reach {
    pub(super) fn of(window: Window) -> Self {
        Self { max_age: window.max_age(), max_ahead: window.max_ahead() }
    }

    pub(super) fn and(self, window: Window) -> Self {
        Self { max_age: self.max_age.max(window.max_age()), max_ahead: self.max_ahead.max(window.max_ahead()) }
    }

    /// Seconds from now to the last deadline of a proof that is acceptable now.
    pub(super) const fn horizon(self) -> i64 {
        self.max_age + self.max_ahead
    }
}

#[derive(Debug)]
pub(super) struct Shard {
    epoch: Epoch,
    reach: Reach,
    wheel: Wheel,
    entries: TagTable,
}

impl Shard {
    pub(super) fn new(epoch: Epoch, reach: Reach, layout: Layout, time: Timestamp) -> Self {
        Self { epoch, reach, wheel: Wheel::new(layout, time), entries: TagTable::default() }
    }

    /// Drops what has passed at `time`, or, when time goes back, what is out of reach.
    pub(super) fn turn_to(&mut self, time: Timestamp, capacity: &Capacity) {
        let passed = self.wheel.turn_to(time);
        if !passed.is_empty() {
            capacity.drop_entries(self.entries.drop_slots(passed));
        }
    }

    /// Judges by `epoch` and remembers for `reach` from now on.
    pub(super) fn begin(&mut self, epoch: Epoch, reach: Reach, layout: Layout, capacity: &Capacity) {
        self.epoch = epoch;
        self.reach = reach;
        if layout != self.wheel.layout() {
            let moves = self.wheel.widen(layout);
            capacity.drop_entries(self.entries.rearrange(|slot| moves[slot.index()]));
        }
    }

    /// Bytes of memory that its entries have taken.
    pub(super) fn memory(&self) -> usize {
        self.entries.memory()
    }

    /// Asks memory for where the entry under `tag` is or would be, and does not wait for the answer.
    pub(super) fn fetch(&self, tag: Tag) {
        self.entries.fetch(tag);
    }

    /// Records `entry` under `tag` unless it is there, by the time that the shard was last turned to.
    ///
    /// # Errors
    /// Full, the party's quota used up, or the entry lies beyond what the store was made for.
    pub(super) fn record(
        &mut self,
        tag: Tag,
        entry: &ReplayEntry,
        party: Option<Party>,
        capacity: &Capacity,
        quotas: &QuotaLedger,
    ) -> Result<Recorded, ReplayStoreError> {
        if self.epoch.demands_nonce(entry.iat) && entry.nonce_epoch != Some(self.epoch.id) {
            return Ok(Recorded::NonceDemanded);
        }
        let time = self.wheel.time();
        let deadline = self.deadline(entry, time)?;
        if deadline < time.plus(-GRACE) {
            // Its record may have been dropped already. A nonce lets the client try again with a fresh proof.
            return Ok(Recorded::NonceDemanded);
        }
        let slot = self.wheel.slot(deadline);
        let Found::Nothing(vacancy) = self.entries.find(tag) else {
            return Ok(Recorded::Replayed);
        };
        if !self.wheel.reaches(slot) {
            return Err(beyond_reach());
        }
        let vacancy = self.entries.make_room(tag, slot.position(), vacancy).map_err(|NoMemory| out_of_memory())?;
        let share = match party {
            Some(party) => quotas.take(party, slot, time, capacity)?,
            None => capacity.take().map(|()| Share::Granted)?,
        };
        if share == Share::Past {
            return Ok(Recorded::NonceDemanded);
        }
        self.wheel.occupy(slot.position());
        self.entries.insert(vacancy, slot.position());
        Ok(Recorded::First)
    }

    /// How long the entry must be kept: as long as its verifier takes the proof, and as long as the widest window
    /// would, so that a window that is narrowed and widened again forgets nothing.
    fn deadline(&self, entry: &ReplayEntry, time: Timestamp) -> Result<Timestamp, ReplayStoreError> {
        let iat = entry.iat.floor();
        if iat > time.plus(self.reach.max_ahead) || entry.not_after > time.plus(self.reach.horizon()) {
            return Err(beyond_reach());
        }
        Ok(entry.not_after.max(iat.plus(self.reach.max_age)))
    }
}

fn beyond_reach() -> ReplayStoreError {
    ReplayStoreError::Unavailable { reason: "the verifier's window is wider than the replay store's".to_owned() }
}

fn out_of_memory() -> ReplayStoreError {
    ReplayStoreError::Unavailable { reason: "no memory for another entry".to_owned() }
}
