//! One shard: the entries whose keys fall to it, and the rules by which it judges them. Everything that a judgement
//! rests on lies under the shard's one lock.

use countersign_dpop::replay::{Epoch, Recorded, ReplayEntry, ReplayStoreError};
use countersign_dpop::time::{Timestamp, Window};

use super::capacity::Capacity;
use super::quota::{Party, QuotaLedger, Share};
use super::tag_set::{Tag, TagSet};
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
    entries: Wheel<TagSet>,
    /// An emptied set, kept so that the next slot need not ask for memory. One is enough: for every slot that begins,
    /// one passes.
    spare: Option<TagSet>,
}

impl Shard {
    pub(super) fn new(epoch: Epoch, reach: Reach, layout: Layout, time: Timestamp) -> Self {
        Self { epoch, reach, entries: Wheel::new(layout, time), spare: None }
    }

    /// Drops what has passed at `time`.
    pub(super) fn turn_to(&mut self, time: Timestamp, capacity: &Capacity) {
        let spare = &mut self.spare;
        self.entries.turn_to(time, |set| {
            capacity.drop_entries(set.len());
            let mut set = std::mem::take(set);
            set.clear();
            if set.has_memory() {
                *spare = Some(set);
            }
        });
    }

    /// Judges by `epoch` and remembers for `reach` from now on. Entries are kept; where widening the slots finds no
    /// memory they are dropped, and the floor of the epoch speaks for them.
    pub(super) fn begin(&mut self, epoch: Epoch, reach: Reach, layout: Layout, capacity: &Capacity) {
        self.epoch = epoch;
        self.reach = reach;
        if layout != self.entries.layout() {
            self.entries.widen(layout, |into, from| capacity.drop_entries(into.absorb(from)));
        }
    }

    /// Bytes of memory that its entries have taken, spare memory included.
    pub(super) fn memory(&self) -> usize {
        self.entries.contents().chain(&self.spare).map(TagSet::memory).sum()
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
        let time = self.entries.time();
        let deadline = self.deadline(entry, time)?;
        if deadline < time.plus(-GRACE) {
            // Its record may have been dropped already. A nonce lets the client try again with a fresh proof.
            return Ok(Recorded::NonceDemanded);
        }
        if TagSet::any_contains(self.entries.contents(), tag) {
            return Ok(Recorded::Replayed);
        }
        let spare = &mut self.spare;
        let Some(set) = self.entries.content(deadline) else {
            return Err(beyond_reach());
        };
        if !set.has_memory() {
            *set = spare.take().unwrap_or_default();
        }
        set.make_room().map_err(|_| out_of_memory())?;
        let share = match party {
            Some(party) => quotas.take(party, deadline, time, capacity)?,
            None => capacity.take().map(|()| Share::Granted)?,
        };
        match share {
            Share::Granted => set.insert(tag),
            Share::Past => return Ok(Recorded::NonceDemanded),
        }
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
