//! The replay store in the memory of one process.

mod capacity;
mod config;
mod current;
#[cfg(test)]
#[cfg(countersign_model)]
mod model;
#[cfg(test)]
#[cfg(not(countersign_model))]
mod properties;
mod quota;
mod secret;
mod shard;
mod sync;
mod tag_table;
#[cfg(test)]
#[cfg(not(countersign_model))]
mod tests;
mod wheel;

use std::fmt;

use countersign_dpop::replay::{Epoch, Recorded, Recording, ReplayEntry, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{Timestamp, Window};

pub use self::config::{MemoryReplayConfig, MemoryReplayError, MemoryReplayStats};

use self::capacity::Capacity;
use self::current::CurrentEpoch;
use self::quota::{Party, QuotaLedger};
use self::secret::{Place, Secret};
use self::shard::{Reach, Shard};
use self::sync::{AtomicI64, Mutex, Ordering, lock};
use self::wheel::{GRACE, Layout};

/// A replay store in the memory of one process: a time wheel in shards.
///
/// Answers at once, without waiting for anything but a short lock, and asks for memory only while it grows.
pub struct MemoryReplayStore {
    secret: Secret,
    shards: Box<[Mutex<Shard>]>,
    capacity: Capacity,
    quotas: QuotaLedger,
    /// The highest time seen in this epoch, in seconds.
    highest: AtomicI64,
    /// The second at which every shard was last swept.
    swept: AtomicI64,
    /// The epoch that callers see. Changed only while every shard is locked.
    epoch: CurrentEpoch,
    era: Mutex<Era>,
}

/// What outlives an epoch.
#[derive(Debug)]
struct Era {
    reach: Reach,
    layout: Layout,
    highest_ever: Timestamp,
    epochs_begun: u64,
}

impl MemoryReplayStore {
    /// Makes an empty store. Its first epoch begins at `now`: proofs that an earlier process may have accepted need
    /// a nonce.
    ///
    /// # Errors
    /// No capacity, a quota outside 1 to 100 percent, or no randomness.
    pub fn new(config: MemoryReplayConfig, now: Timestamp) -> Result<Self, MemoryReplayError> {
        Self::with_shards(config, now, shards_for(config.capacity))
    }

    fn with_shards(config: MemoryReplayConfig, now: Timestamp, shards: u32) -> Result<Self, MemoryReplayError> {
        let quota = config.quota()?;
        let secret = Secret::draw()?;
        let reach = Reach::of(config.window);
        let layout = Layout::reaching(reach.horizon());
        let era = Era { reach, layout, highest_ever: now, epochs_begun: 1 };
        let epoch = era.epoch(&secret);
        let shard = |_| Mutex::new(Shard::new(epoch, reach, layout, now));
        Ok(Self {
            shards: (0..shards).map(shard).collect(),
            capacity: Capacity::new(config.capacity),
            quotas: QuotaLedger::new(quota, shards, layout, now),
            highest: AtomicI64::new(now.seconds()),
            swept: AtomicI64::new(now.seconds()),
            epoch: CurrentEpoch::new(epoch),
            era: Mutex::new(era),
            secret,
        })
    }

    /// Remembers for `window` too; to be called before a verifier begins to use it. A window that reaches further
    /// than every earlier one begins a new epoch at `now`, because proofs whose records have been dropped may become
    /// acceptable again. Nothing is ever narrowed: told of a narrower window, the store stays as it is.
    pub fn widen(&self, window: Window, now: Timestamp) {
        let mut era = lock(&self.era);
        let reach = era.reach.and(window);
        if reach != era.reach {
            era.reach = reach;
            era.layout = era.layout.widened(reach.horizon());
            self.begin_epoch(&mut era, |highest| now.max(highest));
        }
    }

    /// The store's state, after dropping whatever has passed at the highest time seen.
    pub fn stats(&self) -> MemoryReplayStats {
        self.sweep();
        let memory: usize = self.shards.iter().map(|shard| lock(shard).memory()).sum();
        let epochs_begun = lock(&self.era).epochs_begun;
        MemoryReplayStats {
            live_entries: self.capacity.live(),
            capacity: self.capacity.limit(),
            quota: self.quotas.quota().into(),
            dropped_entries: self.capacity.dropped(),
            memory_bytes: memory as u64,
            epochs_begun,
            epoch: self.current_epoch(),
        }
    }

    fn record_now(&self, entry: &ReplayEntry, now: Timestamp) -> Result<Recorded, ReplayStoreError> {
        match self.try_record(entry, now) {
            Err(ReplayStoreError::Full { .. }) if self.sweep() => self.try_record(entry, now),
            answer => answer,
        }
    }

    fn try_record(&self, entry: &ReplayEntry, now: Timestamp) -> Result<Recorded, ReplayStoreError> {
        let place = self.secret.place(&entry.key);
        let mut shard = lock(self.shard(place));
        // All that does not rest on what the shard holds is done while memory answers.
        shard.fetch(place.tag);
        // Under the shard's lock, so that no epoch can begin between the time and the judgement.
        shard.turn_to(self.observe(now), &self.capacity);
        let party = entry.quota.map(|party| Party::from_hash(self.secret.party(&party)));
        shard.record(place.tag, entry, party, &self.capacity, &self.quotas)
    }

    fn shard(&self, place: Place) -> &Mutex<Shard> {
        // As far along as its number is among all numbers, which is had without a division.
        &self.shards[((u64::from(place.shard) * self.shards.len() as u64) >> 32) as usize]
    }

    /// Takes note of a clock reading; returns the highest of this epoch.
    fn observe(&self, now: Timestamp) -> Timestamp {
        let highest = self.highest();
        if now <= highest {
            return highest;
        }
        let before = self.highest.fetch_max(now.seconds(), Ordering::SeqCst);
        now.max(Timestamp::from_seconds(before))
    }

    /// The clock was seen going back to `now`.
    fn set_back(&self, now: Timestamp) {
        let mut era = lock(&self.era);
        // Another call may have seen it first.
        if is_step_back(now, self.highest()) {
            self.begin_epoch(&mut era, |_| now);
        }
    }

    /// Begins an epoch at the time that `at` makes of the highest. Every shard judges by the new epoch before any
    /// caller can see it, so what is accepted with a nonce of an epoch is remembered in that epoch.
    fn begin_epoch(&self, era: &mut Era, at: impl FnOnce(Timestamp) -> Timestamp) {
        let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
        let highest = self.highest();
        let time = at(highest);
        era.highest_ever = era.highest_ever.max(highest).max(time);
        era.epochs_begun = era.epochs_begun.saturating_add(1);
        let epoch = era.epoch(&self.secret);
        self.highest.store(time.seconds(), Ordering::SeqCst);
        for shard in &mut shards {
            shard.begin(epoch, era.reach, era.layout, &self.capacity);
            shard.turn_to(time, &self.capacity);
        }
        self.quotas.begin(time, era.layout);
        self.epoch.set(epoch);
    }

    /// Drops what has passed from every shard, also from those that no entry has come to since. At most once for
    /// each second that the clock shows; tells whether it did.
    fn sweep(&self) -> bool {
        let time = self.highest();
        if self.swept.swap(time.seconds(), Ordering::SeqCst) == time.seconds() {
            return false;
        }
        for shard in &self.shards {
            let mut shard = lock(shard);
            let time = self.highest();
            shard.turn_to(time, &self.capacity);
        }
        true
    }

    fn highest(&self) -> Timestamp {
        Timestamp::from_seconds(self.highest.load(Ordering::SeqCst))
    }

    fn current_epoch(&self) -> Epoch {
        self.epoch.get()
    }
}

impl ReplayStore for MemoryReplayStore {
    /// To be asked with a fresh clock reading: one that lies more than a second before the highest seen is taken for
    /// a clock that went back, and begins a new epoch.
    fn epoch(&self, now: Timestamp) -> Epoch {
        if is_step_back(now, self.observe(now)) {
            self.set_back(now);
        }
        self.current_epoch()
    }

    /// `now` may be old, because a request may take long between its two questions: an entry is judged by the
    /// highest time seen, and one whose record may have been dropped by then is refused.
    fn record<'a>(&'a self, entry: &'a ReplayEntry, now: Timestamp) -> Recording<'a> {
        Recording::ready(self.record_now(entry, now))
    }
}

impl fmt::Debug for MemoryReplayStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplayStore")
            .field("capacity", &self.capacity)
            .field("highest", &self.highest())
            .field("epoch", &self.current_epoch())
            .finish_non_exhaustive()
    }
}

impl Era {
    fn epoch(&self, secret: &Secret) -> Epoch {
        let floor = self.highest_ever.plus(self.reach.max_ahead);
        Epoch { id: secret.epoch_id(self.epochs_begun), floor }
    }
}

fn is_step_back(now: Timestamp, highest: Timestamp) -> bool {
    now.plus(GRACE) < highest
}

/// As many shards as keep waiting rare, each of them large enough to be worth its tables; and so few, as long as none
/// takes more than milliseconds to be put in order, that large tables fill large pages of the system.
fn shards_for(capacity: u32) -> u32 {
    (capacity / 16_384).clamp(1, 64).max((capacity / 262_144).min(1_024)).next_power_of_two()
}
