//! What requests and the keeper share.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::{Clock, Timestamp, Window};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::config::{RedisReplayConfig, RedisReplayError};
use super::link::Link;
use super::reply::Greeting;

/// Why a store in Redis cannot be used at present.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedisReplayFault {
    /// It does not answer, or not as it should.
    #[error("{reason}")]
    Away {
        /// What went wrong; no secret.
        reason: String,
    },
    /// It would drop live entries to make room.
    #[error("its maxmemory-policy is {policy}; only noeviction never forgets a proof that could be sent again")]
    Evicts {
        /// What it does instead.
        policy: String,
    },
}

/// Upper bounds of the answer times' classes.
pub const LATENCY_BOUNDS: [Duration; 9] = [
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
];

/// The state of a store in Redis as one node knows it, for metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RedisReplayStats {
    /// Whether it can be used.
    pub available: bool,
    /// Epochs that this node has heard of.
    pub epochs_seen: u64,
    /// The epoch last heard of.
    pub epoch: Epoch,
    /// Seconds that this node's clock is ahead of the server's; 0 before the first contact.
    pub clock_difference: i64,
    /// Questions that got no answer.
    pub failures: u64,
    /// Answers by the time that they took: one class for each of [`LATENCY_BOUNDS`], and one for longer.
    pub latency: [u64; LATENCY_BOUNDS.len() + 1],
    /// The sum of these times.
    pub latency_sum: Duration,
}

/// How far proofs may lie ahead and how old they may be, over all windows so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) max_ahead: i64,
    pub(super) max_age: i64,
}

pub(super) struct Shared {
    pub(super) config: RedisReplayConfig,
    pub(super) clock: Arc<dyn Clock>,
    link: watch::Sender<Result<Arc<Link>, RedisReplayFault>>,
    epoch: RwLock<Epoch>,
    reach: Mutex<Reach>,
    /// The keeper is to look after the link at once.
    pub(super) kick: Notify,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    epochs: AtomicU64,
    difference: AtomicI64,
    failures: AtomicU64,
    latency: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    latency_micros: AtomicU64,
}

/// A difference of clocks that is worth a warning: two nodes that differ by this from the server, one way and the
/// other, differ by what is allowed between them.
const WARN_DIFFERENCE: i64 = super::link::CLOCK_DIFFERENCE / 2;

impl Shared {
    pub(super) fn new(config: RedisReplayConfig, clock: Arc<dyn Clock>) -> Result<Self, RedisReplayError> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| RedisReplayError::NoRandomness)?;
        // Until the server was heard, no nonce is demanded: nothing is accepted either.
        let epoch = Epoch { id: EpochId::from_bytes(id), floor: Timestamp::MIN };
        let reach = Reach { max_ahead: config.window.max_ahead(), max_age: config.window.max_age() };
        let fault = RedisReplayFault::Away { reason: "not reached yet".to_owned() };
        Ok(Self {
            config,
            clock,
            link: watch::Sender::new(Err(fault)),
            epoch: RwLock::new(epoch),
            reach: Mutex::new(reach),
            kick: Notify::new(),
            counts: Counts::default(),
        })
    }

    pub(super) fn link(&self) -> Result<Arc<Link>, RedisReplayFault> {
        self.link.borrow().clone()
    }

    pub(super) fn fault(&self) -> Option<RedisReplayFault> {
        self.link.borrow().as_ref().err().cloned()
    }

    pub(super) async fn reached(&self, within: Duration) -> Result<(), RedisReplayFault> {
        let mut watched = self.link.subscribe();
        let there = |link: &Result<_, RedisReplayFault>| !matches!(link, Err(RedisReplayFault::Away { .. }));
        // In vain or not, the state says it.
        let _ = timeout(within, watched.wait_for(there)).await;
        self.fault().map_or(Ok(()), Err)
    }

    pub(super) fn epoch(&self) -> Epoch {
        *self.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reach(&self) -> Reach {
        *self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn widen(&self, window: Window) {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        reach.max_ahead = reach.max_ahead.max(window.max_ahead());
        reach.max_age = reach.max_age.max(window.max_age());
        drop(reach);
        self.doubt();
    }

    /// The server is there.
    pub(super) fn establish(&self, link: Link, greeting: &Greeting) {
        self.learn(greeting);
        let before = self.link.send_replace(Ok(Arc::new(link)));
        if before.is_err() {
            tracing::info!(server = %self.config.server, "the replay store is there");
        }
    }

    /// The link is of no use any more; the keeper looks for another one.
    pub(super) fn lose(&self, link: &Arc<Link>, fault: RedisReplayFault) {
        let is_current = |current: &mut Result<Arc<Link>, _>| {
            let same = current.as_ref().is_ok_and(|current| Arc::ptr_eq(current, link));
            if same {
                tracing::warn!(server = %self.config.server, %fault, "the replay store is lost");
                *current = Err(fault);
            }
            same
        };
        if self.link.send_if_modified(is_current) {
            self.doubt();
        }
    }

    /// There is still no server.
    pub(super) fn miss(&self, fault: RedisReplayFault) {
        self.link.send_if_modified(|current| {
            let news = current.as_ref().err() != Some(&fault) && current.is_err();
            if news {
                tracing::warn!(server = %self.config.server, %fault, "the replay store cannot be used");
                *current = Err(fault);
            }
            news
        });
    }

    /// Something may be wrong with the link.
    pub(super) fn doubt(&self) {
        self.kick.notify_one();
    }

    pub(super) fn learn(&self, greeting: &Greeting) {
        self.note_difference(self.clock.now().since(greeting.time));
        let mut epoch = self.epoch.write().unwrap_or_else(PoisonError::into_inner);
        if *epoch != greeting.epoch {
            if let Some(keys) = &self.config.nonce_keys {
                keys.replace(&greeting.key, &[]);
            }
            self.counts.epochs.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                server = %self.config.server,
                begun_here = greeting.begun,
                floor = %greeting.epoch.floor,
                "the replay store has a new epoch"
            );
            *epoch = greeting.epoch;
        }
    }

    fn note_difference(&self, difference: i64) {
        let before = self.counts.difference.swap(difference, Ordering::Relaxed);
        let is_far = |difference: i64| difference.saturating_abs() > WARN_DIFFERENCE;
        if is_far(difference) && !is_far(before) {
            tracing::warn!(
                seconds = difference,
                server = %self.config.server,
                "this clock and the replay store's differ; nodes may differ by 30 s from each other and no more"
            );
        }
    }

    pub(super) fn answered(&self, after: Duration, well: bool) {
        if !well {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
        }
        let class = LATENCY_BOUNDS.iter().position(|bound| after <= *bound).unwrap_or(LATENCY_BOUNDS.len());
        self.counts.latency[class].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.counts.latency_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> RedisReplayStats {
        let counts = &self.counts;
        RedisReplayStats {
            available: self.fault().is_none(),
            epochs_seen: counts.epochs.load(Ordering::Relaxed),
            epoch: self.epoch(),
            clock_difference: counts.difference.load(Ordering::Relaxed),
            failures: counts.failures.load(Ordering::Relaxed),
            latency: std::array::from_fn(|class| counts.latency[class].load(Ordering::Relaxed)),
            latency_sum: Duration::from_micros(counts.latency_micros.load(Ordering::Relaxed)),
        }
    }
}
