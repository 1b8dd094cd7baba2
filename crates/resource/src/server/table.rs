//! Tables of multiples for the ES256 keys of proven clients: small at first, large for a key that signs often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign_dpop::PreparedKey;
use countersign_dpop::jose::{Algorithm, Algorithms, InvalidSignature, PublicJwk};
use countersign_es256::{self as es256, Engine, PublicKey, Verifier};

/// After so many proofs a large table repays what building it costs.
const HOT_AFTER: u32 = 32;

/// Builds tables; one engine and one watch over its verdicts for all of them.
#[derive(Debug)]
pub(super) struct Tables {
    verifier: Arc<Verifier>,
}

/// A key with its table.
#[derive(Debug)]
pub(super) struct KeyTable {
    verifier: Arc<Verifier>,
    key: es256::PreparedKey,
    uses: AtomicU32,
}

impl Tables {
    pub(super) fn new(engine: Engine) -> Self {
        Self { verifier: Arc::new(Verifier::new(engine)) }
    }

    /// A small table for `key`; `None` where signatures of this algorithm are to be verified otherwise.
    pub(super) fn small(&self, algorithm: Algorithm, key: &PublicJwk, accepted: &Algorithms) -> Option<KeyTable> {
        let PublicJwk::P256 { x, y } = key else { return None };
        let is_replaceable = algorithm == Algorithm::Es256 && accepted.is_replaceable(algorithm);
        if !is_replaceable || self.verifier.engine() == Engine::Library {
            return None;
        }
        let key = PublicKey::from_coordinates(x, y).ok()?;
        Some(self.counting(self.verifier.prepare(&key), 0))
    }

    /// A large table for the same key.
    pub(super) fn large(&self, table: &KeyTable) -> KeyTable {
        self.counting(table.key.grown(), HOT_AFTER)
    }

    fn counting(&self, key: es256::PreparedKey, uses: u32) -> KeyTable {
        KeyTable { verifier: Arc::clone(&self.verifier), key, uses: AtomicU32::new(uses) }
    }
}

impl KeyTable {
    /// True once, when the key has signed so often that a large table is worth its memory.
    pub(super) fn wants_to_grow(&self) -> bool {
        let uses = self.uses.load(Ordering::Relaxed);
        uses < HOT_AFTER && self.uses.fetch_add(1, Ordering::Relaxed) == HOT_AFTER - 1
    }

    /// The memory that it takes, in bytes.
    pub(super) fn size(&self) -> usize {
        self.key.size()
    }
}

impl PreparedKey for KeyTable {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        if self.verifier.verify(&self.key, message, signature).is_accepted() { Ok(()) } else { Err(InvalidSignature) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_dpop::PreparedKey;
    use countersign_dpop::jose::{Algorithm, Algorithms, InvalidSignature, PublicJwk, SoftwareKey, VerifyAlgorithm};
    use countersign_es256::Engine;

    use super::{HOT_AFTER, Tables};

    #[test]
    fn verifies_what_the_key_signed_with_either_table() {
        let tables = Tables::new(Engine::Portable);
        let signer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let signature = signer.sign_now(b"message").unwrap();
        let small = tables.small(Algorithm::Es256, signer.public_jwk(), &Algorithms::all()).unwrap();
        let large = tables.large(&small);
        assert!(small.size() > 4_096 && large.size() > 32_768);
        for table in [small, large] {
            assert_eq!(table.verify(b"message", &signature), Ok(()));
            assert_eq!(table.verify(b"another", &signature), Err(InvalidSignature));
            assert_eq!(table.verify(b"message", &signature[1..]), Err(InvalidSignature));
        }
    }

    #[test]
    fn grows_once() {
        let tables = Tables::new(Engine::Portable);
        let signer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let small = tables.small(Algorithm::Es256, signer.public_jwk(), &Algorithms::all()).unwrap();
        let asked: Vec<_> = (0..3 * HOT_AFTER).filter(|_| small.wants_to_grow()).collect();
        assert_eq!(asked, [HOT_AFTER - 1]);
        assert!(!tables.large(&small).wants_to_grow());
    }

    #[test]
    fn leaves_other_keys_and_algorithms_of_the_owner_alone() {
        #[derive(Debug)]
        struct Own;
        impl VerifyAlgorithm for Own {
            fn algorithm(&self) -> Algorithm {
                Algorithm::Es256
            }
            fn verify(&self, _: &PublicJwk, _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
                Err(InvalidSignature)
            }
        }
        let signer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let of = |tables: &Tables, accepted: &Algorithms| {
            tables.small(Algorithm::Es256, signer.public_jwk(), accepted).is_some()
        };
        assert!(of(&Tables::new(Engine::Portable), &Algorithms::all()));
        assert!(!of(&Tables::new(Engine::Library), &Algorithms::all()));
        assert!(!of(&Tables::new(Engine::Portable), &Algorithms::from_implementations(vec![Arc::new(Own)])));
        let other = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
        let table = Tables::new(Engine::Portable).small(Algorithm::Ed25519, other.public_jwk(), &Algorithms::all());
        assert!(table.is_none());
    }
}
