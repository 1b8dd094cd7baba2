use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use countersign_forward::{OutOfPatience, PatienceLimits};
use hyper::rt::Executor;

use super::Pace;
use crate::metrics::InFlight;

tokio::task_local! {
    static PACE: Arc<Pace>;
}

/// Runs the streams of one HTTP/2 connection, and drops those whose client does not take its answer. The connection
/// resets what is dropped.
#[derive(Clone, Debug)]
pub(crate) struct StreamExecutor<R> {
    limits: PatienceLimits,
    /// The streams that run.
    running: Arc<AtomicI64>,
    /// Told of each stream that was dropped.
    report: R,
}

impl<R> StreamExecutor<R> {
    pub(crate) const fn new(limits: PatienceLimits, running: Arc<AtomicI64>, report: R) -> Self {
        Self { limits, running, report }
    }
}

impl<R, F> Executor<F> for StreamExecutor<R>
where
    R: Fn(OutOfPatience) + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let (pace, report, running) = (Pace::new(self.limits), self.report.clone(), InFlight::new(&self.running));
        let paced = Arc::clone(&pace);
        let stream = async move {
            let _running = running;
            tokio::select! {
                biased;
                () = stream => (),
                out = paced.overdue() => report(out),
            }
        };
        tokio::spawn(PACE.scope(pace, stream));
    }
}

/// The pace of the stream that this is called in.
pub(super) fn current(limits: PatienceLimits) -> Arc<Pace> {
    // Every stream runs by the executor above; a body elsewhere would just not be watched.
    PACE.try_with(Arc::clone).unwrap_or_else(|_| Pace::new(limits))
}
