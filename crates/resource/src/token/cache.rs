//! What is remembered of tokens, by their hash: bounded, no clock, no threads.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_dpop::Ath;

const SHARDS: usize = 16;

/// A bounded map that forgets what was not used for longest, roughly: when the young half is full, the old half is
/// dropped and the young one grows old; what is used in the old half grows young again.
///
/// Forgetting is harmless here, which is why this is no place for replay records. The hash of a token is the key,
/// and each shard hashes it with a secret of its own, so keys cannot be made to collide.
pub(crate) struct TokenCache<V> {
    shards: Vec<Mutex<Shard<V>>>,
    half: usize,
}

#[derive(Default)]
struct Shard<V> {
    young: HashMap<Ath, V>,
    old: HashMap<Ath, V>,
}

impl<V: Clone> TokenCache<V> {
    /// Remembers at most `capacity` tokens, rounded up to a multiple of 32.
    pub(crate) fn new(capacity: usize) -> Self {
        let half = capacity.div_ceil(2 * SHARDS).max(1);
        let empty = || Mutex::new(Shard { young: HashMap::new(), old: HashMap::new() });
        Self { shards: (0..SHARDS).map(|_| empty()).collect(), half }
    }

    pub(crate) fn get(&self, ath: &Ath) -> Option<V> {
        let mut shard = self.shard(ath);
        if let Some(value) = shard.young.get(ath) {
            return Some(value.clone());
        }
        let value = shard.old.remove(ath)?;
        shard.insert(*ath, value.clone(), self.half);
        Some(value)
    }

    pub(crate) fn insert(&self, ath: Ath, value: V) {
        let mut shard = self.shard(&ath);
        shard.old.remove(&ath);
        shard.insert(ath, value, self.half);
    }

    pub(crate) fn remove(&self, ath: &Ath) {
        let mut shard = self.shard(ath);
        shard.young.remove(ath);
        shard.old.remove(ath);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let count = |shard: &Mutex<Shard<V>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.len() + shard.old.len()
        };
        self.shards.iter().map(count).sum()
    }

    fn shard(&self, ath: &Ath) -> MutexGuard<'_, Shard<V>> {
        let index = usize::from(ath.as_bytes()[0]) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Shard<V> {
    fn insert(&mut self, ath: Ath, value: V, half: usize) {
        if self.young.len() >= half && !self.young.contains_key(&ath) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(ath, value);
    }
}

impl<V> fmt::Debug for TokenCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("capacity", &(self.half * 2 * SHARDS)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ath(number: usize) -> Ath {
        Ath::of(&number.to_string())
    }

    #[test]
    fn never_holds_more_than_its_capacity() {
        let cache = TokenCache::new(320);
        for number in 0..10_000 {
            cache.insert(ath(number), number);
            assert!(cache.len() <= 320);
        }
        assert!(cache.len() >= 160);
    }

    #[test]
    fn keeps_what_is_used_and_forgets_the_rest() {
        let cache = TokenCache::new(320);
        cache.insert(ath(0), 0);
        for number in 1..10_000 {
            cache.insert(ath(number), number);
            assert_eq!(cache.get(&ath(0)), Some(0), "after {number} others");
        }
        assert_eq!(cache.get(&ath(1)), None);
        assert_eq!(cache.get(&ath(9_999)), Some(9_999));
    }

    #[test]
    fn replaces_and_removes() {
        let cache = TokenCache::new(32);
        cache.insert(ath(1), 1);
        cache.insert(ath(1), 2);
        assert_eq!(cache.get(&ath(1)), Some(2));
        cache.remove(&ath(1));
        assert_eq!(cache.get(&ath(1)), None);
        assert_eq!(cache.len(), 0);
    }
}
