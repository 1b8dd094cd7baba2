//! Headers of proofs that are read once: a client sends the same one with every request.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use countersign_dpop::jose::{Algorithms, Jkt};
use countersign_dpop::{KnownHeader, KnownHeaders};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// What an entry takes beside the text of its header, in bytes, rounded up.
const ENTRY: u64 = 512;

/// The headers of proofs that were granted something: valid, and bound to a valid token. Strangers, who can make as
/// many keys as they like, cannot fill it. Least used ones go first.
pub(crate) struct ProvenHeaders {
    cache: Cache<Box<[u8]>, Arc<KnownHeader>, ByBytes>,
}

#[derive(Clone, Copy)]
struct ByBytes;

impl Weighter<Box<[u8]>, Arc<KnownHeader>> for ByBytes {
    fn weight(&self, text: &Box<[u8]>, _: &Arc<KnownHeader>) -> u64 {
        ENTRY + text.len() as u64
    }
}

impl ProvenHeaders {
    /// Remembers headers in at most `bytes` bytes; none when that is too little for one.
    pub(crate) fn new(bytes: u64) -> Self {
        let entries = usize::try_from(bytes / (2 * ENTRY)).unwrap_or(usize::MAX);
        Self { cache: Cache::with_weighter(entries, bytes, ByBytes) }
    }

    /// What is known for one proof.
    pub(crate) const fn look_up(&self) -> LookUp<'_> {
        LookUp { headers: self, found: Cell::new(false) }
    }

    /// Remembers the header of `proof`, which was granted something with the key `jkt`.
    pub(crate) fn remember(&self, proof: &str, jkt: &Jkt, accepted: &Algorithms) {
        let encoded = proof.split('.').next().unwrap_or_default().as_bytes();
        if let Ok(header) = KnownHeader::read(encoded, accepted)
            && header.jkt() == jkt
        {
            self.cache.insert(encoded.into(), Arc::new(header));
        }
    }
}

impl fmt::Debug for ProvenHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenHeaders").field("entries", &self.cache.len()).finish_non_exhaustive()
    }
}

/// Looks up the header of one proof, and tells afterwards whether it was there.
#[derive(Debug)]
pub(crate) struct LookUp<'a> {
    headers: &'a ProvenHeaders,
    found: Cell<bool>,
}

impl LookUp<'_> {
    /// Whether the header that was looked for was known.
    pub(crate) fn found(&self) -> bool {
        self.found.get()
    }
}

impl KnownHeaders for LookUp<'_> {
    fn find(&self, encoded: &[u8]) -> Option<Arc<KnownHeader>> {
        let header = self.headers.cache.get(encoded);
        self.found.set(header.is_some());
        header
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_dpop::jose::{Algorithm, Algorithms, Jkt, SoftwareKey};
    use countersign_dpop::time::Timestamp;
    use countersign_dpop::{KnownHeaders, ProofMaker, ProofRequest};

    use super::{ENTRY, ProvenHeaders};

    fn proof() -> (String, Jkt) {
        let maker = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap()));
        let request = ProofRequest { method: "GET", url: "https://api.example/", token: None, nonce: None };
        (maker.make_now(&request, Timestamp::from_seconds(1)).unwrap(), *maker.jkt())
    }

    fn header(proof: &str) -> &[u8] {
        proof.split('.').next().unwrap().as_bytes()
    }

    fn knows(headers: &ProvenHeaders, proof: &str) -> bool {
        let look_up = headers.look_up();
        let found = look_up.find(header(proof)).is_some();
        assert_eq!(look_up.found(), found);
        found
    }

    #[test]
    fn knows_the_exact_text_only() {
        let headers = ProvenHeaders::new(1 << 20);
        let (first, jkt) = proof();
        assert!(!knows(&headers, &first));
        headers.remember(&first, &jkt, &Algorithms::all());
        assert!(knows(&headers, &first));
        assert_eq!(headers.look_up().find(header(&first)).unwrap().jkt(), &jkt);
        assert!(!knows(&headers, &proof().0));
        let shorter = &header(&first)[..header(&first).len() - 1];
        assert!(headers.look_up().find(shorter).is_none());
    }

    #[test]
    fn remembers_no_header_of_another_key_and_none_that_is_not_accepted() {
        let headers = ProvenHeaders::new(1 << 20);
        let ((first, jkt), (_, other)) = (proof(), proof());
        headers.remember(&first, &other, &Algorithms::all());
        headers.remember(&first, &jkt, &Algorithms::all().narrowed_to(&[Algorithm::Ed25519]).unwrap());
        assert!(!knows(&headers, &first));
    }

    #[test]
    fn stays_within_its_bytes() {
        let headers = ProvenHeaders::new(100 * ENTRY);
        for _ in 0..300 {
            let (proof, jkt) = proof();
            headers.remember(&proof, &jkt, &Algorithms::all());
            assert!(headers.cache.weight() <= 100 * ENTRY);
        }
        assert!(headers.cache.len() > 30, "{}", headers.cache.len());
        let none = ProvenHeaders::new(0);
        let (proof, jkt) = proof();
        none.remember(&proof, &jkt, &Algorithms::all());
        assert!(!knows(&none, &proof));
    }
}
