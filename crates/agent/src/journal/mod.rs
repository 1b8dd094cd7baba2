//! The journal: one JSON line for everything the agent signs, refuses, is told. Each line carries the hash of the one
//! before it, so that an edit, a line taken out or moved, and, against a head noted elsewhere, a cut end are found.
//! No line holds a secret: no token, proof, nonce, key, query, body or argument.

mod chain;
mod entry;
mod line;
mod report;
mod writer;

pub use self::chain::{Broken, ChainFault, Head, verify};
pub use self::entry::{Entry, Event};
pub use self::report::{Report, Row, Unusual, report, time_in_utc};
pub use self::writer::{Journal, JournalError, Medium, Noted};
