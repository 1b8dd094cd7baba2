use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Tags that crowd: few homes, at the very ends too, and few different words.
fn tag() -> impl Strategy<Value = Tag> {
    let crowded = 0x8000_0000..0x8000_0004_u32;
    let first = prop_oneof![Just(0), Just(1), Just(u32::MAX), Just(u32::MAX - 1), crowded, any::<u32>()];
    (first, 0..3_u32, 0..32_u32).prop_map(|(first, second, third)| Tag::new([first, second, third]))
}

fn slot() -> impl Strategy<Value = Position> {
    (0..16_i64).prop_map(Position::of)
}

fn entries() -> impl Strategy<Value = Vec<(Tag, Position)>> {
    vec((tag(), slot()), 0..150)
}

impl Ord for Tag {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Tag {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl TagTable {
    fn contains(&self, tag: Tag) -> bool {
        self.vacancy(tag).is_none()
    }

    /// Adds a tag that is not there.
    fn add(&mut self, tag: Tag, slot: Position) {
        let vacancy = self.vacancy(tag).expect("the tag is not there");
        let vacancy = self.make_room(vacancy, slot).expect("there is memory");
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
    table.tags().map(|cell| (cell.without_slot(), cell.slot().number())).collect()
}

/// Ascending, and no gap between a tag and its home.
fn is_in_order(table: &TagTable) -> bool {
    let mut after_gap = 0;
    let mut in_place = |(place, cell): (usize, &Tag)| {
        if *cell == Tag::NONE {
            after_gap = place + 1;
            return true;
        }
        (after_gap..=place).contains(&table.home(*cell))
    };
    let taken: Vec<_> = table.cells.iter().filter(|cell| **cell != Tag::NONE).map(|cell| cell.0).collect();
    taken.is_sorted() && taken.len() == table.taken && table.cells.iter().enumerate().all(&mut in_place)
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
            prop_assert_eq!(table.len(), model.len());
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
        prop_assert_eq!(table.len(), model.len());
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
            prop_assert_eq!(table.len(), model.len());
            prop_assert!(is_in_order(&table));
            prop_assert_eq!(held(&table), model.clone().into_iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_hash_of_nothing_but_zeros_is_a_tag_too() {
    let zero = Tag::new([0, 0, 15]);
    assert_eq!(zero, Tag::new([0; 3]));
    let mut table = TagTable::default();
    assert!(!table.contains(zero));
    table.add(zero, Position::of(0));
    assert!(table.contains(zero));
    assert_eq!(table.len(), 1);
}

#[test]
fn tags_differ_in_all_but_four_bits() {
    let tag = Tag::new([0x1234_5678, 0x9abc_def0, 0x1234_5678]);
    for bit in 0..96 {
        let mut words = [0x1234_5678, 0x9abc_def0, 0x1234_5678_u32];
        words[bit / 32] ^= 1 << (bit % 32);
        assert_eq!(Tag::new(words) == tag, (64..68).contains(&bit), "bit {bit}");
    }
}

/// Spreads numbers evenly, as a hash would.
fn spread(number: u32) -> Tag {
    Tag::new([number.wrapping_mul(0x9e37_79b9), number, 16])
}

fn filled(count: u32) -> TagTable {
    table_of((0..count).map(|number| (spread(number), Position::of(number.into()))))
}

#[test]
fn takes_between_twelve_and_fifteen_bytes_a_tag() {
    for count in [5_000, 6_000, 7_000, 8_000, 10_000, 20_000, 50_000_u32] {
        let bytes_per_tag = filled(count).memory() / count as usize;
        assert!((12..15).contains(&bytes_per_tag), "{count} tags take {bytes_per_tag} bytes each");
    }
}

/// Grows while many dead tags crowd at its end.
#[test]
fn grows_over_what_is_dead() {
    const HUNDREDTH: u32 = u32::MAX / 100;
    let mut table = TagTable::default();
    let at_the_end = |number: u32| Tag::new([u32::MAX - number * (HUNDREDTH / 60), number, 16]);
    let elsewhere = |number: u32| Tag::new([number.wrapping_mul(0x9e37_79b9), number, 32]);
    for number in 0..3_000 {
        if number % 100 == 0 {
            (0..60).for_each(|number| table.add(at_the_end(number), Position::of(1)));
            assert_eq!(table.drop_slots([Position::of(1)].into_iter().collect()), 60);
        }
        table.add(elsewhere(number), Position::of(0));
        assert!(number % 10 > 0 || is_in_order(&table), "{number}");
    }
    assert_eq!(table.len(), 3_000);
    assert!((0..3_000).all(|number| table.contains(elsewhere(number))));
    assert!((0..60).all(|number| !table.contains(at_the_end(number))));
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
}

#[test]
fn gives_back_memory_that_is_hardly_used() {
    let mut table = filled(10_000);
    let memory = table.memory();
    let all_but = |kept: i64| (kept..16).map(Position::of).collect();
    assert_eq!(table.drop_slots(all_but(2)), 8_750);
    assert!(table.memory() < memory / 2, "one thousand two hundred and fifty are left");
    assert!((0..2).all(|number| table.contains(spread(number))));
    assert_eq!(table.drop_slots(all_but(0)), 1_250);
    assert_eq!((table.len(), held(&table)), (0, vec![]));
    assert!(table.memory() <= 12 * TagTable::SLACK);
    table.add(spread(1), Position::of(1));
    assert!(table.contains(spread(1)));
}

#[test]
fn keeps_a_small_memory_though_it_is_not_used() {
    let mut table = filled(1);
    let memory = table.memory();
    table.drop_slots([Position::of(0)].into_iter().collect());
    assert_eq!((table.len(), table.memory()), (0, memory));
}

/// All tags at one home, the last one: every one of them is pushed beyond it.
#[test]
fn finds_tags_beyond_the_last_home() {
    let last = |number| Tag::new([u32::MAX, number, 0]);
    let mut table = TagTable::default();
    for number in (0..100).rev() {
        table.add(last(number), Position::of(3));
        assert!((number..100).all(|number| table.contains(last(number))));
        assert!(!table.contains(last(100)));
    }
    assert_eq!(table.rearrange(Some), 0);
    assert!(is_in_order(&table));
    assert_eq!(table.len(), 100);
}
