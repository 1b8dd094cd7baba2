//! How often what is remembered of tokens and issuers served, and how often somebody had to be asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that all clones of [`super::Issuers`] share, and those that replace them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Tokens found together with their issuer's keys: nearly all, so they are counted once.
    known: AtomicU64,
    pub(super) tokens: Lookups,
    pub(super) keys: Lookups,
    pub(super) introspection: Lookups,
    pub(super) key_fetches: Tries,
    pub(super) questions: Tries,
}

/// Looked for in memory.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Asked of an issuer.
#[derive(Debug, Default)]
pub(super) struct Tries {
    answered: AtomicU64,
    failed: AtomicU64,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct IssuerCounts {
    /// Access tokens that were verified before, and those that had to be.
    pub tokens: LookupCounts,
    /// Requests that found an issuer's keys at hand, and those that had to wait for a fetch.
    pub keys: LookupCounts,
    /// Introspection answers that were young enough, and those that had to be asked for.
    pub introspection: LookupCounts,
    /// Fetches of keys, metadata included.
    pub key_fetches: TryCounts,
    /// Introspection requests.
    pub questions: TryCounts,
}

/// How often something was there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LookupCounts {
    /// It was.
    pub hits: u64,
    /// It was not.
    pub misses: u64,
}

/// How often an issuer was of use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TryCounts {
    /// There was an answer that could be used.
    pub answered: u64,
    /// There was none.
    pub failed: u64,
}

impl Counters {
    pub(super) fn known(&self) {
        self.known.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> IssuerCounts {
        let known = self.known.load(Ordering::Relaxed);
        IssuerCounts {
            tokens: self.tokens.read().with_hits(known),
            keys: self.keys.read().with_hits(known),
            introspection: self.introspection.read(),
            key_fetches: self.key_fetches.read(),
            questions: self.questions.read(),
        }
    }
}

impl LookupCounts {
    const fn with_hits(self, more: u64) -> Self {
        Self { hits: self.hits + more, ..self }
    }
}

impl Lookups {
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> LookupCounts {
        LookupCounts { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }
}

impl Tries {
    pub(super) fn ended<T, E>(&self, result: &Result<T, E>) {
        let counter = if result.is_ok() { &self.answered } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> TryCounts {
        TryCounts { answered: self.answered.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) }
    }
}
