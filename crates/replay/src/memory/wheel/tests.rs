use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A wheel with the deadlines that it holds.
struct Held {
    wheel: Wheel,
    deadlines: [Vec<i64>; COUNT],
}

impl Held {
    fn new(horizon: i64, time: i64) -> Self {
        Self { wheel: Wheel::new(Layout::reaching(horizon), at(time)), deadlines: Default::default() }
    }

    fn turn_to(&mut self, time: i64) {
        for passed in self.wheel.turn_to(at(time)).iter() {
            assert!(!self.deadlines[passed.index()].is_empty(), "only what holds something is dropped");
            self.deadlines[passed.index()].clear();
        }
        assert_eq!(self.wheel.time(), at(time));
    }

    fn put(&mut self, deadline: i64) -> bool {
        let position = self.wheel.position(at(deadline));
        if let Some(position) = position {
            self.wheel.occupy(position);
            self.deadlines[position.index()].push(deadline);
        }
        position.is_some()
    }

    fn widen(&mut self, layout: Layout) {
        let old = std::mem::take(&mut self.deadlines);
        for (mut held, place) in old.into_iter().zip(self.wheel.widen(layout)) {
            assert!(held.is_empty() || place.is_some(), "{held:?} are lost");
            if let Some(place) = place {
                self.deadlines[place.index()].append(&mut held);
            }
        }
        assert_eq!(self.wheel.layout(), layout);
    }

    fn sorted(&self) -> Vec<i64> {
        let mut sorted = self.deadlines.concat();
        sorted.sort_unstable();
        sorted
    }
}

#[test]
fn slots_are_as_narrow_as_the_window_allows() {
    let width = |horizon| Layout::reaching(horizon).width;
    assert_eq!([0, 10, 11, 21, 22, 70, 600, 172_800].map(width), [1, 1, 2, 2, 3, 7, 55, 15_710]);
    assert_eq!(width(-5), 1);
    assert!(width(i64::MAX) > 0);
}

#[test]
fn twelve_slots_are_within_reach_from_that_of_the_second_before() {
    let layout = Layout { width: 7 };
    assert_eq!([0, 7, 8, 14].map(|time| layout.first(at(time))), [-1, 0, 1, 1]);
    assert_eq!([-2, -1, 10, 11].map(|slot| is_within(-1, slot)), [false, true, true, false]);
    // The ends of time are not beside each other.
    assert!(!is_within(i64::MAX - 5, i64::MIN + 3) && is_within(i64::MAX - 5, i64::MAX));
    assert_eq!((layout.last_second(-1), layout.last_second(11)), (at(-1), at(83)));
}

#[test]
fn a_wider_layout_reaches_as_far_as_asked_and_a_narrower_one_is_not_taken() {
    let layout = Layout::reaching(70);
    assert_eq!(layout.widened(70), layout);
    assert_eq!(layout.widened(10), layout);
    assert_eq!(layout.widened(76), layout);
    assert_eq!(layout.widened(77).width, 8);
    assert_eq!(layout.widened(600), Layout::reaching(600));
}

#[test]
fn a_wider_layout_reaches_the_end_of_every_slot_there_was_and_is_no_wider_for_it() {
    // Asked for the least that is more than what there is.
    let widened = |width: i64| Layout { width }.widened(width * 11);
    assert_eq!([1, 11, 12, 22, 23, 100].map(|width| widened(width).width), [2, 12, 14, 24, 26, 110]);
    for width in 1..=100 {
        let (layout, wider) = (Layout { width }, widened(width));
        for time in (0..1_000).map(at) {
            let end = layout.last_second(layout.first(time) + 11);
            assert!(is_within(wider.first(time), wider.slot(end)), "{width} at {time}");
        }
    }
}

#[test]
fn positions_are_a_set() {
    let all: Vec<_> = Position::all().collect();
    assert_eq!(all.len(), COUNT);
    assert!(Positions::default().is_empty());
    let some: Positions = [all[0], all[7], all[3], all[0]].into_iter().collect();
    assert!(!some.is_empty());
    assert_eq!(some.iter().map(Position::number).collect::<Vec<_>>(), [0, 3, 7]);
    assert!(some.contains(all[7]) && !some.contains(all[6]));
}

#[test]
fn the_ends_of_time_are_times_like_others() {
    for time in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let mut held = Held::new(70, 0);
        held.turn_to(time);
        assert!(held.put(time), "the present is within reach at {time}");
        for deadline in [i64::MIN, 0, i64::MAX] {
            held.put(deadline);
        }
        held.turn_to(0);
        held.wheel.widen(Layout::reaching(600));
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
        let mut held = Held::new(horizon, start);
        let (mut now, mut put_in) = (start, Vec::new());
        for (step, ahead) in steps {
            now += step;
            held.turn_to(now);
            let deadline = now - GRACE + ahead.min(horizon + GRACE);
            prop_assert!(held.put(deadline), "{deadline} is within reach at {now}");
            put_in.push(deadline);
            let held_now = held.sorted();
            for deadline in &put_in {
                let copies = |list: &[i64]| list.iter().filter(|other| *other == deadline).count();
                if *deadline >= now - GRACE {
                    prop_assert_eq!(copies(&held_now), copies(&put_in), "{} at {}", deadline, now);
                } else if *deadline <= now - GRACE - held.wheel.layout.width {
                    prop_assert_eq!(copies(&held_now), 0, "{} at {}", deadline, now);
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
        let mut held = Held::new(horizon, 10_000);
        let deadlines: Vec<_> = ahead.iter().map(|ahead| 10_000 + ahead.min(&horizon)).collect();
        for deadline in &deadlines {
            prop_assert!(held.put(*deadline));
        }
        let now = 10_000 - back;
        held.turn_to(now);
        let held_now = held.sorted();
        for deadline in deadlines.iter().filter(|deadline| **deadline <= now + horizon) {
            prop_assert!(held_now.contains(deadline));
        }
        for deadline in now - GRACE..=now + horizon {
            prop_assert!(held.put(deadline));
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
        let mut held = Held::new(horizon, 10_000);
        let ahead = |ahead: &i64| 10_000 - GRACE + ahead.min(&(horizon + GRACE));
        let mut put_in: Vec<_> = deadlines.iter().map(ahead).collect();
        for deadline in &put_in {
            prop_assert!(held.put(*deadline));
        }
        put_in.sort_unstable();
        let layout = held.wheel.layout().widened(wider);
        held.widen(layout);
        prop_assert_eq!(&held.sorted(), &put_in);
        held.turn_to(10_000 + later);
        let held_now = held.sorted();
        for deadline in put_in.iter().filter(|deadline| **deadline >= 10_000 + later - GRACE) {
            prop_assert!(held_now.contains(deadline));
        }
        prop_assert!(held.put(10_000 + later + wider.max(horizon)));
    }
}
