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
use super::wheel::{Layout, Wheel};

/// The most stripes.
const STRIPES: u32 = 16;
const ROWS: usize = 4;
const COLUMNS: usize = 128;

/// A party's place in the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    stripe: u8,
    cells: [usize; ROWS],
}

impl Party {
    #[expect(clippy::cast_possible_truncation, reason = "the hash is cut into small numbers")]
    pub(super) fn from_hash(PartyHash(hash): PartyHash) -> Self {
        let column = |row: usize| (hash >> (8 * row + 8)) as usize % COLUMNS;
        Self { stripe: hash as u8, cells: std::array::from_fn(|row| row * COLUMNS + column(row)) }
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
    by_slot: Wheel<Counts>,
    totals: Counts,
}

#[derive(Debug)]
struct Counts(Box<[u32]>);

impl QuotaLedger {
    pub(super) fn new(quota: u32, shards: u32, layout: Layout, time: Timestamp) -> Self {
        let stripe = |_| Mutex::new(Stripe { by_slot: Wheel::new(layout, time), totals: Counts::default() });
        Self { stripes: (0..shards.min(STRIPES)).map(stripe).collect(), quota }
    }

    /// The most entries of one party.
    pub(super) const fn quota(&self) -> u32 {
        self.quota
    }

    /// Counts one more entry of `party` until `deadline`, at `time`, and takes room for it.
    ///
    /// # Errors
    /// The party's share is used up, or the whole store is. Nothing is counted or taken.
    pub(super) fn take(
        &self,
        party: Party,
        deadline: Timestamp,
        time: Timestamp,
        capacity: &Capacity,
    ) -> Result<Share, ReplayStoreError> {
        let mut stripe = lock(&self.stripes[usize::from(party.stripe) % self.stripes.len()]);
        let time = time.max(stripe.by_slot.time());
        stripe.turn_to(time);
        if stripe.count(party) >= self.quota {
            return Err(ReplayStoreError::QuotaExhausted { quota: self.quota.into() });
        }
        let Stripe { by_slot, totals } = &mut *stripe;
        let Some(counts) = by_slot.content(deadline) else {
            return Ok(Share::Past);
        };
        capacity.take()?;
        counts.count_one_more(party);
        totals.count_one_more(party);
        Ok(Share::Granted)
    }

    /// Goes to `time`, which may lie before the ledger's, and takes on `layout`.
    pub(super) fn begin(&self, time: Timestamp, layout: Layout) {
        for stripe in &*self.stripes {
            let mut stripe = lock(stripe);
            if layout != stripe.by_slot.layout() {
                stripe.by_slot.widen(layout, |into, from| into.add(&from));
            }
            stripe.turn_to(time);
        }
    }
}

impl Stripe {
    fn turn_to(&mut self, time: Timestamp) {
        let totals = &mut self.totals;
        self.by_slot.turn_to(time, |counts| {
            totals.subtract(counts);
            counts.0.fill(0);
        });
    }

    /// How many entries the party has, or more.
    fn count(&self, party: Party) -> u32 {
        party.cells.iter().fold(u32::MAX, |least, cell| least.min(self.totals.0[*cell]))
    }
}

impl Counts {
    fn count_one_more(&mut self, party: Party) {
        for cell in party.cells {
            self.0[cell] = self.0[cell].saturating_add(1);
        }
    }

    fn add(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_add(*other);
        }
    }

    fn subtract(&mut self, other: &Self) {
        for (count, other) in self.0.iter_mut().zip(&other.0) {
            *count = count.saturating_sub(*other);
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self(vec![0; ROWS * COLUMNS].into_boxed_slice())
    }
}
