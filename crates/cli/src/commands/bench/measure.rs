//! Measuring: operations in turn, many short rounds, thread CPU time, medians. On a shared machine wall time says
//! little; the ratio of two medians of one run says much.

use rustix::time::{ClockId, clock_gettime};

/// One operation under measurement. Each call does one unit of work on input that has not been used before.
pub(crate) struct Subject<'a> {
    /// The row's name.
    pub(crate) name: &'static str,
    /// How many client keys take part; 0 when none does.
    pub(crate) keys: usize,
    /// Does one unit of work.
    pub(crate) operation: Box<dyn FnMut() + 'a>,
}

/// What was measured of one subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Nanoseconds of CPU time for one call, the median of all rounds.
    pub(crate) median: f64,
}

/// Runs `rounds` rounds; in each, every subject in turn for `calls` calls. `progress` is told after each round.
pub(crate) fn interleaved(
    subjects: &mut [Subject<'_>],
    rounds: usize,
    calls: usize,
    mut progress: impl FnMut(),
) -> Vec<Measured> {
    let mut samples = vec![Vec::with_capacity(rounds); subjects.len()];
    for round in 0..=rounds {
        for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
            let nanoseconds = timed(subject, calls);
            // The first round warms caches and branch predictors; it does not count.
            if round > 0 {
                samples.push(nanoseconds);
            }
        }
        progress();
    }
    samples.into_iter().map(|samples| Measured { median: median(samples) }).collect()
}

#[expect(clippy::cast_precision_loss, reason = "rounds last milliseconds; 52 bits of nanoseconds are weeks")]
fn timed(subject: &mut Subject<'_>, calls: usize) -> f64 {
    let before = thread_cpu_nanoseconds();
    for _ in 0..calls {
        (subject.operation)();
    }
    thread_cpu_nanoseconds().saturating_sub(before) as f64 / calls as f64
}

/// CPU time of all threads of this process.
pub(crate) fn process_cpu_nanoseconds() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

fn thread_cpu_nanoseconds() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

pub(crate) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples.len() {
        0 => 0.0,
        length if length % 2 == 1 => samples[middle],
        _ => f64::midpoint(samples[middle - 1], samples[middle]),
    }
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
    fn every_subject_is_called_in_every_round_and_the_first_round_does_not_count() {
        let mut calls = 0;
        let mut rounds = 0;
        let mut subjects = vec![Subject { name: "count", keys: 0, operation: Box::new(|| calls += 1) }];
        let measured = interleaved(&mut subjects, 4, 10, || rounds += 1);
        drop(subjects);
        assert_eq!((measured.len(), calls, rounds), (1, 50, 5));
    }
}
