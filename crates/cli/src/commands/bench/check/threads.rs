//! Two threads against one: what they take from each other by locks and by memory they share.

use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};

use super::super::fixture::{BenchClient, Fixture};
use super::super::measure::{Measured, Samples, Work, all_right, median};
use super::super::row::Column;
use super::judging::Known;
use crate::error::CommandError;

/// How much more two threads serve than one, by their CPU time: what waits is not seen, what is contended is.
pub(super) static SPEED_UP_CPU: Column = Column::new("two_threads_by_cpu", "2 threads (CPU)", 2);
/// How much more two threads serve than one, by the wall: neighbours on the machine make it less.
pub(super) static SPEED_UP_WALL: Column = Column::new("two_threads_by_wall", "2 threads (wall)", 2);

/// Requests of each thread in one round.
const CALLS: usize = 600;

/// What two threads were found to serve.
pub(super) struct TwoThreads {
    /// Nanoseconds of CPU time for one check while two threads check.
    pub(super) cpu: Measured,
    pub(super) speed_up_cpu: f64,
    pub(super) speed_up_wall: f64,
}

/// Measures `rounds` rounds of one thread, then two, at work for known clients.
pub(super) fn two_threads(
    fixture: &Fixture,
    clients: &[BenchClient],
    rounds: usize,
    mut progress: impl FnMut(),
) -> Result<TwoThreads, CommandError> {
    let (one_half, other_half) = clients.split_at(clients.len() / 2);
    let mut first = Known::new(fixture, one_half);
    let mut second = Known::new(fixture, other_half);
    let (mut alone, mut both) = (Vec::new(), Vec::new());
    for _ in 0..=rounds {
        alone.push(round(vec![&mut first])?);
        both.push(round(vec![&mut first, &mut second])?);
        progress();
    }
    // The first round warms up.
    let ratio = |of: fn(&Round) -> f64| {
        let pairs = alone.iter().zip(&both).skip(1);
        median(pairs.map(|(alone, both)| 2.0 * of(alone) / of(both)).collect())
    };
    Ok(TwoThreads {
        cpu: Measured::of(both.iter().skip(1).map(|round| round.cpu).collect()),
        speed_up_cpu: ratio(|round| round.cpu),
        speed_up_wall: ratio(|round| round.wall),
    })
}

/// Nanoseconds for one check on one thread.
struct Round {
    cpu: f64,
    wall: f64,
}

/// Every one of `works` on a thread of its own, all beginning together.
fn round(mut works: Vec<&mut Known<'_>>) -> Result<Round, CommandError> {
    for work in &mut works {
        work.prepare(CALLS)?;
    }
    let barrier = Barrier::new(works.len());
    let ended: Vec<Result<Samples, CommandError>> = thread::scope(|scope| {
        let threads: Vec<_> = works.into_iter().map(|work| scope.spawn(|| judge(work, &barrier))).collect();
        let joined = threads.into_iter().map(ScopedJoinHandle::join);
        joined.map(|ended| ended.unwrap_or_else(|_| Err(CommandError::internal("a thread ended early")))).collect()
    });
    let samples: Vec<Samples> = ended.into_iter().collect::<Result<_, _>>()?;
    let slowest = |of: fn(&Samples) -> f64| samples.iter().map(of).fold(0.0, f64::max);
    #[expect(clippy::cast_precision_loss, reason = "one or two")]
    let threads = samples.len() as f64;
    let cpu = samples.iter().map(|samples| samples.cpu().median).sum::<f64>() / threads;
    Ok(Round { cpu, wall: slowest(|samples| samples.wall().median) })
}

fn judge(work: &mut Known<'_>, barrier: &Barrier) -> Result<Samples, CommandError> {
    let mut samples = Samples::of_this_thread().already_warm();
    barrier.wait();
    samples.begin();
    let right = (0..CALLS).filter(|_| work.call()).count();
    samples.end(CALLS);
    all_right(right, CALLS)?;
    Ok(samples)
}
