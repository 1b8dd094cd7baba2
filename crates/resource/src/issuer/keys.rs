//! An issuer's keys in memory: one fetch at a time, old keys for a while when the issuer is away, a floor between
//! tries, so that neither a crowd of clients nor tokens with invented `kid`s become a load on the issuer.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use countersign_dpop::jose::{Jkt, JwkSet, VerificationKey};
use countersign_dpop::time::Timestamp;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::fetch::Fetch;
use crate::issuer::config::KeySource;
use crate::issuer::discovery::{KeysError, load};

/// Seconds after which keys are fetched again; requests go on with the ones at hand meanwhile.
pub const RENEW_KEYS_AFTER: i64 = 300;
/// Seconds for which keys are used when they cannot be fetched again.
pub const STALE_KEYS_FOR: i64 = 3_600;
/// The fewest seconds between two fetches that tokens with an unknown `kid` cause.
pub const UNKNOWN_KEY_FLOOR: i64 = 10;
/// The most seconds between two tries at an issuer that is away.
pub const MAX_BACKOFF: i64 = 30;

/// Keys as they were fetched at one time.
#[derive(Debug)]
pub(crate) struct KeySnapshot {
    keys: Vec<(Jkt, VerificationKey)>,
    set: JwkSet,
    /// `None` for keys from the configuration, which do not age.
    fetched: Option<Timestamp>,
    /// Changes when the keys do, and only then.
    serial: u64,
}

impl KeySnapshot {
    fn new(set: JwkSet, fetched: Option<Timestamp>, serial: u64) -> Self {
        let keys = set.keys().iter().map(|key| (key.key.jkt(), key.clone())).collect();
        Self { keys, set, fetched, serial }
    }

    pub(crate) fn set(&self) -> &JwkSet {
        &self.set
    }

    pub(crate) const fn serial(&self) -> u64 {
        self.serial
    }

    pub(crate) fn holds(&self, jkt: &Jkt) -> bool {
        self.keys.iter().any(|(known, _)| known == jkt)
    }
}

type Flight = Shared<BoxFuture<'static, ()>>;

/// The keys of one issuer.
#[derive(Clone)]
pub(crate) struct IssuerKeys {
    inner: Arc<Inner>,
}

struct Inner {
    issuer: String,
    source: KeySource,
    fetch: Arc<dyn Fetch>,
    state: Mutex<State>,
}

struct State {
    snapshot: Option<Arc<KeySnapshot>>,
    flight: Option<Flight>,
    last_try: Option<Timestamp>,
    not_before: Timestamp,
    failures: u32,
    fault: KeysError,
    serial: u64,
}

impl IssuerKeys {
    pub(crate) fn new(issuer: String, source: KeySource, fetch: Arc<dyn Fetch>) -> Self {
        let snapshot = match &source {
            KeySource::Fixed(set) => Some(Arc::new(KeySnapshot::new(set.clone(), None, 0))),
            KeySource::Metadata | KeySource::Url(_) => None,
        };
        let state = State {
            snapshot,
            flight: None,
            last_try: None,
            not_before: Timestamp::MIN,
            failures: 0,
            fault: KeysError::Pending,
            serial: 0,
        };
        Self { inner: Arc::new(Inner { issuer, source, fetch, state: Mutex::new(state) }) }
    }

    /// The keys to judge with at `now`. Waits for a fetch only when there are none.
    pub(crate) async fn current(&self, now: Timestamp) -> Result<Arc<KeySnapshot>, KeysError> {
        let (usable, flight) = {
            let mut state = self.inner.lock();
            if let Some(fresh) = state.younger_than(RENEW_KEYS_AFTER, now) {
                return Ok(fresh);
            }
            (state.younger_than(STALE_KEYS_FOR, now), self.inner.begin(&mut state, now))
        };
        match (usable, flight) {
            (Some(usable), None) => return Ok(usable),
            // Asked once for news, so that the fetch gets on; its keys serve the next request.
            (Some(usable), Some(flight)) => {
                let _ = flight.now_or_never();
                return Ok(usable);
            }
            (None, Some(flight)) => flight.await,
            (None, None) => (),
        }
        let state = self.inner.lock();
        state.younger_than(STALE_KEYS_FOR, now).ok_or_else(|| state.fault.clone())
    }

    /// Newer keys than `seen`, which lack the one that is needed; `None` when there are none or it is too early to
    /// ask again.
    pub(crate) async fn newer(&self, seen: &Arc<KeySnapshot>, now: Timestamp) -> Option<Arc<KeySnapshot>> {
        let flight = {
            let mut state = self.inner.lock();
            if let Some(other) = state.other_than(seen) {
                return Some(other);
            }
            let rested = state.last_try.is_none_or(|last| apart(last, now) >= UNKNOWN_KEY_FLOOR);
            match &state.flight {
                Some(flight) => flight.clone(),
                None if rested => self.inner.begin(&mut state, now)?,
                None => return None,
            }
        };
        flight.await;
        self.inner.lock().other_than(seen)
    }

    /// True when both fetch the same from the same place.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.inner.source == other.inner.source
    }

    /// Fetches the keys if they are about to need it. For a task in the background, so that no request has to wait.
    pub(crate) async fn renew(&self, now: Timestamp) {
        let flight = {
            let mut state = self.inner.lock();
            match state.younger_than(RENEW_KEYS_AFTER - 60, now) {
                Some(_) => None,
                None => self.inner.begin(&mut state, now),
            }
        };
        if let Some(flight) = flight {
            flight.await;
        }
    }

    /// Why there are no keys to judge with at `now`; `None` when there are.
    pub(crate) fn missing(&self, now: Timestamp) -> Option<KeysError> {
        let state = self.inner.lock();
        match state.younger_than(STALE_KEYS_FOR, now) {
            Some(_) => None,
            None => Some(state.fault.clone()),
        }
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerKeys").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere has not spoilt it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch in progress, or a new one if it is time for one.
    fn begin(self: &Arc<Self>, state: &mut State, now: Timestamp) -> Option<Flight> {
        if matches!(self.source, KeySource::Fixed(_)) {
            return None;
        }
        if state.flight.is_none() && state.may_try(now) {
            state.last_try = Some(now);
            state.flight = Some(fly(Arc::downgrade(self), now).boxed().shared());
        }
        state.flight.clone()
    }

    fn land(&self, result: Result<JwkSet, KeysError>, now: Timestamp) {
        let mut state = self.lock();
        state.flight = None;
        match result {
            Ok(set) => state.replace(set, now),
            Err(fault) => {
                let pause = 1_i64.checked_shl(state.failures).map_or(MAX_BACKOFF, |pause| pause.min(MAX_BACKOFF));
                state.failures = state.failures.saturating_add(1).min(16);
                state.not_before = now.plus(pause);
                state.fault = fault;
            }
        }
    }
}

/// One fetch. Holds the keys weakly: a server that is gone needs no keys.
async fn fly(keys: Weak<Inner>, now: Timestamp) {
    let Some((issuer, source, fetch)) =
        keys.upgrade().map(|keys| (keys.issuer.clone(), keys.source.clone(), Arc::clone(&keys.fetch)))
    else {
        return;
    };
    // Shared by many requests: if it broke down in one, every other would.
    let result = AssertUnwindSafe(load(&issuer, &source, &fetch)).catch_unwind().await;
    if let Some(keys) = keys.upgrade() {
        keys.land(result.unwrap_or(Err(KeysError::Broken)), now);
    }
}

impl State {
    fn younger_than(&self, seconds: i64, now: Timestamp) -> Option<Arc<KeySnapshot>> {
        let young = |fetched: Option<Timestamp>| fetched.is_none_or(|fetched| apart(fetched, now) < seconds);
        self.snapshot.as_ref().filter(|snapshot| young(snapshot.fetched)).cloned()
    }

    fn other_than(&self, seen: &Arc<KeySnapshot>) -> Option<Arc<KeySnapshot>> {
        self.snapshot.as_ref().filter(|snapshot| !Arc::ptr_eq(snapshot, seen)).cloned()
    }

    /// A clock that was set back must not stop the tries for longer than the longest pause.
    fn may_try(&self, now: Timestamp) -> bool {
        now >= self.not_before || self.not_before.since(now) > MAX_BACKOFF
    }

    fn replace(&mut self, set: JwkSet, now: Timestamp) {
        if self.snapshot.as_ref().is_none_or(|old| old.set != set) {
            self.serial = self.serial.wrapping_add(1);
        }
        self.snapshot = Some(Arc::new(KeySnapshot::new(set, Some(now), self.serial)));
        self.failures = 0;
        self.not_before = now;
        self.fault = KeysError::Pending;
    }
}

/// Seconds between two readings of the clock. One that was set back makes keys old rather than young for ever.
pub(crate) fn apart(one: Timestamp, other: Timestamp) -> i64 {
    one.since(other).saturating_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Offline;

    #[test]
    fn a_serial_changes_with_the_keys_and_only_then() {
        let source = KeySource::Url("https://issuer.example/keys".to_owned());
        let keys = IssuerKeys::new("https://issuer.example".to_owned(), source, Arc::new(Offline));
        let key = |x| VerificationKey {
            kid: None,
            alg: None,
            key: countersign_dpop::jose::PublicJwk::P256 { x: [x; 32], y: [0; 32] },
        };
        let land = |x, now| {
            let now = Timestamp::from_seconds(now);
            keys.inner.land(Ok(JwkSet::from_keys(vec![key(x)])), now);
            keys.inner.lock().younger_than(1, now).map(|snapshot| snapshot.serial())
        };
        let first = land(1, 1);
        assert_eq!(land(1, 2), first);
        assert_ne!(land(2, 3), first);
    }
}
