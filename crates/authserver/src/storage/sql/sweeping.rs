//! Sweeping what has expired.

use countersign_dpop::time::Timestamp;

use super::work::Work;
use crate::storage::memory::Memory;

/// Sweeps about `limit` entries of each kind, the oldest first, and notes in `memory` what is forgotten by it.
pub(super) async fn sweep_some(
    work: &mut Work,
    memory: &mut Memory,
    now: Timestamp,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let before = memory.sweep_before(now);
    let (_, proofs) = sweep(work, &PROOFS, before, limit).await?;
    let (through, assertions) = sweep(work, &ASSERTIONS, before, limit).await?;
    let (_, entries) = sweep(work, &ENTRIES, before, limit).await?;
    memory.assertions_forgotten = memory.assertions_forgotten.max(through);
    Ok(proofs + assertions + entries)
}

/// One kind of entry.
struct Kind {
    /// The `not_after` of the last of the entries to sweep, the oldest `$2` of those before `$1`.
    find: &'static str,
    /// Sweeps through that.
    delete: &'static str,
}

macro_rules! kind {
    ($table:literal) => {
        Kind {
            find: concat!(
                "SELECT max(not_after) FROM (SELECT not_after FROM ",
                $table,
                " WHERE not_after < $1 ORDER BY not_after LIMIT $2) AS oldest"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE not_after <= $1"),
        }
    };
}

const PROOFS: Kind = kind!("used_proof");
const ASSERTIONS: Kind = kind!("used_assertion");
const ENTRIES: Kind = kind!("entry");

/// Returns through which `not_after` entries were swept, and how many.
async fn sweep(work: &mut Work, kind: &Kind, before: Timestamp, limit: i64) -> Result<(Timestamp, u64), sqlx::Error> {
    let found = work.fetch_one(kind.find, &[before.into(), limit.into()]).await?;
    let Some(through) = found.optional_number(0)? else { return Ok((Timestamp::MIN, 0)) };
    let swept = work.execute(kind.delete, &[through.into()]).await?;
    Ok((Timestamp::from_seconds(through), swept))
}
