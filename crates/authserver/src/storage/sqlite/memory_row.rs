//! The one row of the table `memory`.

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::Timestamp;

use super::{Memory, Work};

pub(super) fn draw_epoch() -> Result<EpochId, sqlx::Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| sqlx::Error::Protocol("no random bytes".to_owned()))?;
    Ok(EpochId::from_bytes(bytes))
}

pub(super) async fn find(work: &mut Work) -> Result<Option<Memory>, sqlx::Error> {
    let row: Option<(Vec<u8>, i64, i64, i64, i64)> =
        sqlx::query_as("SELECT epoch, floor, highest_seen, assertions_forgotten, max_age FROM memory WHERE id = 1")
            .fetch_optional(&mut **work)
            .await?;
    let Some((id, floor, highest_seen, assertions_forgotten, max_age)) = row else { return Ok(None) };
    let id = id.try_into().map_err(|_| sqlx::Error::Protocol("an epoch that is no epoch".to_owned()))?;
    Ok(Some(Memory {
        epoch: Epoch { id: EpochId::from_bytes(id), floor: Timestamp::from_seconds(floor) },
        highest_seen: Timestamp::from_seconds(highest_seen),
        assertions_forgotten: Timestamp::from_seconds(assertions_forgotten),
        max_age,
    }))
}

pub(super) async fn insert(work: &mut Work, memory: &Memory) -> Result<(), sqlx::Error> {
    write(
        work,
        memory,
        "INSERT INTO memory (id, epoch, floor, highest_seen, assertions_forgotten, max_age)
         VALUES (1, $1, $2, $3, $4, $5)",
    )
    .await
}

pub(super) async fn save(work: &mut Work, memory: &Memory) -> Result<(), sqlx::Error> {
    write(
        work,
        memory,
        "UPDATE memory SET epoch = $1, floor = $2, highest_seen = $3, assertions_forgotten = $4, max_age = $5
         WHERE id = 1",
    )
    .await
}

async fn write(work: &mut Work, memory: &Memory, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql)
        .bind(memory.epoch.id.as_bytes().as_slice())
        .bind(memory.epoch.floor.seconds())
        .bind(memory.highest_seen.seconds())
        .bind(memory.assertions_forgotten.seconds())
        .bind(memory.max_age)
        .execute(&mut **work)
        .await?;
    Ok(())
}
