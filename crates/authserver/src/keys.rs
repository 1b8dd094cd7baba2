//! The public keys of others, clients and issuers: at hand, or fetched, kept for a while and fetched once more when a
//! signature names a key that is not among them.

use std::sync::Arc;

use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, Jkt, JsonLimits, JwkSet, JwkSetError, from_strict_json,
};
use countersign_dpop::time::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::fetch::{Fetch, FetchError, FetchRequest, FetchUrl, Reach, get_json};

/// Seconds after which keys are fetched again.
const RENEW_AFTER: i64 = 300;
/// Seconds for which keys are used when they cannot be fetched again.
const STALE_FOR: i64 = 3_600;
/// The fewest seconds between two fetches, whatever is presented.
const FETCH_FLOOR: i64 = 10;
/// The longest key set or metadata document, in bytes.
const MAX_LENGTH: usize = 64 * 1_024;

/// Somebody's public keys.
#[derive(Debug)]
pub(crate) enum PublicKeys {
    /// From the configuration.
    Fixed(Arc<JwkSet>),
    /// From where they are published.
    Published(Box<PublishedKeys>),
}

/// Keys that are fetched.
#[derive(Debug)]
pub(crate) struct PublishedKeys {
    place: Place,
    reach: Reach,
    /// Locked while a fetch is under way, so there is one at a time.
    state: Mutex<State>,
}

/// Where keys are published.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A JWK Set.
    JwkSet(FetchUrl),
    /// The metadata of an issuer (RFC 8414, OpenID Connect Discovery 1.0), which names its JWK Set.
    Metadata { issuer: String, documents: Vec<FetchUrl> },
}

#[derive(Debug, Default)]
struct State {
    keys: Option<(Arc<JwkSet>, Timestamp)>,
    tried: Option<Timestamp>,
    fault: Option<KeysAway>,
}

/// There are no keys to judge with.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum KeysAway {
    #[error("{url}: {fault}")]
    Fetch { url: String, fault: FetchError },
    #[error("{url}: {fault}")]
    KeySet { url: String, fault: JwkSetError },
    #[error("{url}: not the metadata of the issuer")]
    Metadata { url: String },
    #[error("the keys were asked for a moment ago")]
    TooSoon,
}

/// What was signed, and how it says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) jws: &'a CompactJws<'a>,
    pub(crate) kid: Option<&'a str>,
    pub(crate) algorithm: Algorithm,
}

/// A signature is not known to be good.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unverified {
    #[error("there is no key that could have signed it")]
    KeyUnknown,
    #[error("the signature does not verify")]
    BadSignature,
    #[error("the keys cannot be had: {0}")]
    KeysAway(#[from] KeysAway),
}

/// The most keys tried for one signature: a set may hold 64, and every try costs a verification.
const MAX_TRIES: usize = 8;

impl PublicKeys {
    /// Verifies a signature and says by which key it is. When the right key is not there, newer ones are tried, once.
    pub(crate) async fn verify(
        &self,
        signed: &Signed<'_>,
        algorithms: &Algorithms,
        fetch: &dyn Fetch,
        now: Timestamp,
    ) -> Result<Jkt, Unverified> {
        let known = self.current(fetch, now).await?;
        let refusal = match signed.verify(&known, algorithms) {
            Ok(key) => return Ok(key),
            Err(refusal) => refusal,
        };
        if refusal != Unverified::KeyUnknown && signed.kid.is_some() {
            return Err(refusal);
        }
        let newer = self.newer(&known, fetch, now).await.ok_or(refusal)?;
        signed.verify(&newer, algorithms)
    }

    pub(crate) fn fixed(keys: JwkSet) -> Self {
        Self::Fixed(Arc::new(keys))
    }

    pub(crate) fn published(place: Place, reach: Reach) -> Self {
        Self::Published(Box::new(PublishedKeys { place, reach, state: Mutex::default() }))
    }

    /// The keys to judge with at `now`.
    async fn current(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Arc<JwkSet>, KeysAway> {
        match self {
            Self::Fixed(keys) => Ok(keys.clone()),
            Self::Published(published) => published.current(fetch, now).await,
        }
    }

    /// Other keys than `seen`, which lack the one that is needed; `None` when there are none or it is too early to
    /// ask again.
    async fn newer(&self, seen: &Arc<JwkSet>, fetch: &dyn Fetch, now: Timestamp) -> Option<Arc<JwkSet>> {
        match self {
            Self::Fixed(_) => None,
            Self::Published(published) => published.newer(seen, fetch, now).await,
        }
    }
}

impl Signed<'_> {
    fn verify(&self, keys: &JwkSet, algorithms: &Algorithms) -> Result<Jkt, Unverified> {
        let mut outcome = Unverified::KeyUnknown;
        for key in keys.candidates(self.kid, self.algorithm).take(MAX_TRIES) {
            if algorithms.verify(self.algorithm, &key.key, self.jws.signing_input(), self.jws.signature()).is_ok() {
                return Ok(key.key.jkt());
            }
            outcome = Unverified::BadSignature;
        }
        Err(outcome)
    }
}

impl PublishedKeys {
    async fn current(&self, fetch: &dyn Fetch, now: Timestamp) -> Result<Arc<JwkSet>, KeysAway> {
        let mut state = self.state.lock().await;
        if let Some(keys) = state.younger_than(RENEW_AFTER, now) {
            return Ok(keys);
        }
        self.fetch_into(&mut state, fetch, now).await;
        state.younger_than(STALE_FOR, now).ok_or_else(|| state.fault.clone().unwrap_or(KeysAway::TooSoon))
    }

    async fn newer(&self, seen: &Arc<JwkSet>, fetch: &dyn Fetch, now: Timestamp) -> Option<Arc<JwkSet>> {
        let mut state = self.state.lock().await;
        if let Some(other) = state.other_than(seen) {
            return Some(other);
        }
        self.fetch_into(&mut state, fetch, now).await;
        state.other_than(seen)
    }

    /// Fetches unless it was tried a moment ago.
    async fn fetch_into(&self, state: &mut State, fetch: &dyn Fetch, now: Timestamp) {
        if state.tried.is_some_and(|tried| apart(tried, now) < FETCH_FLOOR) {
            return;
        }
        // Noted first: a caller that goes away meanwhile must not make the next one ask at once.
        state.tried = Some(now);
        match self.place.load(fetch, self.reach).await {
            Ok(keys) => {
                let changed = state.keys.as_ref().is_none_or(|(old, _)| **old != keys);
                let keys =
                    if changed { Arc::new(keys) } else { state.keys.take().map_or_else(Arc::default, |(old, _)| old) };
                state.keys = Some((keys, now));
                state.fault = None;
            }
            Err(fault) => {
                tracing::warn!(%fault, "public keys cannot be fetched");
                state.fault = Some(fault);
            }
        }
    }
}

impl State {
    fn younger_than(&self, seconds: i64, now: Timestamp) -> Option<Arc<JwkSet>> {
        self.keys.as_ref().filter(|(_, fetched)| apart(*fetched, now) < seconds).map(|(keys, _)| keys.clone())
    }

    fn other_than(&self, seen: &Arc<JwkSet>) -> Option<Arc<JwkSet>> {
        self.keys.as_ref().filter(|(keys, _)| !Arc::ptr_eq(keys, seen)).map(|(keys, _)| keys.clone())
    }
}

/// Seconds between two readings of the clock; one that was set back makes keys old rather than young for ever.
fn apart(one: Timestamp, other: Timestamp) -> i64 {
    one.since(other).saturating_abs()
}

impl Place {
    async fn load(&self, fetch: &dyn Fetch, reach: Reach) -> Result<JwkSet, KeysAway> {
        match self {
            Self::JwkSet(url) => load_set(fetch, url.clone(), reach).await,
            Self::Metadata { issuer, documents } => {
                let mut last = KeysAway::TooSoon;
                for url in documents {
                    match find_set(fetch, issuer, url.clone(), reach).await {
                        Ok(url) => return load_set(fetch, url, reach).await,
                        Err(fault) => last = fault,
                    }
                }
                Err(last)
            }
        }
    }
}

async fn load_set(fetch: &dyn Fetch, url: FetchUrl, reach: Reach) -> Result<JwkSet, KeysAway> {
    let body = get(fetch, &url, reach).await?;
    JwkSet::parse(&body).map_err(|fault| KeysAway::KeySet { url: url.to_string(), fault })
}

#[derive(Deserialize)]
struct IssuerMetadata {
    issuer: String,
    jwks_uri: String,
}

async fn find_set(fetch: &dyn Fetch, issuer: &str, url: FetchUrl, reach: Reach) -> Result<FetchUrl, KeysAway> {
    let body = get(fetch, &url, reach).await?;
    let away = || KeysAway::Metadata { url: url.to_string() };
    let metadata: IssuerMetadata = from_strict_json(&body, JsonLimits::DOCUMENT).map_err(|_| away())?;
    if metadata.issuer != issuer {
        return Err(away());
    }
    FetchUrl::parse(&metadata.jwks_uri).map_err(|_| away())
}

async fn get(fetch: &dyn Fetch, url: &FetchUrl, reach: Reach) -> Result<Vec<u8>, KeysAway> {
    let request = FetchRequest { url: url.clone(), reach, limit: MAX_LENGTH };
    get_json(fetch, request).await.map_err(|fault| KeysAway::Fetch { url: url.to_string(), fault })
}
