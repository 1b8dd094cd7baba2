//! The table of a shard: a set of tags, each with the slot that it is dropped with.

mod line;
mod lines;
mod marks;
mod pages;
#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests;

use prefetch_index::prefetch_index;

use self::line::{CELLS, Line, SIZE};
use self::lines::Lines;
use self::marks::{Free, NewMarks};
use super::wheel::{COUNT, Position, Positions};

pub(super) use self::line::Tag;
pub(super) use self::lines::NoMemory;

/// Where a tag that is not in the table is to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vacancy {
    tag: Tag,
    line: usize,
    cell: usize,
}

/// What a search found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// The tag is there.
    Tag,
    /// It is not, and may take this cell, if there is one in the lines that were looked at.
    Nothing(Option<Vacancy>),
}

/// Open addressing by lines of [`CELLS`] tags: a tag lies in the first line, from its home on, that had room for it.
/// Each line knows how far from home its tags lie, so a search seldom goes beyond the two lines that it reads at once.
///
/// What is dropped with its slot stays where it is, dead, until another tag takes its cell or the slot's position is
/// wanted again.
#[derive(Debug, Default)]
pub(super) struct TagTable {
    lines: Lines,
    /// Lines that are homes: the first ones.
    homes: usize,
    /// Live tags.
    len: usize,
    /// Live tags in each slot.
    live: [u32; COUNT],
    /// Slots whose tags are dead.
    dead: Positions,
}

impl TagTable {
    /// The homes of the smallest table.
    const FEWEST_HOMES: usize = 4;
    /// The most homes that are kept whether they are used or not.
    const ALWAYS_KEPT: usize = 16;
    /// A table of so many homes, 6 kB, is no longer small.
    const SMALL: usize = 96;
    /// Lines beyond the last home, for tags that find no room there.
    const SLACK: usize = 2;

    /// Asks memory for where `tag` is or would be, and does not wait for the answer. Three lines: when most homes
    /// are full, one tag in six goes to the third.
    pub(super) fn fetch(&self, tag: Tag) {
        let home = tag.home(self.homes);
        prefetch_index(self.lines.all(), home);
        prefetch_index(self.lines.all(), home + 1);
        prefetch_index(self.lines.all(), home + 2);
    }

    /// Looks for `tag`; where it is not there, also for a cell that it may take.
    pub(super) fn find(&self, tag: Tag) -> Found {
        let (home, free) = (tag.home(self.homes), self.free());
        let Some([first, second, ..]) = self.lines.all().get(home..) else {
            return Found::Nothing(None);
        };
        let (first, second) = (Line(first), Line(second));
        // Both lines at once, and their free cells too: a jump that depends on them, nobody could foretell.
        let is_alike = first.is_alike(tag) | second.is_alike(tag);
        if (is_alike || first.reach() > 1) && self.contains(tag) {
            return Found::Tag;
        }
        let cells = first.free_cells(free).and_then(&second.free_cells(free));
        Found::Nothing(cells.first().map(|cell| Vacancy { tag, line: home + cell / CELLS, cell: cell % CELLS }))
    }

    /// Whether `tag` is there, at home or as far from it as its home's line tells.
    fn contains(&self, tag: Tag) -> bool {
        let (free, mut lines) = (self.free(), self.lines.all().iter().skip(tag.home(self.homes)).map(Line));
        let Some(home) = lines.next() else { return false };
        home.holds(tag, free) || lines.take(home.reach()).any(|line| line.holds(tag, free))
    }

    /// Makes room in `slot` for `tag`, which is not there; `found` is what [`TagTable::find`] found for it. Tells where it
    /// is to go.
    ///
    /// # Errors
    /// There is no memory for it. What the table holds has not changed.
    pub(super) fn make_room(&mut self, tag: Tag, slot: Position, found: Option<Vacancy>) -> Result<Vacancy, NoMemory> {
        if self.len >= Self::most(self.homes) {
            self.grow()?;
        } else if self.dead.contains(slot) {
            self.rearrange(Some);
        } else if let Some(vacancy) = found {
            return Ok(vacancy);
        }
        self.vacancy(tag)
    }

    /// Puts a tag where [`TagTable::make_room`] said, with nothing changed since.
    pub(super) fn insert(&mut self, vacancy: Vacancy, slot: Position) {
        self.put(vacancy, slot);
        self.len += 1;
        self.live[slot.index()] += 1;
    }

    /// Drops the tags of `slots`. Tells how many there were.
    pub(super) fn drop_slots(&mut self, slots: Positions) -> usize {
        let before = self.len;
        for slot in slots.iter() {
            self.len -= std::mem::take(&mut self.live[slot.index()]) as usize;
            self.dead.insert(slot);
        }
        let dropped = before - self.len;
        self.shrink();
        dropped
    }

    /// Keeps each tag in the slot that `place` tells for its slot, or drops it where there is none. Tells how many
    /// were dropped. Whatever is dead is cleared away.
    pub(super) fn rearrange(&mut self, place: impl Fn(Position) -> Option<Position>) -> usize {
        let (before, live) = (self.len, std::mem::take(&mut self.live));
        (self.len, self.dead) = (0, Positions::default());
        let mut marks = NewMarks::NONE;
        for (slot, live) in Position::all().zip(live).filter(|(_, live)| *live > 0) {
            if let Some(place) = place(slot) {
                marks.keep(slot, place);
                self.live[place.index()] += live;
                self.len += live as usize;
            }
        }
        for at in 0..self.lines.all().len() {
            self.put_in_order(at, &marks);
        }
        self.shrink();
        before - self.len
    }

    /// Marks the line `at` anew and moves its tags closer to their homes, all lines before it being in order.
    fn put_in_order(&mut self, at: usize, marks: &NewMarks) {
        self.line_mut(at).mark_anew(marks);
        self.move_strangers(at);
    }

    /// Moves the tags of the line `at` that are at home elsewhere to the first room from their homes on.
    fn move_strangers(&mut self, at: usize) {
        for cell in self.line(at).strangers(at, self.homes) {
            let (tag, slot) = self.line(at).get(cell);
            self.line_mut(at).clear(cell);
            // At the latest where it was.
            let vacancy = self.room(tag).unwrap_or(Vacancy { tag, line: at, cell });
            self.put(vacancy, slot);
        }
    }

    /// Bytes of memory that it has taken.
    pub(super) fn memory(&self) -> usize {
        self.lines.all().len() * SIZE
    }

    fn put(&mut self, vacancy: Vacancy, slot: Position) {
        let Vacancy { tag, line, cell } = vacancy;
        let (home, lines) = (tag.home(self.homes), self.lines.all_mut());
        Line(&mut lines[line]).put(cell, tag, slot);
        Line(&mut lines[home]).stretch(line - home);
    }

    /// The first free cell from the home of `tag` on.
    fn room(&self, tag: Tag) -> Option<Vacancy> {
        let (home, free) = (tag.home(self.homes), self.free());
        let mut lines = self.lines.all().iter().enumerate().skip(home);
        let room = |(line, bytes)| Line(bytes).free_cells(free).first().map(|cell| Vacancy { tag, line, cell });
        lines.find_map(room)
    }

    fn line(&self, at: usize) -> Line<&[u8; SIZE]> {
        Line(&self.lines.all()[at])
    }

    fn line_mut(&mut self, at: usize) -> Line<&mut [u8; SIZE]> {
        Line(&mut self.lines.all_mut()[at])
    }

    /// Where `tag` has room, if need be beyond all others.
    fn vacancy(&mut self, tag: Tag) -> Result<Vacancy, NoMemory> {
        if let Some(vacancy) = self.room(tag) {
            return Ok(vacancy);
        }
        let line = self.lines.all().len();
        self.lines.extend(Self::SLACK)?;
        Ok(Vacancy { tag, line, cell: 0 })
    }

    fn free(&self) -> Free {
        Free::with(self.dead)
    }

    /// Takes more homes, where it lies if there is room, so that it is never there twice.
    fn grow(&mut self) -> Result<(), NoMemory> {
        let more = self.growth();
        let homes = self.homes.saturating_add(more);
        // As much further as the homes' end moves, the last tag may have to go.
        let lines = self.used().saturating_add(more).max(homes.saturating_add(Self::SLACK));
        if self.lines.lengthen(lines) {
            self.spread(homes);
            return Ok(());
        }
        self.resize(homes)
    }

    /// Lines up to the last one that holds something.
    fn used(&self) -> usize {
        self.lines.all().iter().rposition(|line| !Line(line).is_empty()).map_or(0, |last| last + 1)
    }

    /// Moves every tag to where it lies among so many homes, more than there were. From the last one on: none has to go
    /// further than the homes' end moves, so what lies behind a tag has made room for it when its turn comes.
    fn spread(&mut self, homes: usize) {
        let marks = NewMarks::of_all_but(self.dead);
        self.lines.all_mut().iter_mut().for_each(|line| Line(line).mark_anew(&marks));
        (self.homes, self.dead) = (homes, Positions::default());
        for at in (0..self.lines.all().len()).rev() {
            self.move_strangers(at);
        }
    }

    /// By how many homes it grows: a small table by half, for the sake of time, a large one by little, for the sake of
    /// memory.
    fn growth(&self) -> usize {
        let share = if self.homes < Self::SMALL { self.homes / 2 } else { self.homes / 8 };
        share.max(Self::FEWEST_HOMES)
    }

    /// The most live tags for so many homes: at five in six, one home in five has had to send some further.
    const fn most(homes: usize) -> usize {
        homes * CELLS * 5 / 6
    }

    /// Gives back memory that is hardly used.
    fn shrink(&mut self) {
        if self.homes > Self::ALWAYS_KEPT && self.len < self.homes * CELLS / 4 {
            // Without memory for a smaller table, the larger one stays.
            let _ = self.resize(self.len * 2 / CELLS);
        }
    }

    /// Takes another table with so many homes.
    fn resize(&mut self, homes: usize) -> Result<(), NoMemory> {
        let lines = Lines::zeros(homes.saturating_add(Self::SLACK))?;
        let (free, mut resized) = (self.free(), Self { lines, homes, ..Self::default() });
        for line in self.lines.all() {
            for (tag, slot) in Line(line).tags(free) {
                let vacancy = resized.vacancy(tag)?;
                resized.insert(vacancy, slot);
            }
        }
        *self = resized;
        Ok(())
    }
}
