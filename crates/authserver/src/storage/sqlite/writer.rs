//! The one writer: it takes all requests that wait and commits them together, so that a durable write is shared by
//! those that come at the same time.

use std::sync::Arc;

use countersign_dpop::time::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Database, TIME_LIMIT, Work, memory_row, recording, sweeping};
use crate::storage::memory::Memory;
use crate::storage::{Change, SingleUse, StorageError, Verdict};

/// Gives requests to the writing task, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the task that writes to `database`.
    pub(super) fn spawn(database: Arc<Database>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_all(database, receiver));
        Self { jobs: sender }
    }

    /// Has `once` recorded and `changes` made. A caller that stops waiting before its turn has nothing recorded.
    pub(super) async fn commit(
        &self,
        once: SingleUse,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> Result<Verdict, StorageError> {
        let deadline = Instant::now() + TIME_LIMIT;
        let away = |reason: &str| StorageError::Unavailable { reason: reason.to_owned() };
        let (reply, answer) = oneshot::channel();
        let given = tokio::time::timeout_at(deadline, self.jobs.send(Job { once, changes, now, reply })).await;
        given.map_err(|_| away("too many requests wait"))?.map_err(|_| away("the writer has ended"))?;
        let answer = tokio::time::timeout_at(deadline, answer).await;
        answer.map_err(|_| away("no answer in time"))?.map_err(|_| away("the writer gave no answer"))?
    }
}

/// How many requests may wait; more wait to be taken.
const QUEUE: usize = 1_024;
/// How many requests are committed together at most.
const BATCH: usize = 128;
/// For every request recorded, how many expired entries of a kind are swept at most: more than come in.
const SWEPT_PER_REQUEST: i64 = 2;
/// A sweep is worth it from this many requests on.
const SWEEP_EVERY: i64 = 64;

struct Job {
    once: SingleUse,
    changes: Vec<Change>,
    now: Timestamp,
    reply: oneshot::Sender<Result<Verdict, StorageError>>,
}

async fn write_all(database: Arc<Database>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut unswept = 0;
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        batch.retain(|job| !job.reply.is_closed());
        while let Some(first) = batch.first() {
            // What begins a new epoch does so before anything is recorded, so it is never in the middle of a batch.
            let now = first.now;
            let together = batch.iter().take_while(|job| job.now >= now).count();
            let written = write_batch(&database, &batch[..together], &mut unswept).await;
            answer(batch.drain(..together), written);
        }
    }
}

/// Records each of `batch` in one transaction; it begins with the earliest.
async fn write_batch(database: &Database, batch: &[Job], unswept: &mut i64) -> Result<Vec<Verdict>, sqlx::Error> {
    let Some(first) = batch.first() else { return Ok(Vec::new()) };
    let (mut work, before) = database.begin(first.now).await?;
    let mut memory = before;
    let mut verdicts = Vec::with_capacity(batch.len());
    for job in batch {
        verdicts.push(recording::commit(&mut work, &memory, &job.once, &job.changes).await?);
        memory.highest_seen = memory.highest_seen.max(job.now);
    }
    *unswept += i64::try_from(batch.len()).unwrap_or(i64::MAX);
    sweep_if_due(&mut work, &mut memory, unswept).await?;
    if memory != before {
        memory_row::save(&mut work, &memory).await?;
    }
    work.commit().await?;
    Ok(verdicts)
}

async fn sweep_if_due(work: &mut Work, memory: &mut Memory, unswept: &mut i64) -> Result<(), sqlx::Error> {
    if *unswept >= SWEEP_EVERY {
        let limit = unswept.saturating_mul(SWEPT_PER_REQUEST);
        let now = memory.highest_seen;
        sweeping::sweep_some(work, memory, now, limit).await?;
        *unswept = 0;
    }
    Ok(())
}

/// A caller that is gone needs no answer.
fn answer(batch: impl Iterator<Item = Job>, written: Result<Vec<Verdict>, sqlx::Error>) {
    match written {
        Ok(verdicts) => {
            for (job, verdict) in batch.zip(verdicts) {
                let _ = job.reply.send(Ok(verdict));
            }
        }
        Err(error) => {
            let error = StorageError::from(error);
            for job in batch {
                let _ = job.reply.send(Err(error.clone()));
            }
        }
    }
}
