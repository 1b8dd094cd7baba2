//! Verifying signatures: one implementation per algorithm, and the list of those that a server accepts.

use std::fmt;
use std::sync::Arc;

use crate::jose::{Algorithm, PublicJwk};

/// The signature is not the key's, or the key is no key. No detail: none is safe to act on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct InvalidSignature;

/// Verifies the signatures of one algorithm.
pub trait VerifyAlgorithm: fmt::Debug + Send + Sync {
    /// Which algorithm.
    fn algorithm(&self) -> Algorithm;

    /// Verifies that `signature` is `key`'s over `message`.
    ///
    /// # Errors
    /// [`InvalidSignature`] in every other case, a key of another type or a point off its curve included.
    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature>;
}

/// The algorithms that a server accepts. The list *is* the list of implementations, so what is announced and what
/// works cannot disagree.
#[derive(Clone, Debug)]
pub struct Algorithms {
    list: Arc<[Arc<dyn VerifyAlgorithm>]>,
}

impl Algorithms {
    /// All that this build implements by aws-lc-rs, in the order of [`Algorithm::ALL`].
    pub fn all() -> Self {
        todo!("jose")
    }

    /// These implementations and no others, in this order.
    pub fn from_implementations(list: Vec<Arc<dyn VerifyAlgorithm>>) -> Self {
        Self { list: list.into() }
    }

    /// Only those of the list that `wanted` names, in the order of `wanted`. `None` when one is not in the list or
    /// `wanted` is empty.
    pub fn narrowed_to(&self, wanted: &[Algorithm]) -> Option<Self> {
        let list: Option<Vec<_>> = wanted.iter().map(|algorithm| self.get(*algorithm).cloned()).collect();
        list.filter(|list| !list.is_empty()).map(Self::from_implementations)
    }

    /// The accepted algorithms, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.list.iter().map(|implementation| implementation.algorithm())
    }

    /// True when `algorithm` is accepted.
    pub fn contains(&self, algorithm: Algorithm) -> bool {
        self.get(algorithm).is_some()
    }

    /// The accepted names with blanks between them, as `algs` of a challenge wants them (RFC 9449 §7.1).
    pub fn names(&self) -> String {
        self.iter().map(Algorithm::name).collect::<Vec<_>>().join(" ")
    }

    /// Verifies by the implementation for `algorithm`.
    ///
    /// # Errors
    /// [`InvalidSignature`], also when `algorithm` is not accepted.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicJwk,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        self.get(algorithm).ok_or(InvalidSignature)?.verify(key, message, signature)
    }

    fn get(&self, algorithm: Algorithm) -> Option<&Arc<dyn VerifyAlgorithm>> {
        self.list.iter().find(|implementation| implementation.algorithm() == algorithm)
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self::all()
    }
}
