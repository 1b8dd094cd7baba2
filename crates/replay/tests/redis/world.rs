//! Stores with clocks to turn by hand, and proofs.

use std::sync::Arc;
use std::time::Duration;

use countersign_dpop::replay::{Epoch, QuotaKey, Recorded, ReplayEntry, ReplayKey, ReplayStore, ReplayStoreError};
use countersign_dpop::time::{Clock, NumericDate, SystemClock, Timestamp, Window};
use countersign_dpop::{NonceIssuer, NonceKey, NonceKeyRing};
use countersign_replay::{RedisReplayConfig, RedisReplayStore, RedisServer};
use countersign_testkit::FakeClock;

pub(crate) type Answer = Result<Recorded, ReplayStoreError>;

pub(crate) const FIRST: Answer = Ok(Recorded::First);
pub(crate) const REPLAYED: Answer = Ok(Recorded::Replayed);
pub(crate) const NONCE_DEMANDED: Answer = Ok(Recorded::NonceDemanded);

/// How long anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node: its store, its clock and its nonces.
pub(crate) struct Node {
    pub(crate) store: Arc<RedisReplayStore>,
    pub(crate) clock: FakeClock,
    pub(crate) nonces: NonceIssuer,
}

pub(crate) fn config(url: &str) -> RedisReplayConfig {
    RedisReplayConfig {
        server: RedisServer::parse(url).unwrap(),
        window: Window::RFC,
        quota: None,
        nonce_keys: Some(NonceKeyRing::new(NonceKey::generate().unwrap())),
    }
}

impl Node {
    pub(crate) fn open(config: RedisReplayConfig) -> Self {
        Self::open_at(config, SystemClock.now())
    }

    pub(crate) fn open_at(config: RedisReplayConfig, now: Timestamp) -> Self {
        let clock = FakeClock::at(now);
        let nonces = NonceIssuer::new("https://api.example", config.nonce_keys.clone().unwrap());
        let store = Arc::new(RedisReplayStore::open(config, clock.shared()).unwrap());
        Self { store, clock, nonces }
    }

    /// Opens and waits until the server was reached.
    pub(crate) async fn reach(config: RedisReplayConfig) -> Self {
        let node = Self::open(config);
        node.store.reached(PATIENCE).await.unwrap();
        node
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.store.epoch(self.clock.now())
    }

    pub(crate) fn proof(&self, number: u32) -> ReplayEntry {
        let mut key = [7; ReplayKey::LENGTH];
        key[3..7].copy_from_slice(&number.to_be_bytes());
        let iat = NumericDate::from_seconds(self.clock.now().seconds());
        ReplayEntry {
            key: ReplayKey::from_bytes(key),
            iat,
            not_after: Window::RFC.not_after(iat),
            nonce_epoch: None,
            quota: None,
        }
    }

    /// The proof with a nonce of the epoch that this node knows.
    pub(crate) fn answered(&self, entry: ReplayEntry) -> ReplayEntry {
        ReplayEntry { nonce_epoch: Some(self.epoch().id), ..entry }
    }

    pub(crate) async fn record(&self, entry: &ReplayEntry) -> Answer {
        self.store.record(entry, self.clock.now()).await
    }

    /// Waits until the store can be used, or cannot.
    pub(crate) async fn until(&self, there: bool) {
        until("the store is there or not", async || self.store.fault().is_none() == there).await;
    }

    /// Records a fresh proof the way that an honest client does: asked for a nonce, it sends another proof with it.
    /// How often it was asked.
    pub(crate) async fn serve(&self, number: u32) -> u32 {
        for asked in 0..3 {
            let proof = self.proof(number + 100_000 * asked);
            let proof = if asked > 0 { self.answered(proof) } else { proof };
            match self.record(&proof).await {
                Ok(Recorded::First) => return asked,
                Ok(Recorded::NonceDemanded) => (),
                other => panic!("{other:?}"),
            }
        }
        panic!("an honest client is asked again and again");
    }
}

pub(crate) fn of_party(entry: ReplayEntry, party: &str) -> ReplayEntry {
    ReplayEntry { quota: Some(QuotaKey::new(&["https://issuer.example", party])), ..entry }
}

pub(crate) fn is_unavailable(answer: &Answer) -> bool {
    matches!(answer, Err(ReplayStoreError::Unavailable { .. }))
}

/// Waits until it is so. Other processes take their own time; only asking tells.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let asked = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(asked.await.is_ok(), "{what}: not within {} s", PATIENCE.as_secs());
}
