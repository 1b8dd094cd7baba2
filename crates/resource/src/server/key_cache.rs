//! The memory for what is known of clients' keys.

use std::sync::Arc;

use countersign_es256::{self as es256, Engine, Verifier};

use super::headers::ProvenHeaders;
use crate::table::Tables;

/// Bytes that are used at most, unless told otherwise, to remember the headers of proven clients' proofs and tables of
/// their keys.
pub const DEFAULT_KEY_CACHE: u64 = 256_000_000;

/// Remembers the headers of proven clients' proofs and tables of their ES256 keys, within a number of bytes, least used
/// ones out first. Only what was granted something gets in, so strangers cannot fill it.
///
/// Its verifier judges by tables: proofs of those clients, and tokens of issuers, whose tables are few and apart from
/// the bytes. What is not here is verified by the accepted algorithms themselves. Cheap to clone; clones are the same,
/// and one may serve all resources of a process.
#[derive(Clone, Debug)]
pub struct KeyCache {
    headers: Arc<ProvenHeaders>,
    bytes: u64,
}

/// What a [`KeyCache`] holds, and how it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct KeyCacheCounts {
    /// Who verifies where there is a table: the library alone after a disagreement.
    pub engine: Engine,
    /// The bytes that it may take.
    pub limit: u64,
    /// The bytes that it takes.
    pub bytes: u64,
    /// Headers, with tables or without.
    pub headers: u64,
    /// Proofs whose header was known.
    pub hits: u64,
    /// Proofs whose header was not.
    pub misses: u64,
    /// Small tables, of clients and issuers.
    pub small_tables: u64,
    /// Large tables, of clients and issuers.
    pub hot_tables: u64,
    /// The bytes that tables take, those of issuers included.
    pub table_bytes: u64,
    /// How often the library had to work beside the engine.
    pub checks: es256::Counts,
}

impl KeyCache {
    /// Remembers in at most `bytes` bytes, with tables for `verifier`; 0 remembers nothing and builds no tables, for
    /// issuers neither.
    pub fn new(bytes: u64, verifier: Verifier) -> Self {
        Self { headers: Arc::new(ProvenHeaders::new(bytes, Tables::new(verifier, bytes > 0))), bytes }
    }

    /// What it holds now, and how it does.
    pub fn counts(&self) -> KeyCacheCounts {
        let tables = self.headers.tables().counts();
        let (headers, bytes) = self.headers.size();
        let (hits, misses) = self.headers.look_ups();
        KeyCacheCounts {
            engine: self.headers.tables().engine(),
            limit: self.bytes,
            bytes,
            headers,
            hits,
            misses,
            small_tables: tables.small,
            hot_tables: tables.hot,
            table_bytes: tables.bytes,
            checks: self.headers.tables().checks(),
        }
    }

    /// Forgets all clients' keys and their tables. Only time is lost by it.
    pub fn forget(&self) {
        self.headers.clear();
    }

    pub(crate) fn headers(&self) -> &ProvenHeaders {
        &self.headers
    }
}

impl Default for KeyCache {
    /// [`DEFAULT_KEY_CACHE`] bytes, and the best engine of this machine.
    fn default() -> Self {
        Self::new(DEFAULT_KEY_CACHE, Verifier::new(Engine::best()))
    }
}
