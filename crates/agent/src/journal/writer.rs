//! Writing the journal.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_dpop::time::Clock;

use crate::journal::chain::{self, ChainFault, Head, LineHash, Tip};
use crate::journal::line::{self, Place};
use crate::journal::{Broken, Entry, Event};

/// Where lines go: a file, or in tests something that fails when told to.
pub trait Medium: Send {
    /// Writes at the end.
    ///
    /// # Errors
    /// The system's; some of the bytes may have been written then.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts everything after `length` bytes.
    ///
    /// # Errors
    /// The system's.
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;
}

/// The journal of one agent. Appends only.
pub struct Journal {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

struct State {
    medium: Box<dyn Medium>,
    /// The last line, whether it was written or waits.
    tip: Tip,
    /// The last line that was written, while some wait.
    written: Tip,
    /// How much was written, in bytes.
    length: u64,
    /// A part of a line could not be cut off again: nothing may follow it.
    torn: bool,
    /// Lines that go out with the next write.
    waiting: Vec<u8>,
    /// Somebody will have them written, whatever comes.
    is_seen_to: bool,
    /// One came since he last did.
    has_news: bool,
}

/// What became of a line that nothing depends on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Noted {
    /// It waits, and nobody sees to it: whoever hears this has to call [`Journal::settle`] until that says true.
    First,
    /// It waits, and somebody sees to it.
    Joined,
}

/// How many bytes wait at most.
const MAX_WAITING: usize = 65_536;

/// Why there is no journal, or no line.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Not as it was written.
    #[error("the journal is broken: {0}")]
    Broken(#[from] Broken),
    /// Another agent writes to it.
    #[error("another agent writes to this journal")]
    InUse,
    /// It cannot be read or written. Nothing is signed until it can be.
    #[error("the journal cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Journal {
    /// Opens the journal at `path`, made for its owner only if it is not there, and makes sure that it is whole. A
    /// last line that is not whole was never acted on: it is cut off, and a line says so.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        file.try_lock().map_err(|fault| match fault {
            TryLockError::WouldBlock => JournalError::InUse,
            TryLockError::Error(fault) => JournalError::Io(fault),
        })?;
        let whole = file.metadata()?.len();
        let (tip, length) = match read(&file, whole) {
            Ok(tip) => (tip, whole),
            Err((Broken { fault: ChainFault::Torn, .. }, tip, length)) => (tip, length),
            Err((broken, ..)) => return Err(broken.into()),
        };
        if length < whole {
            file.set_len(length)?;
        }
        file.seek(SeekFrom::End(0))?;
        let journal = Self::on(Box::new(file), tip, length, clock);
        if length < whole {
            let bytes = whole - length;
            let note = format!("{bytes} bytes of a line that was not whole");
            journal.write(&Entry::new(Event::Mended).saying(note))?;
        }
        Ok(journal)
    }

    /// A journal on `medium`, which is empty.
    pub fn new(medium: Box<dyn Medium>, clock: Arc<dyn Clock>) -> Self {
        Self::on(medium, Tip::default(), 0, clock)
    }

    fn on(medium: Box<dyn Medium>, tip: Tip, length: u64, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            medium,
            tip,
            written: Tip::default(),
            length,
            torn: false,
            waiting: Vec::new(),
            is_seen_to: false,
            has_news: false,
        };
        Self { state: Mutex::new(state), clock }
    }

    /// Writes a line. When this returns an error, nothing of it is in the journal, and what it is about must not
    /// happen.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn write(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let now = self.clock.now().seconds();
        Ok(self.lock().write(entry, now)?)
    }

    /// Notes a line that nothing depends on. Its place in the chain is this one; it is written with the next line, or
    /// when [`Journal::settle`] is called. A killed process loses it if neither has happened.
    pub fn note(&self, entry: &Entry<'_>) -> Noted {
        let now = self.clock.now().seconds();
        self.lock().note(entry, now)
    }

    /// Writes what waits. True when nothing waits and nothing has come since the last time: then nobody has to call
    /// this until a line is the first again.
    pub fn settle(&self) -> bool {
        self.lock().settle()
    }

    /// Writes a line and waits until it is on the disk.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn write_through(&self, entry: &Entry<'_>) -> Result<(), JournalError> {
        let now = self.clock.now().seconds();
        let mut state = self.lock();
        state.write(entry, now)?;
        Ok(state.medium.sync()?)
    }

    /// The end of the journal, as it is written.
    pub fn head(&self) -> Head {
        let mut state = self.lock();
        if state.flush().is_ok() { state.tip.head() } else { state.written.head() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, entry: &Entry<'_>, now: i64) -> io::Result<()> {
        let (waited, before) = (self.waiting.len(), self.tip);
        self.push(entry, now)?;
        self.flush().inspect_err(|_| {
            self.waiting.truncate(waited);
            self.tip = before;
        })
    }

    fn note(&mut self, entry: &Entry<'_>, now: i64) -> Noted {
        // One that is too long is lost: nothing depends on it.
        let _ = self.push(entry, now);
        if self.waiting.len() > MAX_WAITING {
            let _ = self.flush();
        }
        self.has_news = true;
        if std::mem::replace(&mut self.is_seen_to, true) { Noted::Joined } else { Noted::First }
    }

    fn settle(&mut self) -> bool {
        let written = self.flush().is_ok();
        self.is_seen_to = std::mem::take(&mut self.has_news) || !written;
        !self.is_seen_to
    }

    /// Puts a line to those that wait.
    fn push(&mut self, entry: &Entry<'_>, now: i64) -> io::Result<()> {
        let start = self.waiting.len();
        let hash = self.append(entry, now).inspect_err(|_| self.waiting.truncate(start))?;
        if start == 0 {
            self.written = self.tip;
        }
        self.tip = self.tip.after(hash);
        Ok(())
    }

    /// Puts its text there. On an error a part of it may have been.
    fn append(&mut self, entry: &Entry<'_>, now: i64) -> io::Result<LineHash> {
        let start = self.waiting.len();
        let place = Place { seq: self.tip.lines, time: now, prev: self.tip.prev_bytes() };
        line::append(entry, place, &mut self.waiting)?;
        let text = self.waiting.get(start..).unwrap_or_default();
        let fits = (text.len() as u64) < chain::MAX_LINE;
        let hash = fits.then(|| LineHash::of(text)).flatten().ok_or_else(too_long)?;
        self.waiting.push(b'\n');
        Ok(hash)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.torn {
            self.medium.cut(self.length)?;
            self.torn = false;
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        if let Err(fault) = self.medium.append(&self.waiting) {
            self.torn = self.medium.cut(self.length).is_err();
            return Err(fault);
        }
        self.length = self.length.saturating_add(self.waiting.len() as u64);
        self.waiting.clear();
        Ok(())
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a line that is too long")
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// The tip of a file, or what is broken, with the tip and the length of what is whole before it.
fn read(file: &File, whole: u64) -> Result<Tip, (Broken, Tip, u64)> {
    let mut reader = file;
    let failed = |fault: io::Error| (Broken { line: 0, fault: fault.into() }, Tip::default(), 0);
    reader.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut tip = Tip::default();
    let walked = chain::walk(BufReader::new(file), |after| tip = *after);
    walked.map_err(|broken| {
        let length = length_of_lines(file, tip.lines).unwrap_or(whole);
        (broken, tip, length)
    })
}

fn length_of_lines(file: &File, lines: u64) -> io::Result<u64> {
    let mut reader = file;
    reader.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut length, mut line) = (0_u64, Vec::new());
    for _ in 0..lines {
        line.clear();
        let read = io::BufRead::read_until(&mut reader, b'\n', &mut line)?;
        length = length.saturating_add(read as u64);
    }
    Ok(length)
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("head", &self.head()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
