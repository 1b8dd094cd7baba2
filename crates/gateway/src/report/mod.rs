//! What the decision log says of the move from Bearer to DPoP: who is how far, and who would break at which stage.
//!
//! Reads line after line in bounded memory, so a log may be of any size.

mod fate;
mod row;
mod tally;

pub use self::fate::{Fate, fate};
pub use self::row::{MAX_LINE, Outcome, Row, Scheme};
pub use self::tally::{ClientReport, CodeCount, MAX_CLIENTS, Offsets, Report, StageBreaks, StageReadiness, Tally};
