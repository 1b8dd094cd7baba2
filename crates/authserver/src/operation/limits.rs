//! How many requests a second one address and one client may make.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use countersign_dpop::replay::QuotaKey;
use countersign_dpop::time::Timestamp;

use super::Source;

/// `[limits]`, resolved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LimitSettings {
    /// Requests a second of one address; `None` for as many as it likes.
    pub(crate) per_source: Option<u32>,
    /// Requests a second of one authenticated client.
    pub(crate) per_client: Option<u32>,
    /// How long requests in flight may take after the server was told to stop.
    pub(crate) drain: Duration,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { per_source: Some(1_000), per_client: Some(1_000), drain: Duration::from_secs(10) }
    }
}

/// Whose share is used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Limited {
    #[error("too many requests from this address")]
    Source,
    #[error("too many requests of this client")]
    Client,
}

/// Counts requests of addresses and clients.
#[derive(Debug)]
pub(crate) struct Limits {
    sources: Option<Buckets<Source>>,
    clients: Option<Buckets<QuotaKey>>,
}

impl Limits {
    pub(crate) fn new(settings: LimitSettings) -> Self {
        Self { sources: settings.per_source.map(Buckets::new), clients: settings.per_client.map(Buckets::new) }
    }

    pub(crate) fn admit_source(&self, source: Source, now: Timestamp) -> Result<(), Limited> {
        let admitted = self.sources.as_ref().is_none_or(|sources| sources.take(source, now));
        if admitted { Ok(()) } else { Err(Limited::Source) }
    }

    /// To be asked once the client has proved who it is: nobody uses up the share of another.
    pub(crate) fn admit_client(&self, client: QuotaKey, now: Timestamp) -> Result<(), Limited> {
        let admitted = self.clients.as_ref().is_none_or(|clients| clients.take(client, now));
        if admitted { Ok(()) } else { Err(Limited::Client) }
    }
}

/// How many seconds' worth of requests may come at once.
const BURST: i64 = 5;
/// How many keys are counted at a time; more come in uncounted rather than take memory without end.
const MOST: usize = 200_000;

/// One bucket of tokens a key. A bucket that nobody took from for [`BURST`] seconds is full, so it may be forgotten.
#[derive(Debug)]
struct Buckets<K> {
    per_second: i64,
    generations: Mutex<Generations<K>>,
}

#[derive(Debug)]
struct Generations<K> {
    began: i64,
    young: HashMap<K, Bucket>,
    old: HashMap<K, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: i64,
    at: i64,
}

impl<K: Copy + Eq + Hash> Buckets<K> {
    fn new(per_second: u32) -> Self {
        let generations = Generations { began: i64::MIN, young: HashMap::new(), old: HashMap::new() };
        Self { per_second: i64::from(per_second), generations: Mutex::new(generations) }
    }

    /// Takes a token of `key`, if there is one.
    fn take(&self, key: K, now: Timestamp) -> bool {
        let now = now.seconds();
        let full = self.per_second.saturating_mul(BURST);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.age(now);
        let known = generations.young.get(&key).or_else(|| generations.old.get(&key)).copied();
        let bucket = known.unwrap_or(Bucket { tokens: full, at: now });
        let since = now.saturating_sub(bucket.at).max(0);
        let tokens = bucket.tokens.saturating_add(since.saturating_mul(self.per_second)).min(full);
        if known.is_some() || generations.young.len() < MOST {
            let left = Bucket { tokens: (tokens - 1).max(0), at: now.max(bucket.at) };
            generations.young.insert(key, left);
        }
        tokens > 0
    }
}

impl<K> Generations<K> {
    fn age(&mut self, now: i64) {
        if now.saturating_sub(self.began) >= BURST || now < self.began {
            self.old = mem::take(&mut self.young);
            self.began = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn granted(buckets: &Buckets<u8>, key: u8, now: i64, asked: usize) -> usize {
        (0..asked).filter(|_| buckets.take(key, at(now))).count()
    }

    #[test]
    fn gives_a_burst_and_then_so_many_a_second_to_each() {
        let buckets = Buckets::new(10);
        assert_eq!(granted(&buckets, 1, 1_000, 100), 50);
        assert_eq!(granted(&buckets, 2, 1_000, 20), 20, "another has its own");
        assert_eq!(granted(&buckets, 1, 1_001, 100), 10);
        assert_eq!(granted(&buckets, 1, 1_003, 100), 20);
        assert_eq!(granted(&buckets, 1, 1_100, 100), 50, "never more than a burst");
    }

    #[test]
    fn forgets_nobody_who_is_still_short() {
        let buckets = Buckets::new(1);
        assert_eq!(granted(&buckets, 1, 1_000, 9), 5);
        for now in 1_001..1_020 {
            assert_eq!(granted(&buckets, 1, now, 9), 1, "at {now}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let buckets = Buckets::new(1);
        assert_eq!(granted(&buckets, 1, 1_000, 9), 5);
        assert_eq!(granted(&buckets, 1, 500, 9), 0);
        assert_eq!(granted(&buckets, 1, 1_001, 9), 1);
    }
}
