//! How many live entries each party has, in memory that does not grow with the number of parties.
//!
//! A count-min sketch: a party counts in one column of each of four rows, and has at most as many entries as the
//! least of its four counts says. Counts that several parties share are too high, never too low, so a quota is
//! never exceeded. A party would be refused within its quota only if it shared a column with a heavy party in all
//! four rows of its stripe: with forty parties near their quota, once in ten million parties. Columns are chosen by
//! a secret, so nobody can aim at another's.

use countersign_dpop::time::Timestamp;

use super::secret::PartyHash;
use super::sync::{Mutex, lock};
use super::wheel::{Layout, Wheel};

const STRIPES: usize = 16;
const ROWS: usize = 4;
const COLUMNS: usize = 128;

/// A party's place in the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    stripe: usize,
    cells: [usize; ROWS],
}

impl Party {
    #[expect(clippy::cast_possible_truncation, reason = "the hash is cut into small numbers")]
    pub(super) fn from_hash(PartyHash(hash): PartyHash) -> Self {
        let column = |row: usize| (hash >> (8 * row + 8)) as usize % COLUMNS;
        Self { stripe: hash as usize % STRIPES, cells: std::array::from_fn(|row| row * COLUMNS + column(row)) }
    }
}

/// What the ledger says of one more entry of a party.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Share {
    /// Counted.
    Granted,
    /// The party's share is used up. Nothing is counted.
    UsedUp,
    /// The entry has passed by the time that others have seen. Nothing is counted.
    Past,
}

#[derive(Debug)]
pub(super) struct QuotaLedger {
    stripes: [Mutex<Stripe>; STRIPES],
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
    pub(super) fn new(quota: u32, layout: Layout, time: Timestamp) -> Self {
        let stripe = |_| Mutex::new(Stripe { by_slot: Wheel::new(layout, time), totals: Counts::default() });
        Self { stripes: std::array::from_fn(stripe), quota }
    }

    /// The most entries of one party.
    pub(super) const fn quota(&self) -> u32 {
        self.quota
    }

    /// Counts one more entry of `party` until `deadline`, at `time`.
    pub(super) fn take(&self, party: Party, deadline: Timestamp, time: Timestamp) -> Share {
        let mut stripe = lock(&self.stripes[party.stripe]);
        let time = time.max(stripe.by_slot.time());
        stripe.turn_to(time);
        stripe.take(party, deadline, self.quota)
    }

    /// Goes to `time`, which may lie before the ledger's, and takes on `layout`.
    pub(super) fn begin(&self, time: Timestamp, layout: Layout) {
        for stripe in &self.stripes {
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

    fn take(&mut self, party: Party, deadline: Timestamp, quota: u32) -> Share {
        let Some(counts) = self.by_slot.content(deadline) else {
            return Share::Past;
        };
        let count = party.cells.iter().map(|cell| self.totals.0[*cell]).min();
        if count.is_none_or(|count| count >= quota) {
            return Share::UsedUp;
        }
        for cell in party.cells {
            for counts in [&mut counts.0, &mut self.totals.0] {
                counts[cell] = counts[cell].saturating_add(1);
            }
        }
        Share::Granted
    }
}

impl Counts {
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
