//! How many requests in a minute.

use std::sync::{Mutex, PoisonError};

use countersign_dpop::time::Timestamp;

/// Counts the requests of each minute of the clock.
#[derive(Debug, Default)]
pub(crate) struct RateLimit(Mutex<(i64, u32)>);

impl RateLimit {
    /// True when one more request at `now` is within `per_minute`.
    pub(crate) fn take(&self, per_minute: Option<u32>, now: Timestamp) -> bool {
        let Some(limit) = per_minute else { return true };
        let minute = now.seconds().div_euclid(60);
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if count.0 != minute {
            *count = (minute, 0);
        }
        count.1 = count.1.saturating_add(1);
        count.1 <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_anew_each_minute() {
        let (rate, now) = (RateLimit::default(), Timestamp::from_seconds(600));
        assert!(rate.take(Some(2), now) && rate.take(Some(2), now.plus(59)));
        assert!(!rate.take(Some(2), now.plus(59)));
        assert!(rate.take(Some(2), now.plus(60)));
        assert!(rate.take(None, now));
    }
}
