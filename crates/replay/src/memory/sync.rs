//! The locks and atomics of the store, from the standard library or, in the model, from the model checker.

use std::sync::PoisonError;

#[cfg(all(test, countersign_model))]
pub(super) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
#[cfg(not(all(test, countersign_model)))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

/// Locks, also where a panic elsewhere has poisoned the lock: every change under these locks is counted before it
/// is made and made last, so a change that was cut short has at most left a count too high.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
