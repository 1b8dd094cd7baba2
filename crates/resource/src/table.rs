//! Tables of multiples for ES256 keys that sign often: of proven clients, small at first, and of issuers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use countersign_dpop::PreparedKey;
use countersign_dpop::jose::{Algorithm, Algorithms, InvalidSignature, PublicJwk};
use countersign_es256::{self as es256, Engine, PublicKey, Tier, Verifier};

/// After so many proofs a large table repays what building it costs. Where there was no room for it, it is asked again after
/// as many.
const HOT_AFTER: u32 = 32;

/// What a large table takes at most, in bytes.
pub(crate) const LARGEST: u64 = 36 * 1_024;

/// Builds tables and counts those that there are; one engine and one watch over its verdicts for all of them. Cheap to
/// clone; clones are the same.
#[derive(Clone)]
pub(crate) struct Tables {
    inner: Arc<Inner>,
}

struct Inner {
    verifier: Verifier,
    /// False where nobody wants to spend memory on tables.
    wanted: bool,
    small: AtomicU64,
    hot: AtomicU64,
    bytes: AtomicU64,
}

/// How many tables there are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct TableCounts {
    pub(crate) small: u64,
    pub(crate) hot: u64,
    /// The memory that they take.
    pub(crate) bytes: u64,
}

/// A key with its table.
#[derive(Debug)]
pub(crate) struct KeyTable {
    tables: Tables,
    key: es256::PreparedKey,
    uses: AtomicU32,
}

impl Tables {
    /// Tables for `verifier`; none where they are not `wanted`, or its engine has none.
    pub(crate) fn new(verifier: Verifier, wanted: bool) -> Self {
        let (small, hot, bytes) = Default::default();
        Self { inner: Arc::new(Inner { verifier, wanted, small, hot, bytes }) }
    }

    /// Who verifies now.
    pub(crate) fn engine(&self) -> Engine {
        if self.inner.wanted { self.inner.verifier.engine() } else { Engine::Library }
    }

    /// How often the library had to work.
    pub(crate) fn checks(&self) -> es256::Counts {
        self.inner.verifier.counts()
    }

    /// How many tables there are now.
    pub(crate) fn counts(&self) -> TableCounts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TableCounts { small: now(&self.inner.small), hot: now(&self.inner.hot), bytes: now(&self.inner.bytes) }
    }

    /// A small table for `key`; `None` where signatures of this algorithm are to be verified otherwise.
    pub(crate) fn small(&self, algorithm: Algorithm, key: &PublicJwk, accepted: &Algorithms) -> Option<KeyTable> {
        let PublicJwk::P256 { x, y } = key else { return None };
        if !is_for(algorithm, accepted) || self.engine() == Engine::Library {
            return None;
        }
        let key = PublicKey::from_coordinates(x, y).ok()?;
        Some(self.counting(self.inner.verifier.prepare(&key)))
    }

    /// A large table for `key`, as [`Self::small`].
    pub(crate) fn large(&self, algorithm: Algorithm, key: &PublicJwk, accepted: &Algorithms) -> Option<KeyTable> {
        self.grown(&self.small(algorithm, key, accepted)?)
    }

    /// A large table for the same key.
    pub(crate) fn grown(&self, table: &KeyTable) -> Option<KeyTable> {
        (self.engine() != Engine::Library).then(|| self.counting(table.key.grown()))
    }

    fn counting(&self, key: es256::PreparedKey) -> KeyTable {
        self.inner.counter(key.tier()).fetch_add(1, Ordering::Relaxed);
        self.inner.bytes.fetch_add(key.size() as u64, Ordering::Relaxed);
        KeyTable { tables: self.clone(), key, uses: AtomicU32::new(0) }
    }
}

impl Inner {
    fn counter(&self, tier: Tier) -> &AtomicU64 {
        match tier {
            Tier::Small => &self.small,
            Tier::Hot => &self.hot,
        }
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").field("engine", &self.engine()).field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// True if a table may give the verdict on signatures of that algorithm in place of `accepted`.
pub(crate) fn is_for(algorithm: Algorithm, accepted: &Algorithms) -> bool {
    algorithm == Algorithm::Es256 && accepted.is_replaceable(algorithm)
}

impl KeyTable {
    /// True whenever the key of a small table has signed so often again that a large one is worth its memory.
    pub(crate) fn wants_to_grow(&self) -> bool {
        self.key.tier() == Tier::Small && self.uses.fetch_add(1, Ordering::Relaxed) % HOT_AFTER == HOT_AFTER - 1
    }

    /// The memory that it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.key.size()
    }
}

impl Drop for KeyTable {
    fn drop(&mut self) {
        self.tables.inner.counter(self.key.tier()).fetch_sub(1, Ordering::Relaxed);
        self.tables.inner.bytes.fetch_sub(self.key.size() as u64, Ordering::Relaxed);
    }
}

impl PreparedKey for KeyTable {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let verdict = self.tables.inner.verifier.verify(&self.key, message, signature);
        if verdict.is_accepted() { Ok(()) } else { Err(InvalidSignature) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_dpop::PreparedKey;
    use countersign_dpop::jose::{Algorithm, Algorithms, InvalidSignature, PublicJwk, SoftwareKey, VerifyAlgorithm};
    use countersign_es256::{Engine, Sampling, Verifier};

    use super::{HOT_AFTER, KeyTable, LARGEST, TableCounts, Tables};

    fn tables(engine: Engine) -> Tables {
        Tables::new(Verifier::new(engine), true)
    }

    fn small(tables: &Tables, signer: &SoftwareKey) -> Option<KeyTable> {
        tables.small(Algorithm::Es256, signer.public_jwk(), &Algorithms::all())
    }

    #[test]
    fn verifies_what_the_key_signed_with_either_table() {
        let tables = tables(Engine::Portable);
        let signer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let signature = signer.sign_now(b"message").unwrap();
        let small = small(&tables, &signer).unwrap();
        let grown = tables.grown(&small).unwrap();
        let large = tables.large(Algorithm::Es256, signer.public_jwk(), &Algorithms::all()).unwrap();
        assert!(small.size() > 4_096 && large.size() > 32_768 && grown.size() == large.size());
        assert!(large.size() as u64 <= LARGEST);
        for table in [small, grown, large] {
            assert_eq!(table.verify(b"message", &signature), Ok(()));
            assert_eq!(table.verify(b"another", &signature), Err(InvalidSignature));
            assert_eq!(table.verify(b"message", &signature[1..]), Err(InvalidSignature));
        }
    }

    #[test]
    fn asks_for_a_large_table_until_it_has_one() {
        let tables = tables(Engine::Portable);
        let small = small(&tables, &SoftwareKey::generate(Algorithm::Es256).unwrap()).unwrap();
        let asked: Vec<_> = (0..3 * HOT_AFTER).filter(|_| small.wants_to_grow()).collect();
        assert_eq!(asked, [HOT_AFTER - 1, 2 * HOT_AFTER - 1, 3 * HOT_AFTER - 1]);
        let large = tables.grown(&small).unwrap();
        assert!((0..2 * HOT_AFTER).all(|_| !large.wants_to_grow()));
    }

    #[test]
    fn counts_the_tables_that_there_are() {
        let tables = tables(Engine::Portable);
        let small = small(&tables, &SoftwareKey::generate(Algorithm::Es256).unwrap()).unwrap();
        let large = tables.grown(&small).unwrap();
        let bytes = (small.size() + large.size()) as u64;
        assert_eq!(tables.counts(), TableCounts { small: 1, hot: 1, bytes });
        drop(large);
        assert_eq!(tables.counts(), TableCounts { small: 1, hot: 0, bytes: small.size() as u64 });
        drop(small);
        assert_eq!(tables.counts(), TableCounts::default());
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
        assert!(of(&tables(Engine::Portable), &Algorithms::all()));
        assert!(!of(&tables(Engine::Library), &Algorithms::all()));
        assert!(!of(&Tables::new(Verifier::new(Engine::Portable), false), &Algorithms::all()), "not wanted");
        assert!(!of(&tables(Engine::Portable), &Algorithms::from_implementations(vec![Arc::new(Own)])));
        let other = SoftwareKey::generate(Algorithm::Ed25519).unwrap();
        let table = tables(Engine::Portable).small(Algorithm::Ed25519, other.public_jwk(), &Algorithms::all());
        assert!(table.is_none());
    }

    #[test]
    fn an_engine_that_lies_is_found_out_and_gets_no_more_tables() {
        let always = Sampling { accepted: 1, refused: 1 };
        let tables = Tables::new(Verifier::lying(Engine::Portable).with_sampling(always), true);
        let signer = SoftwareKey::generate(Algorithm::Es256).unwrap();
        let table = small(&tables, &signer).unwrap();
        let signature = signer.sign_now(b"message").unwrap();
        assert_eq!(table.verify(b"message", &signature), Ok(()), "the library's verdict is given");
        assert_eq!((tables.engine(), tables.checks().disagreements), (Engine::Library, 1));
        assert_eq!(table.verify(b"message", &signature), Ok(()));
        assert_eq!(table.verify(b"another", &signature), Err(InvalidSignature));
        assert!(small(&tables, &signer).is_none() && tables.grown(&table).is_none());
        assert_eq!(tables.checks().disagreements, 1, "the engine is not asked again");
    }
}
