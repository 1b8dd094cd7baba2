//! Recording what is good for one request only.

use std::collections::HashSet;
use std::fmt::Write as _;

use countersign_dpop::replay::ReplayEntry;
use countersign_dpop::time::Timestamp;

use super::entries;
use super::work::{Value, Work};
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
    if verdict == Verdict::First && !entries::change_all(work, changes).await? {
        verdict = Verdict::Conflict;
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
        && !PROOFS.insert(work, &proof.key.digest(), proof.not_after).await?
    {
        return Ok(Verdict::ProofReplayed);
    }
    if let Some(assertion) = &once.assertion
        && !ASSERTIONS.insert(work, assertion.key.as_bytes(), assertion.not_after).await?
    {
        take_back(work, &SingleUse { assertion: None, ..*once }).await?;
        return Ok(Verdict::AssertionReplayed);
    }
    Ok(Verdict::First)
}

/// Records of each request all or nothing, as [`commit`] without changes does one after the other; in two statements,
/// however many requests there are.
pub(super) async fn record_all(
    work: &mut Work,
    memory: &Memory,
    requests: &[SingleUse],
) -> Result<Vec<Verdict>, sqlx::Error> {
    let judged: Vec<Option<Verdict>> = requests.iter().map(|once| judge(memory, once)).collect();
    let good = || requests.iter().zip(&judged).filter(|(_, refused)| refused.is_none()).map(|(once, _)| once);
    let proofs = good().filter_map(|once| once.proof.as_ref()).map(|proof| (proof.key.digest(), proof.not_after));
    let assertions = good().filter_map(|once| once.assertion).map(|entry| (*entry.key.as_bytes(), entry.not_after));
    let mut proofs = Fresh::insert(work, &PROOFS, proofs).await?;
    let mut assertions = Fresh::insert(work, &ASSERTIONS, assertions).await?;
    let verdict = |(once, refused): (&SingleUse, Option<Verdict>)| {
        let (proof, assertion) = (once.proof.map(|it| it.key.digest()), once.assertion.map(|it| *it.key.as_bytes()));
        match (refused, proofs.has(proof), assertions.has(assertion)) {
            (Some(refused), _, _) => refused,
            (None, false, _) => Verdict::ProofReplayed,
            (None, true, false) => Verdict::AssertionReplayed,
            (None, true, true) => {
                proofs.take(proof);
                assertions.take(assertion);
                Verdict::First
            }
        }
    };
    let verdicts = requests.iter().zip(judged).map(verdict).collect();
    proofs.take_back(work, &PROOFS).await?;
    assertions.take_back(work, &ASSERTIONS).await?;
    Ok(verdicts)
}

/// A table of keys of 32 bytes, with the time that each is kept until.
struct Table {
    insert: &'static str,
    /// Inserts as many keys as `$3` says, which stand in `$1`, with their times in `$2`; the rows are those that are new.
    insert_all: &'static str,
    delete: &'static str,
}

macro_rules! table {
    ($table:literal, $key:literal) => {
        Table {
            insert: concat!("INSERT INTO ", $table, " (", $key, ", not_after) VALUES ($1, $2) ON CONFLICT DO NOTHING"),
            insert_all: concat!(
                "WITH RECURSIVE place (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM place WHERE i + 1 < $3) INSERT INTO ",
                $table, " (", $key, ", not_after)
                 SELECT substr($1, 1 + 32 * i, 32), CAST(substr($2, 1 + 20 * i, 20) AS BIGINT) FROM place WHERE true
                 ON CONFLICT DO NOTHING RETURNING ", $key,
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $key, " = $1"),
        }
    };
}

const PROOFS: Table = table!("used_proof", "replay_key");
const ASSERTIONS: Table = table!("used_assertion", "assertion_key");

impl Table {
    /// Whether the key is new.
    async fn insert(&self, work: &mut Work, key: &[u8; 32], not_after: Timestamp) -> Result<bool, sqlx::Error> {
        Ok(work.execute(self.insert, &[key.into(), not_after.into()]).await? == 1)
    }

    /// Removes what this transaction has inserted; nothing else has seen it.
    async fn take_back(&self, work: &mut Work, key: &[u8; 32]) -> Result<(), sqlx::Error> {
        work.execute(self.delete, &[key.into()]).await.map(|_| ())
    }
}

/// Keys that were inserted just now and that no request has yet.
struct Fresh(HashSet<[u8; 32]>);

impl Fresh {
    async fn insert(
        work: &mut Work,
        table: &Table,
        entries: impl Iterator<Item = ([u8; 32], Timestamp)>,
    ) -> Result<Self, sqlx::Error> {
        let (mut keys, mut times) = (Vec::new(), String::new());
        for (key, not_after) in entries {
            keys.extend_from_slice(&key);
            // Writing to a string cannot fail.
            let _ = write!(times, "{:020}", not_after.seconds());
        }
        let count = i64::try_from(keys.len() / 32).unwrap_or_default();
        if count == 0 {
            return Ok(Self(HashSet::new()));
        }
        let values = [Value::from(&keys[..]), Value::from(&times), Value::from(count)];
        let rows = work.fetch_all(table.insert_all, &values).await?;
        rows.iter().map(|row| row.array(0)).collect::<Result<_, _>>().map(Self)
    }

    /// Nothing to record is always there to be had.
    fn has(&self, key: Option<[u8; 32]>) -> bool {
        key.is_none_or(|key| self.0.contains(&key))
    }

    fn take(&mut self, key: Option<[u8; 32]>) {
        if let Some(key) = key {
            self.0.remove(&key);
        }
    }

    /// Removes what no request took after all: it came with something that was refused.
    async fn take_back(self, work: &mut Work, table: &Table) -> Result<(), sqlx::Error> {
        for key in &self.0 {
            table.take_back(work, key).await?;
        }
        Ok(())
    }
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

/// Removes what this transaction has recorded.
async fn take_back(work: &mut Work, once: &SingleUse) -> Result<(), sqlx::Error> {
    if let Some(proof) = &once.proof {
        PROOFS.take_back(work, &proof.key.digest()).await?;
    }
    if let Some(assertion) = &once.assertion {
        ASSERTIONS.take_back(work, assertion.key.as_bytes()).await?;
    }
    Ok(())
}
