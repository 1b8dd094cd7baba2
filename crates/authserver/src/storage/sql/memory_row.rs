//! The one row of the table `memory`, and the lock that it is: in Postgres whoever writes locks it first, so that
//! those who write do so one after the other, as they do in SQLite anyway. What a transaction has read is still so
//! when it writes.

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;

use super::work::{Value, Work};
use crate::storage::memory::Memory;

pub(super) fn draw_epoch() -> Result<EpochId, sqlx::Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| sqlx::Error::Protocol("no random bytes".to_owned()))?;
    Ok(EpochId::from_bytes(bytes))
}

/// Reads the row; nobody else writes until this transaction ends.
pub(super) async fn lock(work: &mut Work) -> Result<Option<Memory>, sqlx::Error> {
    let sql = match work {
        Work::Sqlite(_) => "SELECT epoch, floor, highest_seen, assertions_forgotten, max_age FROM memory WHERE id = 1",
        Work::Postgres(_) => {
            "SELECT epoch, floor, highest_seen, assertions_forgotten, max_age FROM memory WHERE id = 1 FOR UPDATE"
        }
    };
    let Some(row) = work.fetch_optional(sql, &[]).await? else { return Ok(None) };
    Ok(Some(Memory {
        epoch: Epoch { id: EpochId::from_bytes(row.array(0)?), floor: row.time(1)? },
        highest_seen: row.time(2)?,
        assertions_forgotten: row.time(3)?,
        max_age: row.number(4)?,
    }))
}

/// Adds the row unless another process has.
pub(super) async fn insert(work: &mut Work, memory: &Memory) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO memory (id, epoch, floor, highest_seen, assertions_forgotten, max_age)
               VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";
    write(work, memory, sql).await
}

pub(super) async fn save(work: &mut Work, memory: &Memory) -> Result<(), sqlx::Error> {
    let sql = "UPDATE memory SET epoch = $1, floor = $2, highest_seen = $3, assertions_forgotten = $4, max_age = $5
               WHERE id = 1";
    write(work, memory, sql).await
}

async fn write(work: &mut Work, memory: &Memory, sql: &'static str) -> Result<(), sqlx::Error> {
    let forgotten: Timestamp = memory.assertions_forgotten;
    let values: [Value<'_>; 5] = [
        memory.epoch.id.as_bytes().into(),
        memory.epoch.floor.into(),
        memory.highest_seen.into(),
        forgotten.into(),
        memory.max_age.into(),
    ];
    work.execute(sql, &values).await.map(|_| ())
}
