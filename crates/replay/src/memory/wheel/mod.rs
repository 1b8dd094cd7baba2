//! The wheel: time cut into slots that are dropped whole.

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests;

use countersign_dpop::time::Timestamp;

/// Seconds that a clock may go back without consequence; entries are kept as much longer.
pub(super) const GRACE: i64 = 1;

/// Positions on a wheel.
pub(super) const COUNT: usize = POSITIONS as usize;

/// One less than four bits can tell: a table marks with the one left what holds nothing.
const POSITIONS: u8 = 15;

/// Slots within reach at a time. The more of them, the sooner after its time an entry is dropped; the fewer, the longer
/// a position stays unused after its slot has passed.
const SLOTS: u8 = 12;

/// How wide slots are, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Layout {
    width: i64,
}

impl Layout {
    /// The narrowest slots with which a wheel reaches from [`GRACE`] seconds back to `horizon` seconds ahead.
    pub(super) fn reaching(horizon: i64) -> Self {
        // However a stretch of (SLOTS − 1) · width + 1 seconds lies across their borders, it touches at most SLOTS.
        let borders = i64::from(SLOTS) - 1;
        Self { width: (horizon.max(0).saturating_add(GRACE + borders - 1) / borders).max(1) }
    }

    /// This layout if it reaches `horizon` seconds ahead, else a wider one. A wheel of the wider one also reaches
    /// the end of every slot that a wheel of this one has.
    pub(super) fn widened(self, horizon: i64) -> Self {
        let wanted = Self::reaching(horizon);
        if wanted.width <= self.width {
            return self;
        }
        let slots = i64::from(SLOTS);
        Self { width: wanted.width.max((self.width * slots + slots - 2) / (slots - 1)) }
    }

    fn slot(self, time: Timestamp) -> i64 {
        time.seconds().div_euclid(self.width)
    }

    /// The first of the slots that a wheel at `time` has.
    fn first(self, time: Timestamp) -> i64 {
        self.slot(time.plus(-GRACE))
    }

    fn last_second(self, slot: i64) -> Timestamp {
        Timestamp::from_seconds(slot.saturating_mul(self.width).saturating_add(self.width - 1))
    }
}

/// Where a slot lies on the wheel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Position(u8);

impl Position {
    /// Where the slot `number` lies, forever.
    pub(super) fn of(number: i64) -> Self {
        Self(u8::try_from(number.rem_euclid(i64::from(POSITIONS))).unwrap_or(0))
    }

    /// 0 to 14.
    pub(super) const fn number(self) -> u8 {
        self.0
    }

    /// For a list with an element for each position.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// One after the other.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..POSITIONS).map(Self)
    }
}

/// A slot: its number in all of time, and where on a wheel it lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot {
    number: i64,
    position: Position,
}

impl Slot {
    pub(super) const fn position(self) -> Position {
        self.position
    }
}

/// Some of the positions on a wheel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Positions(u16);

impl Positions {
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// A bit for each position, the lowest for the first.
    pub(super) const fn bits(self) -> u16 {
        self.0
    }

    pub(super) fn contains(self, position: Position) -> bool {
        self.0 & 1 << position.0 != 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Position> {
        Position::all().filter(move |position| self.contains(*position))
    }

    pub(super) fn insert(&mut self, position: Position) {
        self.0 |= 1 << position.0;
    }
}

impl FromIterator<Position> for Positions {
    fn from_iter<Iter: IntoIterator<Item = Position>>(positions: Iter) -> Self {
        let mut set = Self::default();
        for position in positions {
            set.insert(position);
        }
        set
    }
}

/// Which slots there are around a time, and which of them hold something. What they hold lies elsewhere, by position.
#[derive(Debug)]
pub(super) struct Wheel {
    layout: Layout,
    time: Timestamp,
    /// The first of the slots within reach.
    first: i64,
    occupied: Positions,
}

impl Wheel {
    pub(super) fn new(layout: Layout, time: Timestamp) -> Self {
        Self { layout, time, first: layout.first(time), occupied: Positions::default() }
    }

    /// How wide the slots are.
    pub(super) const fn layout(&self) -> Layout {
        self.layout
    }

    /// The time that the wheel was last turned to.
    pub(super) const fn time(&self) -> Timestamp {
        self.time
    }

    /// Turns to `time`, forward or back. Tells which occupied slots are out of reach then: whatever they hold is to be
    /// dropped at once, for other slots lie at their positions from now on.
    #[inline]
    pub(super) fn turn_to(&mut self, time: Timestamp) -> Positions {
        if time == self.time { Positions::default() } else { self.turn(time) }
    }

    fn turn(&mut self, time: Timestamp) -> Positions {
        let first = self.layout.first(time);
        let has_passed = |position: &Position| !is_within(first, self.slot_at(*position));
        let passed: Positions = self.occupied.iter().filter(has_passed).collect();
        self.occupied.0 &= !passed.0;
        self.time = time;
        self.first = first;
        passed
    }

    /// The slot for `deadline`, within reach or not.
    pub(super) fn slot(&self, deadline: Timestamp) -> Slot {
        let number = self.layout.slot(deadline);
        Slot { number, position: Position::of(number) }
    }

    /// Whether there is this slot, which is one of a wheel of the same layout.
    pub(super) fn reaches(&self, slot: Slot) -> bool {
        is_within(self.first, slot.number)
    }

    /// Where the slot for `deadline` lies; `None` when it is out of reach.
    fn position(&self, deadline: Timestamp) -> Option<Position> {
        let slot = self.slot(deadline);
        self.reaches(slot).then_some(slot.position)
    }

    /// Takes note that something is held at `position` now.
    pub(super) fn occupy(&mut self, position: Position) {
        self.occupied.insert(position);
    }

    /// Lays the wheel out anew with wider slots. Tells where what is held at each position is to be held now, which is
    /// for as long as before or longer.
    pub(super) fn widen(&mut self, layout: Layout) -> [Option<Position>; COUNT] {
        let old = std::mem::replace(self, Self::new(layout, self.time));
        let mut moves = [None; COUNT];
        for position in old.occupied.iter() {
            let place = self.position(old.layout.last_second(old.slot_at(position)));
            if let Some(place) = place {
                self.occupy(place);
            }
            moves[position.index()] = place;
        }
        moves
    }

    /// The one slot within reach that lies at `position`, or, where there is none, one beyond it.
    fn slot_at(&self, position: Position) -> i64 {
        let first = self.first;
        first.saturating_add(i64::from(position.0).wrapping_sub(first).rem_euclid(i64::from(POSITIONS)))
    }
}

/// Whether the slot `number` is one of those within reach, of which `first` is the first.
fn is_within(first: i64, number: i64) -> bool {
    (0..i64::from(SLOTS)).contains(&number.saturating_sub(first))
}
