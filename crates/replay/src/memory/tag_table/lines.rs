//! Where the lines of a table lie: those of a small one on the heap, those of a large one in pages of their own, which
//! begin with a line's beginning, cost nothing but themselves, and go back to the system at once.

use std::fmt;

use super::line::SIZE;
use super::pages::Pages;

/// From so many bytes on, lines have pages of their own.
const OWN_PAGES: usize = 32 * 1_024;

/// There is no memory for what was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct NoMemory;

pub(super) enum Lines {
    Heap(Vec<u8>),
    Pages(Pages),
}

impl Lines {
    /// At least `count` lines of zeros; more where a page would stay unused otherwise.
    pub(super) fn zeros(count: usize) -> Result<Self, NoMemory> {
        let bytes = count.checked_mul(SIZE).ok_or(NoMemory)?;
        if bytes >= OWN_PAGES {
            return Pages::zeros(bytes).map(Self::Pages);
        }
        let mut heap = Vec::new();
        heap.try_reserve_exact(bytes).map_err(|_| NoMemory)?;
        heap.resize(bytes, 0);
        Ok(Self::Heap(heap))
    }

    /// Adds lines of zeros at the end, so that there are at least `count`, if there is room for them where these lie.
    /// Tells whether there was.
    pub(super) fn lengthen(&mut self, count: usize) -> bool {
        match self {
            Self::Heap(_) => false,
            Self::Pages(pages) => count.checked_mul(SIZE).is_some_and(|bytes| pages.lengthen(bytes)),
        }
    }

    /// Adds at least `count` lines of zeros at the end, if need be elsewhere.
    pub(super) fn extend(&mut self, count: usize) -> Result<(), NoMemory> {
        let count = self.all().len().saturating_add(count);
        if self.lengthen(count) {
            return Ok(());
        }
        let mut longer = Self::zeros(count)?;
        let lines = longer.all_mut().iter_mut().zip(self.all());
        lines.for_each(|(line, old)| *line = *old);
        *self = longer;
        Ok(())
    }

    pub(super) fn all(&self) -> &[[u8; SIZE]] {
        let bytes: &[u8] = match self {
            Self::Heap(bytes) => bytes,
            Self::Pages(pages) => pages.bytes(),
        };
        bytes.as_chunks().0
    }

    pub(super) fn all_mut(&mut self) -> &mut [[u8; SIZE]] {
        let bytes: &mut [u8] = match self {
            Self::Heap(bytes) => bytes,
            Self::Pages(pages) => pages.bytes_mut(),
        };
        bytes.as_chunks_mut().0
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("count", &self.all().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests {
    use super::*;

    #[test]
    fn large_ones_have_whole_pages_of_their_own() {
        let lines = |count| {
            let lines = Lines::zeros(count).expect("there is memory");
            assert!(lines.all().iter().all(|line| *line == [0; SIZE]));
            (matches!(lines, Lines::Pages(_)), lines.all().len())
        };
        assert_eq!([0, 1, 511].map(lines), [(false, 0), (false, 1), (false, 511)]);
        assert_eq!([512, 513, 576, 577].map(lines), [(true, 512), (true, 576), (true, 576), (true, 640)]);
    }

    #[test]
    fn become_longer_and_keep_what_they_hold() {
        let mut lines = Lines::zeros(3).expect("there is memory");
        let fill =
            |lines: &mut Lines| lines.all_mut().iter_mut().zip(1..).for_each(|(line, number)| *line = [number; 64]);
        for count in [2, 100, 500] {
            fill(&mut lines);
            let before = lines.all().to_vec();
            lines.extend(count).expect("there is memory");
            assert!(lines.all().len() >= before.len() + count);
            assert_eq!(lines.all()[..before.len()], before);
            assert!(lines.all()[before.len()..].iter().all(|line| *line == [0; SIZE]));
        }
    }

    /// As long as there is room behind them, large ones stay where they are; small ones have none.
    #[test]
    fn large_ones_become_longer_where_they_are() {
        let stay = |count| {
            let mut lines = Lines::zeros(count).expect("there is memory");
            let before = lines.all().as_ptr();
            let has_room = lines.lengthen(count + 1);
            lines.extend(1).expect("there is memory");
            (has_room, lines.all().as_ptr() == before, lines.all().len() > count)
        };
        assert_eq!([511, 512, 640].map(stay), [(false, false, true), (true, true, true), (true, true, true)]);
    }

    #[test]
    fn say_when_there_is_no_memory() {
        for count in [usize::MAX, usize::MAX / SIZE, usize::MAX / SIZE / 2] {
            assert_eq!(Lines::zeros(count).err(), Some(NoMemory), "{count}");
        }
        let mut lines = Lines::zeros(1).expect("there is memory");
        assert_eq!((lines.extend(usize::MAX), lines.all().len()), (Err(NoMemory), 1));
    }
}
