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
    /// Cells beyond the last home, for tags that are pushed to the right.
    const SLACK: usize = 8;

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, tag: Tag) -> bool {
        let home = self.home(tag);
        let cells = self.cells.get(home..).unwrap_or_default();
        cells.iter().find(|cell| **cell == Tag::NONE || **cell >= tag).is_some_and(|cell| *cell == tag)
    }

    /// True when there is memory to use again.
    pub(super) const fn has_memory(&self) -> bool {
        self.homes > 0
    }

    /// Makes room for one more tag.
    ///
    /// # Errors
    /// There is no memory for it. Nothing has changed.
    pub(super) fn make_room(&mut self) -> Result<(), TryReserveError> {
        if self.len >= Self::most(self.homes) {
            return self.grow(self.homes.saturating_add(self.homes / 4).max(Self::FEWEST_HOMES));
        }
        if self.cells.last().is_some_and(|last| *last != Tag::NONE) {
            return extend(&mut self.cells, Self::SLACK);
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

    /// Adds the tags of `other`; tells how many it had no memory for.
    pub(super) fn absorb(&mut self, other: &Self) -> usize {
        let total = self.len + other.len;
        if total > Self::most(self.homes) && self.grow(total + total / 2).is_err() {
            return other.len;
        }
        let mut left_out = 0;
        for tag in other.iter().filter(|tag| !self.contains(*tag)).collect::<Vec<_>>() {
            match self.make_room() {
                Ok(()) => self.insert(tag),
                Err(_) => left_out += 1,
            }
        }
        left_out
    }

    /// The tags, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Tag> + '_ {
        self.cells.iter().copied().filter(|cell| *cell != Tag::NONE)
    }

    /// Forgets every tag and keeps the memory, unless it was hardly used.
    pub(super) fn clear(&mut self) {
        if self.len < self.homes / 4 {
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
