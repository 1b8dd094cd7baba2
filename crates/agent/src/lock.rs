//! The lock: while it is on, nothing is signed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::{pbkdf2, rand};
use countersign_dpop::time::Timestamp;
use tokio::sync::Notify;
use zeroize::Zeroizing;

/// Whether the agent signs.
#[derive(Debug)]
pub(crate) struct Lock {
    state: Mutex<State>,
    /// Seconds without a request after which it locks itself.
    idle: Option<u32>,
    /// How often it went on: what began before ends with that.
    closings: AtomicU64,
    /// Rings when something ends what is under way: the lock, or the revocation of a binding.
    bell: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    locked: bool,
    password: Option<Password>,
    last_use: Timestamp,
    failures: u32,
    not_before: Timestamp,
}

#[derive(Debug)]
struct Password {
    salt: [u8; 16],
    hash: [u8; 32],
}

/// Why the lock stays as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LockError {
    /// It is on already.
    #[error("the agent is locked already")]
    Locked,
    /// The password is another one.
    #[error("that is not the password it was locked with")]
    WrongPassword,
    /// After wrong passwords it takes a while.
    #[error("after wrong passwords no other is tried for {seconds} s")]
    Wait {
        /// How long.
        seconds: i64,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

const ROUNDS: std::num::NonZeroU32 = std::num::NonZeroU32::new(200_000).expect("not zero");

impl Lock {
    pub(crate) fn new(idle: Option<u32>, now: Timestamp) -> Self {
        let state = State { locked: false, password: None, last_use: now, failures: 0, not_before: now };
        Self { state: Mutex::new(state), idle, closings: AtomicU64::new(0), bell: Arc::default() }
    }

    /// Rings when something ends what is under way. Whoever hears it has to look whether it is meant.
    pub(crate) const fn bell(&self) -> &Arc<Notify> {
        &self.bell
    }

    /// True when it is on at `now`. The second is true when it went on just now, by itself.
    pub(crate) fn is_locked(&self, now: Timestamp) -> (bool, bool) {
        let mut state = self.lock_state();
        if state.locked {
            return (true, false);
        }
        let idle = self.idle.is_some_and(|idle| now.since(state.last_use) > i64::from(idle));
        if idle {
            self.close_with(&mut state, None);
        }
        (idle, idle)
    }

    /// Lets a request through and notes it: how often the lock had gone on. `None` while it is on.
    pub(crate) fn enter(&self, now: Timestamp) -> Option<u64> {
        let mut state = self.lock_state();
        if state.locked {
            return None;
        }
        state.last_use = now;
        Some(self.closings.load(Ordering::Acquire))
    }

    /// True when the lock has gone on since a request was let through.
    pub(crate) fn has_closed_since(&self, closings: u64) -> bool {
        self.closings.load(Ordering::Acquire) != closings
    }

    /// Locks; only `password` opens it again, if there is one.
    pub(crate) fn close(&self, password: Option<&Zeroizing<String>>) -> Result<(), LockError> {
        let password = password.map(|password| Password::new(password)).transpose()?;
        let mut state = self.lock_state();
        if state.locked {
            return Err(LockError::Locked);
        }
        self.close_with(&mut state, password);
        Ok(())
    }

    /// Unlocks.
    pub(crate) fn open(&self, password: Option<&Zeroizing<String>>, now: Timestamp) -> Result<(), LockError> {
        let mut state = self.lock_state();
        if now < state.not_before {
            return Err(LockError::Wait { seconds: state.not_before.since(now) });
        }
        let fits = match (&state.password, password) {
            (None, _) => true,
            (Some(_), None) => return Err(LockError::WrongPassword),
            (Some(kept), Some(given)) => kept.fits(given),
        };
        if !fits {
            state.failures = state.failures.saturating_add(1);
            state.not_before = now.plus(1_i64 << state.failures.min(8));
            return Err(LockError::WrongPassword);
        }
        state.locked = false;
        state.password = None;
        state.failures = 0;
        state.last_use = now;
        Ok(())
    }

    fn close_with(&self, state: &mut State, password: Option<Password>) {
        state.locked = true;
        state.password = password;
        self.closings.fetch_add(1, Ordering::AcqRel);
        self.bell.notify_waiters();
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Password {
    fn new(password: &str) -> Result<Self, LockError> {
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(|_| LockError::NoRandomness)?;
        let mut hash = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut hash);
        Ok(Self { salt, hash })
    }

    fn fits(&self, password: &str) -> bool {
        pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &self.salt, password.as_bytes(), &self.hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn password(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn opens_by_the_password_it_was_closed_with() {
        let lock = Lock::new(None, NOW);
        let closings = lock.enter(NOW).expect("open");
        assert!(!lock.has_closed_since(closings));
        lock.close(Some(&password("right"))).expect("closes");
        assert_eq!(lock.is_locked(NOW), (true, false));
        assert!(lock.has_closed_since(closings) && lock.enter(NOW).is_none());
        assert_eq!(lock.close(None), Err(LockError::Locked));
        assert_eq!(lock.open(None, NOW), Err(LockError::WrongPassword));
        assert_eq!(lock.open(Some(&password("wrong")), NOW), Err(LockError::WrongPassword));
        assert_eq!(lock.open(Some(&password("right")), NOW), Err(LockError::Wait { seconds: 2 }));
        assert_eq!(lock.open(Some(&password("right")), NOW.plus(2)), Ok(()));
        assert_eq!(lock.is_locked(NOW.plus(2)), (false, false));
        assert!(lock.has_closed_since(closings), "what began before does not go on");
    }

    #[test]
    fn closes_by_itself_when_nobody_asks_for_anything() {
        let lock = Lock::new(Some(60), NOW);
        assert_eq!(lock.is_locked(NOW.plus(60)), (false, false));
        assert!(lock.enter(NOW.plus(60)).is_some());
        assert_eq!(lock.is_locked(NOW.plus(120)), (false, false));
        assert_eq!(lock.is_locked(NOW.plus(121)), (true, true));
        assert_eq!(lock.is_locked(NOW.plus(121)), (true, false));
    }
}
