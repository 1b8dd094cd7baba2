//! Entries in the table `entry`.

use std::sync::LazyLock;

use super::work::{Pool, Row, Value, Work};
use crate::storage::{Change, Entry, EntryContent, EntryId, EntryKind, EntryVersion, Listing};

/// Makes one change after the other; false when an entry is not as it was read, and then some may have been made.
pub(super) async fn change_all(work: &mut Work, changes: &[Change]) -> Result<bool, sqlx::Error> {
    let mut rest = changes;
    while let [next, later @ ..] = rest {
        let many = rest.get(..ADDED_TOGETHER).map(additions).filter(|additions| additions.len() == ADDED_TOGETHER);
        let (is_made, left) = match many {
            Some(additions) => (add_many(work, &additions).await?, &rest[ADDED_TOGETHER..]),
            None => (change(work, next).await?, later),
        };
        if !is_made {
            return Ok(false);
        }
        rest = left;
    }
    Ok(true)
}

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

/// How many entries one statement adds, where so many follow each other: when much is brought in at once.
const ADDED_TOGETHER: usize = 200;

static ADD_MANY: LazyLock<String> = LazyLock::new(|| {
    let row = |i: usize| format!("(${}, ${}, 1, ${}, ${}, ${})", 5 * i + 1, 5 * i + 2, 5 * i + 3, 5 * i + 4, 5 * i + 5);
    let rows: Vec<String> = (0..ADDED_TOGETHER).map(row).collect();
    let rows = rows.join(", ");
    format!("INSERT INTO entry (kind, id, version, owner, not_after, body) VALUES {rows} ON CONFLICT DO NOTHING")
});

/// What the first changes add, as far as they do.
fn additions(changes: &[Change]) -> Vec<(EntryKind, &EntryId, &EntryContent)> {
    changes.iter().map_while(addition).collect()
}

const fn addition(change: &Change) -> Option<(EntryKind, &EntryId, &EntryContent)> {
    match change {
        Change::Add(kind, id, content) => Some((*kind, id, content)),
        Change::Replace(..) | Change::Keep(_) | Change::Remove(_) => None,
    }
}

async fn add_many(work: &mut Work, additions: &[(EntryKind, &EntryId, &EntryContent)]) -> Result<bool, sqlx::Error> {
    let values: Vec<Value<'_>> =
        additions.iter().flat_map(|(kind, id, content)| addition_values(*kind, id, content)).collect();
    let added = work.execute(ADD_MANY.as_str(), &values).await?;
    Ok(u64::try_from(additions.len()) == Ok(added))
}

fn addition_values<'a>(kind: EntryKind, id: &'a EntryId, content: &'a EntryContent) -> [Value<'a>; 5] {
    [
        kind.as_str().into(),
        id.as_bytes().into(),
        content.owner.as_deref().into(),
        content.not_after.into(),
        (&content.body).into(),
    ]
}

async fn add(work: &mut Work, kind: EntryKind, id: EntryId, content: &EntryContent) -> Result<bool, sqlx::Error> {
    let sql = "INSERT INTO entry (kind, id, version, owner, not_after, body) VALUES ($1, $2, 1, $3, $4, $5)
               ON CONFLICT DO NOTHING";
    Ok(work.execute(sql, &addition_values(kind, &id, content)).await? == 1)
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
