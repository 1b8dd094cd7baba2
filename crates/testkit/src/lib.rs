//! For tests of Countersign, never a dependency of anything that runs: a clock to turn by hand, fixed keys, the corpus of
//! good and bad input, the contract suites for replay stores, for key stores and for the storage of the authorization server, and real servers started on loopback.
#![forbid(unsafe_code)]

mod clock;
pub mod corpus;
#[cfg(feature = "client")]
pub mod key_store_contract;
pub mod keys;
pub mod replay_contract;
pub mod service;
#[cfg(feature = "authserver")]
pub mod storage_contract;

pub use self::clock::FakeClock;
