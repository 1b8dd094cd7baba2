//! The current epoch, to be read at every request without a lock: readers that only look must not take turns.

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;

use super::sync::{AtomicI64, AtomicU64, Ordering};

/// Two places, the current epoch in one of them. A new one is written to the other and then announced, so an epoch that
/// is being read changes only after a newer one has been announced, and its reader sees that and reads again.
#[derive(Debug)]
pub(super) struct CurrentEpoch {
    places: [Place; 2],
    /// How many epochs have been announced after the first; the last one lies at the place of this number.
    number: AtomicU64,
}

#[derive(Debug)]
struct Place {
    id: [AtomicU64; 2],
    floor: AtomicI64,
}

impl CurrentEpoch {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self { places: [Place::new(epoch), Place::new(epoch)], number: AtomicU64::new(0) }
    }

    pub(super) fn get(&self) -> Epoch {
        loop {
            let number = self.number.load(Ordering::SeqCst);
            let epoch = self.place(number).get();
            if self.number.load(Ordering::SeqCst) == number {
                return epoch;
            }
        }
    }

    /// Announces `epoch`. Calls must not run at the same time; the store makes them under the lock of its era.
    pub(super) fn set(&self, epoch: Epoch) {
        let next = self.number.load(Ordering::SeqCst).wrapping_add(1);
        self.place(next).set(epoch);
        self.number.store(next, Ordering::SeqCst);
    }

    fn place(&self, number: u64) -> &Place {
        let [even, odd] = &self.places;
        if number.is_multiple_of(2) { even } else { odd }
    }
}

impl Place {
    fn new(epoch: Epoch) -> Self {
        let [first, second] = words(epoch.id);
        Self { id: [AtomicU64::new(first), AtomicU64::new(second)], floor: AtomicI64::new(epoch.floor.seconds()) }
    }

    fn get(&self) -> Epoch {
        let [first, second] = &self.id;
        let id = u128::from(first.load(Ordering::SeqCst)) << 64 | u128::from(second.load(Ordering::SeqCst));
        let floor = Timestamp::from_seconds(self.floor.load(Ordering::SeqCst));
        Epoch { id: EpochId::from_bytes(id.to_be_bytes()), floor }
    }

    fn set(&self, epoch: Epoch) {
        for (place, word) in self.id.iter().zip(words(epoch.id)) {
            place.store(word, Ordering::SeqCst);
        }
        self.floor.store(epoch.floor.seconds(), Ordering::SeqCst);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the number is cut into its two words")]
fn words(id: EpochId) -> [u64; 2] {
    let number = u128::from_be_bytes(*id.as_bytes());
    [(number >> 64) as u64, number as u64]
}

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// An epoch whose parts all follow from its number.
    fn epoch(number: u8) -> Epoch {
        Epoch { id: EpochId::from_bytes([number; 16]), floor: Timestamp::from_seconds(number.into()) }
    }

    #[test]
    fn gives_back_what_was_set_last() {
        let current = CurrentEpoch::new(epoch(1));
        assert_eq!(current.get(), epoch(1));
        let floors = [i64::MIN, -1, 0, i64::MAX].map(Timestamp::from_seconds);
        for (id, floor) in [1_u128, u128::MAX, 1 << 127, 1 << 63 | 1 << 64].into_iter().zip(floors) {
            let epoch = Epoch { id: EpochId::from_bytes(id.to_be_bytes()), floor };
            current.set(epoch);
            assert_eq!(current.get(), epoch);
        }
    }

    #[test]
    fn nobody_reads_parts_of_two_epochs() {
        let (current, start) = (CurrentEpoch::new(epoch(0)), Barrier::new(3));
        let read = || {
            start.wait();
            for _ in 0..20_000 {
                let read = current.get();
                assert_eq!(read, epoch(read.id.as_bytes()[0]));
            }
        };
        thread::scope(|scope| {
            scope.spawn(read);
            scope.spawn(read);
            start.wait();
            for number in 0..20_000_u32 {
                current.set(epoch(u8::try_from(number % 251).unwrap_or(0)));
            }
        });
    }
}
