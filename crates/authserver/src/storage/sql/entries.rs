//! Entries in the table `entry`.

use super::work::{Pool, Row, Work};
use crate::storage::{Change, Entry, EntryContent, EntryId, EntryKind, EntryVersion, Listing};

/// Makes a change, or finds that the entry is not as it was read.
pub(super) async fn change(work: &mut Work, change: &Change) -> Result<bool, sqlx::Error> {
    match change {
        Change::Add(kind, id, content) => add(work, *kind, *id, content).await,
        Change::Replace(at, content) => replace(work, at, content).await,
        Change::Keep(at) => is_still(work, at).await,
        Change::Remove(at) => remove(work, at).await,
    }
}

pub(super) async fn find(pool: &Pool, kind: EntryKind, id: EntryId) -> Result<Option<Entry>, sqlx::Error> {
    let sql = "SELECT id, version, owner, not_after, body FROM entry WHERE kind = $1 AND id = $2";
    let row = pool.fetch_optional(sql, &[kind.as_str().into(), id.as_bytes().into()]).await?;
    row.map(|row| read(kind, &row)).transpose()
}

pub(super) async fn list(pool: &Pool, listing: &Listing<'_>) -> Result<Vec<Entry>, sqlx::Error> {
    let after: &[u8] = listing.after.as_ref().map_or(&[], |id| id.as_bytes());
    let (kind, limit) = (listing.kind.as_str().into(), i64::from(listing.limit).into());
    let rows = if let Some(owner) = listing.owner {
        let sql = "SELECT id, version, owner, not_after, body FROM entry
                   WHERE kind = $1 AND id > $2 AND owner = $4 ORDER BY id LIMIT $3";
        pool.fetch_all(sql, &[kind, after.into(), limit, owner.into()]).await?
    } else {
        let sql =
            "SELECT id, version, owner, not_after, body FROM entry WHERE kind = $1 AND id > $2 ORDER BY id LIMIT $3";
        pool.fetch_all(sql, &[kind, after.into(), limit]).await?
    };
    rows.iter().map(|row| read(listing.kind, row)).collect()
}

fn read(kind: EntryKind, row: &Row) -> Result<Entry, sqlx::Error> {
    let at = EntryVersion { kind, id: EntryId::from_bytes(row.array(0)?), version: row.number(1)? };
    let content = EntryContent { owner: row.optional_text(2)?, not_after: row.time(3)?, body: row.text(4)? };
    Ok(Entry { at, content })
}

async fn add(work: &mut Work, kind: EntryKind, id: EntryId, content: &EntryContent) -> Result<bool, sqlx::Error> {
    let sql = "INSERT INTO entry (kind, id, version, owner, not_after, body) VALUES ($1, $2, 1, $3, $4, $5)
               ON CONFLICT DO NOTHING";
    let values = [
        kind.as_str().into(),
        id.as_bytes().into(),
        content.owner.as_deref().into(),
        content.not_after.into(),
        (&content.body).into(),
    ];
    Ok(work.execute(sql, &values).await? == 1)
}

async fn replace(work: &mut Work, at: &EntryVersion, content: &EntryContent) -> Result<bool, sqlx::Error> {
    let sql = "UPDATE entry SET version = version + 1, owner = $4, not_after = $5, body = $6
               WHERE kind = $1 AND id = $2 AND version = $3";
    let values = [
        at.kind.as_str().into(),
        at.id.as_bytes().into(),
        at.version.into(),
        content.owner.as_deref().into(),
        content.not_after.into(),
        (&content.body).into(),
    ];
    Ok(work.execute(sql, &values).await? == 1)
}

async fn is_still(work: &mut Work, at: &EntryVersion) -> Result<bool, sqlx::Error> {
    let sql = "SELECT version FROM entry WHERE kind = $1 AND id = $2 AND version = $3";
    let values = [at.kind.as_str().into(), at.id.as_bytes().into(), at.version.into()];
    Ok(work.fetch_optional(sql, &values).await?.is_some())
}

async fn remove(work: &mut Work, at: &EntryVersion) -> Result<bool, sqlx::Error> {
    let sql = "DELETE FROM entry WHERE kind = $1 AND id = $2 AND version = $3";
    let values = [at.kind.as_str().into(), at.id.as_bytes().into(), at.version.into()];
    Ok(work.execute(sql, &values).await? == 1)
}
