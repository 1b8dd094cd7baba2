//! The keys that sign tokens: one signs, all that could still verify a token are published.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::error::Unspecified;
use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, KeyFormatError, PublicJwk, SignError, SoftwareKey, encode_base64url,
};
use countersign_dpop::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::seal::{Seal, SealError};
use crate::server::{AuthServer, Shared};
use crate::storage::{KeyChange, KeyState, SealedKey, Storage, StorageError};

/// Why the signing keys cannot be used. Carries nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A key cannot be opened or sealed.
    #[error("signing key {kid}: {fault}")]
    Seal {
        /// Which key.
        kid: String,
        /// What is wrong.
        fault: SealError,
    },
    /// A key is not what its row says.
    #[error("signing key {kid} is damaged: {fault}")]
    Damaged {
        /// Which key.
        kid: String,
        /// What is wrong.
        fault: KeyFormatError,
    },
    /// A key could not be made.
    #[error("no signing key could be made: {0}")]
    Make(KeyFormatError),
    /// There are keys, but none that signs.
    #[error("none of the signing keys is active")]
    NoneActive,
}

/// Seconds for which a key is published before it signs: longer than anybody keeps the key set (its `max-age` is five
/// minutes) without asking again.
pub const PUBLISHED_BEFORE: i64 = 600;
/// Seconds between two looks at what the storage has.
const RELOAD_AFTER: i64 = 30;

/// The keys in use, as the storage had them a moment ago: other processes rotate them.
#[derive(Debug)]
pub(crate) struct KeyRing {
    current: RwLock<Arc<SigningKeys>>,
    /// When they were looked at; locked while somebody looks.
    looked_at: Mutex<Timestamp>,
}

impl KeyRing {
    pub(crate) fn new(keys: SigningKeys, now: Timestamp) -> Self {
        Self { current: RwLock::new(Arc::new(keys)), looked_at: Mutex::new(now) }
    }

    /// The keys to sign and verify with.
    pub(crate) fn current(&self) -> Arc<SigningKeys> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at what the storage has, if it is time to. Whoever comes while somebody looks goes on with what is there,
    /// and so does everybody when the storage is away.
    pub(crate) async fn renew(&self, storage: &dyn Storage, seal: &Seal, now: Timestamp) {
        let Ok(mut looked_at) = self.looked_at.try_lock() else { return };
        if now.since(*looked_at).saturating_abs() < RELOAD_AFTER {
            return;
        }
        *looked_at = now;
        match SigningKeys::reload(storage, seal, now).await {
            Ok(keys) => *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys),
            Err(fault) => tracing::warn!(%fault, "the signing keys cannot be looked at"),
        }
    }
}

/// The signing keys of a server, for whoever runs it.
#[derive(Clone, Debug)]
pub struct KeyKeeper {
    server: Arc<Shared>,
}

/// A signing key, as listed. Holds nothing secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyListing {
    /// Its thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where it stands in its life.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Why a key is not retired.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetireRefusal {
    /// There is no key of that name.
    Unknown,
    /// It is the one that signs.
    Active,
}

impl AuthServer {
    /// The keys that sign this server's tokens.
    pub fn keys(&self) -> KeyKeeper {
        KeyKeeper { server: self.shared.clone() }
    }
}

impl KeyKeeper {
    /// Every key, the oldest first.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn list(&self) -> Result<Vec<KeyListing>, KeyError> {
        Ok(self.server.storage.signing_keys().await?.iter().map(KeyListing::from).collect())
    }

    /// Makes and publishes a key that signs [`PUBLISHED_BEFORE`] seconds later, when every server has looked again; one
    /// that waits already is left to wait. With `at_once` it signs now, and resource servers that have not fetched it
    /// refuse tokens until they do.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn rotate(&self, at_once: bool) -> Result<Vec<KeyListing>, KeyError> {
        let (storage, now) = (self.server.storage.as_ref(), self.server.clock.now());
        let mut keys = storage.change_signing_keys(KeyChange::AddNext(make_key(&self.server.seal, now)?)).await?;
        let next = keys.iter().find(|key| key.state == KeyState::Next).map(|key| key.kid.clone());
        if let Some(next) = next.filter(|_| at_once) {
            keys = storage.change_signing_keys(KeyChange::Activate(next)).await?;
        }
        Ok(keys.iter().map(KeyListing::from).collect())
    }

    /// Forgets a key: what it signed is refused from now on.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn retire(&self, kid: &str) -> Result<Result<(), RetireRefusal>, KeyError> {
        let storage = self.server.storage.as_ref();
        let known = storage.signing_keys().await?.into_iter().find(|key| key.kid == kid);
        match known.map(|key| key.state) {
            None => Ok(Err(RetireRefusal::Unknown)),
            Some(KeyState::Active) => Ok(Err(RetireRefusal::Active)),
            Some(KeyState::Next | KeyState::Retiring) => {
                storage.change_signing_keys(KeyChange::Remove(kid.to_owned())).await?;
                Ok(Ok(()))
            }
        }
    }
}

impl From<&SealedKey> for KeyListing {
    fn from(key: &SealedKey) -> Self {
        Self { kid: key.kid.clone(), algorithm: key.algorithm, state: key.state, created_at: key.created_at }
    }
}

/// The keys that there are at a time.
pub(crate) struct SigningKeys {
    active: SoftwareKey,
    active_kid: String,
    published: Vec<PublishedKey>,
}

struct PublishedKey {
    kid: String,
    algorithm: Algorithm,
    key: PublicJwk,
}

impl SigningKeys {
    /// Loads the keys, or makes the first one.
    pub(crate) async fn load_or_make(storage: &dyn Storage, seal: &Seal, now: Timestamp) -> Result<Self, KeyError> {
        let stored = storage.signing_keys().await?;
        if !stored.is_empty() {
            return Self::open(stored, seal);
        }
        let first = make_key(seal, now)?;
        // Another process may have made one meanwhile; what the storage has is what counts.
        Self::open(storage.add_first_signing_key(first).await?, seal)
    }

    /// The keys as the storage has them now. A next key that has been published for long enough signs from now on.
    async fn reload(storage: &dyn Storage, seal: &Seal, now: Timestamp) -> Result<Self, KeyError> {
        let mut stored = storage.signing_keys().await?;
        let is_due = |key: &&SealedKey| key.state == KeyState::Next && now.since(key.created_at) >= PUBLISHED_BEFORE;
        if let Some(due) = stored.iter().find(is_due).map(|key| key.kid.clone()) {
            tracing::info!(kid = due, "the next signing key signs from now on");
            stored = storage.change_signing_keys(KeyChange::Activate(due)).await?;
        }
        Self::open(stored, seal)
    }

    fn open(stored: Vec<SealedKey>, seal: &Seal) -> Result<Self, KeyError> {
        let mut active = None;
        let mut published = Vec::new();
        for sealed in stored {
            let key = open_key(&sealed, seal)?;
            let public = key.public_jwk().clone();
            published.push(PublishedKey { kid: sealed.kid.clone(), algorithm: sealed.algorithm, key: public });
            if sealed.state == KeyState::Active {
                active = Some((key, sealed.kid));
            }
        }
        let (active, active_kid) = active.ok_or(KeyError::NoneActive)?;
        Ok(Self { active, active_kid, published })
    }

    /// Signs the claims of a JWT of this `typ`.
    pub(crate) fn sign(&self, typ: &str, claims: &str) -> Result<Zeroizing<String>, SignError> {
        let header = json!({ "typ": typ, "alg": self.active.algorithm().name(), "kid": self.active_kid });
        let input = format!("{}.{}", encode_base64url(header.to_string()), encode_base64url(claims));
        let signature = encode_base64url(self.active.sign_now(input.as_bytes())?);
        Ok(Zeroizing::new(format!("{input}.{signature}")))
    }

    /// Whether one of the published keys made the signature.
    pub(crate) fn verify(&self, kid: &str, algorithm: &str, jws: &CompactJws<'_>) -> bool {
        let made_by = |key: &&PublishedKey| key.kid == kid && key.algorithm.name() == algorithm;
        self.published.iter().find(made_by).is_some_and(|key| {
            Algorithms::all().verify(key.algorithm, &key.key, jws.signing_input(), jws.signature()).is_ok()
        })
    }

    /// The JWK Set (RFC 7517 §5) to publish.
    pub(crate) fn jwk_set(&self) -> Value {
        let keys: Vec<Value> = self.published.iter().map(PublishedKey::to_jwk).collect();
        json!({ "keys": keys })
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys")
            .field("active", &self.active_kid)
            .field("published", &self.published.len())
            .finish_non_exhaustive()
    }
}

impl PublishedKey {
    fn to_jwk(&self) -> Value {
        let mut jwk: Value = serde_json::from_str(&self.key.to_json()).unwrap_or_default();
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm.name());
        jwk["use"] = json!("sig");
        jwk
    }
}

fn make_key(seal: &Seal, now: Timestamp) -> Result<SealedKey, KeyError> {
    let algorithm = Algorithm::Es256;
    let key = SoftwareKey::generate(algorithm).map_err(KeyError::Make)?;
    let kid = key.public_jwk().jkt().to_string();
    let pkcs8 = key.to_pkcs8().map_err(KeyError::Make)?;
    let sealed = seal.seal(&label(&kid), &pkcs8).map_err(|fault| KeyError::Seal { kid: kid.clone(), fault })?;
    Ok(SealedKey { kid, algorithm, sealed, state: KeyState::Active, created_at: now })
}

fn open_key(sealed: &SealedKey, seal: &Seal) -> Result<SoftwareKey, KeyError> {
    let kid = || sealed.kid.clone();
    let pkcs8 = seal.open(&label(&sealed.kid), &sealed.sealed).map_err(|fault| KeyError::Seal { kid: kid(), fault })?;
    let key =
        SoftwareKey::from_pkcs8(&pkcs8, sealed.algorithm).map_err(|fault| KeyError::Damaged { kid: kid(), fault })?;
    if key.public_jwk().jkt().to_string() == sealed.kid {
        Ok(key)
    } else {
        Err(KeyError::Damaged { kid: kid(), fault: KeyFormatError::NotFit(sealed.algorithm) })
    }
}

/// What a sealed key is sealed as, so that one cannot stand in for another.
fn label(kid: &str) -> String {
    format!("signing key {kid}")
}

impl From<Unspecified> for SealError {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}
