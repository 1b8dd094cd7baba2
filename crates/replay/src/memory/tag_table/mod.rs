//! The table of a shard: a set of tags, each with the slot that it is dropped with.

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests;

use std::collections::TryReserveError;

use super::wheel::{COUNT, Position, Positions};

/// What is kept of a key: 92 bits of its keyed hash. The four lowest bits are left for the slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tag([u32; 3]);

impl Tag {
    /// No tag: an empty cell.
    const NONE: Self = Self([0; 3]);
    const SLOT_BITS: u32 = 0b1111;

    /// Takes the 92 highest of 96 bits of a keyed hash.
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

    /// Whether it comes before `other`. The first words nearly always differ.
    fn is_before(self, other: Self) -> bool {
        let ([first, second, third], [other_first, other_second, other_third]) = (self.0, other.0);
        if first == other_first { (second, third) < (other_second, other_third) } else { first < other_first }
    }
}

/// Where a tag that is not in the table belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacancy {
    tag: Tag,
    at: usize,
}

/// Open addressing in one vector without wrapping around: a tag's home is proportional to its value, so the tags lie
/// in ascending order with gaps between them. A search ends at the first gap or larger tag; growing, and clearing
/// away what has been dropped, is one pass from left to right.
///
/// What is dropped with its slot stays where it is, dead, until another tag takes its cell, the slot's position is
/// wanted again, or gaps become few.
#[derive(Debug, Default)]
pub(super) struct TagTable {
    cells: Vec<Tag>,
    homes: usize,
    /// Cells that are no gaps.
    taken: usize,
    /// Live tags in each slot.
    live: [u32; COUNT],
    /// Slots whose tags are dead.
    dead: Positions,
}

impl TagTable {
    /// The homes of the smallest table.
    const FEWEST_HOMES: usize = 16;
    /// The most homes that are kept whether they are used or not.
    const ALWAYS_KEPT: usize = 96;
    /// A table of so many homes, 6 kB, is no longer small.
    const SMALL: usize = 512;
    /// Cells beyond the last home, for tags that are pushed to the right.
    const SLACK: usize = 8;

    /// Where `tag` is to go; `None` when it is there.
    pub(super) fn vacancy(&self, tag: Tag) -> Option<Vacancy> {
        let home = self.home(tag);
        let cells = self.cells.get(home..).unwrap_or_default();
        let smaller = cells.iter().take_while(|cell| **cell != Tag::NONE && cell.is_before(tag)).count();
        let is_there = cells.get(smaller).is_some_and(|cell| cell.without_slot() == tag && !self.is_dead(*cell));
        (!is_there).then_some(Vacancy { tag, at: home + smaller })
    }

    /// Makes room in `slot` for the tag of `vacancy`. Tells where the tag is to go now.
    ///
    /// # Errors
    /// There is no memory for it. What the table holds has not changed.
    pub(super) fn make_room(&mut self, vacancy: Vacancy, slot: Position) -> Result<Vacancy, TryReserveError> {
        let has_moved = self.make_gaps(slot)?;
        // The last cell stays empty, so that there is one to push others into.
        if self.cells.last().is_some_and(|last| *last != Tag::NONE) {
            extend(&mut self.cells, Self::SLACK)?;
        }
        // It was not there before, so it is not there now.
        Ok(if has_moved { self.vacancy(vacancy.tag).unwrap_or(vacancy) } else { vacancy })
    }

    /// Sees to it that there are gaps, and that no tag in `slot` is dead. Tells whether tags have moved.
    fn make_gaps(&mut self, slot: Position) -> Result<bool, TryReserveError> {
        let is_full = self.taken >= Self::most_taken(self.homes);
        if is_full && self.len() >= Self::most(self.homes) {
            self.grow(self.homes.saturating_add(self.growth()))?;
        } else if is_full || self.dead.contains(slot) {
            self.rearrange(Some);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// By how many homes it grows: a small table by half, for the sake of time, a large one by little, for the sake of
    /// memory.
    fn growth(&self) -> usize {
        let share = if self.homes < Self::SMALL { self.homes / 2 } else { self.homes / 8 };
        share.max(Self::FEWEST_HOMES)
    }

    /// Puts a tag where [`TagTable::make_room`] said, with nothing changed since.
    pub(super) fn insert(&mut self, vacancy: Vacancy, slot: Position) {
        let Vacancy { tag, at } = vacancy;
        let free = |cell: &Tag| *cell == Tag::NONE || self.is_dead(*cell);
        let larger = self.cells[at..].iter().take_while(|cell| !free(cell)).count();
        self.taken += usize::from(self.cells[at + larger] == Tag::NONE);
        self.cells.copy_within(at..at + larger, at + 1);
        self.cells[at] = tag.with_slot(slot);
        self.live[slot.index()] += 1;
    }

    /// Drops the tags of `slots`. Tells how many there were.
    pub(super) fn drop_slots(&mut self, slots: Positions) -> usize {
        let before = self.len();
        for slot in slots.iter() {
            self.live[slot.index()] = 0;
            self.dead.insert(slot);
        }
        self.shrink();
        before - self.len()
    }

    /// Keeps each tag in the slot that `place` tells for its slot, or drops it where there is none. Tells how many
    /// were dropped.
    pub(super) fn rearrange(&mut self, place: impl Fn(Position) -> Option<Position>) -> usize {
        let (before, dead) = (self.len(), std::mem::take(&mut self.dead));
        let mut next = 0;
        (self.taken, self.live) = (0, [0; COUNT]);
        for at in 0..self.cells.len() {
            let cell = std::mem::replace(&mut self.cells[at], Tag::NONE);
            if cell == Tag::NONE || dead.contains(cell.slot()) {
                continue;
            }
            if let Some(slot) = place(cell.slot()) {
                // Never further right than it was: what lay before it takes no more room than it did.
                next = self.home(cell).max(next);
                self.cells[next] = cell.without_slot().with_slot(slot);
                self.taken += 1;
                self.live[slot.index()] += 1;
                next += 1;
            }
        }
        self.shrink();
        before - self.len()
    }

    /// Bytes of memory that it has taken.
    pub(super) fn memory(&self) -> usize {
        self.cells.capacity() * size_of::<Tag>()
    }

    /// Live tags.
    fn len(&self) -> usize {
        self.live.iter().sum::<u32>() as usize
    }

    fn is_dead(&self, cell: Tag) -> bool {
        self.dead.contains(cell.slot())
    }

    fn tags(&self) -> impl Iterator<Item = Tag> + '_ {
        self.cells.iter().copied().filter(|cell| *cell != Tag::NONE && !self.is_dead(*cell))
    }

    /// Spreads the tags over more homes in the same memory, made longer: the system can do that without a copy, and
    /// nothing is left behind that is too short for the next table.
    fn grow(&mut self, homes: usize) -> Result<(), TryReserveError> {
        let end = self.tags().fold(0, |next, tag| home(tag, homes).max(next) + 1);
        let before = self.cells.len();
        extend(&mut self.cells, (end.max(homes) + Self::SLACK).saturating_sub(before))?;
        self.homes = homes;
        // The live ones to the end, in their order; since they all find room, none goes further right from there.
        let mut next = self.cells.len();
        for at in (0..before).rev() {
            let cell = std::mem::replace(&mut self.cells[at], Tag::NONE);
            if cell != Tag::NONE && !self.is_dead(cell) {
                next -= 1;
                self.cells[next] = cell;
            }
        }
        self.rearrange(Some);
        Ok(())
    }

    /// Gives back memory that is hardly used.
    fn shrink(&mut self) {
        let len = self.len();
        if self.homes > Self::ALWAYS_KEPT && len < self.homes / 4 {
            // Without memory for a smaller table, the larger one stays.
            let _ = self.resize(len * 2);
        }
    }

    fn resize(&mut self, homes: usize) -> Result<(), TryReserveError> {
        let dead = Positions::default();
        let mut resized = Self { cells: Vec::new(), homes, taken: self.len(), live: self.live, dead };
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

    /// The most live tags for so many homes: at seven in eight, a search looks at about four cells.
    const fn most(homes: usize) -> usize {
        homes - homes / 8
    }

    /// The most tags, dead ones too.
    const fn most_taken(homes: usize) -> usize {
        homes - homes / 16
    }

    fn home(&self, tag: Tag) -> usize {
        home(tag, self.homes)
    }
}

fn home(tag: Tag, homes: usize) -> usize {
    ((u64::from(tag.0[0]) * homes as u64) >> 32) as usize
}

fn extend(cells: &mut Vec<Tag>, by: usize) -> Result<(), TryReserveError> {
    cells.try_reserve_exact(by)?;
    cells.resize(cells.len() + by, Tag::NONE);
    Ok(())
}
