//! Memory for the lines of a large table, by the page and straight from the system.

use std::io;
use std::ops::Range;

#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::{MmapMut, MmapOptions};

use super::lines::NoMemory;

const PAGE: usize = 4_096;
/// A large page of the system: whoever looks here and there in many of them is spared most of the search for where a
/// page lies, which takes as long as memory itself.
const LARGE_PAGE: usize = 2 * 1_024 * 1_024;

/// Some bytes in use, with room behind them that is only spoken for: it takes addresses, and no memory.
pub(super) struct Pages {
    map: MmapMut,
    /// Where the bytes in use lie in the map. Where there are enough of them, they begin with a large page.
    used: Range<usize>,
}

impl Pages {
    /// At least `bytes` bytes of zeros, whole pages of them, with room for as many more where the system gives it.
    pub(super) fn zeros(bytes: usize) -> Result<Self, NoMemory> {
        // What is only spoken for is not to count as promised.
        Self::of(bytes, |length| MmapOptions::new().len(length).no_reserve_swap().map_anon())
    }

    fn of(bytes: usize, map: impl Fn(usize) -> io::Result<MmapMut>) -> Result<Self, NoMemory> {
        let bytes = bytes.checked_next_multiple_of(PAGE).ok_or(NoMemory)?;
        let room = bytes.checked_mul(2).ok_or(NoMemory)?;
        // What grows beyond a large page moves, and then begins with one from the start.
        let (room, before) = if bytes < LARGE_PAGE { (room.min(LARGE_PAGE), 0) } else { (room, LARGE_PAGE) };
        let length = room.checked_add(before).ok_or(NoMemory)?;
        // Where addresses are counted like memory, room may be refused where memory is not.
        let map = map(length).or_else(|_| map(bytes)).map_err(|_| NoMemory)?;
        let begin = if map.len() < length || before == 0 { 0 } else { map.as_ptr().addr().wrapping_neg() % LARGE_PAGE };
        let mut pages = Self { map, used: begin..begin };
        pages.refuse_large_pages();
        if pages.lengthen(bytes) { Ok(pages) } else { Err(NoMemory) }
    }

    /// Takes more bytes of zeros into use, so that there are at least `bytes`. Tells whether there was room for them.
    pub(super) fn lengthen(&mut self, bytes: usize) -> bool {
        let Some(bytes) = bytes.checked_next_multiple_of(PAGE) else { return false };
        let end = self.used.start.saturating_add(bytes);
        if end > self.map.len() || !self.populate(end) {
            return false;
        }
        self.used.end = self.used.end.max(end);
        true
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.map[self.used.clone()]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.map[self.used.clone()]
    }

    /// A system that gives large pages unasked would give one for the first byte of it that is used, and take memory for
    /// what is only spoken for.
    #[cfg(target_os = "linux")]
    fn refuse_large_pages(&self) {
        // Where there are none, none are refused.
        let _ = self.map.advise(Advice::NoHugePage);
    }

    #[cfg(not(target_os = "linux"))]
    const fn refuse_large_pages(&self) {}

    /// Asks the system for what is not in use yet up to `end`, at once, which is cheaper than page by page. Tells whether
    /// it has that much; a system that cannot be asked gives it page by page, as it is used.
    #[cfg(target_os = "linux")]
    fn populate(&self, end: usize) -> bool {
        // Those that are in use as a whole: half a large page would be memory that nobody uses.
        let large = (end - self.used.start) / LARGE_PAGE * LARGE_PAGE;
        if large > 0 {
            let _ = self.map.advise_range(Advice::HugePage, self.used.start, large);
        }
        let more = end.saturating_sub(self.used.end);
        match self.map.advise_range(Advice::PopulateWrite, self.used.end, more) {
            Ok(()) => true,
            Err(fault) => fault.kind() != io::ErrorKind::OutOfMemory,
        }
    }

    #[cfg(not(target_os = "linux"))]
    const fn populate(&self, _end: usize) -> bool {
        true
    }
}

#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests {
    use super::*;

    fn begin(pages: &Pages) -> usize {
        pages.bytes().as_ptr().addr()
    }

    #[test]
    fn become_longer_where_they_are_as_long_as_there_is_room() {
        let mut pages = Pages::zeros(10 * PAGE - 1).expect("there is memory");
        let first = begin(&pages);
        pages.bytes_mut().fill(7);
        let lengths = [10 * PAGE, 3, 10 * PAGE + 1, 20 * PAGE - 2, 20 * PAGE + 1, usize::MAX];
        let lengthened = lengths.map(|bytes| (pages.lengthen(bytes), pages.bytes().len() / PAGE));
        assert_eq!(lengthened, [(true, 10), (true, 10), (true, 11), (true, 20), (false, 20), (false, 20)]);
        assert_eq!(begin(&pages), first);
        let (old, new) = pages.bytes().split_at(10 * PAGE);
        assert!(old.iter().all(|byte| *byte == 7) && new.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn begin_with_a_large_page_where_they_fill_one() {
        for bytes in [LARGE_PAGE, LARGE_PAGE + PAGE, 3 * LARGE_PAGE + PAGE] {
            let mut pages = Pages::zeros(bytes).expect("there is memory");
            assert_eq!((begin(&pages) % LARGE_PAGE, pages.bytes().len()), (0, bytes));
            assert!(pages.lengthen(2 * bytes) && !pages.lengthen(2 * bytes + LARGE_PAGE + PAGE));
            pages.bytes_mut().fill(1);
        }
        let small = |bytes| {
            let pages = Pages::zeros(bytes).expect("there is memory");
            (pages.used.start, pages.map.len() / PAGE)
        };
        assert_eq!([LARGE_PAGE / 4, LARGE_PAGE - PAGE].map(small), [(0, 256), (0, 512)]);
    }

    /// What the system has been told of the memory at this address; `None` where it does not say or has no large pages.
    #[cfg(target_os = "linux")]
    fn told(address: usize) -> Option<Vec<String>> {
        use std::fs;

        fs::metadata("/sys/kernel/mm/transparent_hugepage").ok()?;
        let maps = fs::read_to_string("/proc/self/smaps").ok()?;
        let holds_it = |line: &&str| {
            let ends = line.split(' ').next().and_then(|range| range.split_once('-'));
            let ends = ends.map(|(from, to)| [from, to].map(|end| usize::from_str_radix(end, 16)));
            matches!(ends, Some([Ok(from), Ok(to)]) if (from..to).contains(&address))
        };
        let flags = maps.lines().skip_while(|line| !holds_it(line)).find_map(|line| line.strip_prefix("VmFlags:"))?;
        Some(flags.split_whitespace().map(str::to_owned).collect())
    }

    /// Large pages are for what fills them, and for nothing else.
    #[cfg(target_os = "linux")]
    #[test]
    fn ask_for_large_pages_only_where_they_fill_them() {
        let mut pages = Pages::zeros(LARGE_PAGE + PAGE).expect("there is memory");
        let parts = |pages: &Pages| {
            let part = |part: usize| {
                let flags = told(begin(pages) + part * LARGE_PAGE)?;
                Some(["hg", "nh"].map(|flag| flags.iter().any(|other| other == flag)))
            };
            [part(0), part(1)]
        };
        let (asked, refused) = (Some([true, false]), Some([false, true]));
        if let before @ [Some(_), _] = parts(&pages) {
            assert_eq!(before, [asked, refused]);
            assert!(pages.lengthen(2 * LARGE_PAGE));
            assert_eq!(parts(&pages), [asked, asked]);
        }
    }

    #[test]
    fn do_without_room_where_the_system_gives_none() {
        for bytes in [10 * PAGE, 3 * LARGE_PAGE] {
            let at_most = |length| {
                let map = || MmapOptions::new().len(length).map_anon();
                if length <= bytes { map() } else { Err(io::ErrorKind::OutOfMemory.into()) }
            };
            let mut pages = Pages::of(bytes, at_most).expect("there is memory");
            pages.bytes_mut().fill(7);
            assert_eq!((pages.bytes().len(), pages.lengthen(bytes + 1)), (bytes, false));
            assert_eq!(Pages::of(bytes + 1, at_most).err(), Some(NoMemory));
        }
    }

    #[test]
    fn say_when_there_is_no_memory() {
        for bytes in [usize::MAX, usize::MAX / 2, usize::MAX / 4] {
            assert_eq!(Pages::zeros(bytes).err(), Some(NoMemory), "{bytes}");
        }
    }
}
