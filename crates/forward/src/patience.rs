//! How long a peer may keep others waiting: neither for long at a time, nor again and again for next to nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What may be waited for, and how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PatienceLimits {
    /// For a next part.
    pub idle: Duration,
    /// Bytes a second on average, reckoned over the time that is spent waiting; 0 for no such demand.
    pub bytes_per_second: u32,
}

/// The time that one peer has left. Waiting for it uses time up; what comes gives time back, a second for as many bytes
/// as are demanded a second, and never more than there was at first. So a peer may be slow for a while, or fast, or
/// silent as long as the idle time says, but not send byte after byte each just in time.
///
/// Only waiting counts: while nobody asks for the peer's bytes, its time stands still.
#[derive(Debug)]
pub struct TimeAccount {
    limits: PatienceLimits,
    left: Duration,
    waiting_since: Option<Instant>,
}

/// A [`TimeAccount`] with a timer that tells when it is used up.
#[derive(Debug)]
pub struct Patience {
    account: TimeAccount,
    end: Option<Pin<Box<Sleep>>>,
}

/// A peer that used up its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutOfPatience {
    /// Nothing came for the whole idle time.
    Idle,
    /// What came was too little.
    Slow,
}

impl Patience {
    /// With all the time that there is.
    pub const fn new(limits: PatienceLimits) -> Self {
        Self { account: TimeAccount::new(limits), end: None }
    }

    /// Waits for the peer; ready when its time is up.
    pub fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<OutOfPatience> {
        let account = &mut self.account;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(account.wait())));
        end.as_mut().poll(cx).map(|()| self.account.reason())
    }

    /// Notes that `bytes` came.
    pub fn moved(&mut self, bytes: usize) {
        self.end = None;
        self.account.moved(bytes);
    }
}

impl TimeAccount {
    /// With all the time that there is.
    pub const fn new(limits: PatienceLimits) -> Self {
        Self { limits, left: limits.idle, waiting_since: None }
    }

    /// Waits for the peer from now on, if nobody did; when its time is up.
    pub fn wait(&mut self) -> Instant {
        *self.waiting_since.get_or_insert_with(Instant::now) + self.left
    }

    /// Notes that `bytes` came. Nobody waits any longer.
    pub fn moved(&mut self, bytes: usize) {
        let Some(since) = self.waiting_since.take() else {
            // The common case, in which nobody waited: the time can only grow.
            if self.left < self.limits.idle {
                self.earn(bytes);
            }
            return;
        };
        self.left = self.left.saturating_sub(since.elapsed());
        self.earn(bytes);
    }

    fn earn(&mut self, bytes: usize) {
        self.left = match self.limits.bytes_per_second {
            0 => self.limits.idle,
            rate => {
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                let earned = Duration::from_millis(bytes.saturating_mul(1_000) / u64::from(rate));
                self.left.saturating_add(earned).min(self.limits.idle)
            }
        };
    }

    /// Why the time is up, when it is.
    pub fn reason(&self) -> OutOfPatience {
        if self.left == self.limits.idle { OutOfPatience::Idle } else { OutOfPatience::Slow }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    const LIMITS: PatienceLimits = PatienceLimits { idle: Duration::from_secs(30), bytes_per_second: 100 };

    /// Waits as long as `time`; says when the peer's time was up before.
    async fn wait(patience: &mut Patience, time: Duration) -> Option<OutOfPatience> {
        timeout(time, poll_fn(|cx| patience.poll_wait(cx))).await.ok()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it_after_the_idle_time() {
        let mut patience = Patience::new(LIMITS);
        assert_eq!(wait(&mut patience, seconds(29)).await, None);
        assert_eq!(wait(&mut patience, seconds(2)).await, Some(OutOfPatience::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn byte_after_byte_ends_it_as_soon_as_silence() {
        let mut patience = Patience::new(LIMITS);
        for _ in 0..2 {
            assert_eq!(wait(&mut patience, seconds(14)).await, None);
            patience.moved(1);
        }
        assert_eq!(wait(&mut patience, seconds(14)).await, Some(OutOfPatience::Slow), "2.02 s were left");
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_to_the_rate_may_go_on_for_ever() {
        let mut patience = Patience::new(LIMITS);
        for _ in 0..1_000 {
            assert_eq!(wait(&mut patience, seconds(20)).await, None);
            patience.moved(2_000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_saved_up_beyond_the_idle_time() {
        let mut patience = Patience::new(LIMITS);
        patience.moved(1_000_000_000);
        assert_eq!(wait(&mut patience, seconds(31)).await, Some(OutOfPatience::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let mut patience = Patience::new(LIMITS);
        assert_eq!(wait(&mut patience, seconds(29)).await, None);
        patience.moved(200);
        advance(Duration::from_hours(1)).await;
        assert_eq!(wait(&mut patience, seconds(2)).await, None, "3 s were left");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_any_byte_gives_the_whole_time_back() {
        let mut patience = Patience::new(PatienceLimits { bytes_per_second: 0, ..LIMITS });
        for _ in 0..100 {
            assert_eq!(wait(&mut patience, seconds(29)).await, None);
            patience.moved(1);
        }
        assert_eq!(wait(&mut patience, seconds(31)).await, Some(OutOfPatience::Idle));
    }
}
