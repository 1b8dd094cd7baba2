//! Replay (RFC 9449 §11.1): what a replay store remembers, and the trait that every store implements.

mod key;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest;
use smallvec::SmallVec;

pub use self::key::{RealmId, ReplayKey};
use crate::time::{NumericDate, Timestamp};

/// Whose share of the store an entry counts against, so that one client cannot fill it. Keys are free to make, so
/// this is never the `jkt`: at a resource server it stands for (issuer, client), elsewhere for client or source.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct QuotaKey([u8; 16]);

impl QuotaKey {
    /// Makes the key for a party named by `parts`, for instance issuer and client identifier.
    pub fn new(parts: &[&str]) -> Self {
        let parts: SmallVec<[&[u8]; 4]> = parts.iter().map(|part| part.as_bytes()).collect();
        let mut short = [0; 16];
        short.copy_from_slice(&hash_of(b"countersign quota key 1\0", &parts)[..16]);
        Self(short)
    }

    /// The key's 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// One uninterrupted memory of a replay store: 128 random bits, drawn anew whenever the memory may be incomplete.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct EpochId([u8; 16]);

impl EpochId {
    /// Takes an epoch's 16 bytes, for instance from a shared store.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The epoch's 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// An epoch with its floor: a proof with `iat` at or before the floor may have been accepted before this epoch
/// began, so it needs a nonce of this epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Epoch {
    /// Which epoch.
    pub id: EpochId,
    /// The last `iat` that the memory before this epoch could have held: the highest time seen when the epoch
    /// began, plus the furthest a proof may lie ahead.
    pub floor: Timestamp,
}

impl Epoch {
    /// True when a proof of this `iat` may only be taken with a nonce of this epoch.
    pub fn demands_nonce(&self, iat: NumericDate) -> bool {
        iat.floor() <= self.floor
    }
}

/// What is to be recorded of one proof.
#[derive(Clone, Copy, Debug)]
pub struct ReplayEntry {
    /// The proof's identity.
    pub key: ReplayKey,
    /// The proof's `iat`, compared with the epoch's floor.
    pub iat: NumericDate,
    /// The last second at which the proof is acceptable; the record must outlive it.
    pub not_after: Timestamp,
    /// The epoch of the valid nonce that the proof carries, if it carries one.
    pub nonce_epoch: Option<EpochId>,
    /// Whose share of the store the entry counts against.
    pub quota: Option<QuotaKey>,
}

/// What a store says of an entry it could judge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// Never seen in this epoch, and remembered from now on.
    First,
    /// Seen before. Nothing has changed.
    Replayed,
    /// The proof is older than what the store remembers: than its epoch, and it carries no nonce of it, or than the
    /// highest time seen, and its record may be gone. Nothing has been recorded.
    NonceDemanded,
}

/// Why a store could not judge an entry. Nothing has been recorded; the request must be refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReplayStoreError {
    /// The store holds as many live entries as it may.
    #[error("the replay store is full ({capacity} live entries)")]
    Full {
        /// How many entries it may hold.
        capacity: u64,
    },
    /// The entry's party has used up its share.
    #[error("the client's share of the replay store is used up ({quota} live entries)")]
    QuotaExhausted {
        /// How many entries the party may hold.
        quota: u64,
    },
    /// The store did not answer, or not in time.
    #[error("the replay store does not answer: {reason}")]
    Unavailable {
        /// What went wrong, for the log; never a secret.
        reason: String,
    },
}

/// A replay store's answer, at once or later.
///
/// A store in memory answers with [`Recording::ready`] and allocates nothing.
pub enum Recording<'a> {
    /// The answer is here.
    Ready(Option<Result<Recorded, ReplayStoreError>>),
    /// The answer is on its way.
    Pending(Pin<Box<dyn Future<Output = Result<Recorded, ReplayStoreError>> + Send + 'a>>),
}

impl<'a> Recording<'a> {
    /// An answer that is already known.
    pub fn ready(answer: Result<Recorded, ReplayStoreError>) -> Self {
        Self::Ready(Some(answer))
    }

    /// An answer that has to be waited for.
    pub fn pending(answer: impl Future<Output = Result<Recorded, ReplayStoreError>> + Send + 'a) -> Self {
        Self::Pending(Box::pin(answer))
    }
}

impl fmt::Debug for Recording<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

impl Future for Recording<'_> {
    type Output = Result<Recorded, ReplayStoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            // A future polled after its end has no answer left; refusing is the safe one.
            Self::Ready(answer) => Poll::Ready(answer.take().unwrap_or_else(|| {
                Err(ReplayStoreError::Unavailable { reason: "asked twice for one answer".to_owned() })
            })),
            Self::Pending(answer) => answer.as_mut().poll(cx),
        }
    }
}

/// Remembers accepted proofs for as long as they could be accepted again.
///
/// The contract, which `countersign_testkit::replay_contract` tests:
/// * `record` is one atomic insert-if-absent: of any number of concurrent calls with one key, exactly one gets
///   [`Recorded::First`].
/// * An entry lives until after its `not_after`, judged by the highest time the store has seen; a live entry is
///   never dropped to make room: a full store answers [`ReplayStoreError::Full`].
/// * An entry whose `iat` lies at or before the epoch's floor is refused with [`Recorded::NonceDemanded`] unless
///   `nonce_epoch` is the current epoch.
/// * An entry whose `not_after` has passed by the highest time seen is never [`Recorded::First`] once its record, if
///   there was one, may have been dropped.
/// * A call that does not answer [`Recorded::First`] leaves nothing behind.
pub trait ReplayStore: fmt::Debug + Send + Sync {
    /// The epoch that nonces are to be issued for and proofs are to be compared with at `now`.
    ///
    /// Asked once per request, with a fresh reading of the clock: a store takes one that lies well before the highest
    /// it has seen for a clock that was set back, and begins a new epoch.
    fn epoch(&self, now: Timestamp) -> Epoch;

    /// Records `entry` unless its key is there. `now` is the request's one reading of the clock, which may be old by
    /// the time that everything else has been checked.
    fn record<'a>(&'a self, entry: &'a ReplayEntry, now: Timestamp) -> Recording<'a>;
}

/// SHA-256 over the label and the parts, each with its length before it. In one piece: a hash begun and continued costs
/// more than the hashing of so little.
fn hash_of(label: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let length = label.len() + parts.iter().map(|part| size_of::<u64>() + part.len()).sum::<usize>();
    let mut text = SmallVec::<[u8; 512]>::from_elem(0, length);
    let (head, mut rest) = text.split_at_mut(label.len());
    head.copy_from_slice(label);
    for part in parts {
        let (length, after) = rest.split_at_mut(size_of::<u64>());
        length.copy_from_slice(&(part.len() as u64).to_be_bytes());
        let (text, after) = after.split_at_mut(part.len());
        text.copy_from_slice(part);
        rest = after;
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, &text).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::{EpochId, QuotaKey, Recorded, Recording};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// Every node has to come to the same key: the value was computed by another program.
    #[test]
    fn quota_keys_are_the_same_everywhere() {
        let quota = QuotaKey::new(&["https://issuer.example", "client-1"]);
        assert_eq!(hex(quota.as_bytes()), "f5db480b6ec07946baf760e0019681ad");
    }

    #[test]
    fn parts_cannot_run_into_one_another() {
        assert_ne!(QuotaKey::new(&["ab", "c"]), QuotaKey::new(&["a", "bc"]));
    }

    #[test]
    fn debug_is_short() {
        assert_eq!(format!("{:?}", Recording::ready(Ok(Recorded::First))), "Ready(Some(Ok(First)))");
        assert_eq!(format!("{:?}", Recording::pending(async { Ok(Recorded::First) })), "Pending");
        assert_eq!(EpochId::from_bytes([1; 16]).as_bytes(), &[1; 16]);
    }
}
