//! The contract suite for replay stores passes a plain, correct store and finds every fault that one can have.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use countersign_dpop::replay::{
    Epoch, EpochId, QuotaKey, Recorded, Recording, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError,
};
use countersign_dpop::time::Timestamp;
use countersign_testkit::replay_contract::{self, Wanted};
use tokio::runtime;

#[test]
fn passes_a_store_without_fault() {
    run(None);
}

#[test]
fn finds_every_fault() {
    for fault in Fault::ALL {
        assert!(catch_unwind(AssertUnwindSafe(|| run(Some(fault)))).is_err(), "{fault:?} was not found");
    }
}

fn run(fault: Option<Fault>) {
    let make = |wanted| async move { Arc::new(PlainStore::new(wanted, fault)) as Arc<dyn ReplayStore> };
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(replay_contract::run(make));
}

/// What can be wrong with a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    ComparesHalfAKey,
    TellsKeysApartByTime,
    TellsKeysApartByNonce,
    TellsKeysApartByParty,
    LooksBeforeItInserts,
    ForgetsAtTheLastSecond,
    ForgetsAMinuteAfterArrival,
    ForgetsByTheCallersClock,
    NeverForgets,
    EvictsWhenFull,
    HoldsOneTooMany,
    HoldsOneTooFew,
    CountsReplays,
    RemembersWhatItRefused,
    KnowsNoQuotas,
    GivesNoShareBack,
    ChargesNobodyToo,
    HasNoFloor,
    FloorsAtTheTimeOnly,
    FloorIsNotIncluded,
    TakesAnyNonce,
    DemandsNoncesAlways,
    RemembersWhatItDemandedANonceFor,
    HasOneEpochForAll,
    BeginsAnEpochEachSecond,
    OverlooksAClockSetBack,
    BeginsAnEpochForASecondBack,
    FloorsAtTheTimeItWentBackTo,
    TakesALateRecordForAClockSetBack,
}

impl Fault {
    const ALL: [Self; 29] = [
        Self::ComparesHalfAKey,
        Self::TellsKeysApartByTime,
        Self::TellsKeysApartByNonce,
        Self::TellsKeysApartByParty,
        Self::LooksBeforeItInserts,
        Self::ForgetsAtTheLastSecond,
        Self::ForgetsAMinuteAfterArrival,
        Self::ForgetsByTheCallersClock,
        Self::NeverForgets,
        Self::EvictsWhenFull,
        Self::HoldsOneTooMany,
        Self::HoldsOneTooFew,
        Self::CountsReplays,
        Self::RemembersWhatItRefused,
        Self::KnowsNoQuotas,
        Self::GivesNoShareBack,
        Self::ChargesNobodyToo,
        Self::HasNoFloor,
        Self::FloorsAtTheTimeOnly,
        Self::FloorIsNotIncluded,
        Self::TakesAnyNonce,
        Self::DemandsNoncesAlways,
        Self::RemembersWhatItDemandedANonceFor,
        Self::HasOneEpochForAll,
        Self::BeginsAnEpochEachSecond,
        Self::OverlooksAClockSetBack,
        Self::BeginsAnEpochForASecondBack,
        Self::FloorsAtTheTimeItWentBackTo,
        Self::TakesALateRecordForAClockSetBack,
    ];
}

/// As plain as a store can be: a map under a lock, searched from end to end.
#[derive(Debug)]
struct PlainStore {
    wanted: Wanted,
    fault: Option<Fault>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    epoch: Epoch,
    highest: Timestamp,
    highest_ever: Timestamp,
    /// By identity: until when, and whose.
    entries: HashMap<Vec<u8>, (Timestamp, Option<QuotaKey>)>,
    given_out: HashMap<QuotaKey, usize>,
}

impl PlainStore {
    fn new(wanted: Wanted, fault: Option<Fault>) -> Self {
        let now = wanted.now;
        let epoch = Epoch { id: new_epoch_id(), floor: now };
        let (entries, given_out) = (HashMap::new(), HashMap::new());
        let state = State { epoch, highest: now, highest_ever: now, entries, given_out };
        let store = Self { wanted, fault, state: Mutex::new(state) };
        store.begin_epoch(&mut store.state(), now);
        store
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no call panics")
    }

    fn begin_epoch(&self, state: &mut State, now: Timestamp) {
        state.highest_ever = state.highest_ever.max(state.highest).max(now);
        state.highest = now;
        let reached = if self.has(Fault::FloorsAtTheTimeItWentBackTo) { now } else { state.highest_ever };
        let ahead = if self.has(Fault::FloorsAtTheTimeOnly) { 0 } else { self.wanted.window.max_ahead() };
        let floor = if self.has(Fault::HasNoFloor) { Timestamp::MIN } else { reached.plus(ahead) };
        let id = if self.has(Fault::HasOneEpochForAll) { EpochId::from_bytes([1; 16]) } else { new_epoch_id() };
        state.epoch = Epoch { id, floor };
    }

    fn observe(&self, state: &mut State, now: Timestamp, fresh: bool) {
        let overlooked = i64::from(!self.has(Fault::BeginsAnEpochForASecondBack));
        let watched = fresh || self.has(Fault::TakesALateRecordForAClockSetBack);
        if now.plus(overlooked) < state.highest && watched && !self.has(Fault::OverlooksAClockSetBack) {
            self.begin_epoch(state, now);
        }
        if now > state.highest && self.has(Fault::BeginsAnEpochEachSecond) {
            self.begin_epoch(state, now);
        }
        state.highest = state.highest.max(now);
    }

    fn identity(&self, entry: &ReplayEntry) -> Vec<u8> {
        let mut identity = entry.key.as_bytes().to_vec();
        match self.fault {
            Some(Fault::ComparesHalfAKey) => identity.truncate(ReplayKey::LENGTH / 2),
            Some(Fault::TellsKeysApartByTime) => identity.extend(entry.not_after.seconds().to_be_bytes()),
            Some(Fault::TellsKeysApartByNonce) => identity.extend(entry.nonce_epoch.map(|_| 1)),
            Some(Fault::TellsKeysApartByParty) => {
                identity.extend(entry.quota.map(|party| *party.as_bytes()).unwrap_or_default());
            }
            Some(_) | None => {}
        }
        identity
    }

    fn forget(&self, state: &mut State, now: Timestamp) {
        let time = if self.has(Fault::ForgetsByTheCallersClock) { now.plus(1) } else { state.highest };
        let grace = if self.has(Fault::ForgetsAtTheLastSecond) { -1 } else { 1 };
        if !self.has(Fault::NeverForgets) {
            state.entries.retain(|_, (not_after, _)| not_after.plus(grace) >= time);
        }
    }

    fn judge(
        &self,
        state: &mut State,
        entry: &ReplayEntry,
        now: Timestamp,
    ) -> Option<Result<Recorded, ReplayStoreError>> {
        self.observe(state, now, false);
        self.forget(state, now);
        let identity = self.identity(entry);
        let floor = if self.has(Fault::FloorIsNotIncluded) { state.epoch.floor.plus(-1) } else { state.epoch.floor };
        let old = Epoch { floor, ..state.epoch }.demands_nonce(entry.iat) || self.has(Fault::DemandsNoncesAlways);
        let nonce = entry.nonce_epoch.is_some_and(|epoch| epoch == state.epoch.id || self.has(Fault::TakesAnyNonce));
        let past = entry.not_after.plus(1) < state.highest && !self.has(Fault::ForgetsByTheCallersClock);
        if old && !nonce || past {
            if self.has(Fault::RemembersWhatItDemandedANonceFor) {
                state.entries.insert(identity, (entry.not_after, None));
            }
            return Some(Ok(Recorded::NonceDemanded));
        }
        if state.entries.contains_key(&identity) {
            if self.has(Fault::CountsReplays) {
                let number = state.entries.len().to_be_bytes().to_vec();
                state.entries.insert(number, (entry.not_after, entry.quota));
            }
            return Some(Ok(Recorded::Replayed));
        }
        let refused = self.bounds(state, entry).err()?;
        if self.has(Fault::RemembersWhatItRefused) {
            state.entries.insert(identity, (entry.not_after.plus(1_000), None));
        }
        Some(Err(refused))
    }

    fn bounds(&self, state: &mut State, entry: &ReplayEntry) -> Result<(), ReplayStoreError> {
        let capacity = self.wanted.capacity as usize;
        let quota = capacity * usize::from(self.wanted.quota_percent) / 100;
        let party = entry.quota.or(self.has(Fault::ChargesNobodyToo).then(|| QuotaKey::new(&["nobody"])));
        let live = |party| state.entries.values().filter(|(_, other)| *other == Some(party)).count();
        let ever = |party| state.given_out.get(&party).copied().unwrap_or_default();
        let used = |party| if self.has(Fault::GivesNoShareBack) { ever(party) } else { live(party) };
        if party.is_some_and(|party| used(party) >= quota) && !self.has(Fault::KnowsNoQuotas) {
            return Err(ReplayStoreError::QuotaExhausted { quota: quota as u64 });
        }
        let slips = [(Fault::HoldsOneTooMany, 1), (Fault::HoldsOneTooFew, -1)];
        let slip = slips.into_iter().find(|(fault, _)| self.has(*fault)).map_or(0, |(_, slip)| slip);
        if state.entries.len() >= capacity.saturating_add_signed(slip) {
            if !self.has(Fault::EvictsWhenFull) {
                return Err(ReplayStoreError::Full { capacity: capacity as u64 });
            }
            let oldest = state.entries.iter().min_by_key(|(_, (not_after, _))| *not_after).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| state.entries.remove(&oldest));
        }
        Ok(())
    }

    fn insert(&self, state: &mut State, entry: &ReplayEntry, now: Timestamp) -> Recorded {
        let until = if self.has(Fault::ForgetsAMinuteAfterArrival) { now.plus(60) } else { entry.not_after };
        let party = entry.quota.or(self.has(Fault::ChargesNobodyToo).then(|| QuotaKey::new(&["nobody"])));
        if let Some(party) = party {
            *state.given_out.entry(party).or_default() += 1;
        }
        state.entries.insert(self.identity(entry), (until, party));
        Recorded::First
    }
}

impl ReplayStore for PlainStore {
    fn epoch(&self, now: Timestamp) -> Epoch {
        let mut state = self.state();
        self.observe(&mut state, now, true);
        state.epoch
    }

    fn record<'a>(&'a self, entry: &'a ReplayEntry, now: Timestamp) -> Recording<'a> {
        if self.has(Fault::LooksBeforeItInserts) {
            return Recording::pending(async move {
                if let Some(answer) = self.judge(&mut self.state(), entry, now) {
                    return answer;
                }
                tokio::task::yield_now().await;
                Ok(self.insert(&mut self.state(), entry, now))
            });
        }
        let mut state = self.state();
        let answer = self.judge(&mut state, entry, now);
        Recording::ready(answer.unwrap_or_else(|| Ok(self.insert(&mut state, entry, now))))
    }
}

fn new_epoch_id() -> EpochId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    EpochId::from_bytes(id)
}
