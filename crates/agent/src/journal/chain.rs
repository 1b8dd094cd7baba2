//! Whether a journal is whole.

use std::fmt;
use std::io::{self, BufRead};

use aws_lc_rs::digest::{SHA256, digest};
use countersign_dpop::jose::encode_base64url_array;

use crate::journal::Entry;

/// What the first line carries in place of a hash.
pub(crate) const GENESIS: &str = "countersign-journal-1";
/// The longest line that is read, in bytes.
pub(crate) const MAX_LINE: u64 = 65_536;

/// The end of a journal: how many lines, and the hash of the last. Noted elsewhere it shows later that nothing
/// before it was changed or cut off.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// How many lines.
    pub lines: u64,
    /// The hash of the last, or what stands in its place.
    pub hash: String,
}

/// The same as it is kept while lines are written: whole, and in no memory of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tip {
    /// How many lines.
    pub(crate) lines: u64,
    /// The hash of the last; `None` before the first.
    pub(crate) hash: Option<LineHash>,
}

/// The hash of a line in base64url.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineHash([u8; 43]);

impl LineHash {
    /// The hash of a line, its end not included.
    pub(crate) fn of(line: &[u8]) -> Option<Self> {
        encode_base64url_array(digest(&SHA256, line).as_ref()).map(Self)
    }

    fn as_str(&self) -> &str {
        // It is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Tip {
    /// What the next line says of the one before.
    pub(crate) fn prev(&self) -> &str {
        self.hash.as_ref().map_or(GENESIS, LineHash::as_str)
    }

    /// The same as bytes.
    pub(crate) fn prev_bytes(&self) -> &[u8] {
        self.hash.as_ref().map_or(GENESIS.as_bytes(), |hash| &hash.0)
    }

    /// The tip after one more line.
    pub(crate) const fn after(self, hash: LineHash) -> Self {
        Self { lines: self.lines.saturating_add(1), hash: Some(hash) }
    }

    pub(crate) fn head(&self) -> Head {
        Head { lines: self.lines, hash: self.prev().to_owned() }
    }
}

impl Default for Head {
    fn default() -> Self {
        Self { lines: 0, hash: GENESIS.to_owned() }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hash)
    }
}

/// A journal that is not as it was written.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Broken {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum ChainFault {
    /// Its number is not the next one: lines were taken out, added or moved.
    #[error("it has the number {found}, where {expected} comes next: lines were taken out, added or moved")]
    Number {
        /// The number that comes next.
        expected: u64,
        /// The number that it has.
        found: u64,
    },
    /// The line before it was changed.
    #[error("the line before it is not the one that it was written after: one of the two was changed")]
    Hash,
    /// No line of a journal.
    #[error("it is no line of a journal")]
    Unreadable,
    /// The last line is not whole: the writer was stopped in the middle of it, or the end was cut off.
    #[error("it is not whole: its writer was stopped in the middle of it, or the end was cut off")]
    Torn,
    /// The head that was noted is none of the journal's.
    #[error("the journal ends here, and the hash that was noted is not in it: its end was cut off, or it was changed")]
    HeadMissing,
    /// It could not be read.
    #[error("it could not be read: {0}")]
    Io(#[from] io::Error),
}

/// Reads a journal from its first line to its last. With `noted`, the hash of some line noted before, that line has
/// to be there too.
///
/// # Errors
/// [`Broken`], with the first line that is wrong.
pub fn verify(journal: impl BufRead, noted: Option<&str>) -> Result<Head, Broken> {
    let mut found = noted.is_none_or(|noted| noted == GENESIS);
    let tip = walk(journal, |tip| found |= noted == Some(tip.prev()))?;
    if found { Ok(tip.head()) } else { Err(Broken { line: tip.lines, fault: ChainFault::HeadMissing }) }
}

/// The same, telling where it is after each line.
pub(crate) fn walk(mut journal: impl BufRead, mut told: impl FnMut(&Tip)) -> Result<Tip, Broken> {
    let mut tip = Tip::default();
    let mut line = Vec::new();
    loop {
        let at = |fault| Broken { line: tip.lines.saturating_add(1), fault };
        line.clear();
        let read = read_line(&mut journal, &mut line).map_err(|fault| at(fault.into()))?;
        if read == 0 {
            return Ok(tip);
        }
        let Some(text) = line.strip_suffix(b"\n") else {
            let fault = if read as u64 >= MAX_LINE { ChainFault::Unreadable } else { ChainFault::Torn };
            return Err(at(fault));
        };
        let entry: Entry<'_> = serde_json::from_slice(text).map_err(|_| at(ChainFault::Unreadable))?;
        if entry.seq != tip.lines {
            return Err(at(ChainFault::Number { expected: tip.lines, found: entry.seq }));
        }
        if entry.prev != tip.prev() {
            return Err(at(ChainFault::Hash));
        }
        tip = tip.after(LineHash::of(text).ok_or_else(|| at(ChainFault::Unreadable))?);
        told(&tip);
    }
}

fn read_line(journal: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let mut bounded = io::Read::take(journal, MAX_LINE);
    bounded.read_until(b'\n', line)
}
