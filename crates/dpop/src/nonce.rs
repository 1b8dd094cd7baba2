//! Server-provided nonces (RFC 9449 §8, §9): stateless, unforgeable, bound to realm and epoch.

use std::fmt;

use crate::error::NonceError;
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
#[derive(Clone)]
pub struct NonceIssuer {
    realm: String,
    keys: Vec<NonceKey>,
}

impl NonceIssuer {
    /// Seconds a nonce is good for.
    pub const LIFETIME: i64 = 120;
    /// Seconds after which an answer renews it.
    pub const RENEW_AFTER: i64 = 60;

    /// Issues for `realm` (resource identifier or issuer) with `first`.
    pub fn new(realm: impl Into<String>, first: NonceKey) -> Self {
        Self { realm: realm.into(), keys: vec![first] }
    }

    /// Also takes nonces signed by `older`, for key rotation.
    #[must_use]
    pub fn with_older_key(mut self, older: NonceKey) -> Self {
        self.keys.push(older);
        self
    }

    /// Issues the nonce of this second for `epoch`: at most 64 characters of the base64url alphabet.
    pub fn issue(&self, epoch: &EpochId, now: Timestamp) -> String {
        let _ = (epoch, now);
        todo!("nonce")
    }

    /// Checks a nonce against realm, `epoch` and age, in constant time where it compares secrets.
    ///
    /// # Errors
    /// [`NonceError::Unknown`] or [`NonceError::Expired`].
    pub fn check(&self, nonce: &str, epoch: &EpochId, now: Timestamp) -> Result<NonceAge, NonceError> {
        let _ = (nonce, epoch, now);
        todo!("nonce")
    }
}

impl fmt::Debug for NonceIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceIssuer").field("realm", &self.realm).field("keys", &self.keys.len()).finish()
    }
}
