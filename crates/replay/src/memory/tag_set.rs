//! A set of 96-bit tags that only ever grows until it is emptied as a whole.

use std::collections::TryReserveError;

/// What is kept of an entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Tag([u32; 3]);

impl Tag {
    /// No tag: an empty cell.
    const NONE: Self = Self([0; 3]);

    /// Takes 96 bits of a keyed hash.
    pub(super) fn new(words: [u32; 3]) -> Self {
        let tag = Self(words);
        if tag == Self::NONE { Self([0, 0, 1]) } else { tag }
    }
}

/// Open addressing in one vector without wrapping around: a tag's home is proportional to its value, so the tags
/// lie in ascending order with gaps between them. A search ends at the first gap or larger tag, and growing is one
/// pass from left to right.
#[derive(Debug, Default)]
pub(super) struct TagSet {
    cells: Vec<Tag>,
    homes: usize,
    len: usize,
}

impl TagSet {
    /// The homes of the smallest set.
    const FEWEST_HOMES: usize = 8;
    /// The most homes that are kept whether they were used or not.
    const ALWAYS_KEPT: usize = 64;
    /// Cells beyond the last home, for tags that are pushed to the right.
    const SLACK: usize = 8;

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// True when one of `sets` holds `tag`.
    pub(super) fn any_contains<'a>(sets: impl Iterator<Item = &'a Self> + Clone, tag: Tag) -> bool {
        // Every set is looked at before any is searched: the memory accesses, which are the cost of a search in large
        // sets, then overlap.
        let begun = sets.clone().map(|set| u32::from(set.may_contain(tag))).fold(0, |begun, may| begun << 1 | may);
        begun != 0 && sets.into_iter().any(|set| set.contains(tag))
    }

    /// False when the tag's home alone shows that it is not there.
    fn may_contain(&self, tag: Tag) -> bool {
        self.cells.get(self.home(tag)).is_some_and(|cell| *cell != Tag::NONE)
    }

    fn contains(&self, tag: Tag) -> bool {
        let cells = self.cells.get(self.home(tag)..).unwrap_or_default();
        cells.iter().find(|cell| **cell == Tag::NONE || **cell >= tag).is_some_and(|cell| *cell == tag)
    }

    /// True when there is memory to use again.
    pub(super) const fn has_memory(&self) -> bool {
        self.homes > 0
    }

    /// Makes room for one more tag.
    ///
    /// # Errors
    /// There is no memory for it. What the set holds has not changed.
    pub(super) fn make_room(&mut self) -> Result<(), TryReserveError> {
        if self.len >= Self::most(self.homes) {
            self.grow(self.homes.saturating_add((self.homes / 4).max(Self::FEWEST_HOMES)))?;
        }
        // The last cell stays empty, so that there is one to push others into.
        if self.cells.last().is_some_and(|last| *last != Tag::NONE) {
            extend(&mut self.cells, Self::SLACK)?;
        }
        Ok(())
    }

    /// Adds a tag that is not there, after [`TagSet::make_room`].
    pub(super) fn insert(&mut self, tag: Tag) {
        let home = self.home(tag);
        let smaller = self.cells[home..].iter().take_while(|cell| **cell != Tag::NONE && **cell < tag).count();
        let at = home + smaller;
        let larger = self.cells[at..].iter().take_while(|cell| **cell != Tag::NONE).count();
        self.cells.copy_within(at..at + larger, at + 1);
        self.cells[at] = tag;
        self.len += 1;
    }

    /// Adds the tags of `other`, none of which is there; tells how many it had no memory for.
    pub(super) fn absorb(&mut self, other: Self) -> usize {
        if self.len == 0 {
            *self = other;
            return 0;
        }
        let total = self.len + other.len;
        if total > Self::most(self.homes) && self.grow(total + total / 4).is_err() {
            return other.len;
        }
        let mut left_out = 0;
        for tag in other.iter() {
            match self.make_room() {
                Ok(()) => self.insert(tag),
                Err(_) => left_out += 1,
            }
        }
        left_out
    }

    /// Bytes of memory that it has taken.
    pub(super) fn memory(&self) -> usize {
        self.cells.capacity() * size_of::<Tag>()
    }

    /// The tags, in ascending order.
    fn iter(&self) -> impl Iterator<Item = Tag> + '_ {
        self.cells.iter().copied().filter(|cell| *cell != Tag::NONE)
    }

    /// Forgets every tag and keeps the memory, unless it is large and was hardly used.
    pub(super) fn clear(&mut self) {
        if self.homes > Self::ALWAYS_KEPT && self.len < self.homes / 4 {
            *self = Self::default();
        } else {
            self.cells.fill(Tag::NONE);
            self.len = 0;
        }
    }

    fn grow(&mut self, homes: usize) -> Result<(), TryReserveError> {
        let mut grown = Self { cells: Vec::new(), homes, len: self.len };
        extend(&mut grown.cells, homes.saturating_add(Self::SLACK))?;
        let mut next = 0;
        for tag in self.iter() {
            let at = grown.home(tag).max(next);
            if at == grown.cells.len() {
                extend(&mut grown.cells, Self::SLACK)?;
            }
            grown.cells[at] = tag;
            next = at + 1;
        }
        *self = grown;
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
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Tags that crowd: few homes, at the very ends too, and few different words.
    fn tags() -> impl Strategy<Value = Vec<Tag>> {
        let first = prop_oneof![
            Just(0),
            Just(1),
            Just(u32::MAX),
            Just(u32::MAX - 1),
            0x8000_0000..0x8000_0004_u32,
            any::<u32>()
        ];
        vec((first, 0..3_u32, 0..4_u32).prop_map(|(first, second, third)| Tag::new([first, second, third])), 0..150)
    }

    fn set_of(tags: impl IntoIterator<Item = Tag>) -> TagSet {
        let mut set = TagSet::default();
        for tag in tags {
            set.make_room().expect("there is memory");
            set.insert(tag);
        }
        set
    }

    /// Ascending, and no gap between a tag and its home.
    fn is_in_order(set: &TagSet) -> bool {
        let mut after_gap = 0;
        let mut in_place = |(place, cell): (usize, &Tag)| {
            if *cell == Tag::NONE {
                after_gap = place + 1;
                return true;
            }
            (after_gap..=place).contains(&set.home(*cell))
        };
        set.iter().is_sorted() && set.cells.iter().enumerate().all(&mut in_place)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn holds_what_was_put_in_and_nothing_else(added in tags(), asked in tags()) {
            let (mut set, mut model) = (TagSet::default(), BTreeSet::new());
            for tag in added {
                prop_assert_eq!(set.contains(tag), model.contains(&tag));
                if model.insert(tag) {
                    prop_assert!(set.make_room().is_ok());
                    set.insert(tag);
                }
                prop_assert!(set.contains(tag));
                prop_assert_eq!(set.len(), model.len());
            }
            prop_assert!(is_in_order(&set));
            prop_assert!(set.iter().eq(model.iter().copied()));
            for tag in asked {
                prop_assert_eq!(set.contains(tag), model.contains(&tag));
            }
        }

        #[test]
        fn absorbs_another(one in tags(), other in tags()) {
            let one: BTreeSet<_> = one.into_iter().collect();
            let other: BTreeSet<_> = other.into_iter().filter(|tag| !one.contains(tag)).collect();
            let mut set = set_of(one.iter().copied());
            prop_assert_eq!(set.absorb(set_of(other.iter().copied())), 0);
            prop_assert!(set.iter().eq(one.union(&other).copied()));
            prop_assert_eq!(set.len(), one.len() + other.len());
            prop_assert!(is_in_order(&set));
        }

        #[test]
        fn is_empty_after_it_was_cleared(before in tags(), after in tags()) {
            let mut set = set_of(before.iter().copied().collect::<BTreeSet<_>>());
            set.clear();
            prop_assert_eq!(set.len(), 0);
            for tag in before {
                prop_assert!(!set.contains(tag));
            }
            for tag in after.iter().copied().collect::<BTreeSet<_>>() {
                prop_assert!(set.make_room().is_ok());
                set.insert(tag);
            }
            prop_assert!(after.iter().all(|tag| set.contains(*tag)));
            prop_assert!(is_in_order(&set));
        }
    }

    #[test]
    fn a_hash_of_nothing_but_zeros_is_a_tag_too() {
        let mut set = TagSet::default();
        let zero = Tag::new([0; 3]);
        assert!(!set.contains(zero));
        set.make_room().expect("there is memory");
        assert!(!set.contains(zero));
        set.insert(zero);
        assert!(set.contains(zero));
        assert_eq!(set.len(), 1);
    }

    /// Spreads numbers evenly, as a hash would.
    fn spread(number: u32) -> Tag {
        Tag::new([number.wrapping_mul(0x9e37_79b9), number, 7])
    }

    fn filled(count: u32) -> TagSet {
        set_of((0..count).map(spread))
    }

    #[test]
    fn takes_between_fourteen_and_nineteen_bytes_a_tag() {
        for count in [5_000, 6_000, 7_000, 8_000, 10_000, 20_000, 50_000_u32] {
            let bytes_per_tag = filled(count).memory() / count as usize;
            assert!((14..=18).contains(&bytes_per_tag), "{count} tags take {bytes_per_tag} bytes each");
        }
    }

    #[test]
    fn keeps_its_memory_for_the_next_slot() {
        let mut set = filled(10_000);
        let memory = set.memory();
        set.clear();
        assert!(set.has_memory());
        assert_eq!(set.memory(), memory);
        for number in 0..10_000 {
            set.make_room().expect("there is memory");
            set.insert(spread(number));
        }
        assert_eq!(set.memory(), memory);
    }

    #[test]
    fn gives_back_memory_that_was_hardly_used() {
        let mut set = filled(10_000);
        set.clear();
        set.make_room().expect("there is memory");
        set.insert(spread(1));
        set.clear();
        assert_eq!((set.memory(), set.has_memory()), (0, false));
    }

    #[test]
    fn keeps_a_small_memory_though_it_was_hardly_used() {
        let mut set = filled(1);
        set.clear();
        assert!(set.has_memory());
    }

    /// All tags at one home, the last one: every one of them is pushed beyond it.
    #[test]
    fn finds_tags_beyond_the_last_home() {
        let mut set = TagSet::default();
        for number in (0..100).rev() {
            set.make_room().expect("there is memory");
            set.insert(Tag::new([u32::MAX, number, 0]));
            assert!((number..100).all(|number| set.contains(Tag::new([u32::MAX, number, 0]))));
            assert!(!set.contains(Tag::new([u32::MAX, 100, 0])));
        }
        assert_eq!(set.len(), 100);
    }
}
