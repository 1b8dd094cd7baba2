//! For tests of Countersign, never a dependency of anything that runs: a clock to turn by hand.
#![forbid(unsafe_code)]

mod clock;
pub mod corpus;

pub use self::clock::FakeClock;
