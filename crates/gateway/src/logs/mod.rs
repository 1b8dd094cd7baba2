//! What is written down of requests: verdicts, and accesses beside them.

mod access;
mod decisions;
mod lines;
mod place;

pub use self::access::AccessRecord;
pub(crate) use self::access::RequestIds;
pub use self::decisions::{DecisionLines, DecisionSink, NoDecisions};
pub use self::lines::Lines;
pub use self::place::{LineFormat, LogPlace, Logs};
