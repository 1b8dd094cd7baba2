//! aws-lc-rs: the engine that decides what another cannot, and that watches the others.

use aws_lc_rs::digest::{self, Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, VerificationAlgorithm};

use crate::key::PublicKey;

/// The SHA-256 hash of `message`.
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&SHA256, message).as_ref());
    hash
}

/// Whether `signature` is `key`'s over the message with this SHA-256 hash.
pub(crate) fn decide(key: &PublicKey, hash: &[u8; 32], signature: &[u8]) -> bool {
    let Ok(digest) = Digest::import_less_safe(hash, &SHA256) else { return false };
    ECDSA_P256_SHA256_FIXED.verify_digest_sig(key.uncompressed(), &digest, signature).is_ok()
}
