//! Recording what is good for one request only.

use countersign_dpop::replay::ReplayEntry;

use sqlx::{Connection, SqliteConnection};

use super::{Memory, entries};
use crate::storage::{AssertionEntry, Change, SingleUse, Verdict};

/// Records all of `once` and makes all `changes`, or nothing of it.
pub(super) async fn commit(
    work: &mut SqliteConnection,
    memory: &Memory,
    once: &SingleUse,
    changes: &[Change],
) -> Result<Verdict, sqlx::Error> {
    if changes.is_empty() {
        return record(work, memory, once).await;
    }
    let mut inner = work.begin().await?;
    let verdict = record(&mut inner, memory, once).await?;
    if verdict != Verdict::First {
        inner.rollback().await?;
        return Ok(verdict);
    }
    if !entries::change(&mut inner, changes).await? {
        inner.rollback().await?;
        return Ok(Verdict::Conflict);
    }
    inner.commit().await?;
    Ok(Verdict::First)
}

/// Records all of `once` or nothing of it.
async fn record(work: &mut SqliteConnection, memory: &Memory, once: &SingleUse) -> Result<Verdict, sqlx::Error> {
    if let Some(refused) = judge(memory, once) {
        return Ok(refused);
    }
    if let Some(proof) = &once.proof
        && !insert_proof(work, proof).await?
    {
        return Ok(Verdict::ProofReplayed);
    }
    if let Some(assertion) = &once.assertion
        && !insert_assertion(work, assertion).await?
    {
        // Nothing else has seen the proof in this transaction: take it back.
        if let Some(proof) = &once.proof {
            delete_proof(work, proof).await?;
        }
        return Ok(Verdict::AssertionReplayed);
    }
    Ok(Verdict::First)
}

/// What the memory alone refuses.
fn judge(memory: &Memory, once: &SingleUse) -> Option<Verdict> {
    let demands_nonce =
        |proof: &ReplayEntry| memory.epoch.demands_nonce(proof.iat) && proof.nonce_epoch != Some(memory.epoch.id);
    let is_forgotten = |assertion: &AssertionEntry| assertion.not_after <= memory.assertions_forgotten;
    if once.proof.as_ref().is_some_and(demands_nonce) {
        Some(Verdict::NonceDemanded)
    } else if once.assertion.as_ref().is_some_and(is_forgotten) {
        Some(Verdict::AssertionForgotten)
    } else {
        None
    }
}

async fn insert_proof(work: &mut SqliteConnection, proof: &ReplayEntry) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query("INSERT INTO used_proof (replay_key, not_after) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(proof.key.as_bytes().as_slice())
        .bind(proof.not_after.seconds())
        .execute(work)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn delete_proof(work: &mut SqliteConnection, proof: &ReplayEntry) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM used_proof WHERE replay_key = $1")
        .bind(proof.key.as_bytes().as_slice())
        .execute(work)
        .await?;
    Ok(())
}

async fn insert_assertion(work: &mut SqliteConnection, assertion: &AssertionEntry) -> Result<bool, sqlx::Error> {
    let inserted =
        sqlx::query("INSERT INTO used_assertion (assertion_key, not_after) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(assertion.key.as_bytes().as_slice())
            .bind(assertion.not_after.seconds())
            .execute(work)
            .await?;
    Ok(inserted.rows_affected() == 1)
}
