//! Measuring: operations in turn, many short rounds, thread CPU time, medians. On a shared machine wall time says
//! little; the ratio of two medians of one run says much.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::error::CommandError;

/// What is measured by calling it again and again.
pub(crate) trait Work {
    /// Makes input for the next `calls` calls; the time it takes does not count.
    fn prepare(&mut self, _calls: usize) -> Result<(), CommandError> {
        Ok(())
    }

    /// One operation, on input that nothing has seen before; false when its outcome is not the right one.
    fn call(&mut self) -> bool;
}

impl<F: FnMut() -> bool> Work for F {
    fn call(&mut self) -> bool {
        self()
    }
}

/// What was measured of one subject: time for one call over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// The median of all rounds.
    pub(crate) median: f64,
    /// The lower and the upper quartile.
    pub(crate) quartiles: [f64; 2],
}

impl Measured {
    /// The median and the quartiles of `samples`.
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let (below, above) = samples.split_at(samples.len() / 2);
        let quartile = |half: &[f64]| middle(if half.is_empty() { &samples } else { half });
        Self { median: middle(&samples), quartiles: [quartile(below), quartile(above)] }
    }
}

/// The median of `samples`.
pub(crate) fn median(samples: Vec<f64>) -> f64 {
    Measured::of(samples).median
}

/// Of sorted samples the one in the middle, or between the two in the middle; 0 of none.
fn middle(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Calls of each round that do not count: they fetch back what the others' work has driven from the caches, which a
/// server under load does not lose between two requests.
const LEAD_IN: usize = 10;

/// Runs `rounds` rounds; in each, all of `works` in turn for `calls` calls, after a few that do not count.
/// Figures are nanoseconds of this thread's CPU time for one call. `progress` is told after each round.
///
/// # Errors
/// An outcome was not the right one: then figures mean nothing.
pub(crate) fn interleaved(
    works: &mut [Box<dyn Work + '_>],
    rounds: usize,
    calls: usize,
    mut progress: impl FnMut(),
) -> Result<Vec<Measured>, CommandError> {
    let mut samples: Vec<_> = works.iter().map(|_| Samples::of_this_thread()).collect();
    // The first round warms caches and branch predictors; it does not count.
    for _ in 0..=rounds {
        for (work, samples) in works.iter_mut().zip(&mut samples) {
            work.prepare(LEAD_IN + calls)?;
            let mut right = (0..LEAD_IN).filter(|_| work.call()).count();
            samples.begin();
            right += (0..calls).filter(|_| work.call()).count();
            samples.end(calls);
            all_right(right, LEAD_IN + calls)?;
        }
        progress();
    }
    Ok(samples.iter().map(Samples::cpu).collect())
}

/// Fails unless all of `calls` outcomes were the right ones.
pub(crate) fn all_right(right: usize, calls: usize) -> Result<(), CommandError> {
    let wrong = || CommandError::internal("a measured operation gave a wrong verdict; the figures mean nothing");
    if right == calls { Ok(()) } else { Err(wrong()) }
}

/// Rounds of one kind of operation, where their work is not a plain call: asynchronous, or on many threads. The first
/// round warms up and does not count.
#[derive(Debug)]
pub(crate) struct Samples {
    clock: ClockId,
    began: Option<(u64, Instant)>,
    is_warm: bool,
    cpu: Vec<f64>,
    wall: Vec<f64>,
}

impl Samples {
    /// CPU time of this thread.
    pub(crate) fn of_this_thread() -> Self {
        Self::new(ClockId::ThreadCPUTime)
    }

    /// CPU time of all threads of this process.
    pub(crate) fn of_this_process() -> Self {
        Self::new(ClockId::ProcessCPUTime)
    }

    fn new(clock: ClockId) -> Self {
        Self { clock, began: None, is_warm: false, cpu: Vec::new(), wall: Vec::new() }
    }

    /// Counts the first round too.
    #[must_use]
    pub(crate) fn already_warm(mut self) -> Self {
        self.is_warm = true;
        self
    }

    /// A round begins.
    pub(crate) fn begin(&mut self) {
        self.began = Some((nanoseconds(self.clock), Instant::now()));
    }

    /// The round that began has ended; it was `calls` operations.
    #[expect(clippy::cast_precision_loss, reason = "rounds last milliseconds; 52 bits of nanoseconds are weeks")]
    pub(crate) fn end(&mut self, calls: usize) {
        let now = nanoseconds(self.clock);
        let Some((cpu, wall)) = self.began.take() else { return };
        if self.is_warm {
            self.cpu.push(now.saturating_sub(cpu) as f64 / calls as f64);
            self.wall.push(wall.elapsed().as_nanos() as f64 / calls as f64);
        }
        self.is_warm = true;
    }

    /// Nanoseconds of CPU time for one operation.
    pub(crate) fn cpu(&self) -> Measured {
        Measured::of(self.cpu.clone())
    }

    /// The same, with the mean in the median's place: for rounds that differ by nature, as when tables grow.
    #[expect(clippy::cast_precision_loss, reason = "rounds are few")]
    pub(crate) fn mean_cpu(&self) -> Measured {
        let mean = self.cpu.iter().sum::<f64>() / self.cpu.len().max(1) as f64;
        Measured { median: mean, ..self.cpu() }
    }

    /// Nanoseconds on the wall for one operation.
    pub(crate) fn wall(&self) -> Measured {
        Measured::of(self.wall.clone())
    }
}

/// Runs `measuring` on a thread of its own with a runtime of that one thread, outside the runtime there is: what is
/// measured shares its core with nothing else of this process.
pub(crate) fn alone<T: Send>(
    measuring: impl AsyncFnOnce() -> Result<T, CommandError> + Send,
) -> Result<T, CommandError> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(CommandError::internal)?.block_on(measuring())
    };
    let ended = std::thread::scope(|scope| scope.spawn(run).join());
    ended.map_err(|_| CommandError::internal("measuring ended early"))?
}

/// The CPU time that this thread has used so far, in nanoseconds.
pub(super) fn thread_cpu() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }

    #[test]
    fn half_of_the_rounds_lie_between_the_quartiles() {
        let samples = (1..=8).rev().map(f64::from).collect();
        assert_eq!(Measured::of(samples), Measured { median: 4.5, quartiles: [2.5, 6.5] });
        assert_eq!(Measured::of(vec![7.0]), Measured { median: 7.0, quartiles: [7.0, 7.0] });
    }

    #[test]
    fn all_work_is_called_in_every_round_and_the_first_round_does_not_count() {
        let (mut calls, mut rounds) = (0, 0);
        let mut works: Vec<Box<dyn Work>> = vec![Box::new(|| {
            calls += 1;
            true
        })];
        let measured = interleaved(&mut works, 4, 10, || rounds += 1).unwrap();
        drop(works);
        assert_eq!((measured.len(), calls, rounds), (1, 5 * (LEAD_IN + 10), 5));
    }

    #[test]
    fn one_wrong_outcome_ends_the_measuring() {
        let mut calls = 0;
        let mut works: Vec<Box<dyn Work>> = vec![Box::new(|| {
            calls += 1;
            calls != 25
        })];
        let wrong = interleaved(&mut works, 4, 10, || ()).unwrap_err();
        assert!(wrong.message().contains("wrong verdict"), "{wrong:?}");
        drop(works);
        assert_eq!(calls, 2 * (LEAD_IN + 10), "the round is ended");
    }

    #[test]
    fn the_first_round_of_samples_does_not_count() {
        let mut samples = Samples::of_this_process();
        for _ in 0..3 {
            samples.begin();
            samples.end(1);
        }
        assert_eq!((samples.cpu.len(), samples.wall.len()), (2, 2));
    }
}
