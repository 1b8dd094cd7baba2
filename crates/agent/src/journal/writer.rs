//! Writing the journal.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use countersign_dpop::time::Clock;

use crate::journal::chain::{self, ChainFault, Head};
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
    head: Head,
    length: u64,
    /// A part of a line could not be cut off again: nothing may follow it.
    torn: bool,
    line: Vec<u8>,
}

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
        let (head, length) = match read(&file, whole) {
            Ok(head) => (head, whole),
            Err((Broken { fault: ChainFault::Torn, .. }, head, length)) => (head, length),
            Err((broken, ..)) => return Err(broken.into()),
        };
        if length < whole {
            file.set_len(length)?;
        }
        file.seek(SeekFrom::End(0))?;
        let journal = Self::on(Box::new(file), head, length, clock);
        if length < whole {
            let bytes = whole - length;
            journal.write(Entry::new(Event::Mended).saying(format!("{bytes} bytes of a line that was not whole")))?;
        }
        Ok(journal)
    }

    /// A journal on `medium`, which is empty.
    pub fn new(medium: Box<dyn Medium>, clock: Arc<dyn Clock>) -> Self {
        Self::on(medium, Head::default(), 0, clock)
    }

    fn on(medium: Box<dyn Medium>, head: Head, length: u64, clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::new(State { medium, head, length, torn: false, line: Vec::new() }), clock }
    }

    /// Writes a line. When this returns an error, nothing of it is in the journal, and what it is about must not
    /// happen.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn write(&self, entry: Entry<'_>) -> Result<(), JournalError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(state.write(entry, self.clock.now().seconds())?)
    }

    /// Writes a line and waits until it is on the disk.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn write_through(&self, entry: Entry<'_>) -> Result<(), JournalError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.write(entry, self.clock.now().seconds())?;
        Ok(state.medium.sync()?)
    }

    /// The end of the journal.
    pub fn head(&self) -> Head {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).head.clone()
    }
}

impl State {
    fn write(&mut self, mut entry: Entry<'_>, now: i64) -> io::Result<()> {
        if self.torn {
            self.medium.cut(self.length)?;
            self.torn = false;
        }
        entry.seq = self.head.lines;
        entry.time = now;
        entry.prev = Cow::Owned(self.head.hash.clone());
        self.line.clear();
        serde_json::to_writer(&mut self.line, &entry)?;
        drop(entry);
        let hash = chain::hash_of(&self.line);
        self.line.push(b'\n');
        if self.line.len() as u64 > chain::MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a line that is too long"));
        }
        if let Err(fault) = self.medium.append(&self.line) {
            self.torn = self.medium.cut(self.length).is_err();
            return Err(fault);
        }
        self.length = self.length.saturating_add(self.line.len() as u64);
        self.head = Head { lines: self.head.lines.saturating_add(1), hash };
        Ok(())
    }
}

/// The head of a file, or what is broken, with the head and the length of what is whole before it.
fn read(file: &File, whole: u64) -> Result<Head, (Broken, Head, u64)> {
    let mut reader = file;
    let failed = |fault: io::Error| (Broken { line: 0, fault: fault.into() }, Head::default(), 0);
    reader.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut head = Head::default();
    let walked = chain::walk(BufReader::new(file), |hash| {
        head = Head { lines: head.lines.saturating_add(1), hash: hash.to_owned() };
    });
    walked.map_err(|broken| {
        let length = length_of_lines(file, head.lines).unwrap_or(whole);
        (broken, head, length)
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
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use countersign_testkit::FakeClock;

    use super::*;
    use crate::journal::verify;

    /// Memory with room for so many bytes.
    struct Small {
        bytes: Arc<Mutex<Vec<u8>>>,
        room: Arc<AtomicU64>,
    }

    impl Medium for Small {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut held = self.bytes.lock().expect("not poisoned");
            let room = usize::try_from(self.room.load(Ordering::SeqCst)).expect("small").saturating_sub(held.len());
            held.extend_from_slice(&bytes[..room.min(bytes.len())]);
            if bytes.len() > room { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.bytes.lock().expect("not poisoned").truncate(usize::try_from(length).expect("small"));
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn clock() -> Arc<dyn Clock> {
        FakeClock::default().shared()
    }

    fn line(note: &str) -> Entry<'_> {
        Entry::new(Event::Signed).of("reader").saying(note)
    }

    #[test]
    fn a_full_disk_leaves_nothing_half_written_and_heals() {
        let (bytes, room) = (Arc::default(), Arc::new(AtomicU64::new(220)));
        let journal = Journal::new(Box::new(Small { bytes: Arc::clone(&bytes), room: Arc::clone(&room) }), clock());
        journal.write(line("fits")).expect("room");
        assert!(matches!(journal.write(line("does not")), Err(JournalError::Io(_))), "no room");
        let head = verify(bytes.lock().expect("not poisoned").as_slice(), None).expect("whole");
        assert_eq!(head, journal.head());
        room.store(10_000, Ordering::SeqCst);
        journal.write(line("again")).expect("room again");
        let text = String::from_utf8(bytes.lock().expect("not poisoned").clone()).expect("text");
        assert_eq!(verify(text.as_bytes(), Some(&head.hash)).expect("whole"), journal.head());
        assert!(!text.contains("does not"));
    }

    #[test]
    fn a_line_that_a_killed_writer_left_is_cut_off_and_said() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal.jsonl");
        let journal = Journal::open(&path, clock()).expect("opens");
        journal.write_through(line("one")).expect("written");
        let head = journal.head();
        assert!(matches!(Journal::open(&path, clock()), Err(JournalError::InUse)));
        drop(journal);
        OpenOptions::new().append(true).open(&path).expect("opens").write_all(b"{\"seq\":1,\"ti").expect("written");
        let journal = Journal::open(&path, clock()).expect("opens");
        let text = std::fs::read_to_string(&path).expect("text");
        assert_eq!(verify(text.as_bytes(), Some(&head.hash)).expect("whole"), journal.head());
        assert_eq!(journal.head().lines, 2);
        assert!(text.contains(r#""event":"mended""#) && text.contains("12 bytes"), "{text}");
    }

    #[test]
    fn edits_moves_and_cuts_are_found() {
        let bytes = Arc::default();
        let medium = Small { bytes: Arc::clone(&bytes), room: Arc::new(AtomicU64::new(100_000)) };
        let journal = Journal::new(Box::new(medium), clock());
        for note in ["one", "two", "three", "four"] {
            journal.write(line(note)).expect("written");
        }
        let head = journal.head().hash;
        let text = String::from_utf8(bytes.lock().expect("not poisoned").clone()).expect("text");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let broken = |lines: &[&str]| {
            let broken = verify(lines.concat().as_bytes(), Some(&head)).expect_err("broken");
            (broken.line, broken.fault)
        };
        let edited = lines[1].replace("two", "zwei");
        assert!(matches!(broken(&[lines[0], &edited, lines[2], lines[3]]), (3, ChainFault::Hash)));
        assert!(matches!(broken(&[lines[0], lines[2], lines[3]]), (2, ChainFault::Number { expected: 1, found: 2 })));
        assert!(matches!(broken(&[lines[0], lines[2], lines[1], lines[3]]), (2, ChainFault::Number { .. })));
        assert!(matches!(broken(&lines[..3]), (3, ChainFault::HeadMissing)), "a cut end");
        let last = lines[3].replace("four", "vier");
        assert!(matches!(broken(&[lines[0], lines[1], lines[2], &last]), (4, ChainFault::HeadMissing)));
        assert!(matches!(broken(&[lines[0], &lines[1][..20]]), (2, ChainFault::Torn)));
        assert!(matches!(broken(&[lines[0], "{\"seq\":1}\n"]), (2, ChainFault::Unreadable)));
        assert_eq!(verify(text.as_bytes(), Some(&head)).expect("whole").lines, 4);
    }
}
