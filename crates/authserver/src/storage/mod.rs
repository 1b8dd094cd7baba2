//! What the server keeps: one small trait, its methods named by what happens to a thing in its life, each of them
//! atomic. SQL databases implement it.

mod entry;
mod kept;
mod memory;
mod open_error;
mod sql;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use countersign_dpop::jose::Algorithm;
use countersign_dpop::replay::{Epoch, ReplayEntry};
use countersign_dpop::time::Timestamp;

pub use self::entry::{Change, Entry, EntryContent, EntryId, EntryKind, EntryVersion, Listing};
pub(crate) use self::kept::{Found, Kept, add, find, find_kept_as, kept_as};
pub use self::open_error::StorageOpenError;
pub use self::sql::{PostgresAddress, PostgresAddressError, SqlStorage};

/// An answer of the storage to come.
pub type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

/// The storage could not do what was asked. Nothing was changed, or nothing that could let a request be accepted
/// twice; the request must be refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StorageError {
    /// It does not answer, not in time, or not with something that makes sense.
    #[error("the storage does not answer: {reason}")]
    Unavailable {
        /// What went wrong, for the log; never a secret.
        reason: String,
    },
}

/// What an authorization server keeps.
///
/// The contract, which `countersign_testkit::storage_contract` runs against every implementation:
/// * [`Storage::commit`] is one atomic transaction: of any number of concurrent calls with one proof, one assertion or
///   one entry as it was read, exactly one gets [`Verdict::First`]; any other verdict leaves nothing behind.
/// * An entry lives until after its `not_after`, judged by the highest time the storage has seen. What is forgotten
///   after that is never taken again, even when the clock is set back: proofs then need a nonce of a new epoch,
///   assertions that could have been forgotten are refused.
/// * Everything survives a restart.
pub trait Storage: fmt::Debug + Send + Sync {
    /// The epoch that nonces are issued for and proofs are compared with, as last seen by this process.
    fn epoch(&self) -> Epoch;

    /// Records what a request may be accepted with only once and makes `changes`: all of it, or nothing. What the
    /// proof and the assertion are refused for comes before what the entries are.
    fn commit<'a>(&'a self, once: &'a SingleUse, changes: &'a [Change], now: Timestamp) -> Stored<'a, Verdict>;

    /// [`Storage::commit`] without changes.
    fn record<'a>(&'a self, once: &'a SingleUse, now: Timestamp) -> Stored<'a, Verdict> {
        self.commit(once, &[], now)
    }

    /// The entry of this kind and identity.
    fn find(&self, kind: EntryKind, id: EntryId) -> Stored<'_, Option<Entry>>;

    /// Entries of a kind, in the order of their identities.
    fn list<'a>(&'a self, listing: Listing<'a>) -> Stored<'a, Vec<Entry>>;

    /// How many entries are recorded and not yet swept.
    fn count_recorded(&self) -> Stored<'_, u64>;

    /// Removes what has expired and returns how many entries that were. [`Storage::commit`] also does it, a few at a
    /// time.
    fn sweep(&self, now: Timestamp) -> Stored<'_, u64>;

    /// Every signing key.
    fn signing_keys(&self) -> Stored<'_, Vec<SealedKey>>;

    /// Adds `key` if there is no signing key yet, and returns every key there is then.
    fn add_first_signing_key(&self, key: SealedKey) -> Stored<'_, Vec<SealedKey>>;

    /// Changes the signing keys and returns those there are then. A change that does not fit what is there changes
    /// nothing.
    fn change_signing_keys(&self, change: KeyChange) -> Stored<'_, Vec<SealedKey>>;

    /// Keeps `sealed` as the secret `name` unless there is one, and returns the one there is then.
    fn keep_secret<'a>(&'a self, name: &'a str, sealed: Vec<u8>) -> Stored<'a, Vec<u8>>;

    /// Asks the storage for a sign of life.
    fn probe(&self) -> Stored<'_, ()>;
}

/// What a request presents that is good for one request only.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleUse {
    /// The proof.
    pub proof: Option<ReplayEntry>,
    /// The client assertion.
    pub assertion: Option<AssertionEntry>,
}

impl SingleUse {
    /// True when there is nothing of the kind.
    pub const fn is_empty(&self) -> bool {
        self.proof.is_none() && self.assertion.is_none()
    }

    /// How many entries it makes.
    pub fn entries(&self) -> impl Iterator<Item = Timestamp> {
        self.proof.map(|proof| proof.not_after).into_iter().chain(self.assertion.map(|assertion| assertion.not_after))
    }
}

/// What is remembered of a client assertion.
#[derive(Clone, Copy, Debug)]
pub struct AssertionEntry {
    /// The assertion's identity.
    pub key: AssertionKey,
    /// The last second at which the assertion is acceptable.
    pub not_after: Timestamp,
}

/// SHA-256 over a version and the length-prefixed issuer, client and `jti`.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct AssertionKey([u8; 32]);

impl AssertionKey {
    /// Takes the bytes of a key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssertionKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// What the storage says of a [`SingleUse`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Never seen, and remembered from now on.
    First,
    /// The proof was seen before.
    ProofReplayed,
    /// The proof is older than the storage's memory and carries no nonce of its epoch.
    NonceDemanded,
    /// The assertion was seen before.
    AssertionReplayed,
    /// The assertion could be one that was seen before and is no longer remembered.
    AssertionForgotten,
    /// An entry is not as it was read: somebody else was faster.
    Conflict,
}

/// A signing key as it is kept.
#[derive(Clone)]
pub struct SealedKey {
    /// Its thumbprint, the `kid` of tokens and of the published key.
    pub kid: String,
    /// The algorithm it signs with.
    pub algorithm: Algorithm,
    /// Its PKCS#8 form, sealed.
    pub sealed: Vec<u8>,
    /// Where it stands in its life.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey").field("kid", &self.kid).field("state", &self.state).finish_non_exhaustive()
    }
}

/// A step in the life of a signing key.
#[derive(Clone, Debug)]
pub enum KeyChange {
    /// Publishes a key that will sign later, unless there is one already.
    AddNext(SealedKey),
    /// The key of this `kid`, which is the next one, signs from now on; the one that signed is retiring.
    Activate(String),
    /// Forgets the key of this `kid`, unless it is the one that signs.
    Remove(String),
}

/// Where a signing key stands in its life. All of them are published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyState {
    /// Published so that resource servers know it, not signing yet.
    Next,
    /// Signing.
    Active,
    /// No longer signing; tokens it signed may still be good.
    Retiring,
}

impl KeyState {
    /// The word for it in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retiring].into_iter().find(|state| state.as_str() == name)
    }
}
