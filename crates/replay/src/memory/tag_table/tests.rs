use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Tags that crowd: few homes, at the very ends too, and few different words.
fn tag() -> impl Strategy<Value = Tag> {
    let crowded = 0x8000_0000..0x8000_0004_u64;
    let first = prop_oneof![Just(0), Just(1), Just(u64::from(u32::MAX)), crowded, 0..1_u64 << 32];
    (first, 0..3_u64, 0..2_u32).prop_map(|(first, second, low)| Tag { high: first << 32 | second, low })
}

fn slot() -> impl Strategy<Value = Position> {
    (0..15_i64).prop_map(Position::of)
}

fn entries() -> impl Strategy<Value = Vec<(Tag, Position)>> {
    vec((tag(), slot()), 0..150)
}

impl TagTable {
    /// Adds a tag that is not there.
    fn add(&mut self, tag: Tag, slot: Position) {
        let Found::Nothing(vacancy) = self.find(tag) else { panic!("{tag:?} is there") };
        let vacancy = self.make_room(tag, slot, vacancy).expect("there is memory");
        self.insert(vacancy, slot);
    }
}

fn table_of(entries: impl IntoIterator<Item = (Tag, Position)>) -> TagTable {
    let mut table = TagTable::default();
    for (tag, slot) in entries {
        table.add(tag, slot);
    }
    table
}

fn held(table: &TagTable) -> Vec<(Tag, u8)> {
    let tags = |line| Line(line).tags(table.free()).map(|(tag, slot)| (tag, slot.number()));
    let mut held: Vec<_> = table.lines.all().iter().flat_map(tags).collect();
    held.sort_unstable();
    held
}

/// Every tag is within reach of its home, and the counts are right.
fn is_in_order(table: &TagTable) -> bool {
    let mut live = [0; COUNT];
    let is_in_reach = table.lines.all().iter().enumerate().all(|(at, line)| {
        Line(line).tags(table.free()).all(|(tag, slot)| {
            live[slot.index()] += 1;
            let home = tag.home(table.homes);
            (home..=at).contains(&home) && at - home <= table.line(home).reach()
        })
    });
    is_in_reach && live == table.live && live.iter().sum::<u32>() as usize == table.len
}

proptest! {
    #[test]
    fn holds_what_was_put_in_and_nothing_else(added in entries(), asked in vec(tag(), 0..150)) {
        let (mut table, mut model) = (TagTable::default(), BTreeMap::new());
        for (tag, slot) in added {
            prop_assert_eq!(table.contains(tag), model.contains_key(&tag));
            if !table.contains(tag) {
                table.add(tag, slot);
                model.insert(tag, slot.number());
            }
            prop_assert!(table.contains(tag));
            prop_assert_eq!(table.len, model.len());
        }
        prop_assert!(is_in_order(&table));
        prop_assert_eq!(held(&table), model.clone().into_iter().collect::<Vec<_>>());
        for tag in asked {
            prop_assert_eq!(table.contains(tag), model.contains_key(&tag));
        }
    }

    #[test]
    fn drops_and_moves_slots(added in entries(), places in vec(prop::option::of(slot()), COUNT), after in entries()) {
        let added: BTreeMap<_, _> = added.into_iter().map(|(tag, slot)| (tag, slot.number())).collect();
        let mut table = table_of(added.iter().map(|(tag, slot)| (*tag, Position::of((*slot).into()))));
        let place = |slot: u8| places[usize::from(slot)].map(Position::number);
        let mut model: BTreeMap<_, _> =
            added.iter().filter_map(|(tag, slot)| place(*slot).map(|slot| (*tag, slot))).collect();
        let dropped = table.rearrange(|slot| places[slot.index()]);
        prop_assert_eq!(dropped, added.len() - model.len());
        prop_assert_eq!(table.len, model.len());
        prop_assert!(is_in_order(&table));
        prop_assert_eq!(held(&table), model.clone().into_iter().collect::<Vec<_>>());
        for (tag, slot) in after {
            if !table.contains(tag) {
                table.add(tag, slot);
                prop_assert_eq!(model.insert(tag, slot.number()), None);
            }
        }
        prop_assert!(is_in_order(&table));
        prop_assert_eq!(held(&table), model.into_iter().collect::<Vec<_>>());
    }

    /// However the tags crowd, and whatever is dead among them.
    #[test]
    fn spreads_over_more_homes(added in entries(), dropped in vec(slot(), 0..6), more in 1..40_usize) {
        let mut table = table_of(BTreeMap::from_iter(added));
        table.drop_slots(dropped.into_iter().collect());
        let (before, used) = (held(&table), table.lines.all().len());
        let mut longer = Lines::zeros(used + more).expect("there is memory");
        longer.all_mut()[..used].copy_from_slice(table.lines.all());
        table.lines = longer;
        table.spread(table.homes + more);
        prop_assert!(is_in_order(&table));
        prop_assert_eq!(held(&table), before);
    }

    /// Tags come and slots go, in any order: what is dropped is not there, and may come again, in any slot.
    #[test]
    fn holds_what_came_after_its_slot_was_dropped(
        steps in vec((entries(), vec(slot(), 0..6)), 1..12),
    ) {
        let (mut table, mut model) = (TagTable::default(), BTreeMap::new());
        for (added, dropped) in steps {
            for (tag, slot) in added {
                prop_assert_eq!(table.contains(tag), model.contains_key(&tag));
                if !table.contains(tag) {
                    table.add(tag, slot);
                    model.insert(tag, slot.number());
                }
            }
            let dropped: Positions = dropped.into_iter().collect();
            let before = model.len();
            model.retain(|_, slot| !dropped.contains(Position::of(i64::from(*slot))));
            prop_assert_eq!(table.drop_slots(dropped), before - model.len());
            prop_assert_eq!(table.len, model.len());
            prop_assert!(is_in_order(&table));
            prop_assert_eq!(held(&table), model.clone().into_iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_hash_of_nothing_but_zeros_is_a_tag_too() {
    let zero = Tag { high: 0, low: 0 };
    let mut table = filled(20);
    table.drop_slots([Position::of(0)].into_iter().collect());
    assert!(!table.contains(zero));
    table.add(zero, Position::of(1));
    assert!(table.contains(zero));
}

/// Spreads numbers evenly, as a hash would.
fn spread(number: u32) -> Tag {
    Tag { high: u64::from(number.wrapping_mul(0x9e37_79b9)) << 32, low: number }
}

fn filled(count: u32) -> TagTable {
    table_of((0..count).map(|number| (spread(number), Position::of(number.into()))))
}

/// By half while it is small, then by an eighth, each time that five in six cells are taken.
#[test]
fn grows_by_half_and_later_by_an_eighth() {
    let (mut table, mut grown) = (TagTable::default(), Vec::new());
    for number in 0..2_000 {
        let before = table.homes;
        table.add(spread(number), Position::of(0));
        if table.homes != before {
            grown.push((number, table.homes));
        }
    }
    let steps = [(0, 4), (16, 8), (33, 12), (50, 18), (75, 27), (112, 40), (166, 60), (250, 90), (375, 135)];
    assert_eq!(grown[..steps.len()], steps);
    let later = [(562, 151), (629, 169), (704, 190), (791, 213), (887, 239), (995, 268), (1_116, 301), (1_254, 338)];
    assert_eq!(grown[steps.len()..][..later.len()], later);
    assert_eq!(table.homes, 480);
}

#[test]
fn takes_a_line_for_five_and_two_lines_more() {
    let memory = |count| filled(count).memory();
    assert_eq!([0, 1, 16, 17, 33, 34].map(memory), [0, 6 * 64, 6 * 64, 10 * 64, 10 * 64, 14 * 64]);
    for count in [5_000, 6_000, 7_000, 8_000, 10_000, 20_000, 50_000_u32] {
        let bytes_per_tag = filled(count).memory() / count as usize;
        assert!((15..18).contains(&bytes_per_tag), "{count} tags take {bytes_per_tag} bytes each");
    }
}

/// As slots pass and others fill, the memory stays what it is.
#[test]
fn asks_for_no_memory_while_the_load_stays_the_same() {
    let mut table = table_of((0..10_000).map(|number| (spread(number), Position::of((number / 1_250).into()))));
    let memory = table.memory();
    for number in 10_000..50_000_u32 {
        if number % 1_250 == 0 {
            let passed = Position::of(i64::from(number / 1_250) - 8);
            assert_eq!(table.drop_slots([passed].into_iter().collect()), 1_250);
        }
        table.add(spread(number), Position::of((number / 1_250).into()));
        assert_eq!(table.memory(), memory);
    }
    assert!(is_in_order(&table));
    assert!((0..40_000).all(|number| !table.contains(spread(number))));
    assert!((40_000..50_000).all(|number| table.contains(spread(number))));
}

/// Where there is room behind a table, it grows in place: the larger one is never beside the smaller one.
#[test]
fn large_ones_grow_where_they_are() {
    let (mut table, mut moves) = (TagTable::default(), Vec::new());
    for number in 0..60_000 {
        let before = (table.homes, table.lines.all().as_ptr());
        table.add(spread(number), Position::of((number % 13).into()));
        if before.0 > 1_000 && before.0 != table.homes {
            moves.push(before.1 != table.lines.all().as_ptr());
        }
    }
    assert!(is_in_order(&table) && (0..60_000).all(|number| table.contains(spread(number))));
    assert_eq!((moves.len(), moves.iter().filter(|moved| **moved).count()), (22, 4));
}

/// Grows where it is, with everything that it holds.
fn grow_in_place(mut table: TagTable) {
    let (before, homes, place) = (held(&table), table.homes, table.lines.all().as_ptr());
    table.grow().expect("there is memory");
    assert!(table.homes > homes && table.lines.all().as_ptr() == place, "it has grown in place");
    assert!(is_in_order(&table) && table.dead.is_empty());
    assert_eq!(held(&table), before);
    assert!(table.lines.all().len() >= table.homes + TagTable::SLACK);
}

/// What is dead is not carried along, and what has gone far beyond the last home still has room.
#[test]
fn grows_in_place_with_what_is_dead_and_what_lies_beyond() {
    let mut table = filled(5_000);
    (0..600).for_each(|number| table.add(Tag { high: u64::MAX, low: number }, Position::of(14)));
    table.drop_slots([Position::of(0), Position::of(3)].into_iter().collect());
    assert!(table.used() > table.homes + 64, "more lines than a page has lie beyond");
    grow_in_place(table);
}

/// Every home has a line, though nobody has come to the last ones.
#[test]
fn grows_in_place_when_the_last_homes_are_empty() {
    let low = (0..5_000).map(|number| (Tag { high: spread(number).high / 2, low: number }, Position::of(1)));
    let table = table_of(low);
    assert!(table.used() + 64 < table.homes, "more lines than a page has are empty");
    grow_in_place(table);
}

#[test]
fn uses_lines_up_to_the_last_tag() {
    let mut table = filled(0);
    assert_eq!(table.used(), 0);
    for (number, used) in [(0, 1), (0, 1), (0, 1), (0, 1), (0, 1), (0, 2), (1 << 31, 3), (u32::MAX, 4)] {
        let tag = Tag { high: u64::from(number) << 32, low: u32::try_from(table.len).expect("few") };
        table.add(tag, Position::of(2));
        assert_eq!(table.used(), used);
    }
}

/// A position that is wanted again is cleared first: what was dropped does not come back to life.
#[test]
fn what_is_dead_stays_dead_when_its_position_is_used_again() {
    let (mut table, first) = (TagTable::default(), Position::of(1));
    (0..300).for_each(|number| table.add(spread(number), first));
    (300..400).for_each(|number| table.add(spread(number), Position::of(2)));
    assert_eq!(table.drop_slots([first].into_iter().collect()), 300);
    let memory = table.memory();
    assert!((0..300).all(|number| !table.contains(spread(number))));
    table.add(spread(1_000), first);
    assert_eq!((table.len, table.memory()), (101, memory));
    assert!((0..300).all(|number| !table.contains(spread(number))));
    assert!((300..400).all(|number| table.contains(spread(number))));
    assert!(is_in_order(&table));
}

#[test]
fn gives_back_memory_that_is_hardly_used() {
    let mut table = filled(10_500);
    let memory = table.memory();
    let all_but = |kept: i64| (kept..15).map(Position::of).collect();
    assert_eq!(table.drop_slots(all_but(2)), 9_100);
    assert!(table.memory() < memory / 2, "one thousand four hundred are left");
    assert_eq!((table.homes, table.dead), (1_400 * 2 / 5, Positions::default()));
    assert!((0..2).all(|number| table.contains(spread(number))));
    assert_eq!(table.drop_slots(all_but(0)), 1_400);
    assert_eq!((table.len, held(&table), table.memory()), (0, vec![], TagTable::SLACK * 64));
    table.add(spread(1), Position::of(1));
    assert!(table.contains(spread(1)));
}

/// A quarter of the cells is enough to keep them all, and one tag less is not.
#[test]
fn keeps_its_memory_down_to_a_quarter() {
    let keeping = |count: u32| {
        let mut table = TagTable::default();
        (0..110).for_each(|number| table.add(spread(number), Position::of(i64::from(number < count))));
        let before = table.homes;
        table.drop_slots([Position::of(0)].into_iter().collect());
        (before, table.homes)
    };
    assert_eq!([32, 33].map(keeping), [(27, 12), (27, 27)]);
}

#[test]
fn keeps_a_small_memory_though_it_is_not_used() {
    for (count, homes) in [(1, 4), (33, 8), (50, 12), (51, 0)] {
        let mut table = filled(0);
        (0..count).for_each(|number| table.add(spread(number), Position::of(0)));
        table.drop_slots([Position::of(0)].into_iter().collect());
        assert_eq!((table.len, table.homes), (0, homes), "{count}");
    }
}

/// All tags at one home, the last one: nearly all of them lie beyond it.
#[test]
fn finds_tags_beyond_the_last_home() {
    let last = |number| Tag { high: u64::MAX, low: number };
    let mut table = TagTable::default();
    for number in (0..100).rev() {
        table.add(last(number), Position::of(3));
        assert!((number..100).all(|number| table.contains(last(number))));
        assert!(!table.contains(last(100)));
    }
    assert_eq!(table.rearrange(Some), 0);
    assert!(is_in_order(&table));
    assert_eq!((table.len, table.line(table.homes - 1).reach()), (100, 19));
}

/// What had to go further comes home when there is room again.
#[test]
fn brings_tags_home_when_it_is_put_in_order() {
    let here = |number| Tag { high: 0, low: number };
    let mut table = TagTable::default();
    (0..5).for_each(|number| table.add(here(number), Position::of(1)));
    (5..8).for_each(|number| table.add(here(number), Position::of(2)));
    assert_eq!(table.line(0).reach(), 1);
    table.drop_slots([Position::of(1)].into_iter().collect());
    assert_eq!((table.line(0).reach(), table.rearrange(Some)), (1, 0));
    assert_eq!((table.line(0).reach(), table.line(0).tags(table.free()).count()), (0, 3));
    assert!((5..8).all(|number| table.contains(here(number))));
}
