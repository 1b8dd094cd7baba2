//! What the marks of cells say.

use super::super::wheel::{Position, Positions};

/// The state of a cell, in four bits: the position of its tag's slot and one, or zero where no tag has been.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark(pub(super) u8);

impl Mark {
    pub(super) const BITS: usize = 4;
    const COUNT: usize = 1 << Self::BITS;
    pub(super) const EMPTY: Self = Self(0);

    pub(super) fn of(slot: Position) -> Self {
        Self(slot.number() + 1)
    }

    pub(super) fn slot(self) -> Position {
        Position::of(i64::from(self.0) - 1)
    }

    /// This mark as that of `cell`, in the word of all marks.
    pub(super) fn at(self, cell: usize) -> u32 {
        u32::from(self.0) << (Self::BITS * cell)
    }
}

/// Marks of cells that may be taken: nothing has been there, or it is dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free(u32);

impl Free {
    pub(super) fn with(dead: Positions) -> Self {
        Self(u32::from(dead.bits()) << 1 | 1)
    }

    pub(super) fn contains(self, mark: Mark) -> bool {
        self.0 >> mark.0 & 1 != 0
    }
}

/// What becomes of each mark when a table is put in order.
pub(super) struct NewMarks([Mark; Mark::COUNT]);

impl NewMarks {
    /// All cells are empty, but for those of slots that [`NewMarks::keep`] is told of.
    pub(super) const NONE: Self = Self([Mark::EMPTY; Mark::COUNT]);

    /// Everything stays where it is but what is in `slots`: their cells are empty.
    pub(super) fn of_all_but(slots: Positions) -> Self {
        let mut marks = Self::NONE;
        Position::all().filter(|slot| !slots.contains(*slot)).for_each(|slot| marks.keep(slot, slot));
        marks
    }

    /// The new mark of a cell that has this one.
    pub(super) fn of(&self, mark: Mark) -> Mark {
        self.0[usize::from(mark.0)]
    }

    /// What is in the slot `from` is in `to` from now on.
    pub(super) fn keep(&mut self, from: Position, to: Position) {
        self.0[usize::from(Mark::of(from).0)] = Mark::of(to);
    }
}
