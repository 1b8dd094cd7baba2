//! How many live entries each party has, in memory that does not grow with the number of parties.
//!
//! A count-min sketch: a party counts in one column of each of four rows, and has at most as many entries as the
//! least of its four counts says. Counts that several parties share are too high, never too low, so a quota is
//! never exceeded. A party would be refused within its quota only if it shared a column with a heavy party in all
//! four rows of its stripe: with forty parties near their quota, once in ten million parties. Columns are chosen by
//! a secret, so nobody can aim at another's.

use countersign_dpop::replay::ReplayStoreError;
use countersign_dpop::time::Timestamp;

use super::capacity::Capacity;
use super::secret::PartyHash;
use super::sync::{Mutex, lock};
use super::wheel::{COUNT, Layout, Position, Positions, Slot, Wheel};

/// The most stripes.
const STRIPES: u32 = 16;
const ROWS: usize = 4;
const COLUMNS: usize = 128;

/// A party's place in the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    stripe: u8,
    cells: [u16; ROWS],
}

impl Party {
    #[expect(clippy::cast_possible_truncation, reason = "the hash is cut into small numbers")]
    pub(super) fn from_hash(PartyHash(hash): PartyHash) -> Self {
        let column = |row: usize| (hash >> (8 * row + 8)) as usize % COLUMNS;
        Self { stripe: hash as u8, cells: std::array::from_fn(|row| (row * COLUMNS + column(row)) as u16) }
    }
}

/// What the ledger says of one more entry of a party.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Share {
    /// Counted, with room taken for it.
    Granted,
    /// The entry has passed by the time that others have seen.
    Past,
}

#[derive(Debug)]
pub(super) struct QuotaLedger {
    stripes: Box<[Mutex<Stripe>]>,
    quota: u32,
}

/// The counts of those parties whose hash falls to this stripe.
#[derive(Debug)]
struct Stripe {
    wheel: Wheel,
    cells: Box<[Cell]>,
}

/// The entries of the parties that count here, by slot and in all, in one line of the cache: an entry is judged and
/// counted in four of them.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Cell {
    by_slot: [u32; COUNT],
    total: u32,
}

impl QuotaLedger {
    pub(super) fn new(quota: u32, shards: u32, layout: Layout, time: Timestamp) -> Self {
        let stripe = |_| Mutex::new(Stripe::new(layout, time));
        Self { stripes: (0..shards.min(STRIPES)).map(stripe).collect(), quota }
    }

    /// The most entries of one party.
    pub(super) const fn quota(&self) -> u32 {
        self.quota
    }

    /// Counts one more entry of `party` in `slot`, at `time`, and takes room for it. The slot is one of a wheel of the
    /// ledger's layout.
    ///
    /// # Errors
    /// The party's share is used up, or the whole store is. Nothing is counted or taken.
    pub(super) fn take(
        &self,
        party: Party,
        slot: Slot,
        time: Timestamp,
        capacity: &Capacity,
    ) -> Result<Share, ReplayStoreError> {
        let mut stripe = lock(&self.stripes[(usize::from(party.stripe) * self.stripes.len()) >> 8]);
        let time = time.max(stripe.wheel.time());
        stripe.turn_to(time);
        if stripe.count(party) >= self.quota {
            return Err(ReplayStoreError::QuotaExhausted { quota: self.quota.into() });
        }
        if !stripe.wheel.reaches(slot) {
            return Ok(Share::Past);
        }
        capacity.take()?;
        stripe.count_one_more(party, slot.position());
        Ok(Share::Granted)
    }

    /// Goes to `time`, which may lie before the ledger's, and takes on `layout`.
    pub(super) fn begin(&self, time: Timestamp, layout: Layout) {
        for stripe in &*self.stripes {
            let mut stripe = lock(stripe);
            stripe.widen(layout);
            stripe.turn_to(time);
        }
    }
}

impl Stripe {
    fn new(layout: Layout, time: Timestamp) -> Self {
        Self { wheel: Wheel::new(layout, time), cells: vec![Cell::default(); ROWS * COLUMNS].into() }
    }

    fn turn_to(&mut self, time: Timestamp) {
        let passed = self.wheel.turn_to(time);
        if !passed.is_empty() {
            self.cells.iter_mut().for_each(|cell| cell.drop_slots(passed));
        }
    }

    fn widen(&mut self, layout: Layout) {
        if layout != self.wheel.layout() {
            let moves = self.wheel.widen(layout);
            self.cells.iter_mut().for_each(|cell| cell.move_slots(&moves));
        }
    }

    fn count_one_more(&mut self, party: Party, slot: Position) {
        self.wheel.occupy(slot);
        for cell in party.cells {
            self.cells[usize::from(cell)].count_one_more(slot);
        }
    }

    /// How many entries the party has, or more.
    fn count(&self, party: Party) -> u32 {
        party.cells.iter().fold(u32::MAX, |least, cell| least.min(self.cells[usize::from(*cell)].total))
    }
}

impl Cell {
    fn count_one_more(&mut self, slot: Position) {
        for count in [&mut self.by_slot[slot.index()], &mut self.total] {
            *count = count.saturating_add(1);
        }
    }

    fn drop_slots(&mut self, slots: Positions) {
        for slot in slots.iter() {
            let dropped = std::mem::take(&mut self.by_slot[slot.index()]);
            self.total = self.total.saturating_sub(dropped);
        }
    }

    /// Counts each slot's entries where `moves` tells, or no more.
    fn move_slots(&mut self, moves: &[Option<Position>; COUNT]) {
        let old = std::mem::take(self);
        for (count, place) in old.by_slot.into_iter().zip(moves) {
            if let Some(place) = place {
                self.by_slot[place.index()] = self.by_slot[place.index()].saturating_add(count);
                self.total = self.total.saturating_add(count);
            }
        }
    }
}

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const USED_UP: Result<Share, ReplayStoreError> = Err(ReplayStoreError::QuotaExhausted { quota: 3 });

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    /// Spreads numbers evenly, as a hash would.
    fn party(number: u64) -> Party {
        Party::from_hash(PartyHash(
            (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9),
        ))
    }

    fn ledger(quota: u32) -> QuotaLedger {
        QuotaLedger::new(quota, 16, Layout::reaching(70), at(0))
    }

    /// Takes a share for an entry with this deadline.
    fn take(
        ledger: &QuotaLedger,
        party: Party,
        deadline: Timestamp,
        time: Timestamp,
        capacity: &Capacity,
    ) -> Result<Share, ReplayStoreError> {
        let slot = lock(&ledger.stripes[0]).wheel.slot(deadline);
        ledger.take(party, slot, time, capacity)
    }

    #[test]
    fn a_share_is_used_up_exactly_and_given_back_with_its_slot() {
        let (ledger, capacity) = (ledger(3), Capacity::new(100));
        for _ in 0..3 {
            assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), Ok(Share::Granted));
        }
        assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), USED_UP);
        assert_eq!(take(&ledger, party(1), at(70), at(61), &capacity), USED_UP);
        assert_eq!(capacity.live(), 3);
        assert_eq!(take(&ledger, party(2), at(60), at(0), &capacity), Ok(Share::Granted));
        assert_eq!(take(&ledger, party(1), at(140), at(80), &capacity), Ok(Share::Granted));
    }

    #[test]
    fn what_does_not_fit_into_the_store_is_not_counted() {
        let (ledger, capacity) = (ledger(3), Capacity::new(2));
        for _ in 0..2 {
            assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), Ok(Share::Granted));
        }
        for _ in 0..10 {
            let full = Err(ReplayStoreError::Full { capacity: 2 });
            assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), full);
        }
        capacity.drop_entries(2);
        assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), Ok(Share::Granted));
        assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), USED_UP);
    }

    #[test]
    fn what_others_have_seen_pass_takes_no_room() {
        let (ledger, capacity) = (ledger(3), Capacity::new(100));
        assert_eq!(take(&ledger, party(1), at(260), at(200), &capacity), Ok(Share::Granted));
        assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), Ok(Share::Past));
        assert_eq!(capacity.live(), 1);
    }

    #[test]
    fn goes_back_and_widens_with_the_store() {
        let (ledger, capacity) = (ledger(3), Capacity::new(100));
        assert_eq!(take(&ledger, party(1), at(1_010), at(1_000), &capacity), Ok(Share::Granted));
        ledger.begin(at(990), Layout::reaching(70));
        assert_eq!(take(&ledger, party(1), at(1_000), at(990), &capacity), Ok(Share::Granted));
        ledger.begin(at(990), Layout::reaching(70).widened(600));
        assert_eq!(take(&ledger, party(1), at(1_500), at(990), &capacity), Ok(Share::Granted));
        assert_eq!(take(&ledger, party(1), at(1_500), at(990), &capacity), USED_UP);
        ledger.begin(at(0), Layout::reaching(70).widened(600));
        assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), Ok(Share::Granted));
    }

    #[test]
    fn a_share_is_given_back_after_the_store_was_widened() {
        let (ledger, capacity) = (ledger(3), Capacity::new(100));
        for _ in 0..3 {
            assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), Ok(Share::Granted));
        }
        ledger.begin(at(0), Layout::reaching(70).widened(600));
        assert_eq!(take(&ledger, party(1), at(60), at(0), &capacity), USED_UP);
        assert_eq!(take(&ledger, party(1), at(700), at(200), &capacity), Ok(Share::Granted));
    }

    /// What each slot held is given back with it and nothing else, in each of a cell's counts.
    #[test]
    fn a_cell_knows_what_each_slot_holds() {
        let (mut cell, slot) = (Cell::default(), Position::of);
        for number in 0..15 {
            (0..=number).for_each(|_| cell.count_one_more(slot(number)));
        }
        assert_eq!(cell.total, 120);
        cell.drop_slots([slot(0), slot(14), slot(7)].into_iter().collect());
        assert_eq!(cell.total, 120 - 1 - 15 - 8);
        cell.drop_slots([slot(0), slot(14), slot(7)].into_iter().collect());
        assert_eq!((cell.total, cell.by_slot[13], cell.by_slot[14]), (96, 14, 0));
        let mut moves = [None; COUNT];
        (moves[1], moves[3], moves[13]) = (Some(slot(3)), Some(slot(5)), Some(slot(5)));
        cell.move_slots(&moves);
        assert_eq!((cell.total, cell.by_slot[3], cell.by_slot[5]), (2 + 4 + 14, 2, 18));
        assert_eq!(cell.by_slot.iter().sum::<u32>(), 20);
        assert_eq!((size_of::<Cell>(), align_of::<Cell>()), (64, 64));
    }

    /// With one stripe, so that all parties meet: five in the same 128 columns leave a hole in one of the four rows for
    /// all but two in a million.
    #[test]
    fn heavy_parties_take_no_share_of_ten_thousand_others() {
        let ledger = QuotaLedger::new(1_000, 1, Layout::reaching(70), at(0));
        let capacity = Capacity::new(100_000);
        for heavy in 0..5 {
            for _ in 0..1_000 {
                assert_eq!(take(&ledger, party(heavy), at(60), at(0), &capacity), Ok(Share::Granted));
            }
        }
        for modest in 1_000..11_000 {
            assert_eq!(take(&ledger, party(modest), at(60), at(0), &capacity), Ok(Share::Granted));
        }
    }

    /// A thousand parties with one entry each, and forty that use up their share: nobody is refused wrongly.
    #[test]
    fn parties_do_not_use_up_each_others_shares() {
        let (ledger, capacity) = (ledger(50), Capacity::new(10_000));
        for heavy in 0..40 {
            for _ in 0..50 {
                assert_eq!(take(&ledger, party(heavy), at(60), at(0), &capacity), Ok(Share::Granted));
            }
        }
        for modest in 1_000..2_000 {
            assert_eq!(take(&ledger, party(modest), at(60), at(0), &capacity), Ok(Share::Granted));
        }
    }

    proptest! {
        /// Whatever the parties and times, no party has more live entries than its quota.
        #[test]
        fn no_quota_is_ever_exceeded(calls in vec((0..6_u64, 0..3_i64, 0..=70_i64), 1..300)) {
            let (ledger, capacity) = (ledger(3), Capacity::new(1_000));
            let (mut now, mut live) = (0, BTreeMap::<u64, Vec<i64>>::new());
            for (number, step, ahead) in calls {
                now += step;
                let deadlines = live.entry(number).or_default();
                deadlines.retain(|deadline| *deadline >= now);
                if take(&ledger, party(number), at(now + ahead), at(now), &capacity) == Ok(Share::Granted) {
                    deadlines.push(now + ahead);
                }
                prop_assert!(deadlines.len() <= 3);
            }
        }
    }
}
