//! The one writer of this process: it takes all operations that wait and commits them together, so that a durable
//! write is shared by those that come at the same time. In the database, too, those who write do so one after the
//! other, so what an operation reads is still so when it writes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use countersign_dpop::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::work::Work;
use super::{Database, TIME_LIMIT, memory_row, recording, sweeping};
use crate::storage::memory::Memory;
use crate::storage::{SingleUse, StorageError, Verdict};

/// What an operation does in the transaction.
pub(super) type Written<'w, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'w>>;

/// Gives operations to the writing task, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the task that writes to `database`.
    pub(super) fn spawn(database: Arc<Database>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(database, receiver));
        Self { jobs: sender }
    }

    /// Runs `operation` in a transaction that is committed when the answer comes. The operation must refuse before it
    /// writes: what it has written when it answers stays. It may be run again when the transaction could not be
    /// carried out as a whole. `now` is the time of the request, if it is about one. A caller that stops waiting
    /// before its turn has nothing written.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        now: Option<Timestamp>,
        operation: impl for<'w> Fn(&'w mut Work, &'w Memory) -> Written<'w, T> + Send + Sync + 'static,
    ) -> Result<T, StorageError> {
        let (reply, answer) = oneshot::channel();
        self.give(Operation { now, work: operation, outcome: None, reply }, answer).await
    }

    /// Records what a request may be accepted with only once, together with those of other requests.
    pub(super) async fn record(&self, once: SingleUse, now: Timestamp) -> Result<Verdict, StorageError> {
        let (reply, answer) = oneshot::channel();
        self.give(Recording { now, once, verdict: None, reply }, answer).await
    }

    async fn give<T>(
        &self,
        job: impl Job + 'static,
        answer: oneshot::Receiver<Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let deadline = Instant::now() + TIME_LIMIT;
        let away = |reason: &str| StorageError::Unavailable { reason: reason.to_owned() };
        let given = tokio::time::timeout_at(deadline, self.jobs.send(Box::new(job))).await;
        given.map_err(|_| away("too many requests wait"))?.map_err(|_| away("the writer has ended"))?;
        let answer = tokio::time::timeout_at(deadline, answer).await;
        answer.map_err(|_| away("no answer in time"))?.map_err(|_| away("the writer gave no answer"))?
    }
}

/// How many operations may wait; more wait to be taken.
const QUEUE: usize = 1_024;
/// How many operations are committed together at most.
const BATCH: usize = 128;
/// For every operation, how many expired entries of a kind are swept at most: more than come in.
const SWEPT_PER_OPERATION: i64 = 2;
/// A sweep is worth it from this many operations on.
const SWEEP_EVERY: i64 = 64;

/// An operation that waits for its turn.
trait Job: Send {
    fn now(&self) -> Option<Timestamp>;
    fn is_abandoned(&self) -> bool;
    /// Runs it; the outcome is kept until it is committed.
    fn run<'w>(&'w mut self, work: &'w mut Work, memory: &'w Memory) -> Written<'w, ()>;
    fn answer(self: Box<Self>, committed: Result<(), StorageError>);
    /// What it records, if it does nothing else; [`Job::judged`] then takes the place of [`Job::run`].
    fn recording(&self) -> Option<SingleUse> {
        None
    }
    fn judged(&mut self, _verdict: Verdict) {}
}

/// An operation that only records.
struct Recording {
    now: Timestamp,
    once: SingleUse,
    verdict: Option<Verdict>,
    reply: oneshot::Sender<Result<Verdict, StorageError>>,
}

impl Job for Recording {
    fn now(&self) -> Option<Timestamp> {
        Some(self.now)
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'w>(&'w mut self, work: &'w mut Work, memory: &'w Memory) -> Written<'w, ()> {
        Box::pin(async move {
            self.verdict = Some(recording::commit(work, memory, &self.once, &[]).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), StorageError>) {
        let Self { verdict, reply, .. } = *self;
        // A caller that is gone needs no answer.
        let _ = reply.send(committed.and_then(|()| verdict.ok_or_else(no_outcome)));
    }

    fn recording(&self) -> Option<SingleUse> {
        Some(self.once)
    }

    fn judged(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }
}

fn no_outcome() -> StorageError {
    StorageError::Unavailable { reason: "the operation has no outcome".to_owned() }
}

struct Operation<T, F> {
    now: Option<Timestamp>,
    work: F,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, StorageError>>,
}

impl<T, F> Job for Operation<T, F>
where
    T: Send + 'static,
    F: for<'w> Fn(&'w mut Work, &'w Memory) -> Written<'w, T> + Send + Sync + 'static,
{
    fn now(&self) -> Option<Timestamp> {
        self.now
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run<'w>(&'w mut self, work: &'w mut Work, memory: &'w Memory) -> Written<'w, ()> {
        Box::pin(async move {
            self.outcome = Some((self.work)(work, memory).await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), StorageError>) {
        let Self { outcome, reply, .. } = *self;
        // A caller that is gone needs no answer.
        let _ = reply.send(committed.and_then(|()| outcome.ok_or_else(no_outcome)));
    }
}

async fn write_all(database: Arc<Database>, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut unswept = 0;
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        batch.retain(|job| !job.is_abandoned());
        while !batch.is_empty() {
            let together = how_many_together(&batch);
            let mut part: Vec<Box<dyn Job>> = batch.drain(..together).collect();
            let written = write_together(&database, &mut part, &mut unswept).await;
            match written {
                Err(Fault::InOperation(_)) if part.len() > 1 => {
                    write_one_by_one(&database, part, &mut unswept).await;
                }
                written => answer(part, written),
            }
        }
    }
}

/// What begins a new epoch does so before anything is written, so it is never in the middle of a batch.
fn how_many_together(batch: &[Box<dyn Job>]) -> usize {
    let earliest = batch.iter().find_map(|job| job.now());
    batch.iter().take_while(|job| job.now() >= earliest || job.now().is_none()).count()
}

/// Why nothing, or perhaps nothing, was written.
enum Fault {
    /// One operation failed; certainly nothing was written.
    InOperation(sqlx::Error),
    /// The transaction could not be begun or committed.
    Around(sqlx::Error),
}

/// Runs each of `batch` in one transaction.
async fn write_together(database: &Database, batch: &mut [Box<dyn Job>], unswept: &mut i64) -> Result<(), Fault> {
    let first = batch.iter().find_map(|job| job.now());
    let (mut work, before) = database.begin(first).await.map_err(Fault::Around)?;
    let mut memory = before;
    run_all(batch, &mut work, &mut memory).await.map_err(Fault::InOperation)?;
    *unswept += i64::try_from(batch.len()).unwrap_or(i64::MAX);
    sweep_if_due(&mut work, &mut memory, unswept).await.map_err(Fault::Around)?;
    if memory != before {
        memory_row::save(&mut work, &memory).await.map_err(Fault::Around)?;
    }
    work.commit().await.map_err(Fault::Around)
}

/// Runs one after the other, but those that only record all at once where they follow each other.
async fn run_all(batch: &mut [Box<dyn Job>], work: &mut Work, memory: &mut Memory) -> Result<(), sqlx::Error> {
    let mut rest = batch;
    while !rest.is_empty() {
        let requests: Vec<SingleUse> = rest.iter().map_while(|job| job.recording()).collect();
        let (now, later) = rest.split_at_mut(requests.len().max(1));
        if let [job] = now {
            job.run(work, memory).await?;
        } else {
            let verdicts = recording::record_all(work, memory, &requests).await?;
            now.iter_mut().zip(verdicts).for_each(|(job, verdict)| job.judged(verdict));
        }
        for job in now {
            memory.highest_seen = memory.highest_seen.max(job.now().unwrap_or(Timestamp::MIN));
        }
        rest = later;
    }
    Ok(())
}

/// So that one operation that the database cannot carry out does not fail those that came with it.
async fn write_one_by_one(database: &Database, batch: Vec<Box<dyn Job>>, unswept: &mut i64) {
    for job in batch {
        let mut alone = vec![job];
        let written = write_together(database, &mut alone, unswept).await;
        answer(alone, written);
    }
}

async fn sweep_if_due(work: &mut Work, memory: &mut Memory, unswept: &mut i64) -> Result<(), sqlx::Error> {
    if *unswept >= SWEEP_EVERY {
        let limit = unswept.saturating_mul(SWEPT_PER_OPERATION);
        let now = memory.highest_seen;
        sweeping::sweep_some(work, memory, now, limit).await?;
        *unswept = 0;
    }
    Ok(())
}

fn answer(batch: Vec<Box<dyn Job>>, written: Result<(), Fault>) {
    let written = written.map_err(|(Fault::InOperation(fault) | Fault::Around(fault))| StorageError::from(fault));
    for job in batch {
        job.answer(written.clone());
    }
}
