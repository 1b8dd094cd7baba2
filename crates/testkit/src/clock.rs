//! A clock to turn by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use countersign_dpop::time::{Clock, Timestamp};

/// Shows the time that it was set to. Clones show the same time.
#[derive(Clone, Debug)]
pub struct FakeClock {
    seconds: Arc<AtomicI64>,
}

impl FakeClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { seconds: Arc::new(AtomicI64::new(now.seconds())) }
    }

    /// Sets the clock to `now`, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.seconds.store(now.seconds(), Ordering::SeqCst);
    }

    /// Turns the clock by `seconds`, back when negative; returns the time that it then shows.
    pub fn advance(&self, seconds: i64) -> Timestamp {
        let turn = |now| Timestamp::from_seconds(now).plus(seconds);
        let before = self.seconds.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(turn(now).seconds()));
        turn(before.unwrap_or_else(|unchanged| unchanged))
    }

    /// This clock as servers take it.
    pub fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }
}

impl Default for FakeClock {
    /// 2025-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_seconds(1_735_689_600))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.seconds.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn shows_what_it_was_set_to() {
        let clock = FakeClock::at(at(100));
        assert_eq!(clock.now(), at(100));
        assert_eq!(clock.advance(5), at(105));
        assert_eq!(clock.advance(-50), at(55));
        clock.set(at(-7));
        assert_eq!(clock.now(), at(-7));
    }

    #[test]
    fn clones_and_servers_see_the_same_time() {
        let clock = FakeClock::default();
        let (clone, server) = (clock.clone(), clock.shared());
        clone.advance(1);
        assert_eq!(server.now(), at(1_735_689_601));
        assert_eq!(clock.now(), server.now());
    }

    #[test]
    fn stops_at_the_ends_of_time() {
        let clock = FakeClock::at(Timestamp::MAX);
        assert_eq!(clock.advance(1), Timestamp::MAX);
        clock.set(Timestamp::MIN);
        assert_eq!(clock.advance(-1), Timestamp::MIN);
    }
}
