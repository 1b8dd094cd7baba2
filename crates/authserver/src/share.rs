//! How much one client may have recorded at a time, so that none can fill the memory (keys and `jti`s are free to
//! make). Counted by this process; a restart begins with what the storage holds, as nobody's share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use countersign_dpop::replay::{QuotaKey, ReplayStoreError};
use countersign_dpop::time::Timestamp;

/// Counts live entries of all clients.
#[derive(Debug)]
pub(crate) struct Shares {
    capacity: u64,
    quota: u64,
    counts: Mutex<Counts>,
}

/// Entries that have been counted and are not recorded yet: they are taken back unless [`Reserved::keep`] is called.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reserved<'a> {
    shares: &'a Shares,
    client: QuotaKey,
    slots: Vec<i64>,
}

impl Shares {
    /// At most `capacity` entries in all and a twentieth of it for one client, of which `recorded` are there already
    /// and end by `until`.
    pub(crate) fn new(capacity: u64, recorded: u64, until: Timestamp) -> Self {
        let mut counts = Counts::default();
        counts.all.add(slot(until), recorded);
        Self { capacity, quota: (capacity / 20).max(1), counts: Mutex::new(counts) }
    }

    /// How many entries are live, and how many may be.
    pub(crate) fn live_and_capacity(&self) -> (u64, u64) {
        (self.counts.lock().unwrap_or_else(PoisonError::into_inner).all.total, self.capacity)
    }

    /// Makes room for entries of `client` that end at these times.
    pub(crate) fn reserve(
        &self,
        client: QuotaKey,
        ends: impl Iterator<Item = Timestamp>,
        now: Timestamp,
    ) -> Result<Reserved<'_>, ReplayStoreError> {
        let slots: Vec<i64> = ends.map(slot).collect();
        let more = slots.len() as u64;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut *counts;
        counts.forget(slot(now));
        if counts.all.total + more > self.capacity {
            return Err(ReplayStoreError::Full { capacity: self.capacity });
        }
        let own = counts.by_client.entry(client).or_default();
        if own.total + more > self.quota {
            return Err(ReplayStoreError::QuotaExhausted { quota: self.quota });
        }
        for slot in &slots {
            own.add(*slot, 1);
            counts.all.add(*slot, 1);
        }
        Ok(Reserved { shares: self, client, slots })
    }
}

impl Reserved<'_> {
    /// The entries have been recorded.
    pub(crate) fn keep(mut self) {
        self.slots.clear();
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if self.slots.is_empty() {
            return;
        }
        let mut counts = self.shares.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in self.slots.drain(..) {
            counts.all.take_back(slot);
            if let Some(own) = counts.by_client.get_mut(&self.client) {
                own.take_back(slot);
            }
        }
    }
}

/// Times are counted in slots of this many seconds, so that a client costs a few numbers and not one per entry.
const SLOT: i64 = 16;

fn slot(time: Timestamp) -> i64 {
    time.seconds().div_euclid(SLOT)
}

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    by_client: HashMap<QuotaKey, Count>,
    forgotten: Option<i64>,
}

impl Counts {
    /// Forgets entries that ended in slots before this one. Costs something once per slot only.
    fn forget(&mut self, before: i64) {
        if self.forgotten.is_some_and(|forgotten| forgotten >= before) {
            return;
        }
        self.forgotten = Some(before);
        self.all.forget(before);
        self.by_client.retain(|_, count| {
            count.forget(before);
            count.total > 0
        });
    }
}

/// Live entries by the slot in which they end.
#[derive(Debug, Default)]
struct Count {
    total: u64,
    by_slot: BTreeMap<i64, u64>,
}

impl Count {
    fn add(&mut self, slot: i64, more: u64) {
        self.total += more;
        *self.by_slot.entry(slot).or_default() += more;
    }

    fn take_back(&mut self, slot: i64) {
        if let Some(count) = self.by_slot.get_mut(&slot).filter(|count| **count > 0) {
            *count -= 1;
            self.total -= 1;
        }
    }

    fn forget(&mut self, before: i64) {
        let live = self.by_slot.split_off(&before);
        let ended: u64 = std::mem::replace(&mut self.by_slot, live).values().sum();
        self.total -= ended;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn client(name: &str) -> QuotaKey {
        QuotaKey::new(&[name])
    }

    fn record(shares: &Shares, name: &str, end: i64, now: i64) -> Result<(), ReplayStoreError> {
        shares.reserve(client(name), [at(end)].into_iter(), at(now)).map(Reserved::keep)
    }

    #[test]
    fn gives_one_client_a_twentieth_and_leaves_the_rest_to_others() {
        let shares = Shares::new(100, 0, at(0));
        for _ in 0..5 {
            record(&shares, "a", 1_060, 1_000).unwrap();
        }
        assert_eq!(record(&shares, "a", 1_060, 1_000), Err(ReplayStoreError::QuotaExhausted { quota: 5 }));
        record(&shares, "b", 1_060, 1_000).unwrap();
    }

    #[test]
    fn is_full_at_its_capacity_and_has_room_when_entries_end() {
        let shares = Shares::new(40, 39, at(1_060));
        record(&shares, "a", 1_060, 1_000).unwrap();
        assert_eq!(record(&shares, "b", 1_060, 1_000), Err(ReplayStoreError::Full { capacity: 40 }));
        assert_eq!(record(&shares, "b", 1_100, 1_060), Err(ReplayStoreError::Full { capacity: 40 }));
        record(&shares, "b", 1_200, 1_060 + SLOT).unwrap();
    }

    #[test]
    fn takes_back_what_was_not_recorded() {
        let shares = Shares::new(20, 0, at(0));
        for _ in 0..10 {
            drop(shares.reserve(client("a"), [at(1_060)].into_iter(), at(1_000)).unwrap());
        }
        record(&shares, "a", 1_060, 1_000).unwrap();
        assert!(record(&shares, "a", 1_060, 1_000).is_err());
    }

    #[test]
    fn takes_back_rightly_when_the_slot_has_ended_meanwhile() {
        let shares = Shares::new(20, 0, at(0));
        let reserved = shares.reserve(client("a"), [at(1_000)].into_iter(), at(1_000)).unwrap();
        record(&shares, "b", 2_060, 2_000).unwrap();
        drop(reserved);
        record(&shares, "a", 2_060, 2_000).unwrap();
    }
}
