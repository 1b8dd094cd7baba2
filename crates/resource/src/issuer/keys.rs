//! An issuer's keys in memory: one fetch at a time, old keys for a while when the issuer is away, a floor between
//! tries, so that neither a crowd of clients nor tokens with invented `kid`s become a load on the issuer.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use countersign_dpop::PreparedKey;
use countersign_dpop::jose::{Algorithm, Algorithms, InvalidSignature, Jkt, JwkSet, PublicJwk, VerificationKey};
use countersign_dpop::time::Timestamp;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::fetch::Fetch;
use crate::issuer::config::KeySource;
use crate::issuer::counters::Counters;
use crate::issuer::discovery::{KeysError, load};
use crate::table::{self, KeyTable, Tables};

/// Seconds after which keys are fetched again; requests go on with the ones at hand meanwhile.
pub const RENEW_KEYS_AFTER: i64 = 300;
/// Seconds for which keys are used when they cannot be fetched again.
pub const STALE_KEYS_FOR: i64 = 3_600;
/// The fewest seconds between two fetches that tokens with an unknown `kid` cause.
pub const UNKNOWN_KEY_FLOOR: i64 = 10;
/// The most seconds between two tries at an issuer that is away.
pub const MAX_BACKOFF: i64 = 30;

/// The most keys of one issuer that have a table at a time.
const MAX_TABLES: usize = 8;

/// Keys as they were fetched at one time.
#[derive(Debug)]
pub(crate) struct KeySnapshot {
    /// In the order of the set.
    keys: Vec<IssuerKey>,
    set: JwkSet,
    /// `None` for keys from the configuration, which do not age.
    fetched: Option<Timestamp>,
    /// Changes when the keys do, and only then.
    serial: u64,
}

/// A key, with a table from the first token on that it has signed.
#[derive(Debug)]
pub(crate) struct IssuerKey {
    jkt: Jkt,
    key: PublicJwk,
    table: OnceLock<Arc<KeyTable>>,
}

impl IssuerKey {
    pub(crate) const fn jkt(&self) -> &Jkt {
        &self.jkt
    }
}

impl KeySnapshot {
    /// The keys of `set`. A key that stood in the set `before` keeps its table, whatever it is called now; the others'
    /// tables go with it.
    fn new(set: JwkSet, fetched: Option<Timestamp>, serial: u64, before: Option<&Self>) -> Self {
        let keys = set.keys().iter().map(|VerificationKey { key, .. }| {
            let before = before.and_then(|before| before.find(key));
            IssuerKey {
                jkt: before.map_or_else(|| key.jkt(), |before| before.jkt),
                key: key.clone(),
                table: before.map(|before| before.table.clone()).unwrap_or_default(),
            }
        });
        Self { keys: keys.collect(), set, fetched, serial }
    }

    /// The keys that may have signed a token that names `kid`, or none.
    pub(crate) fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a IssuerKey> {
        self.set.candidates(kid, algorithm).filter_map(|candidate| self.find(&candidate.key))
    }

    pub(crate) const fn serial(&self) -> u64 {
        self.serial
    }

    pub(crate) fn holds(&self, jkt: &Jkt) -> bool {
        self.keys.iter().any(|key| key.jkt == *jkt)
    }

    /// Verifies a signature of one of the keys, by its table if it has one.
    pub(crate) fn verify(
        &self,
        key: &IssuerKey,
        algorithm: Algorithm,
        accepted: &Algorithms,
        tables: &Tables,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if let Some(table) = key.table.get().filter(|_| table::is_for(algorithm, accepted)) {
            return table.verify(message, signature);
        }
        accepted.verify(algorithm, &key.key, message, signature)?;
        // A set may hold many keys; those that sign are few.
        let has_room = self.keys.iter().filter(|key| key.table.get().is_some()).count() < MAX_TABLES;
        if let Some(table) = has_room.then(|| tables.large(algorithm, &key.key, accepted)).flatten() {
            // Another request may have been faster; its table is as good.
            let _ = key.table.set(Arc::new(table));
        }
        Ok(())
    }

    fn find(&self, key: &PublicJwk) -> Option<&IssuerKey> {
        self.keys.iter().find(|known| known.key == *key)
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
    counters: Arc<Counters>,
    state: Mutex<State>,
    latest: Latest,
}

/// Which keys are the latest, to be read without a lock. Written under the lock of the state, the serial first.
#[derive(Default)]
struct Latest {
    serial: AtomicU64,
    /// When they were fetched, in seconds since 1970.
    fetched: AtomicI64,
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
    pub(super) fn new(issuer: String, source: KeySource, fetch: Arc<dyn Fetch>, counters: Arc<Counters>) -> Self {
        let snapshot = match &source {
            KeySource::Fixed(set) => Some(Arc::new(KeySnapshot::new(set.clone(), None, 0, None))),
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
        let latest = Latest::default();
        Self { inner: Arc::new(Inner { issuer, source, fetch, counters, state: Mutex::new(state), latest }) }
    }

    /// True when the keys with this `serial`, which [`KeySnapshot::serial`] told, are the ones to judge with at `now`,
    /// too young to be fetched again. Takes no lock; `false` only says that [`IssuerKeys::current`] has to be asked.
    pub(crate) fn are_current(&self, serial: u64, now: Timestamp) -> bool {
        let Latest { serial: latest, fetched } = &self.inner.latest;
        // In this order: whoever sees when newer keys were fetched sees their serial too.
        let fetched = Timestamp::from_seconds(fetched.load(Ordering::SeqCst));
        let is_latest = latest.load(Ordering::SeqCst) == serial;
        is_latest && (self.inner.are_fixed() || apart(fetched, now) < RENEW_KEYS_AFTER)
    }

    /// The keys to judge with at `now`. Waits for a fetch only when there are none.
    pub(crate) async fn current(&self, now: Timestamp) -> Result<Arc<KeySnapshot>, KeysError> {
        let (usable, flight) = {
            let mut state = self.inner.lock();
            if let Some(fresh) = state.younger_than(RENEW_KEYS_AFTER, now) {
                self.inner.counters.keys.hit();
                return Ok(fresh);
            }
            (state.younger_than(STALE_KEYS_FOR, now), self.inner.begin(&mut state, now))
        };
        match usable {
            Some(_) => self.inner.counters.keys.hit(),
            None => self.inner.counters.keys.miss(),
        }
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

    /// The keys to judge with at `now`, if there are any; nothing is fetched.
    pub(crate) fn at_hand(&self, now: Timestamp) -> Option<Arc<KeySnapshot>> {
        self.inner.lock().younger_than(STALE_KEYS_FOR, now)
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
        self.inner.counters.keys.miss();
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

    /// True for keys from the configuration.
    fn are_fixed(&self) -> bool {
        matches!(self.source, KeySource::Fixed(_))
    }

    /// The fetch in progress, or a new one if it is time for one.
    fn begin(self: &Arc<Self>, state: &mut State, now: Timestamp) -> Option<Flight> {
        if self.are_fixed() {
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
            Ok(set) => {
                state.replace(set, now);
                self.latest.serial.store(state.serial, Ordering::SeqCst);
                self.latest.fetched.store(now.seconds(), Ordering::SeqCst);
            }
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
        let result = result.unwrap_or(Err(KeysError::Broken));
        keys.counters.key_fetches.ended(&result);
        keys.land(result, now);
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
        let snapshot = KeySnapshot::new(set, Some(now), self.serial, self.snapshot.as_deref());
        self.snapshot = Some(Arc::new(snapshot));
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
    use countersign_dpop::jose::SoftwareKey;
    use countersign_es256::{Engine, Sampling, Verifier};

    use super::*;
    use crate::fetch::Offline;

    fn key(public: &PublicJwk) -> VerificationKey {
        VerificationKey { kid: None, alg: None, key: public.clone() }
    }

    fn snapshot(signers: &[&SoftwareKey], before: Option<&KeySnapshot>) -> KeySnapshot {
        let keys = signers.iter().map(|signer| key(signer.public_jwk())).collect();
        KeySnapshot::new(JwkSet::from_keys(keys), None, 0, before)
    }

    fn signer() -> SoftwareKey {
        SoftwareKey::generate(Algorithm::Es256).unwrap()
    }

    fn tables() -> Tables {
        Tables::new(Verifier::new(Engine::Portable), true)
    }

    /// Whether one of the keys signed `message`, by the engine's tables.
    fn is_signed(keys: &KeySnapshot, signer: &SoftwareKey, message: &[u8], tables: &Tables) -> bool {
        let signature = signer.sign_now(b"token").unwrap();
        let accepted = Algorithms::all();
        let verify = |key| keys.verify(key, Algorithm::Es256, &accepted, tables, message, &signature).is_ok();
        keys.candidates(None, Algorithm::Es256).any(verify)
    }

    #[test]
    fn a_serial_changes_with_the_keys_and_only_then() {
        let source = KeySource::Url("https://issuer.example/keys".to_owned());
        let keys = IssuerKeys::new("https://issuer.example".to_owned(), source, Arc::new(Offline), Arc::default());
        let land = |x, now| {
            let now = Timestamp::from_seconds(now);
            keys.inner.land(Ok(JwkSet::from_keys(vec![key(&PublicJwk::P256 { x: [x; 32], y: [0; 32] })])), now);
            keys.inner.lock().younger_than(1, now).map(|snapshot| snapshot.serial())
        };
        let first = land(1, 1);
        assert_eq!(land(1, 2), first);
        assert_ne!(land(2, 3), first);
    }

    #[test]
    fn a_key_that_signed_has_a_large_table_from_then_on() {
        let (tables, one, other, stranger) = (tables(), signer(), signer(), signer());
        let keys = snapshot(&[&one, &other], None);
        assert!(!is_signed(&keys, &stranger, b"token", &tables));
        assert_eq!(tables.counts().hot, 0, "nobody gets a table by failing");
        for _ in 0..3 {
            assert!(is_signed(&keys, &one, b"token", &tables));
            assert!(!is_signed(&keys, &one, b"another", &tables));
            assert!(!is_signed(&keys, &stranger, b"token", &tables));
            assert_eq!((tables.counts().small, tables.counts().hot), (0, 1));
        }
        assert!(is_signed(&keys, &other, b"token", &tables));
        assert_eq!(tables.counts().hot, 2);
    }

    #[test]
    fn a_table_stays_with_its_key_and_goes_with_its_place_in_the_set() {
        let (tables, one, other) = (tables(), signer(), signer());
        let first = snapshot(&[&one], None);
        assert!(is_signed(&first, &one, b"token", &tables));
        let both = snapshot(&[&other, &one], Some(&first));
        drop(first);
        assert_eq!(tables.counts().hot, 1, "the key stayed, at another place");
        assert!(both.keys[0].table.get().is_none() && both.keys[1].table.get().is_some());
        assert!(is_signed(&both, &one, b"token", &tables) && is_signed(&both, &other, b"token", &tables));
        let last = snapshot(&[&other], Some(&both));
        drop(both);
        assert_eq!(tables.counts().hot, 1, "the other key is gone, and its table");
        assert!(!is_signed(&last, &one, b"token", &tables) && is_signed(&last, &other, b"token", &tables));
    }

    #[test]
    fn tables_of_one_issuer_are_few() {
        let tables = tables();
        let signers: Vec<_> = (0..MAX_TABLES + 3).map(|_| signer()).collect();
        let keys = snapshot(&signers.iter().collect::<Vec<_>>(), None);
        for signer in &signers {
            assert!(is_signed(&keys, signer, b"token", &tables));
        }
        assert_eq!(tables.counts().hot, MAX_TABLES as u64);
        assert!(signers.iter().all(|signer| is_signed(&keys, signer, b"token", &tables)));
    }

    #[test]
    fn there_is_none_where_none_is_wanted_and_none_is_believed_that_lies() {
        let (none, one) = (Tables::new(Verifier::new(Engine::Portable), false), signer());
        let keys = snapshot(&[&one], None);
        assert!(is_signed(&keys, &one, b"token", &none));
        assert_eq!(none.counts().hot, 0);
        let always = Sampling { accepted: 1, refused: 1 };
        let lying = Tables::new(Verifier::lying(Engine::Portable).with_sampling(always), true);
        for _ in 0..3 {
            assert!(is_signed(&keys, &one, b"token", &lying));
            assert!(!is_signed(&keys, &one, b"another", &lying));
        }
        assert_eq!((lying.checks().disagreements, lying.engine()), (1, Engine::Library));
    }

    /// What is said without the lock is what is said under it.
    #[test]
    fn current_keys_are_known_without_the_lock() {
        let at = Timestamp::from_seconds;
        let source = KeySource::Url("https://issuer.example/keys".to_owned());
        let keys = IssuerKeys::new("https://issuer.example".to_owned(), source, Arc::new(Offline), Arc::default());
        let set = |x| {
            let key = PublicJwk::P256 { x: [x; 32], y: [0; 32] };
            JwkSet::from_keys(vec![VerificationKey { kid: None, alg: None, key }])
        };
        let young = |now| keys.inner.lock().younger_than(RENEW_KEYS_AFTER, at(now)).map(|snapshot| snapshot.serial());
        let agree = |serials: std::ops::Range<u64>, now| {
            serials.into_iter().all(|serial| keys.are_current(serial, at(now)) == (young(now) == Some(serial)))
        };
        for (x, landed) in [(1, 1_000), (1, 1_200), (2, 2_000), (3, 1_500)] {
            keys.inner.land(Ok(set(x)), at(landed));
            for now in [-1, 0, RENEW_KEYS_AFTER - 1, RENEW_KEYS_AFTER, -RENEW_KEYS_AFTER, 10 * RENEW_KEYS_AFTER] {
                assert!(agree(1..10, landed + now), "{now} after {landed}");
            }
        }
        keys.inner.land(Err(KeysError::Pending), at(1_600));
        assert!(agree(1..10, 1_600));
    }

    #[test]
    fn keys_from_the_configuration_stay_current() {
        let source = KeySource::Fixed(JwkSet::from_keys(Vec::new()));
        let keys = IssuerKeys::new("https://issuer.example".to_owned(), source, Arc::new(Offline), Arc::default());
        for now in [Timestamp::MIN, Timestamp::from_seconds(0), Timestamp::MAX] {
            assert!(keys.are_current(0, now));
            assert!(!keys.are_current(1, now));
        }
    }
}
