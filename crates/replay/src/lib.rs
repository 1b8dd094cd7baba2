//! Replay stores for DPoP proofs (RFC 9449 §11.1).
//!
//! [`MemoryReplayStore`] is for exactly one process. It implements [`countersign_dpop::replay::ReplayStore`].
#![forbid(unsafe_code)]

mod memory;

pub use self::memory::{MemoryReplayConfig, MemoryReplayError, MemoryReplayStats, MemoryReplayStore};
