//! One line of a table: as much as a read of memory brings into a cache.

use super::super::wheel::Position;
use super::marks::{Free, Mark, NewMarks};

/// Tags in a line.
pub(super) const CELLS: usize = 5;
/// Bytes of a line.
pub(super) const SIZE: usize = 64;

/// What is kept of a key: 96 bits of its keyed hash.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in super::super) struct Tag {
    pub(in super::super) high: u64,
    pub(in super::super) low: u32,
}

impl Tag {
    /// The line that it is looked for first, of `homes`: as far along as its value is among all values.
    pub(super) fn home(self, homes: usize) -> usize {
        (((self.high >> 32) * homes as u64) >> 32) as usize
    }
}

/// Some cells of a line, or of lines one after the other, from the first to the last.
pub(super) struct Cells(u32);

impl Cells {
    /// Those of which `is_it` says so; without a jump for each, which nobody could foretell.
    fn that(is_it: impl Fn(usize) -> bool) -> Self {
        Self((0..CELLS).fold(0, |cells, cell| cells | u32::from(is_it(cell)) << cell))
    }

    /// These and, counted on from the last of a line, those of the next line.
    pub(super) const fn and_then(&self, Self(next): &Self) -> Self {
        Self(self.0 | *next << CELLS)
    }

    pub(super) fn first(mut self) -> Option<usize> {
        self.next()
    }
}

impl Iterator for Cells {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let first = (self.0 != 0).then(|| self.0.trailing_zeros() as usize);
        self.0 &= self.0.wrapping_sub(1);
        first
    }
}

/// What a line holds: five tags; a mark for each of them; and how many lines further those may lie that are at home
/// here, its reach. A line of zeros holds nothing.
///
/// Read and written word by word where it lies: taken out as a whole, it would cost as much again as its way from memory.
#[derive(Clone, Copy)]
pub(super) struct Line<Bytes>(pub(super) Bytes);

/// Where, in words of four bytes, the lower parts of the tags begin.
const LOW_AT: usize = 2 * CELLS;
/// Where, in words of four bytes, the marks are.
const MARKS_AT: usize = 3 * CELLS;
/// Where, in the word of the marks, the reach begins.
const REACH_AT: usize = Mark::BITS * CELLS;
/// So far or further.
const FAR: u32 = u32::MAX >> REACH_AT;

impl Line<&[u8; SIZE]> {
    /// Whether something much like `tag` is in a cell, free or not.
    #[inline]
    pub(super) fn is_alike(self, tag: Tag) -> bool {
        (0..CELLS).fold(false, |is_alike, cell| is_alike | (self.high(cell) == tag.high))
    }

    /// Whether `tag` is in a cell that is not free.
    pub(super) fn holds(self, tag: Tag, free: Free) -> bool {
        (0..CELLS).any(|cell| self.tag(cell) == tag && !free.contains(self.mark(cell)))
    }

    /// The cells that may be taken.
    #[inline]
    pub(super) fn free_cells(self, free: Free) -> Cells {
        Cells::that(|cell| free.contains(self.mark(cell)))
    }

    /// The cells whose tags are at home elsewhere than at `home`, where this line lies.
    #[inline]
    pub(super) fn strangers(self, home: usize, homes: usize) -> Cells {
        Cells::that(|cell| self.mark(cell) != Mark::EMPTY && self.tag(cell).home(homes) != home)
    }

    /// Whether no cell is taken, not even by what is dead.
    pub(super) fn is_empty(self) -> bool {
        self.marks() << (u32::BITS as usize - REACH_AT) == 0
    }

    /// How many lines further a tag may lie that is at home here.
    pub(super) fn reach(self) -> usize {
        match self.marks() >> REACH_AT {
            FAR => usize::MAX,
            reach => reach as usize,
        }
    }

    /// The tags in cells that are not free, each with its slot.
    #[inline]
    pub(super) fn tags(self, free: Free) -> impl Iterator<Item = (Tag, Position)> {
        Cells::that(|cell| !free.contains(self.mark(cell))).map(move |cell| self.get(cell))
    }

    /// The tag of a cell that is not empty, with its slot.
    #[inline]
    pub(super) fn get(self, cell: usize) -> (Tag, Position) {
        (self.tag(cell), self.mark(cell).slot())
    }

    fn tag(self, cell: usize) -> Tag {
        Tag { high: self.high(cell), low: self.word(LOW_AT + cell) }
    }

    fn high(self, cell: usize) -> u64 {
        u64::from_ne_bytes(self.0.as_chunks().0[cell])
    }

    fn mark(self, cell: usize) -> Mark {
        Mark((self.marks() >> (Mark::BITS * cell) & 0b1111) as u8)
    }

    fn marks(self) -> u32 {
        self.word(MARKS_AT)
    }

    fn word(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.0.as_chunks().0[at])
    }
}

impl Line<&mut [u8; SIZE]> {
    /// Puts `tag` into `cell`.
    #[inline]
    pub(super) fn put(&mut self, cell: usize, tag: Tag, slot: Position) {
        self.0.as_chunks_mut().0[cell] = tag.high.to_ne_bytes();
        self.0.as_chunks_mut().0[LOW_AT + cell] = tag.low.to_ne_bytes();
        self.set_mark(cell, Mark::of(slot));
    }

    /// Leaves `cell` empty.
    pub(super) fn clear(&mut self, cell: usize) {
        self.set_mark(cell, Mark::EMPTY);
    }

    /// Takes note that a tag that is at home here lies `distance` lines further.
    pub(super) fn stretch(&mut self, distance: usize) {
        let marks = self.as_ref().marks();
        let distance = u32::try_from(distance).map_or(FAR, |distance| distance.min(FAR));
        let reach = distance.max(marks >> REACH_AT);
        self.set_marks(marks & !(FAR << REACH_AT) | reach << REACH_AT);
    }

    /// Gives each cell its new mark, and no reach.
    pub(super) fn mark_anew(&mut self, new: &NewMarks) {
        let mark = |cell: usize| new.of(self.as_ref().mark(cell)).at(cell);
        let marks = (0..CELLS).fold(0, |marks, cell| marks | mark(cell));
        self.set_marks(marks);
    }

    fn set_mark(&mut self, cell: usize, mark: Mark) {
        let others = self.as_ref().marks() & !(0b1111 << (Mark::BITS * cell));
        self.set_marks(others | mark.at(cell));
    }

    fn set_marks(&mut self, marks: u32) {
        self.0.as_chunks_mut().0[MARKS_AT] = marks.to_ne_bytes();
    }

    fn as_ref(&self) -> Line<&[u8; SIZE]> {
        Line(self.0)
    }
}

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests {
    use super::super::super::wheel::Positions;
    use super::*;

    const OTHER: Tag = Tag { high: u64::MAX - 1, low: u32::MAX - 2 };

    fn tag(number: u8) -> Tag {
        Tag { high: u64::from(number) << 32 | 7, low: 9 }
    }

    fn slot(number: i64) -> Position {
        Position::of(number)
    }

    fn nothing_dead() -> Free {
        Free::with(Positions::default())
    }

    fn holds(bytes: &[u8; SIZE], tag: Tag, free: Free) -> bool {
        Line(bytes).holds(tag, free)
    }

    /// A line with a tag in each cell, in as many slots from the last one back.
    fn full() -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        Line(&mut bytes).stretch(77);
        for (cell, number) in (0..CELLS).zip(0_u8..) {
            Line(&mut bytes).put(cell, tag(number), slot(14 - i64::from(number)));
        }
        bytes
    }

    #[test]
    fn a_line_of_zeros_holds_nothing() {
        let bytes = [0; SIZE];
        assert!(!holds(&bytes, Tag { high: 0, low: 0 }, nothing_dead()));
        assert_eq!((Line(&bytes).free_cells(nothing_dead()).first(), Line(&bytes).reach()), (Some(0), 0));
        assert_eq!(Line(&bytes).tags(nothing_dead()).count(), 0);
        assert_eq!(Line(&bytes).strangers(3, 10).count(), 0);
        assert!(Line(&bytes).is_empty());
    }

    #[test]
    fn cells_do_not_touch_each_other() {
        for changed in 0..CELLS {
            let mut bytes = full();
            Line(&mut bytes).put(changed, OTHER, slot(0));
            for (cell, number) in (0..CELLS).zip(0_u8..) {
                let expected =
                    if cell == changed { (OTHER, slot(0)) } else { (tag(number), slot(14 - i64::from(number))) };
                assert_eq!(Line(&bytes).get(cell), expected);
                assert!(holds(&bytes, expected.0, nothing_dead()));
            }
            Line(&mut bytes).clear(changed);
            assert_eq!(Line(&bytes).free_cells(nothing_dead()).first(), Some(changed));
            assert_eq!((Line(&bytes).tags(nothing_dead()).count(), Line(&bytes).reach()), (CELLS - 1, 77));
            assert!(!holds(&bytes, OTHER, nothing_dead()));
        }
    }

    #[test]
    fn every_bit_of_a_tag_counts() {
        let bytes = full();
        let Tag { high, low } = tag(2);
        for bit in 0..96 {
            let other =
                if bit < 64 { Tag { high: high ^ 1 << bit, low } } else { Tag { high, low: low ^ 1 << (bit - 64) } };
            let is_another = (0..5).any(|number| tag(number) == other);
            assert_eq!(holds(&bytes, other, nothing_dead()), is_another, "bit {bit}");
        }
    }

    #[test]
    fn what_is_dead_is_free_and_not_there() {
        let bytes = full();
        assert_eq!(Line(&bytes).free_cells(nothing_dead()).first(), None);
        for (cell, number) in (0..CELLS).zip(0_u8..) {
            let dead = Free::with([slot(14 - i64::from(number))].into_iter().collect());
            assert_eq!(Line(&bytes).free_cells(dead).first(), Some(cell));
            assert!(!holds(&bytes, tag(number), dead));
            assert_eq!(Line(&bytes).tags(dead).count(), CELLS - 1);
        }
    }

    /// One with a reach only is: it holds nothing itself.
    #[test]
    fn is_empty_without_a_tag() {
        for cell in 0..CELLS {
            let mut bytes = [0; SIZE];
            Line(&mut bytes).stretch(4_095);
            assert!(Line(&bytes).is_empty());
            Line(&mut bytes).put(cell, tag(1), slot(0));
            assert!(!Line(&bytes).is_empty(), "cell {cell}");
        }
    }

    #[test]
    fn marks_anew_all_but_some_slots() {
        let mut bytes = full();
        Line(&mut bytes).mark_anew(&NewMarks::of_all_but([slot(13), slot(10)].into_iter().collect()));
        let tags: Vec<_> = Line(&bytes).tags(nothing_dead()).collect();
        assert_eq!(tags, [(tag(0), slot(14)), (tag(2), slot(12)), (tag(3), slot(11))]);
    }

    /// A cell's own number and, in the next line, five more.
    #[test]
    fn free_cells_of_two_lines_come_one_after_the_other() {
        let (bytes, zeros) = (full(), [0; SIZE]);
        let free = |number: i64| Line(&bytes).free_cells(Free::with([slot(14 - number)].into_iter().collect()));
        assert_eq!(free(3).and_then(&free(1)).collect::<Vec<_>>(), [3, 6]);
        let none = Line(&bytes).free_cells(nothing_dead());
        assert_eq!(none.and_then(&Line(&zeros).free_cells(nothing_dead())).collect::<Vec<_>>(), [5, 6, 7, 8, 9]);
        assert_eq!(none.and_then(&none).first(), None);
    }

    /// What need not be looked at closely: nothing in the line has the same upper part.
    #[test]
    fn what_is_alike_has_the_same_upper_part() {
        let bytes = full();
        for number in 0..5 {
            let Tag { high, low } = tag(number);
            assert!(Line(&bytes).is_alike(Tag { high, low: low + 1 }));
            assert!((0..64).all(|bit| Line(&bytes).is_alike(Tag { high: high ^ 1 << bit, low })
                == (0..5).any(|other| tag(other).high == high ^ 1 << bit)));
        }
    }

    #[test]
    fn the_reach_never_shrinks_and_ends_at_the_end() {
        let mut bytes = full();
        let mut stretched = |distance| {
            Line(&mut bytes).stretch(distance);
            Line(&bytes).reach()
        };
        let distances = [1, 77, 78, 4_094, 3, 4_095, 1];
        assert_eq!(distances.map(&mut stretched), [77, 77, 78, 4_094, 4_094, usize::MAX, usize::MAX]);
        assert_eq!(stretched(usize::MAX), usize::MAX);
        assert_eq!(Line(&bytes).tags(nothing_dead()).count(), CELLS);
    }

    #[test]
    fn marks_anew() {
        let (mut bytes, mut marks) = (full(), NewMarks::NONE);
        marks.keep(slot(14), slot(0));
        marks.keep(slot(12), slot(12));
        Line(&mut bytes).mark_anew(&marks);
        assert_eq!(Line(&bytes).reach(), 0);
        let tags: Vec<_> = Line(&bytes).tags(nothing_dead()).collect();
        assert_eq!(tags, [(tag(0), slot(0)), (tag(2), slot(12))]);
    }

    #[test]
    fn knows_who_is_at_home() {
        let quarters = |number: u64| Tag { high: number << 62, low: 1 };
        assert_eq!([0, 1, 2, 3].map(|number| quarters(number).home(8)), [0, 2, 4, 6]);
        assert_eq!([Tag { high: u64::MAX, low: 0 }, quarters(0)].map(|tag| tag.home(5)), [4, 0]);
        let mut bytes = [0; SIZE];
        for (cell, number) in [(0, 1), (2, 3), (3, 1), (4, 0)] {
            Line(&mut bytes).put(cell, quarters(number), slot(5));
        }
        assert_eq!(Line(&bytes).strangers(2, 8).collect::<Vec<_>>(), [2, 4]);
    }
}
