//! The wheel: time cut into slots that are dropped whole.

use std::ops::RangeInclusive;

use countersign_dpop::time::Timestamp;

/// Seconds that a clock may go back without consequence; entries are kept as much longer.
pub(super) const GRACE: i64 = 1;

/// Slots of a wheel. More of them drop entries sooner after their time, fewer make a search shorter.
pub(super) const SLOTS: i64 = COUNT as i64;

const COUNT: u8 = 8;

/// How wide slots are, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Layout {
    width: i64,
}

impl Layout {
    /// The narrowest slots with which a wheel reaches from [`GRACE`] seconds back to `horizon` seconds ahead.
    pub(super) fn reaching(horizon: i64) -> Self {
        // However a stretch of (SLOTS − 1) · width + 1 seconds lies across their borders, it touches at most SLOTS.
        let borders = SLOTS - 1;
        Self { width: (horizon.max(0).saturating_add(GRACE + borders - 1) / borders).max(1) }
    }

    /// This layout if it reaches `horizon` seconds ahead, else a wider one. A wheel of the wider one also reaches
    /// the end of every slot that a wheel of this one has.
    pub(super) fn widened(self, horizon: i64) -> Self {
        let wanted = Self::reaching(horizon);
        if wanted.width <= self.width {
            return self;
        }
        let slots = SLOTS;
        Self { width: wanted.width.max((self.width * slots + slots - 2) / (slots - 1)) }
    }

    fn slot(self, time: Timestamp) -> i64 {
        time.seconds().div_euclid(self.width)
    }

    fn first_slot(self, time: Timestamp) -> i64 {
        self.slot(time.plus(-GRACE))
    }

    fn last_second(self, slot: i64) -> Timestamp {
        Timestamp::from_seconds(slot.saturating_mul(self.width).saturating_add(self.width - 1))
    }
}

/// Contents by the slot of their deadline, around a time.
#[derive(Debug)]
pub(super) struct Wheel<T> {
    layout: Layout,
    time: Timestamp,
    /// The first slot within reach.
    first: i64,
    slots: [Slot<T>; COUNT as usize],
}

#[derive(Debug, Default)]
struct Slot<T> {
    number: i64,
    content: T,
}

impl<T: Default> Wheel<T> {
    pub(super) fn new(layout: Layout, time: Timestamp) -> Self {
        Self { layout, time, first: layout.first_slot(time), slots: Default::default() }
    }

    /// How wide the slots are.
    pub(super) const fn layout(&self) -> Layout {
        self.layout
    }

    /// The time that the wheel was last turned to.
    pub(super) const fn time(&self) -> Timestamp {
        self.time
    }

    /// Turns to `time`, forward or back, and empties every slot that is then out of reach.
    pub(super) fn turn_to(&mut self, time: Timestamp, empty: impl FnMut(&mut T)) {
        if time != self.time {
            self.time = time;
            self.first = self.layout.first_slot(time);
            self.empty_unreached(empty);
        }
    }

    /// The content for `deadline`; `None` when it is out of reach.
    pub(super) fn content(&mut self, deadline: Timestamp) -> Option<&mut T> {
        let number = self.layout.slot(deadline);
        if !self.reach().contains(&number) {
            return None;
        }
        let slot = &mut self.slots[position(number)];
        slot.number = number;
        Some(&mut slot.content)
    }

    /// All contents.
    pub(super) fn contents(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().map(|slot| &slot.content)
    }

    /// Lays the wheel out anew with wider slots: no content ends sooner than before.
    pub(super) fn widen(&mut self, layout: Layout, mut merge: impl FnMut(&mut T, T)) {
        let old = std::mem::replace(self, Self::new(layout, self.time));
        for slot in old.slots {
            if let Some(content) = self.content(old.layout.last_second(slot.number)) {
                merge(content, slot.content);
            }
        }
    }

    fn empty_unreached(&mut self, mut empty: impl FnMut(&mut T)) {
        let reach = self.reach();
        for slot in &mut self.slots {
            if !reach.contains(&slot.number) {
                empty(&mut slot.content);
            }
        }
    }

    fn reach(&self) -> RangeInclusive<i64> {
        self.first..=self.first.saturating_add(SLOTS - 1)
    }
}

fn position(number: i64) -> usize {
    usize::try_from(number.rem_euclid(SLOTS)).unwrap_or(0)
}
