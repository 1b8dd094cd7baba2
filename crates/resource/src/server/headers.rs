//! Headers of proofs that are read once: a client sends the same one with every request.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use countersign_dpop::jose::{Algorithms, Jkt};
use countersign_dpop::{KnownHeader, KnownHeaders, PreparedKey};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::table::{self, KeyTable, LARGEST, Tables};

/// What an entry takes beside the text of its header, in bytes, rounded up.
const ENTRY: u64 = 512;

/// The headers of proofs that were granted something: valid, and bound to a valid token. Strangers, who can make as
/// many keys as they like, cannot fill it. Least used ones go first.
pub(crate) struct ProvenHeaders {
    cache: Cache<Box<[u8]>, Arc<Proven>, ByBytes>,
    tables: Tables,
}

/// A header, which verifies by the table if its key has one.
struct Proven {
    header: KnownHeader,
    table: Option<Arc<KeyTable>>,
}

#[derive(Clone, Copy)]
struct ByBytes;

impl Weighter<Box<[u8]>, Arc<Proven>> for ByBytes {
    fn weight(&self, text: &Box<[u8]>, proven: &Arc<Proven>) -> u64 {
        let table = proven.table.as_ref().map_or(0, |table| table.size());
        ENTRY + text.len() as u64 + table as u64
    }
}

impl ProvenHeaders {
    /// Remembers headers, with `tables` of their keys, in at most `bytes` bytes; none when that is too little for one.
    pub(crate) fn new(bytes: u64, tables: Tables) -> Self {
        let entries = usize::try_from(bytes / (8 * ENTRY)).unwrap_or(usize::MAX);
        Self { cache: Cache::with_weighter(entries, bytes, ByBytes), tables }
    }

    pub(crate) const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// How many are remembered, and the memory that they may take, in bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.cache.len() as u64, self.cache.weight())
    }

    /// How often a header was found, and how often not.
    pub(crate) fn look_ups(&self) -> (u64, u64) {
        (self.cache.hits(), self.cache.misses())
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.cache.clear();
    }

    /// What is known for one proof, where these algorithms are accepted.
    pub(crate) const fn look_up<'a>(&'a self, accepted: &'a Algorithms) -> LookUp<'a> {
        LookUp { headers: self, accepted, found: OnceCell::new() }
    }

    /// Remembers the header of `proof`, which was granted something with the key `jkt`.
    pub(crate) fn remember(&self, proof: &[u8], jkt: &Jkt, accepted: &Algorithms) {
        let encoded = header_of(proof);
        if let Ok(header) = KnownHeader::read(encoded, accepted)
            && header.jkt() == jkt
        {
            self.cache.insert(encoded.into(), Arc::new(Proven::new(header, None)));
        }
    }

    /// Gives the key of a header that was found and granted something again a table: a small one at once, for a key that
    /// came twice comes more often, and a large one when that is worth it and drives out nobody else.
    pub(crate) fn used(&self, proof: &[u8], found: &Found, accepted: &Algorithms) {
        let header = &found.0.header;
        let table = match &found.0.table {
            None => self.tables.small(header.algorithm(), header.key(), accepted),
            Some(table) if table.wants_to_grow() && self.has_room_to_grow() => self.tables.grown(table),
            Some(_) => None,
        };
        if let Some(table) = table {
            let encoded = header_of(proof);
            let proven = Proven::new(header.clone(), Some(Arc::new(table)));
            self.cache.insert(encoded.into(), Arc::new(proven));
        }
    }

    /// Whether a large table displaces no other. Where more keys come in turn than large tables have room, each would be
    /// dropped before it has repaid what it cost: small ones for all serve better. Room comes back as new clients' headers
    /// drive out those that come no more. A part stays free, since the cache's shards fill unevenly.
    fn has_room_to_grow(&self) -> bool {
        let bytes = self.cache.capacity();
        self.cache.weight() + LARGEST <= bytes - bytes / 16
    }
}

/// The header as it stands in the text of a proof.
fn header_of(proof: &[u8]) -> &[u8] {
    proof.split(|byte| *byte == b'.').next().unwrap_or_default()
}

impl Proven {
    fn new(header: KnownHeader, table: Option<Arc<KeyTable>>) -> Self {
        let header = match &table {
            Some(table) => header.with_prepared_key(Arc::clone(table) as Arc<dyn PreparedKey>),
            None => header,
        };
        Self { header, table }
    }

    /// One memory may serve servers that accept different algorithms, or by implementations of their own.
    fn is_good_for(&self, accepted: &Algorithms) -> bool {
        let algorithm = self.header.algorithm();
        if self.table.is_some() { table::is_for(algorithm, accepted) } else { accepted.contains(algorithm) }
    }
}

impl fmt::Debug for ProvenHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenHeaders").field("entries", &self.cache.len()).finish_non_exhaustive()
    }
}

/// Looks up the header of one proof, and tells afterwards what was there.
pub(crate) struct LookUp<'a> {
    headers: &'a ProvenHeaders,
    accepted: &'a Algorithms,
    found: OnceCell<Found>,
}

/// A header that was known.
pub(crate) struct Found(Arc<Proven>);

impl LookUp<'_> {
    /// The header that was looked for, if it was known.
    pub(crate) fn into_found(self) -> Option<Found> {
        self.found.into_inner()
    }
}

impl KnownHeaders for LookUp<'_> {
    /// One header, of one proof: what is looked for after that is not known.
    fn find(&self, encoded: &[u8]) -> Option<&KnownHeader> {
        let proven = self.headers.cache.get(encoded).filter(|proven| proven.is_good_for(self.accepted))?;
        self.found.set(Found(proven)).ok()?;
        self.found.get().map(|Found(proven)| &proven.header)
    }
}

impl fmt::Debug for LookUp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUp").field("headers", &self.headers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countersign_dpop::jose::{Algorithm, Algorithms, Jkt, SoftwareKey};
    use countersign_dpop::time::Timestamp;
    use countersign_dpop::{KnownHeaders, ProofMaker, ProofRequest};

    use countersign_es256::{Engine, Verifier};

    use quick_cache::sync::{Cache, DefaultLifecycle};
    use quick_cache::{DefaultHashBuilder, OptionsBuilder};

    use super::{ByBytes, ENTRY, ProvenHeaders};
    use crate::table::{LARGEST, Tables};

    fn memory(bytes: u64, engine: Engine) -> ProvenHeaders {
        ProvenHeaders::new(bytes, Tables::new(Verifier::new(engine), true))
    }

    /// So that nothing depends on which keys share a shard.
    fn in_one_shard(bytes: u64) -> ProvenHeaders {
        let options =
            OptionsBuilder::new().shards(1).estimated_items_capacity(100).weight_capacity(bytes).build().unwrap();
        let cache = Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), DefaultLifecycle::default());
        ProvenHeaders { cache, tables: Tables::new(Verifier::new(Engine::Portable), true) }
    }

    fn proof() -> (String, Jkt) {
        let maker = ProofMaker::new(Arc::new(SoftwareKey::generate(Algorithm::Es256).unwrap()));
        let request = ProofRequest { method: "GET", url: "https://api.example/", token: None, nonce: None };
        (maker.make_now(&request, Timestamp::from_seconds(1)).unwrap(), *maker.jkt())
    }

    fn header(proof: &str) -> &[u8] {
        super::header_of(proof.as_bytes())
    }

    fn knows(headers: &ProvenHeaders, proof: &str) -> bool {
        let accepted = Algorithms::all();
        let look_up = headers.look_up(&accepted);
        let found = look_up.find(header(proof)).is_some();
        assert_eq!(look_up.into_found().is_some(), found);
        found
    }

    #[test]
    fn knows_the_exact_text_only() {
        let headers = memory(1 << 20, Engine::Library);
        let (first, jkt) = proof();
        assert!(!knows(&headers, &first));
        headers.remember(first.as_bytes(), &jkt, &Algorithms::all());
        assert!(knows(&headers, &first));
        let accepted = Algorithms::all();
        assert_eq!(headers.look_up(&accepted).find(header(&first)).unwrap().jkt(), &jkt);
        assert!(!knows(&headers, &proof().0));
        let shorter = &header(&first)[..header(&first).len() - 1];
        assert!(headers.look_up(&accepted).find(shorter).is_none());
        let look_up = headers.look_up(&accepted);
        assert!(
            look_up.find(header(&first)).is_some() && look_up.find(header(&first)).is_none(),
            "one look, one header"
        );
        assert_eq!(headers.look_ups(), (4, 3), "found, and not found");
    }

    #[test]
    fn knows_nothing_for_a_server_that_does_not_accept_the_algorithm() {
        let (headers, (first, jkt)) = (memory(1 << 20, Engine::Portable), proof());
        let (all, other) = (Algorithms::all(), Algorithms::all().narrowed_to(&[Algorithm::Ed25519]).unwrap());
        headers.remember(first.as_bytes(), &jkt, &all);
        for _ in 0..2 {
            let look_up = headers.look_up(&all);
            assert!(look_up.find(header(&first)).is_some(), "without a table, then with one");
            headers.used(first.as_bytes(), &look_up.into_found().unwrap(), &all);
            assert!(headers.look_up(&other).find(header(&first)).is_none());
        }
        assert_eq!(headers.tables().counts().small, 1);
    }

    #[test]
    fn remembers_no_header_of_another_key_and_none_that_is_not_accepted() {
        let headers = memory(1 << 20, Engine::Library);
        let ((first, jkt), (_, other)) = (proof(), proof());
        headers.remember(first.as_bytes(), &other, &Algorithms::all());
        headers.remember(first.as_bytes(), &jkt, &Algorithms::all().narrowed_to(&[Algorithm::Ed25519]).unwrap());
        assert!(!knows(&headers, &first));
    }

    #[test]
    fn stays_within_its_bytes() {
        let headers = memory(100 * ENTRY, Engine::Library);
        for _ in 0..300 {
            let (proof, jkt) = proof();
            headers.remember(proof.as_bytes(), &jkt, &Algorithms::all());
            assert!(headers.cache.weight() <= 100 * ENTRY);
        }
        assert!(headers.cache.len() > 30, "{}", headers.cache.len());
        let none = memory(0, Engine::Library);
        let (proof, jkt) = proof();
        none.remember(proof.as_bytes(), &jkt, &Algorithms::all());
        assert!(!knows(&none, &proof));
    }

    #[test]
    fn keys_that_sign_often_get_a_large_table_within_the_same_bytes() {
        let bytes = 1 << 20;
        let headers = memory(bytes, Engine::Portable);
        let (first, jkt) = proof();
        headers.remember(first.as_bytes(), &jkt, &Algorithms::all());
        let accepted = Algorithms::all();
        let mut weights = vec![headers.cache.weight()];
        for _ in 0..100 {
            let look_up = headers.look_up(&accepted);
            assert_eq!(look_up.find(header(&first)).unwrap().jkt(), &jkt);
            headers.used(first.as_bytes(), &look_up.into_found().unwrap(), &accepted);
            weights.push(headers.cache.weight());
        }
        weights.dedup();
        let [none, small, large] = weights[..] else { panic!("two growths: {weights:?}") };
        assert!((ENTRY..1_024).contains(&none), "{weights:?}");
        assert!((4_096..6_000).contains(&small) && (32_768..35_000).contains(&large), "{weights:?}");
        for _ in 0..400 {
            let (proof, jkt) = proof();
            headers.remember(proof.as_bytes(), &jkt, &Algorithms::all());
            assert!(headers.cache.weight() <= bytes);
        }
        assert!(headers.cache.len() > 100, "{}", headers.cache.len());
        headers.clear();
        assert!(!knows(&headers, &first));
        assert_eq!(headers.tables().counts(), crate::table::TableCounts::default(), "tables go with their headers");
    }

    #[test]
    fn a_large_table_drives_out_no_other() {
        let (headers, accepted) = (in_one_shard(12 * LARGEST), Algorithms::all());
        let clients: Vec<_> = (0..40).map(|_| proof()).collect();
        for (proof, jkt) in &clients {
            headers.remember(proof.as_bytes(), jkt, &accepted);
        }
        for _ in 0..100 {
            for (proof, _) in &clients {
                let look_up = headers.look_up(&accepted);
                assert!(look_up.find(header(proof)).is_some(), "as many as have room for small tables stay");
                headers.used(proof.as_bytes(), &look_up.into_found().unwrap(), &accepted);
            }
        }
        let counts = headers.tables().counts();
        assert_eq!(counts.small + counts.hot, 40);
        assert!((2..12).contains(&counts.hot), "{counts:?}");
    }
}
