//! What the journal promises: nothing half written, nothing lost, nothing changed unseen.

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
    journal.write(&line("fits")).expect("room");
    assert!(matches!(journal.write(&line("does not")), Err(JournalError::Io(_))), "no room");
    let head = verify(bytes.lock().expect("not poisoned").as_slice(), None).expect("whole");
    assert_eq!(head, journal.head());
    room.store(10_000, Ordering::SeqCst);
    journal.write(&line("again")).expect("room again");
    let text = String::from_utf8(bytes.lock().expect("not poisoned").clone()).expect("text");
    assert_eq!(verify(text.as_bytes(), Some(&head.hash)).expect("whole"), journal.head());
    assert!(!text.contains("does not"));
}

#[test]
fn what_nothing_depends_on_is_written_with_the_next_line_or_when_it_is_seen_to() {
    let (bytes, room) = (Arc::default(), Arc::new(AtomicU64::new(100_000)));
    let journal = Journal::new(Box::new(Small { bytes: Arc::clone(&bytes), room: Arc::clone(&room) }), clock());
    let lines = || io::BufRead::lines(bytes.lock().expect("not poisoned").as_slice()).count();
    assert_eq!((journal.note(&line("one")), journal.note(&line("two"))), (Noted::First, Noted::Joined));
    assert_eq!(lines(), 0);
    journal.write(&line("three")).expect("room");
    assert_eq!(lines(), 3, "in one write with what waited");
    assert_eq!((journal.settle(), journal.settle()), (false, true), "looked after once more than needed");
    assert_eq!(journal.note(&line("four")), Noted::First);
    assert_eq!((journal.settle(), lines()), (false, 4));
    journal.note(&line("five"));
    assert_eq!((journal.head().lines, lines()), (5, 5), "a head is one that is written");

    // A full disk: what waits stays in line, and what depends on being written is refused.
    let head = journal.head();
    room.store(0, Ordering::SeqCst);
    journal.note(&line("six"));
    assert!(journal.write(&line("refused")).is_err() && !journal.settle(), "somebody has to go on seeing to it");
    assert_eq!((journal.head(), lines()), (head, 5));
    room.store(100_000, Ordering::SeqCst);
    journal.write(&line("seven")).expect("room again");
    journal.note(&line("eight"));
    let head = journal.state.lock().expect("not poisoned").tip.head();
    drop(journal);
    let text = String::from_utf8(bytes.lock().expect("not poisoned").clone()).expect("text");
    assert_eq!(verify(text.as_bytes(), None).expect("whole"), head, "the end writes what waits");
    assert_eq!((head.lines, text.contains("refused")), (8, false));
}

#[test]
fn a_line_that_a_killed_writer_left_is_cut_off_and_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("journal.jsonl");
    let journal = Journal::open(&path, clock()).expect("opens");
    journal.write_through(&line("one")).expect("written");
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
        journal.write(&line(note)).expect("written");
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
