//! The table of a shard: a set of tags, each with the slot that it is dropped with.

use std::collections::TryReserveError;

use super::wheel::Position;

/// What is kept of a key: 93 bits of its keyed hash. The three lowest bits are left for the slot.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Tag([u32; 3]);

impl Tag {
    /// No tag: an empty cell.
    const NONE: Self = Self([0; 3]);
    const SLOT_BITS: u32 = 0b111;

    /// Takes the 93 highest of 96 bits of a keyed hash.
    pub(super) fn new([first, second, third]: [u32; 3]) -> Self {
        let tag = Self([first, second, third & !Self::SLOT_BITS]);
        if tag == Self::NONE { Self([0, 0, Self::SLOT_BITS + 1]) } else { tag }
    }

    fn with_slot(self, slot: Position) -> Self {
        let Self([first, second, third]) = self;
        Self([first, second, third | u32::from(slot.number())])
    }

    fn without_slot(self) -> Self {
        let Self([first, second, third]) = self;
        Self([first, second, third & !Self::SLOT_BITS])
    }

    fn slot(self) -> Position {
        Position::of(i64::from(self.0[2] & Self::SLOT_BITS))
    }
}

/// Open addressing in one vector without wrapping around: a tag's home is proportional to its value, so the tags lie
/// in ascending order with gaps between them. A search ends at the first gap or larger tag; growing, and dropping what
/// belongs to a slot, is one pass from left to right.
#[derive(Debug, Default)]
pub(super) struct TagTable {
    cells: Vec<Tag>,
    homes: usize,
    len: usize,
}

impl TagTable {
    /// The homes of the smallest table.
    const FEWEST_HOMES: usize = 16;
    /// The most homes that are kept whether they are used or not.
    const ALWAYS_KEPT: usize = 64;
    /// Cells beyond the last home, for tags that are pushed to the right.
    const SLACK: usize = 8;

    pub(super) fn contains(&self, tag: Tag) -> bool {
        let cells = self.cells.get(self.home(tag)..).unwrap_or_default();
        let reached = cells.iter().find(|cell| **cell == Tag::NONE || **cell >= tag);
        reached.is_some_and(|cell| cell.without_slot() == tag)
    }

    /// Makes room for one more tag.
    ///
    /// # Errors
    /// There is no memory for it. What the table holds has not changed.
    pub(super) fn make_room(&mut self) -> Result<(), TryReserveError> {
        if self.len >= Self::most(self.homes) {
            self.resize(self.homes.saturating_add((self.homes / 4).max(Self::FEWEST_HOMES)))?;
        }
        // The last cell stays empty, so that there is one to push others into.
        if self.cells.last().is_some_and(|last| *last != Tag::NONE) {
            extend(&mut self.cells, Self::SLACK)?;
        }
        Ok(())
    }

    /// Adds a tag that is not there, after [`TagTable::make_room`].
    pub(super) fn insert(&mut self, tag: Tag, slot: Position) {
        let home = self.home(tag);
        let smaller = self.cells[home..].iter().take_while(|cell| **cell != Tag::NONE && **cell < tag).count();
        let at = home + smaller;
        let larger = self.cells[at..].iter().take_while(|cell| **cell != Tag::NONE).count();
        self.cells.copy_within(at..at + larger, at + 1);
        self.cells[at] = tag.with_slot(slot);
        self.len += 1;
    }

    /// Keeps each tag in the slot that `place` tells for its slot, or drops it where there is none. Tells how many
    /// were dropped.
    pub(super) fn rearrange(&mut self, place: impl Fn(Position) -> Option<Position>) -> usize {
        let (before, mut next) = (self.len, 0);
        for at in 0..self.cells.len() {
            let cell = std::mem::replace(&mut self.cells[at], Tag::NONE);
            if cell == Tag::NONE {
                continue;
            }
            match place(cell.slot()) {
                // Never further right than it was: what lay before it takes no more room than it did.
                Some(slot) => {
                    next = self.home(cell).max(next);
                    self.cells[next] = cell.without_slot().with_slot(slot);
                    next += 1;
                }
                None => self.len -= 1,
            }
        }
        if self.homes > Self::ALWAYS_KEPT && self.len < self.homes / 4 {
            // Without memory for a smaller table, the larger one stays.
            let _ = self.resize(self.len * 2);
        }
        before - self.len
    }

    /// Bytes of memory that it has taken.
    pub(super) fn memory(&self) -> usize {
        self.cells.capacity() * size_of::<Tag>()
    }

    fn tags(&self) -> impl Iterator<Item = Tag> + '_ {
        self.cells.iter().copied().filter(|cell| *cell != Tag::NONE)
    }

    fn resize(&mut self, homes: usize) -> Result<(), TryReserveError> {
        let mut resized = Self { cells: Vec::new(), homes, len: self.len };
        extend(&mut resized.cells, homes.saturating_add(Self::SLACK))?;
        let mut next = 0;
        for tag in self.tags() {
            next = resized.home(tag).max(next);
            if next == resized.cells.len() {
                extend(&mut resized.cells, Self::SLACK)?;
            }
            resized.cells[next] = tag;
            next += 1;
        }
        *self = resized;
        Ok(())
    }

    /// The most tags for so many homes: at five in six, a search looks at about three cells.
    const fn most(homes: usize) -> usize {
        homes - homes / 6
    }

    fn home(&self, tag: Tag) -> usize {
        ((u64::from(tag.0[0]) * self.homes as u64) >> 32) as usize
    }
}

fn extend(cells: &mut Vec<Tag>, by: usize) -> Result<(), TryReserveError> {
    cells.try_reserve_exact(by)?;
    cells.resize(cells.len() + by, Tag::NONE);
    Ok(())
}

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests {
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
        (0..8_i64).prop_map(Position::of)
    }

    fn entries() -> impl Strategy<Value = Vec<(Tag, Position)>> {
        vec((tag(), slot()), 0..150)
    }

    fn table_of(entries: impl IntoIterator<Item = (Tag, Position)>) -> TagTable {
        let mut table = TagTable::default();
        for (tag, slot) in entries {
            table.make_room().expect("there is memory");
            table.insert(tag, slot);
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
        table.tags().is_sorted() && table.cells.iter().enumerate().all(&mut in_place)
    }

    proptest! {
        #[test]
        fn holds_what_was_put_in_and_nothing_else(added in entries(), asked in vec(tag(), 0..150)) {
            let (mut table, mut model) = (TagTable::default(), BTreeMap::new());
            for (tag, slot) in added {
                prop_assert_eq!(table.contains(tag), model.contains_key(&tag));
                if !table.contains(tag) {
                    prop_assert!(table.make_room().is_ok());
                    table.insert(tag, slot);
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
        fn drops_and_moves_slots(added in entries(), places in vec(prop::option::of(slot()), 8), after in entries()) {
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
                    prop_assert!(table.make_room().is_ok());
                    table.insert(tag, slot);
                    prop_assert_eq!(model.insert(tag, slot.number()), None);
                }
            }
            prop_assert!(is_in_order(&table));
            prop_assert_eq!(held(&table), model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_hash_of_nothing_but_zeros_is_a_tag_too() {
        let zero = Tag::new([0, 0, 7]);
        assert_eq!(zero, Tag::new([0; 3]));
        let mut table = TagTable::default();
        assert!(!table.contains(zero));
        table.make_room().expect("there is memory");
        assert!(!table.contains(zero));
        table.insert(zero, Position::of(0));
        assert!(table.contains(zero));
        assert_eq!(table.len, 1);
    }

    #[test]
    fn tags_differ_in_all_but_three_bits() {
        let tag = Tag::new([0x1234_5678, 0x9abc_def0, 0x1234_5678]);
        for bit in 0..96 {
            let mut words = [0x1234_5678, 0x9abc_def0, 0x1234_5678_u32];
            words[bit / 32] ^= 1 << (bit % 32);
            assert_eq!(Tag::new(words) == tag, (64..67).contains(&bit), "bit {bit}");
        }
    }

    /// Spreads numbers evenly, as a hash would.
    fn spread(number: u32) -> Tag {
        Tag::new([number.wrapping_mul(0x9e37_79b9), number, 8])
    }

    fn filled(count: u32) -> TagTable {
        table_of((0..count).map(|number| (spread(number), Position::of(number.into()))))
    }

    #[test]
    fn takes_between_fourteen_and_nineteen_bytes_a_tag() {
        for count in [5_000, 6_000, 7_000, 8_000, 10_000, 20_000, 50_000_u32] {
            let bytes_per_tag = filled(count).memory() / count as usize;
            assert!((14..=18).contains(&bytes_per_tag), "{count} tags take {bytes_per_tag} bytes each");
        }
    }

    /// As slots pass and others fill, the memory stays what it is.
    #[test]
    fn asks_for_no_memory_while_the_load_stays_the_same() {
        let mut table = filled(10_000);
        let memory = table.memory();
        for number in 10_000..50_000_u32 {
            if number % 1_250 == 0 {
                let passed = Position::of((number / 1_250).into());
                assert_eq!(table.rearrange(|slot| (slot != passed).then_some(slot)), 1_250);
            }
            table.make_room().expect("there is memory");
            table.insert(spread(number), Position::of((number / 1_250).into()));
            assert_eq!(table.memory(), memory);
        }
    }

    #[test]
    fn gives_back_memory_that_is_hardly_used() {
        let mut table = filled(10_000);
        let memory = table.memory();
        assert_eq!(table.rearrange(|slot| (slot.number() < 2).then_some(slot)), 7_500);
        assert!(table.memory() < memory / 2, "two thousand five hundred are left");
        assert!((0..2).all(|number| table.contains(spread(number))));
        assert_eq!(table.rearrange(|_| None), 2_500);
        assert_eq!((table.len, held(&table)), (0, vec![]));
        assert!(table.memory() <= 12 * TagTable::SLACK);
        table.make_room().expect("there is memory");
        table.insert(spread(1), Position::of(1));
        assert!(table.contains(spread(1)));
    }

    #[test]
    fn keeps_a_small_memory_though_it_is_not_used() {
        let mut table = filled(1);
        let memory = table.memory();
        table.rearrange(|_| None);
        assert_eq!(table.memory(), memory);
    }

    /// All tags at one home, the last one: every one of them is pushed beyond it.
    #[test]
    fn finds_tags_beyond_the_last_home() {
        let last = |number| Tag::new([u32::MAX, number, 0]);
        let mut table = TagTable::default();
        for number in (0..100).rev() {
            table.make_room().expect("there is memory");
            table.insert(last(number), Position::of(3));
            assert!((number..100).all(|number| table.contains(last(number))));
            assert!(!table.contains(last(100)));
        }
        assert_eq!(table.rearrange(Some), 0);
        assert!(is_in_order(&table));
        assert_eq!(table.len, 100);
    }
}
