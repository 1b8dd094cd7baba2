//! Waiting for what hardly ever comes, in a task that is busy with other things.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is looked at only when it was woken, however often it is polled.
///
/// Every connection waits for the gateway to drain, and looks whenever it moves. What says so is shared by all
/// connections and locked; here they meet at it twice in a connection's life, not for every request.
#[derive(Debug)]
pub struct Dormant<F> {
    future: Pin<Box<F>>,
    alarm: Option<Arc<Alarm>>,
}

#[derive(Debug)]
struct Alarm {
    rang: AtomicBool,
    task: Waker,
}

impl<F: Future> Dormant<F> {
    /// Waits for `future`.
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), alarm: None }
    }
}

impl<F: Future> Future for Dormant<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.alarm.as_ref().is_some_and(|alarm| alarm.is_set_for(cx.waker())) {
            return Poll::Pending;
        }
        let alarm = Arc::new(Alarm { rang: AtomicBool::new(false), task: cx.waker().clone() });
        let waker = Waker::from(Arc::clone(&alarm));
        self.alarm = Some(alarm);
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Alarm {
    /// True when it has not rung, and would ring for that task.
    fn is_set_for(&self, task: &Waker) -> bool {
        !self.rang.load(Ordering::Acquire) && self.task.will_wake(task)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Before the task is woken, and looks.
        self.rang.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test]
    async fn it_is_looked_at_once_until_it_is_woken() {
        let (token, mut looked) = (CancellationToken::new(), 0);
        let mut waiting = Box::pin(token.cancelled());
        let mut dormant = Dormant::new(poll_fn(|cx| {
            looked += 1;
            waiting.as_mut().poll(cx)
        }));
        for _ in 0..3 {
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut dormant).poll(cx))).await;
            assert!(polled.is_pending());
        }
        token.cancel();
        dormant.await;
        assert_eq!(looked, 2);
    }

    #[tokio::test]
    async fn it_wakes_the_task_that_polled_it_last() {
        let token = CancellationToken::new();
        let mut dormant = Dormant::new(token.clone().cancelled_owned());
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut dormant).poll(cx))).await;
        assert!(polled.is_pending());
        let elsewhere = tokio::spawn(dormant);
        tokio::task::yield_now().await;
        token.cancel();
        elsewhere.await.unwrap();
    }
}
