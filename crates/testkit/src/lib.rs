//! For tests of Countersign, never a dependency of anything that runs: a clock to turn by hand, fixed keys, the corpus of
//! good and bad input, and the contract suite for replay stores.
#![forbid(unsafe_code)]

mod clock;
pub mod corpus;
pub mod keys;
pub mod replay_contract;

pub use self::clock::FakeClock;
