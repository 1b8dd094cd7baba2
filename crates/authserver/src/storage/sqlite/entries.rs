//! Entries in the table `entry`.

use countersign_dpop::time::Timestamp;
use sqlx::{SqliteConnection, SqlitePool};

use crate::storage::{Change, Entry, EntryContent, EntryId, EntryKind, EntryVersion, Listing};

/// Makes every change, or finds that one of the entries is not as it was read; then the caller rolls back.
pub(super) async fn change(work: &mut SqliteConnection, changes: &[Change]) -> Result<bool, sqlx::Error> {
    for change in changes {
        let made = match change {
            Change::Add(kind, id, content) => add(work, *kind, *id, content).await?,
            Change::Replace(at, content) => replace(work, at, content).await?,
            Change::Keep(at) => is_still(work, at).await?,
            Change::Remove(at) => remove(work, at).await?,
        };
        if !made {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) async fn find(pool: &SqlitePool, kind: EntryKind, id: EntryId) -> Result<Option<Entry>, sqlx::Error> {
    let row: Option<Row> =
        sqlx::query_as("SELECT id, version, owner, not_after, body FROM entry WHERE kind = $1 AND id = $2")
            .bind(kind.as_str())
            .bind(id.as_bytes().as_slice())
            .fetch_optional(pool)
            .await?;
    row.map(|row| read(kind, row)).transpose()
}

pub(super) async fn list(pool: &SqlitePool, listing: &Listing<'_>) -> Result<Vec<Entry>, sqlx::Error> {
    let after = listing.after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
    let rows: Vec<Row> = match listing.owner {
        Some(owner) => {
            sqlx::query_as(
                "SELECT id, version, owner, not_after, body FROM entry
                 WHERE kind = $1 AND id > $2 AND owner = $4 ORDER BY id LIMIT $3",
            )
            .bind(listing.kind.as_str())
            .bind(after)
            .bind(i64::from(listing.limit))
            .bind(owner)
            .fetch_all(pool)
            .await?
        }
        None => {
            sqlx::query_as(
                "SELECT id, version, owner, not_after, body FROM entry
                 WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3",
            )
            .bind(listing.kind.as_str())
            .bind(after)
            .bind(i64::from(listing.limit))
            .fetch_all(pool)
            .await?
        }
    };
    rows.into_iter().map(|row| read(listing.kind, row)).collect()
}

type Row = (Vec<u8>, i64, Option<String>, i64, String);

fn read(kind: EntryKind, (id, version, owner, not_after, body): Row) -> Result<Entry, sqlx::Error> {
    let id = id.try_into().map_err(|_| sqlx::Error::Protocol("an entry with a broken identity".to_owned()))?;
    let at = EntryVersion { kind, id: EntryId::from_bytes(id), version };
    let not_after = Timestamp::from_seconds(not_after);
    Ok(Entry { at, content: EntryContent { owner, not_after, body } })
}

async fn add(
    work: &mut SqliteConnection,
    kind: EntryKind,
    id: EntryId,
    content: &EntryContent,
) -> Result<bool, sqlx::Error> {
    let added = sqlx::query(
        "INSERT INTO entry (kind, id, version, owner, not_after, body) VALUES ($1, $2, 1, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind(kind.as_str())
    .bind(id.as_bytes().as_slice())
    .bind(content.owner.as_deref())
    .bind(content.not_after.seconds())
    .bind(content.body.as_str())
    .execute(work)
    .await?;
    Ok(added.rows_affected() == 1)
}

async fn replace(work: &mut SqliteConnection, at: &EntryVersion, content: &EntryContent) -> Result<bool, sqlx::Error> {
    let replaced = sqlx::query(
        "UPDATE entry SET version = version + 1, owner = $4, not_after = $5, body = $6
         WHERE kind = $1 AND id = $2 AND version = $3",
    )
    .bind(at.kind.as_str())
    .bind(at.id.as_bytes().as_slice())
    .bind(at.version)
    .bind(content.owner.as_deref())
    .bind(content.not_after.seconds())
    .bind(content.body.as_str())
    .execute(work)
    .await?;
    Ok(replaced.rows_affected() == 1)
}

async fn is_still(work: &mut SqliteConnection, at: &EntryVersion) -> Result<bool, sqlx::Error> {
    let found: Option<(i64,)> =
        sqlx::query_as("SELECT version FROM entry WHERE kind = $1 AND id = $2 AND version = $3")
            .bind(at.kind.as_str())
            .bind(at.id.as_bytes().as_slice())
            .bind(at.version)
            .fetch_optional(work)
            .await?;
    Ok(found.is_some())
}

async fn remove(work: &mut SqliteConnection, at: &EntryVersion) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query("DELETE FROM entry WHERE kind = $1 AND id = $2 AND version = $3")
        .bind(at.kind.as_str())
        .bind(at.id.as_bytes().as_slice())
        .bind(at.version)
        .execute(work)
        .await?;
    Ok(removed.rows_affected() == 1)
}
