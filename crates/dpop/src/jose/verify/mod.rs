//! Verifying signatures: one implementation per algorithm, and the list of those that a server accepts.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
#[cfg(feature = "ml-dsa")]
use aws_lc_rs::signature::{ML_DSA_44, ML_DSA_65};

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

    /// True if another implementation of the same algorithm may answer in its place, because both give the verdict of
    /// the standard. Not for those that an owner wrote for a purpose.
    fn is_replaceable(&self) -> bool {
        false
    }
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
        let one = |&algorithm: &Algorithm| Arc::new(AwsLc(algorithm)) as Arc<dyn VerifyAlgorithm>;
        Self { list: Algorithm::ALL.iter().map(one).collect() }
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

    /// True when `algorithm` is accepted, by an implementation that [`VerifyAlgorithm::is_replaceable`].
    pub fn is_replaceable(&self, algorithm: Algorithm) -> bool {
        self.get(algorithm).is_some_and(|implementation| implementation.is_replaceable())
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

/// Verification by aws-lc.
#[derive(Debug)]
struct AwsLc(Algorithm);

impl VerifyAlgorithm for AwsLc {
    fn algorithm(&self) -> Algorithm {
        self.0
    }

    fn is_replaceable(&self) -> bool {
        true
    }

    fn verify(&self, key: &PublicJwk, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        if !key.fits(self.0) {
            return Err(InvalidSignature);
        }
        match key {
            PublicJwk::P256 { x, y } => by_key(&ECDSA_P256_SHA256_FIXED, &point::<65>(x, y), message, signature, 64),
            PublicJwk::P384 { x, y } => by_key(&ECDSA_P384_SHA384_FIXED, &point::<97>(x, y), message, signature, 96),
            PublicJwk::P521 { x, y } => {
                let point = point::<133>(x.as_slice(), y.as_slice());
                by_key(&ECDSA_P521_SHA512_FIXED, &point, message, signature, 132)
            }
            PublicJwk::Ed25519 { x } => by_key(&ED25519, x, message, signature, 64),
            PublicJwk::Rsa { n, e } if self.0 == Algorithm::Ps256 => {
                by_rsa(&RSA_PSS_2048_8192_SHA256, n, e, message, signature)
            }
            PublicJwk::Rsa { n, e } => by_rsa(&RSA_PKCS1_2048_8192_SHA256, n, e, message, signature),
            #[cfg(feature = "ml-dsa")]
            PublicJwk::MlDsa { algorithm: Algorithm::MlDsa44, public } => {
                by_key(&ML_DSA_44, public, message, signature, 2_420)
            }
            #[cfg(feature = "ml-dsa")]
            PublicJwk::MlDsa { public, .. } => by_key(&ML_DSA_65, public, message, signature, 3_309),
        }
    }
}

fn by_key(
    algorithm: &dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
    length: usize,
) -> Result<(), InvalidSignature> {
    if signature.len() != length {
        return Err(InvalidSignature);
    }
    algorithm.verify_sig(key, message, signature).map_err(|_| InvalidSignature)
}

fn by_rsa(
    parameters: &RsaParameters,
    n: &[u8],
    e: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), InvalidSignature> {
    if signature.len() != n.len() {
        return Err(InvalidSignature);
    }
    RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).map_err(|_| InvalidSignature)
}

/// The uncompressed form of a point (SEC 1 §2.3.3), without allocation.
fn point<const N: usize>(x: &[u8], y: &[u8]) -> [u8; N] {
    let mut point = [0; N];
    point[0] = 4;
    point[1..=x.len()].copy_from_slice(x);
    point[1 + x.len()..].copy_from_slice(y);
    point
}
