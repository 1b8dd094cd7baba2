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
    pub(super) fn contents(&self) -> impl Iterator<Item = &T> + Clone {
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

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn put(wheel: &mut Wheel<Vec<i64>>, deadline: i64) -> bool {
        wheel.content(at(deadline)).map(|content| content.push(deadline)).is_some()
    }

    fn held(wheel: &Wheel<Vec<i64>>) -> Vec<i64> {
        let mut held: Vec<_> = wheel.contents().flatten().copied().collect();
        held.sort_unstable();
        held
    }

    #[test]
    fn slots_are_as_narrow_as_the_window_allows() {
        let width = |horizon| Layout::reaching(horizon).width;
        assert_eq!([0, 6, 7, 13, 14, 15, 70, 600, 172_800].map(width), [1, 1, 2, 2, 3, 3, 11, 86, 24_686]);
        assert_eq!(width(-5), 1);
        assert!(width(i64::MAX) > 0);
    }

    #[test]
    fn a_wider_layout_reaches_as_far_as_asked_and_a_narrower_one_is_not_taken() {
        let layout = Layout::reaching(70);
        assert_eq!(layout.widened(70), layout);
        assert_eq!(layout.widened(10), layout);
        assert_eq!(layout.widened(76), layout);
        assert_eq!(layout.widened(77).width, 13);
        assert_eq!(layout.widened(600), Layout::reaching(600));
    }

    #[test]
    fn turning_to_the_same_time_touches_nothing() {
        let mut wheel = Wheel::<Vec<i64>>::new(Layout::reaching(70), at(1_000));
        assert!(put(&mut wheel, 1_060));
        wheel.turn_to(at(1_000), |_| panic!("nothing has passed"));
        assert_eq!(held(&wheel), [1_060]);
        assert_eq!(wheel.time(), at(1_000));
    }

    #[test]
    fn the_ends_of_time_are_times_like_others() {
        for time in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
            let mut wheel = Wheel::<Vec<i64>>::new(Layout::reaching(70), at(0));
            wheel.turn_to(at(time), Vec::clear);
            assert!(put(&mut wheel, time), "the present is within reach at {time}");
            for deadline in [i64::MIN, 0, i64::MAX] {
                wheel.content(at(deadline));
            }
            wheel.turn_to(at(0), Vec::clear);
            wheel.widen(Layout::reaching(600), |into, mut from| into.append(&mut from));
        }
    }

    proptest! {
        /// However time goes: what is within reach is held until a second after its deadline, and not much longer.
        #[test]
        fn holds_what_is_acceptable_and_drops_what_has_passed(
            horizon in 0..200_i64,
            start in -1_000..1_000_i64,
            steps in vec((0..40_i64, 0..=200_i64), 1..60),
        ) {
            let layout = Layout::reaching(horizon);
            let mut wheel = Wheel::<Vec<i64>>::new(layout, at(start));
            let (mut now, mut put_in) = (start, Vec::new());
            for (step, ahead) in steps {
                now += step;
                wheel.turn_to(at(now), Vec::clear);
                let deadline = now - GRACE + ahead.min(horizon + GRACE);
                prop_assert!(put(&mut wheel, deadline), "{deadline} is within reach at {now}");
                put_in.push(deadline);
                let held = held(&wheel);
                for deadline in &put_in {
                    let copies = |list: &[i64]| list.iter().filter(|other| *other == deadline).count();
                    if *deadline >= now - GRACE {
                        prop_assert_eq!(copies(&held), copies(&put_in), "{} at {}", deadline, now);
                    } else if *deadline < now - GRACE - layout.width {
                        prop_assert_eq!(copies(&held), 0, "{} at {}", deadline, now);
                    }
                }
            }
        }

        /// Back in time: what both times reach is held.
        #[test]
        fn keeps_what_it_still_reaches_when_it_turns_back(
            horizon in 0..200_i64,
            ahead in vec(0..=200_i64, 1..30),
            back in 0..500_i64,
        ) {
            let mut wheel = Wheel::<Vec<i64>>::new(Layout::reaching(horizon), at(10_000));
            let deadlines: Vec<_> = ahead.iter().map(|ahead| 10_000 + ahead.min(&horizon)).collect();
            for deadline in &deadlines {
                prop_assert!(put(&mut wheel, *deadline));
            }
            let now = 10_000 - back;
            wheel.turn_to(at(now), Vec::clear);
            let held = held(&wheel);
            for deadline in deadlines.iter().filter(|deadline| **deadline <= now + horizon) {
                prop_assert!(held.contains(deadline));
            }
            for deadline in now - GRACE..=now + horizon {
                prop_assert!(put(&mut wheel, deadline));
            }
        }

        /// Wider slots: everything is still held, and for as long as before.
        #[test]
        fn keeps_everything_when_it_is_widened(
            horizon in 0..200_i64,
            wider in 0..2_000_i64,
            deadlines in vec(0..=200_i64, 0..30),
            later in 0..200_i64,
        ) {
            let layout = Layout::reaching(horizon);
            let mut wheel = Wheel::<Vec<i64>>::new(layout, at(10_000));
            let mut put_in: Vec<_> = deadlines.iter().map(|ahead| 10_000 - GRACE + ahead.min(&(horizon + GRACE))).collect();
            for deadline in &put_in {
                prop_assert!(put(&mut wheel, *deadline));
            }
            put_in.sort_unstable();
            wheel.widen(layout.widened(wider), |into, mut from| into.append(&mut from));
            prop_assert_eq!(&held(&wheel), &put_in);
            wheel.turn_to(at(10_000 + later), Vec::clear);
            let held = held(&wheel);
            for deadline in put_in.iter().filter(|deadline| **deadline >= 10_000 + later - GRACE) {
                prop_assert!(held.contains(deadline));
            }
            prop_assert!(put(&mut wheel, 10_000 + later + wider.max(horizon)));
        }
    }
}
