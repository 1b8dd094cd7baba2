//! Signing keys and other secrets of the server.

use super::work::{Pool, Row, Work};
use crate::storage::{KeyChange, KeyState, SealedKey};

const ALL: &str = "SELECT kid, algorithm, sealed, state, created_at FROM signing_key ORDER BY created_at, kid";

pub(super) async fn all(pool: &Pool) -> Result<Vec<SealedKey>, sqlx::Error> {
    pool.fetch_all(ALL, &[]).await?.iter().map(read_key).collect()
}

/// Adds the key if there is none yet.
pub(super) async fn add_first(work: &mut Work, key: &SealedKey) -> Result<Vec<SealedKey>, sqlx::Error> {
    let sql = "INSERT INTO signing_key (kid, algorithm, sealed, state, created_at)
               SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM signing_key)";
    let values = [
        (&key.kid).into(),
        key.algorithm.name().into(),
        key.sealed.as_slice().into(),
        key.state.as_str().into(),
        key.created_at.into(),
    ];
    work.execute(sql, &values).await?;
    work.fetch_all(ALL, &[]).await?.iter().map(read_key).collect()
}

/// Makes one step in the life of a key, if it fits.
pub(super) async fn change(work: &mut Work, change: &KeyChange) -> Result<Vec<SealedKey>, sqlx::Error> {
    match change {
        KeyChange::AddNext(key) => {
            let sql = "INSERT INTO signing_key (kid, algorithm, sealed, state, created_at)
                       SELECT $1, $2, $3, 'next', $4
                       WHERE NOT EXISTS (SELECT 1 FROM signing_key WHERE state = 'next')";
            let values =
                [(&key.kid).into(), key.algorithm.name().into(), key.sealed.as_slice().into(), key.created_at.into()];
            work.execute(sql, &values).await?;
        }
        KeyChange::Activate(kid) => {
            let sql = "UPDATE signing_key SET state = 'retiring' WHERE state = 'active'
                       AND EXISTS (SELECT 1 FROM signing_key WHERE kid = $1 AND state = 'next')";
            work.execute(sql, &[kid.into()]).await?;
            let sql = "UPDATE signing_key SET state = 'active' WHERE kid = $1 AND state = 'next'";
            work.execute(sql, &[kid.into()]).await?;
        }
        KeyChange::Remove(kid) => {
            let sql = "DELETE FROM signing_key WHERE kid = $1 AND state <> 'active'";
            work.execute(sql, &[kid.into()]).await?;
        }
    }
    work.fetch_all(ALL, &[]).await?.iter().map(read_key).collect()
}

/// Keeps the secret unless there is one of this name.
pub(super) async fn keep_secret(work: &mut Work, name: &str, sealed: &[u8]) -> Result<Vec<u8>, sqlx::Error> {
    let sql = "INSERT INTO secret (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    work.execute(sql, &[name.into(), sealed.into()]).await?;
    work.fetch_one("SELECT sealed FROM secret WHERE name = $1", &[name.into()]).await?.bytes(0)
}

fn read_key(row: &Row) -> Result<SealedKey, sqlx::Error> {
    let kid = row.text(0)?;
    let unknown = |what: &str| sqlx::Error::Protocol(format!("signing key {kid} has an unknown {what}"));
    let algorithm = row.text(1)?.parse().map_err(|_| unknown("algorithm"))?;
    let state = KeyState::from_name(&row.text(3)?).ok_or_else(|| unknown("state"))?;
    Ok(SealedKey { algorithm, sealed: row.bytes(2)?, state, created_at: row.time(4)?, kid })
}
