//! Replay stores for DPoP proofs (RFC 9449 §11.1): what makes a captured proof useless.
//!
//! [`MemoryReplayStore`] is for exactly one process; with the feature `redis`, `RedisReplayStore` is for many nodes. Both
//! implement [`ReplayStore`], whose contract the suite `countersign_testkit::replay_contract` states. The rest of this
//! page is about the store in memory.
//!
//! ```
//! use countersign_dpop::replay::{Recorded, ReplayEntry, ReplayKey, ReplayStore};
//! use countersign_dpop::time::{NumericDate, Timestamp, Window};
//! use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp::from_seconds(1_700_000_000);
//! let store = MemoryReplayStore::new(MemoryReplayConfig::default(), now)?;
//! # let key = ReplayKey::from_bytes([1; ReplayKey::LENGTH]);
//! let iat = NumericDate::from_seconds(now.seconds());
//! let mut entry = ReplayEntry { key, iat, not_after: Window::RFC.not_after(iat), nonce_epoch: None, quota: None };
//!
//! // The process has just started: an earlier one may have accepted this proof.
//! assert_eq!(store.record(&entry, now).await?, Recorded::NonceDemanded);
//! entry.nonce_epoch = Some(store.epoch(now).id);
//! assert_eq!(store.record(&entry, now).await?, Recorded::First);
//! assert_eq!(store.record(&entry, now).await?, Recorded::Replayed);
//! # Ok(())
//! # }
//! # let mut example = std::pin::pin!(example());
//! # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! # assert!(matches!(std::future::Future::poll(example.as_mut(), &mut context), std::task::Poll::Ready(Ok(()))));
//! ```
//!
//! A store that is full refuses: a live entry is never dropped for a new one. One party can fill its own share only:
//!
//! ```
//! use countersign_dpop::replay::{QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError};
//! use countersign_dpop::time::{NumericDate, Timestamp, Window};
//! use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp::from_seconds(1_700_000_000);
//! let config = MemoryReplayConfig { capacity: 20, quota_percent: 10, ..MemoryReplayConfig::default() };
//! let store = MemoryReplayStore::new(config, now)?;
//! let not_after = Window::RFC.not_after(NumericDate::from_seconds(now.seconds()));
//! let proof = |number, client| ReplayEntry {
//!     key: ReplayKey::from_bytes([number; ReplayKey::LENGTH]),
//!     iat: NumericDate::from_seconds(now.seconds()),
//!     not_after,
//!     nonce_epoch: Some(store.epoch(now).id),
//!     quota: Some(QuotaKey::new(&["https://idp.example", client])),
//! };
//!
//! assert_eq!(store.record(&proof(1, "loud"), now).await?, Recorded::First);
//! assert_eq!(store.record(&proof(2, "loud"), now).await?, Recorded::First);
//! assert_eq!(store.record(&proof(3, "loud"), now).await, Err(ReplayStoreError::QuotaExhausted { quota: 2 }));
//! assert_eq!(store.record(&proof(3, "quiet"), now).await?, Recorded::First);
//! assert_eq!(store.record(&proof(1, "loud"), now).await?, Recorded::Replayed);
//! # Ok(())
//! # }
//! # let mut example = std::pin::pin!(example());
//! # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! # assert!(matches!(std::future::Future::poll(example.as_mut(), &mut context), std::task::Poll::Ready(Ok(()))));
//! ```
//!
//! # Why nothing is accepted twice
//!
//! *Within an epoch.* Each shard of the store holds every entry that fell to it and whose last second has not passed by
//! the highest time seen, and a second more. An entry is taken only if its own last second has not passed by that time
//! either, so its earlier record, had there been one, would still be there. The clock of the caller does not come into
//! it: a clock that goes back makes the store refuse more, never less.
//!
//! *Across epochs.* Whenever memory may be incomplete (the process starts, the clock went back, the window grew) an
//! epoch begins with a floor: the highest time ever seen, plus the furthest that a proof may lie ahead. What was
//! accepted before has an `iat` at or before the floor, and is taken only with a nonce of the new epoch. Nobody had
//! such a nonce before the epoch began, and every shard judges by the new epoch before the first is given out.
//!
//! What this cannot see: a wall clock that restarts *behind* the previous run of the process (or a restart with a
//! smaller `max_ahead` than the previous run's) leaves proofs from beyond the new floor. Only a nonce that is required
//! of every proof covers that.
//!
//! # What the clock may do
//!
//! * Go forward: passed entries are dropped, slot by slot.
//! * Go back by up to a second: nothing happens; entries are kept a second longer for this.
//! * Go back further, as seen by [`ReplayStore::epoch`]: a new epoch. Entries are kept where the wheel still reaches
//!   them. Clients are asked for a nonce until the clock has passed the floor.
//!
//! Only `epoch` takes an old reading for a clock that went back. [`ReplayStore::record`] comes later in a request, which
//! may have waited for an issuer meanwhile; there, an old reading only means that the entry is judged by the highest
//! time, and answered with [`NonceDemanded`] if its record may have been dropped.
//!
//! # Arithmetic
//!
//! A key has 96 bytes. SipHash-1-3 with a secret of the process makes 128 bits of them: 32 choose the shard, the 96
//! others are kept. So nobody outside can make keys that collide or crowd one place, and with *n* live entries an
//! honest proof is wrongly refused with a probability of at most *n* · 2^-96, less what the shard tells apart: with ten
//! million entries in 64 shards, 2^-78. A replay is never missed: equal keys have equal hashes.
//!
//! Each shard has one table of lines of 64 bytes, as much as one read of memory brings: five entries, four bits for each
//! that tell the slot of its last second, and how many lines further those lie for which there was no room. A slot is an
//! eleventh of the window's length. When it has passed, all that is in it is dead from one moment to the next; the cells
//! are taken by whatever comes, and one pass over a table clears away what is left before the slot's bits are used again.
//! Tables grow by an eighth, one after the other, where they lie as long as there is room behind them, and shrink when
//! they are hardly used; large ones have pages of their own, which go back to the system. So memory has no spikes: at ten
//! million acceptable proofs it is 17 to 20 bytes for each, at its peak too. The example `ten_million` measures it. What
//! the quotas count takes 32 KiB for each of up to 16 stripes, however many parties there are.
//!
//! Where an entry lies is known as soon as its key is hashed and its shard is locked, so memory is asked for it then, by
//! a hint that nobody waits for, and judged is what can be judged without it. A processor that looks here and there in
//! two hundred megabytes spends as long on finding a page as on the memory itself; the tables' large parts therefore lie
//! in large pages, where the system has them.
//!
//! # Concurrency
//!
//! One lock per shard covers everything that a judgement rests on; a new epoch takes them all. Which epoch there is, is
//! read without a lock. The scenarios that matter are run under a model checker, with a cfg of their own:
//!
//! ```text
//! RUSTFLAGS='--cfg countersign_model' cargo test -p countersign-replay --lib --target-dir target/model model
//! ```
//!
//! [`ReplayStore`]: countersign_dpop::replay::ReplayStore
//! [`ReplayStore::epoch`]: countersign_dpop::replay::ReplayStore::epoch
//! [`ReplayStore::record`]: countersign_dpop::replay::ReplayStore::record
//! [`NonceDemanded`]: countersign_dpop::replay::Recorded::NonceDemanded
#![forbid(unsafe_code)]

mod memory;
#[cfg(feature = "redis")]
mod redis;

pub use self::memory::{MemoryReplayConfig, MemoryReplayError, MemoryReplayStats, MemoryReplayStore};
#[cfg(feature = "redis")]
pub use self::redis::{
    LATENCY_BOUNDS, RedisReplayConfig, RedisReplayError, RedisReplayFault, RedisReplayStats, RedisReplayStore,
    RedisServer, RedisServerError,
};
