//! For tests of Countersign, never a dependency of anything that runs: a clock to turn by hand, fixed keys, the corpus of
//! good and bad input, the contract suite for replay stores, and real servers started on loopback.
#![forbid(unsafe_code)]

mod clock;
pub mod corpus;
pub mod keys;
pub mod replay_contract;
pub mod service;

pub use self::clock::FakeClock;
