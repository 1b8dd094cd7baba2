//! The replay store that many nodes share, in Redis or Valkey.
//!
//! # Why nothing is accepted twice
//!
//! All of it is judged in one script, so in one moment of the server, by the server's clock: its time, moved by what
//! the node that began the epoch saw it differ from its own (`off`), and never going back within an epoch. A record
//! lives until that time has passed the entry's last second and the clock difference allowed (30 s) and two seconds
//! more. An entry is taken only while that time has not passed its last second and the 30 s, so an earlier record of
//! it would still be there: whatever the clocks of nodes show. Where a node finds a proof acceptable that is past by
//! that reckoning, the clocks disagree by more than allowed; then a new epoch begins by the node's clock.
//!
//! An epoch belongs to one memory: the server's `run_id` and `master_replid`. Nothing is recorded over a connection
//! that has not been greeted, and a greeting compares the two. So a server that was restarted, emptied, restored or
//! failed over to begins a new epoch before it takes anything. Its floor is the highest time that any node has shown,
//! and how far proofs may lie ahead, and the 30 s.
//!
//! What this cannot see: writes that one server lost while it stayed master over open connections all the time. Redis
//! does that only when told to (`DEBUG`, an eviction policy, which is refused, or somebody who deletes keys).

mod config;
mod connect;
mod keeper;
mod link;
mod reply;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use countersign_dpop::replay::{Epoch, Recorded, Recording, ReplayEntry, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{Clock, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

pub use self::config::{RedisReplayConfig, RedisReplayError, RedisServer, RedisServerError};
pub use self::shared::{LATENCY_BOUNDS, RedisReplayFault, RedisReplayStats};

use self::link::{Judgement, Link};
use self::shared::Shared;

/// The longest that a request waits for the store, in all.
const ANSWER: Duration = Duration::from_millis(200);
/// How often a judgement is asked for again after the epoch was renewed.
const TRIES: usize = 3;

/// A replay store that many nodes share, in Redis or Valkey: one round trip for each request, in which the epoch and
/// its floor are read too.
///
/// Opened within a tokio runtime. A server that is away is looked for in the background, and until it is back every
/// answer is [`ReplayStoreError::Unavailable`].
pub struct RedisReplayStore {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
}

impl RedisReplayStore {
    /// Begins to look for the server. To be called within a tokio runtime.
    ///
    /// # Errors
    /// No randomness.
    pub fn open(config: RedisReplayConfig, clock: Arc<dyn Clock>) -> Result<Self, RedisReplayError> {
        let shared = Arc::new(Shared::new(config, clock)?);
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&shared)));
        Ok(Self { shared, keeper })
    }

    /// Waits until the server was reached, at most as long as `within`.
    ///
    /// # Errors
    /// Why it could not be used until then.
    pub async fn reached(&self, within: Duration) -> Result<(), RedisReplayFault> {
        self.shared.reached(within).await
    }

    /// Why the store cannot be used at present; `None` when it can.
    pub fn fault(&self) -> Option<RedisReplayFault> {
        self.shared.fault()
    }

    /// Remembers for `window` too; to be called before a verifier begins to use it. A window that reaches further
    /// than every earlier one of any node begins a new epoch. Nothing is ever narrowed.
    pub fn widen(&self, window: countersign_dpop::time::Window) {
        self.shared.widen(window);
    }

    /// What is known of the store, for metrics.
    pub fn stats(&self) -> RedisReplayStats {
        self.shared.stats()
    }

    async fn record_in_time(&self, entry: &ReplayEntry, now: Timestamp) -> Result<Recorded, ReplayStoreError> {
        // A request may have waited for long since its reading of the clock.
        let fresh = now.max(self.shared.clock.now());
        if entry.not_after < fresh {
            return Ok(Recorded::NonceDemanded);
        }
        let begun = Instant::now();
        let answer = timeout(ANSWER, self.judge(entry, fresh)).await.unwrap_or_else(|_| {
            self.shared.doubt();
            Err(unavailable(&format!("no answer within {} ms", ANSWER.as_millis())))
        });
        self.shared.answered(begun.elapsed(), answer.is_ok());
        answer
    }

    async fn judge(&self, entry: &ReplayEntry, now: Timestamp) -> Result<Recorded, ReplayStoreError> {
        for _ in 0..TRIES {
            let link = self.shared.link().map_err(|fault| unavailable(&fault.to_string()))?;
            match self.ask(&link, entry, now).await? {
                Judgement::First => return Ok(Recorded::First),
                Judgement::Replayed => return Ok(Recorded::Replayed),
                Judgement::QuotaExhausted => {
                    let quota = self.shared.config.quota.unwrap_or_default().into();
                    return Err(ReplayStoreError::QuotaExhausted { quota });
                }
                Judgement::TooLong => return Err(unavailable("the entry would have to be kept for too long")),
                Judgement::NonceDemanded => {
                    // The verifier knew of no such epoch, or it would not have come to this: learn of it now.
                    self.greet(&link, None).await?;
                    return Ok(Recorded::NonceDemanded);
                }
                Judgement::Unknown => self.greet(&link, None).await?,
                Judgement::TimeDiffers { epoch } => self.greet(&link, Some(epoch)).await?,
            }
        }
        Err(unavailable("the store's memory changes all the time"))
    }

    async fn ask(&self, link: &Arc<Link>, entry: &ReplayEntry, now: Timestamp) -> Result<Judgement, ReplayStoreError> {
        let quota = self.shared.config.quota.zip(entry.quota);
        link.record(entry, now, quota).await.map_err(|error| self.failed(link, &error))
    }

    async fn greet(&self, link: &Arc<Link>, ended: Option<Vec<u8>>) -> Result<(), ReplayStoreError> {
        let greeting = link.greet(&self.shared, ended).await.map_err(|fault| {
            let text = fault.to_string();
            self.shared.lose(link, fault);
            unavailable(&text)
        })?;
        self.shared.learn(&greeting);
        Ok(())
    }

    /// What a failure means. The connection is given up, but for what the server says of one command only.
    fn failed(&self, link: &Arc<Link>, error: &redis::RedisError) -> ReplayStoreError {
        let reason = connect::describe(error);
        if !link::is_about_memory(error) {
            self.shared.lose(link, RedisReplayFault::Away { reason: reason.clone() });
        }
        unavailable(&reason)
    }
}

impl ReplayStore for RedisReplayStore {
    /// The epoch as it was last heard of; [`ReplayStore::record`] judges by the one that the store has.
    fn epoch(&self, _now: Timestamp) -> Epoch {
        self.shared.epoch()
    }

    fn record<'a>(&'a self, entry: &'a ReplayEntry, now: Timestamp) -> Recording<'a> {
        Recording::pending(self.record_in_time(entry, now))
    }
}

impl fmt::Debug for RedisReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplayStore")
            .field("server", &self.shared.config.server)
            .field("fault", &self.fault())
            .finish_non_exhaustive()
    }
}

impl Drop for RedisReplayStore {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

fn unavailable(reason: &str) -> ReplayStoreError {
    ReplayStoreError::Unavailable { reason: reason.to_owned() }
}
