//! Recording what is good for one request only.

use countersign_dpop::replay::ReplayEntry;

use super::entries;
use super::work::Work;
use crate::storage::memory::Memory;
use crate::storage::{AssertionEntry, Change, SingleUse, Verdict};

/// Records all of `once` and makes all `changes`, or nothing of it.
pub(super) async fn commit(
    work: &mut Work,
    memory: &Memory,
    once: &SingleUse,
    changes: &[Change],
) -> Result<Verdict, sqlx::Error> {
    match changes {
        [] => record(work, memory, once).await,
        [change] => commit_one(work, memory, once, change).await,
        several => commit_several(work, memory, once, several).await,
    }
}

/// A change that is not made leaves nothing behind, so only what was recorded is to be taken back.
async fn commit_one(
    work: &mut Work,
    memory: &Memory,
    once: &SingleUse,
    change: &Change,
) -> Result<Verdict, sqlx::Error> {
    let verdict = record(work, memory, once).await?;
    if verdict != Verdict::First || entries::change(work, change).await? {
        return Ok(verdict);
    }
    take_back(work, once).await?;
    Ok(Verdict::Conflict)
}

async fn commit_several(
    work: &mut Work,
    memory: &Memory,
    once: &SingleUse,
    changes: &[Change],
) -> Result<Verdict, sqlx::Error> {
    work.execute("SAVEPOINT changes", &[]).await?;
    let mut verdict = record(work, memory, once).await?;
    for change in changes {
        if verdict == Verdict::First && !entries::change(work, change).await? {
            verdict = Verdict::Conflict;
        }
    }
    if verdict != Verdict::First {
        work.execute("ROLLBACK TO SAVEPOINT changes", &[]).await?;
    }
    work.execute("RELEASE SAVEPOINT changes", &[]).await?;
    Ok(verdict)
}

/// Records all of `once` or nothing of it.
async fn record(work: &mut Work, memory: &Memory, once: &SingleUse) -> Result<Verdict, sqlx::Error> {
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
        take_back(work, &SingleUse { assertion: None, ..*once }).await?;
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

async fn insert_proof(work: &mut Work, proof: &ReplayEntry) -> Result<bool, sqlx::Error> {
    let sql = "INSERT INTO used_proof (replay_key, not_after) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(work.execute(sql, &[proof.key.as_bytes().into(), proof.not_after.into()]).await? == 1)
}

async fn insert_assertion(work: &mut Work, assertion: &AssertionEntry) -> Result<bool, sqlx::Error> {
    let sql = "INSERT INTO used_assertion (assertion_key, not_after) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(work.execute(sql, &[assertion.key.as_bytes().into(), assertion.not_after.into()]).await? == 1)
}

/// Removes what this transaction has recorded; nothing else has seen it.
async fn take_back(work: &mut Work, once: &SingleUse) -> Result<(), sqlx::Error> {
    if let Some(proof) = &once.proof {
        let sql = "DELETE FROM used_proof WHERE replay_key = $1";
        work.execute(sql, &[proof.key.as_bytes().into()]).await?;
    }
    if let Some(assertion) = &once.assertion {
        let sql = "DELETE FROM used_assertion WHERE assertion_key = $1";
        work.execute(sql, &[assertion.key.as_bytes().into()]).await?;
    }
    Ok(())
}
