//! Server-provided nonces (RFC 9449 §8, §9): stateless, unforgeable, bound to realm and epoch.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::error::NonceError;
use crate::jose::{decode_array, encode_base64url};
use crate::replay::EpochId;
use crate::time::Timestamp;

/// When a proof must carry a nonce.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NoncePolicy {
    /// Never asked for. A proof older than the server's memory is refused outright.
    Never,
    /// Asked for only where the server's memory does not reach back far enough; checked when present.
    #[default]
    Optional,
    /// Demanded of every proof.
    Required,
}

/// A secret that signs nonces, 32 bytes. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct NonceKey {
    secret: zeroize::Zeroizing<[u8; 32]>,
}

impl NonceKey {
    /// Takes a secret of 32 random bytes.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self { secret: zeroize::Zeroizing::new(secret) }
    }

    /// Draws a new secret from the system.
    ///
    /// # Errors
    /// [`NoRandomness`] when the system gives none.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(secret.as_mut_slice()).map_err(|_| NoRandomness)?;
        Ok(Self { secret })
    }
}

impl fmt::Debug for NonceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceKey").finish_non_exhaustive()
    }
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

/// A good nonce's age class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NonceAge {
    /// Young enough to be used again.
    Fresh,
    /// Good, but the answer should carry a new one.
    Ageing,
}

/// Issues and checks nonces of one realm by a ring of keys: the first signs, all verify.
///
/// A nonce is 40 characters of base64url: version, key identifier, time of issue and a MAC over these, the realm and
/// the epoch. Nothing is remembered; a nonce may be used until it is too old.
#[derive(Clone)]
pub struct NonceIssuer {
    realm: String,
    ring: NonceKeyRing,
}

/// Keys of nonces that can be replaced while they are in use, as when a shared replay store has drawn a new one. Clones
/// are the same ring.
#[derive(Clone)]
pub struct NonceKeyRing(Arc<RwLock<Ring>>);

struct Ring {
    first: RingKey,
    older: Vec<RingKey>,
}

impl NonceKeyRing {
    /// A ring of one key.
    #[expect(clippy::needless_pass_by_value, reason = "the secret is wiped as soon as the keys are derived")]
    pub fn new(first: NonceKey) -> Self {
        Self(Arc::new(RwLock::new(Ring { first: RingKey::derive(&first), older: Vec::new() })))
    }

    /// From now on `first` signs, and it and `older` verify; what the ring held before is forgotten.
    pub fn replace(&self, first: &NonceKey, older: &[NonceKey]) {
        let ring = Ring { first: RingKey::derive(first), older: older.iter().map(RingKey::derive).collect() };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }

    fn push(&self, older: &NonceKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).older.push(RingKey::derive(older));
    }

    fn with<T>(&self, read: impl FnOnce(&Ring) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<NonceKey> for NonceKeyRing {
    fn from(key: NonceKey) -> Self {
        Self::new(key)
    }
}

impl fmt::Debug for NonceKeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceKeyRing").field("older", &self.with(|ring| ring.older.len())).finish_non_exhaustive()
    }
}

impl NonceIssuer {
    /// Seconds a nonce is good for.
    pub const LIFETIME: i64 = 120;
    /// Seconds after which an answer renews it.
    pub const RENEW_AFTER: i64 = 60;

    /// Issues for `realm` (resource identifier or issuer) with a key, or a ring that somebody else may change.
    pub fn new(realm: impl Into<String>, keys: impl Into<NonceKeyRing>) -> Self {
        Self { realm: realm.into(), ring: keys.into() }
    }

    /// Also takes nonces signed by `older`, for key rotation.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "the secret is wiped as soon as the keys are derived")]
    pub fn with_older_key(self, older: NonceKey) -> Self {
        self.ring.push(&older);
        self
    }

    /// Issues the nonce of this second for `epoch`: at most 64 characters of the base64url alphabet.
    pub fn issue(&self, epoch: &EpochId, now: Timestamp) -> String {
        let mut bytes = [0; NONCE_LENGTH];
        bytes[0] = VERSION;
        bytes[ISSUED].copy_from_slice(&now.seconds().to_be_bytes());
        let mac = self.ring.with(|ring| {
            bytes[KEY_ID].copy_from_slice(&ring.first.id);
            ring.first.mac(&self.realm, epoch, &bytes[..MAC.start])
        });
        bytes[MAC].copy_from_slice(&mac.as_ref()[..MAC.end - MAC.start]);
        encode_base64url(bytes)
    }

    /// Checks a nonce against realm, `epoch` and age, in constant time where it compares secrets.
    ///
    /// # Errors
    /// [`NonceError::Unknown`] or [`NonceError::Expired`].
    pub fn check(&self, nonce: &str, epoch: &EpochId, now: Timestamp) -> Result<NonceAge, NonceError> {
        let bytes = decode(nonce).ok_or(NonceError::Unknown)?;
        let is_made_by = |key: &RingKey| key.id == bytes[KEY_ID] && key.has_made(&bytes, &self.realm, epoch);
        if !self.ring.with(|ring| std::iter::once(&ring.first).chain(&ring.older).any(is_made_by)) {
            return Err(NonceError::Unknown);
        }
        let mut issued = [0; 8];
        issued.copy_from_slice(&bytes[ISSUED]);
        age_class(now.since(Timestamp::from_seconds(i64::from_be_bytes(issued))))
    }
}

impl fmt::Debug for NonceIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceIssuer").field("realm", &self.realm).field("ring", &self.ring).finish_non_exhaustive()
    }
}

const VERSION: u8 = 1;
const KEY_ID: Range<usize> = 1..4;
const ISSUED: Range<usize> = 4..12;
const MAC: Range<usize> = 12..30;
/// A multiple of three, so that base64url has no stray bits and every nonce one spelling.
const NONCE_LENGTH: usize = 30;
/// Seconds that the clocks of nodes which share a key may differ, as a shared replay store allows it.
const CLOCK_DIFFERENCE: i64 = 30;

/// What is derived from a [`NonceKey`], once: the MAC key, and an identifier that says nothing about it.
#[derive(Clone)]
struct RingKey {
    id: [u8; 3],
    mac: hmac::Key,
}

impl RingKey {
    fn derive(key: &NonceKey) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key.secret.as_slice());
        let mut id = [0; 3];
        id.copy_from_slice(&hmac::sign(&root, b"countersign nonce key id 1").as_ref()[..3]);
        let mac = hmac::sign(&root, b"countersign nonce mac key 1");
        Self { id, mac: hmac::Key::new(hmac::HMAC_SHA256, mac.as_ref()) }
    }

    fn mac(&self, realm: &str, epoch: &EpochId, head: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(&(realm.len() as u64).to_be_bytes());
        context.update(realm.as_bytes());
        context.update(epoch.as_bytes());
        context.update(head);
        context.sign()
    }

    fn has_made(&self, nonce: &[u8; NONCE_LENGTH], realm: &str, epoch: &EpochId) -> bool {
        let mac = self.mac(realm, epoch, &nonce[..MAC.start]);
        verify_slices_are_equal(&mac.as_ref()[..MAC.end - MAC.start], &nonce[MAC]).is_ok()
    }
}

/// The bytes of a nonce of our form. A text of more than 88 characters is refused before anything is decoded.
fn decode(nonce: &str) -> Option<[u8; NONCE_LENGTH]> {
    let bytes: [u8; NONCE_LENGTH] = decode_array(nonce).ok()?;
    (bytes[0] == VERSION).then_some(bytes)
}

/// `age` in seconds. A nonce from the future is none of ours, or our clock went back: a fresh one helps in both cases.
const fn age_class(age: i64) -> Result<NonceAge, NonceError> {
    if age < -CLOCK_DIFFERENCE {
        Err(NonceError::Unknown)
    } else if age > NonceIssuer::LIFETIME {
        Err(NonceError::Expired { age, lifetime: NonceIssuer::LIFETIME })
    } else if age >= NonceIssuer::RENEW_AFTER {
        Ok(NonceAge::Ageing)
    } else {
        Ok(NonceAge::Fresh)
    }
}
