//! Storage in one SQLite database (write-ahead log, synchronous writes), in one data directory.

mod entries;
mod memory_row;
mod open;
mod recording;
mod sweeping;
mod writer;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::{Timestamp, Window};
use sqlx::{Sqlite, SqlitePool, Transaction};

pub use self::open::StorageOpenError;
use self::writer::Writer;
use super::memory::Memory;
use super::{
    Change, Entry, EntryId, EntryKind, KeyState, Listing, SealedKey, SingleUse, Storage, StorageError, Stored, Verdict,
};

/// Storage in `authserver.db` of a data directory.
#[derive(Debug)]
pub struct SqliteStorage {
    database: Arc<Database>,
    writer: Writer,
}

impl SqliteStorage {
    /// The name of the database in the data directory.
    pub const FILE: &'static str = "authserver.db";

    /// Opens the database in `directory`, or makes both, readable by their owner only, and brings its schema up to
    /// date. `window` says how long proofs are acceptable, `now` when the memory begins.
    ///
    /// # Errors
    /// See [`StorageOpenError`].
    pub async fn open(directory: &Path, window: Window, now: Timestamp) -> Result<Self, StorageOpenError> {
        let path = directory.join(Self::FILE);
        let pool = open::open(directory, &path).await?;
        let unknown = Epoch { id: EpochId::default(), floor: Timestamp::MAX };
        let database = Arc::new(Database { pool, window, epoch: RwLock::new(unknown) });
        let begun = database.begin_memory(now).await;
        begun.map_err(|fault| StorageOpenError::Database { path, fault: fault.into() })?;
        Ok(Self { writer: Writer::spawn(database.clone()), database })
    }
}

impl Storage for SqliteStorage {
    fn epoch(&self) -> Epoch {
        *self.database.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit<'a>(&'a self, once: &'a SingleUse, changes: &'a [Change], now: Timestamp) -> Stored<'a, Verdict> {
        Box::pin(self.writer.commit(*once, changes.to_vec(), now))
    }

    fn find(&self, kind: EntryKind, id: EntryId) -> Stored<'_, Option<Entry>> {
        in_time(entries::find(&self.database.pool, kind, id))
    }

    fn list<'a>(&'a self, listing: Listing<'a>) -> Stored<'a, Vec<Entry>> {
        in_time(async move { entries::list(&self.database.pool, &listing).await })
    }

    fn count_recorded(&self) -> Stored<'_, u64> {
        in_time(self.database.count())
    }

    fn sweep(&self, now: Timestamp) -> Stored<'_, u64> {
        Box::pin(async move { Ok(self.database.sweep_all(now).await?) })
    }

    fn signing_keys(&self) -> Stored<'_, Vec<SealedKey>> {
        in_time(self.database.load_keys())
    }

    fn add_first_signing_key(&self, key: SealedKey) -> Stored<'_, Vec<SealedKey>> {
        in_time(self.database.add_first_key(key))
    }

    fn keep_secret<'a>(&'a self, name: &'a str, sealed: Vec<u8>) -> Stored<'a, Vec<u8>> {
        in_time(self.database.keep(name, sealed))
    }

    fn probe(&self) -> Stored<'_, ()> {
        in_time(async {
            sqlx::query("SELECT 1 FROM memory").execute(&self.database.pool).await?;
            Ok(())
        })
    }
}

/// How long one operation may take, waiting for its turn included.
const TIME_LIMIT: Duration = Duration::from_secs(5);

fn in_time<'a, T: 'a>(work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'a) -> Stored<'a, T> {
    Box::pin(async move {
        match tokio::time::timeout(TIME_LIMIT, work).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(StorageError::Unavailable { reason: "no answer in time".to_owned() }),
        }
    })
}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

type Work = Transaction<'static, Sqlite>;

/// What writer and readers share.
#[derive(Debug)]
struct Database {
    pool: SqlitePool,
    window: Window,
    /// The epoch as last seen in the database.
    epoch: RwLock<Epoch>,
}

impl Database {
    /// Begins a transaction that writes and settles the epoch: if the memory turns out to be incomplete at `now`, a
    /// new epoch begins at once, in a transaction of its own, whatever becomes of the request.
    async fn begin(&self, now: Timestamp) -> Result<(Work, Memory), sqlx::Error> {
        let (mut work, memory) = self.begin_and_load().await?;
        if !memory.is_incomplete(self.window, now) {
            return Ok((work, memory));
        }
        let memory = memory.in_new_epoch(memory_row::draw_epoch()?, self.window, now);
        memory_row::save(&mut work, &memory).await?;
        work.commit().await?;
        tracing::warn!("the clock went back or the window widened: a new epoch begins and proofs need a nonce");
        self.begin_and_load().await
    }

    async fn begin_and_load(&self) -> Result<(Work, Memory), sqlx::Error> {
        let mut work = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let memory = memory_row::find(&mut work).await?.ok_or(sqlx::Error::RowNotFound)?;
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) = memory.epoch;
        Ok((work, memory))
    }

    /// Finds the memory of earlier runs or begins one.
    async fn begin_memory(&self, now: Timestamp) -> Result<(), sqlx::Error> {
        let mut work = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if memory_row::find(&mut work).await?.is_none() {
            let memory = Memory::begin(memory_row::draw_epoch()?, self.window, now);
            memory_row::insert(&mut work, &memory).await?;
        }
        work.commit().await?;
        let (work, _) = self.begin(now).await?;
        work.commit().await
    }

    async fn sweep_all(&self, now: Timestamp) -> Result<u64, sqlx::Error> {
        let mut swept = 0;
        loop {
            let (mut work, mut memory) = self.begin(now).await?;
            let some = sweeping::sweep_some(&mut work, &mut memory, now, SWEPT_IN_ONE_GO).await?;
            memory_row::save(&mut work, &memory).await?;
            work.commit().await?;
            swept += some;
            if some == 0 {
                return Ok(swept);
            }
        }
    }

    async fn load_keys(&self) -> Result<Vec<SealedKey>, sqlx::Error> {
        let rows: Vec<KeyRow> = sqlx::query_as(
            "SELECT kid, algorithm, sealed, state, created_at FROM signing_key ORDER BY created_at, kid",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(read_key).collect()
    }

    async fn add_first_key(&self, key: SealedKey) -> Result<Vec<SealedKey>, sqlx::Error> {
        sqlx::query(
            "INSERT INTO signing_key (kid, algorithm, sealed, state, created_at)
             SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM signing_key)",
        )
        .bind(key.kid)
        .bind(key.algorithm.name())
        .bind(key.sealed)
        .bind(key.state.as_str())
        .bind(key.created_at.seconds())
        .execute(&self.pool)
        .await?;
        self.load_keys().await
    }

    async fn keep(&self, name: &str, sealed: Vec<u8>) -> Result<Vec<u8>, sqlx::Error> {
        sqlx::query("INSERT INTO secret (name, sealed) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(sealed)
            .execute(&self.pool)
            .await?;
        let (kept,) =
            sqlx::query_as("SELECT sealed FROM secret WHERE name = $1").bind(name).fetch_one(&self.pool).await?;
        Ok(kept)
    }

    async fn count(&self) -> Result<u64, sqlx::Error> {
        let (count,): (i64,) =
            sqlx::query_as("SELECT (SELECT count(*) FROM used_proof) + (SELECT count(*) FROM used_assertion)")
                .fetch_one(&self.pool)
                .await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// How many entries of a kind are swept in one transaction when nothing else is to be done.
const SWEPT_IN_ONE_GO: i64 = 10_000;

type KeyRow = (String, String, Vec<u8>, String, i64);

fn read_key((kid, algorithm, sealed, state, created_at): KeyRow) -> Result<SealedKey, sqlx::Error> {
    let unknown = |what: &str| sqlx::Error::Protocol(format!("signing key {kid} has an unknown {what}"));
    let algorithm = algorithm.parse().map_err(|_| unknown("algorithm"))?;
    let state = KeyState::from_name(&state).ok_or_else(|| unknown("state"))?;
    Ok(SealedKey { kid, algorithm, sealed, state, created_at: Timestamp::from_seconds(created_at) })
}
