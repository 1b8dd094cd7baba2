//! Storage in one SQLite database (write-ahead log, synchronous writes), in one data directory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use std::{fs, io};

use countersign_dpop::replay::{Epoch, EpochId, ReplayEntry};
use countersign_dpop::time::{Timestamp, Window};
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr, Sqlite, SqlitePool, Transaction};

use super::memory::Memory;
use super::{AssertionEntry, KeyState, SealedKey, SingleUse, Storage, StorageError, Stored, Verdict};
use crate::seal::private_file;

/// Storage in `authserver.db` of a data directory.
#[derive(Debug)]
pub struct SqliteStorage {
    pool: SqlitePool,
    window: Window,
    epoch: RwLock<Epoch>,
    records: AtomicU64,
}

/// The storage cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StorageOpenError {
    /// The data directory or a file in it cannot be made.
    #[error("{} cannot be used: {fault}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        fault: io::Error,
    },
    /// A newer version of this program has been here.
    #[error(
        "{} has schema {found}, this program knows schemas up to {known}; use the newer program, or a backup from \
         before it ran",
        path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// The database is there and does not do what it should.
    #[error("{} cannot be used: {fault}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        fault: StorageError,
    },
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
        make_directory(directory).map_err(|fault| StorageOpenError::File { path: directory.to_owned(), fault })?;
        make_file(&path).map_err(|fault| StorageOpenError::File { path: path.clone(), fault })?;
        let broken = |fault: sqlx::Error| StorageOpenError::Database { path: path.clone(), fault: fault.into() };
        let pool = connect(&path).await.map_err(broken)?;
        migrate(&pool, &path).await?;
        let unknown = Epoch { id: EpochId::default(), floor: Timestamp::MAX };
        let storage = Self { pool, window, epoch: RwLock::new(unknown), records: AtomicU64::new(0) };
        storage.begin_memory(now).await.map_err(broken)?;
        Ok(storage)
    }

    /// Finds the memory of earlier runs or begins one.
    async fn begin_memory(&self, now: Timestamp) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if find_memory(&mut transaction).await?.is_none() {
            let memory = Memory::begin(draw_epoch()?, self.window, now);
            sqlx::query(
                "INSERT INTO memory (id, epoch, floor, highest_seen, assertions_forgotten, max_age)
                 VALUES (1, $1, $2, $3, $4, $5)",
            )
            .bind(memory.epoch.id.as_bytes().as_slice())
            .bind(memory.epoch.floor.seconds())
            .bind(memory.highest_seen.seconds())
            .bind(memory.assertions_forgotten.seconds())
            .bind(memory.max_age)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        let (transaction, _) = self.begin(now).await?;
        transaction.commit().await
    }

    /// Begins a transaction and settles the epoch: if the memory turns out to be incomplete at `now`, a new epoch
    /// begins at once, in a transaction of its own, whatever becomes of the request.
    async fn begin(&self, now: Timestamp) -> Result<(Transaction<'static, Sqlite>, Memory), sqlx::Error> {
        let (mut transaction, memory) = self.begin_and_load().await?;
        if !memory.is_incomplete(self.window, now) {
            return Ok((transaction, memory));
        }
        let memory = memory.in_new_epoch(draw_epoch()?, self.window, now);
        save_memory(&mut transaction, &memory).await?;
        transaction.commit().await?;
        tracing::warn!("the clock went back or the window widened: a new epoch begins and proofs need a nonce");
        self.begin_and_load().await
    }

    async fn begin_and_load(&self) -> Result<(Transaction<'static, Sqlite>, Memory), sqlx::Error> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let memory = find_memory(&mut transaction).await?.ok_or(sqlx::Error::RowNotFound)?;
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) = memory.epoch;
        Ok((transaction, memory))
    }

    async fn record_once(&self, once: &SingleUse, now: Timestamp) -> Result<Verdict, sqlx::Error> {
        let (mut transaction, mut memory) = self.begin(now).await?;
        if let Some(proof) = &once.proof {
            match record_proof(&mut transaction, proof, &memory).await? {
                Verdict::First => {}
                refused => return Ok(refused),
            }
        }
        if let Some(assertion) = &once.assertion {
            match record_assertion(&mut transaction, assertion, &memory).await? {
                Verdict::First => {}
                refused => return Ok(refused),
            }
        }
        let before = memory;
        memory.highest_seen = memory.highest_seen.max(now);
        if self.records.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            sweep_some(&mut transaction, &mut memory, now, SWEPT_AT_ONCE).await?;
        }
        if memory != before {
            save_memory(&mut transaction, &memory).await?;
        }
        transaction.commit().await?;
        Ok(Verdict::First)
    }

    async fn sweep_all(&self, now: Timestamp) -> Result<u64, sqlx::Error> {
        let mut swept = 0;
        loop {
            let (mut transaction, mut memory) = self.begin(now).await?;
            let some = sweep_some(&mut transaction, &mut memory, now, SWEPT_AT_START).await?;
            save_memory(&mut transaction, &memory).await?;
            transaction.commit().await?;
            swept += some;
            if some == 0 {
                return Ok(swept);
            }
        }
    }

    async fn load_keys(&self) -> Result<Vec<SealedKey>, sqlx::Error> {
        let rows: Vec<(String, String, Vec<u8>, String, i64)> = sqlx::query_as(
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

impl Storage for SqliteStorage {
    fn epoch(&self) -> Epoch {
        *self.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn record<'a>(&'a self, once: &'a SingleUse, now: Timestamp) -> Stored<'a, Verdict> {
        in_time(self.record_once(once, now))
    }

    fn count_recorded(&self) -> Stored<'_, u64> {
        in_time(self.count())
    }

    fn sweep(&self, now: Timestamp) -> Stored<'_, u64> {
        Box::pin(async move { Ok(self.sweep_all(now).await?) })
    }

    fn signing_keys(&self) -> Stored<'_, Vec<SealedKey>> {
        in_time(self.load_keys())
    }

    fn add_first_signing_key(&self, key: SealedKey) -> Stored<'_, Vec<SealedKey>> {
        in_time(self.add_first_key(key))
    }

    fn keep_secret<'a>(&'a self, name: &'a str, sealed: Vec<u8>) -> Stored<'a, Vec<u8>> {
        in_time(self.keep(name, sealed))
    }

    fn probe(&self) -> Stored<'_, ()> {
        in_time(async {
            sqlx::query("SELECT 1 FROM memory").execute(&self.pool).await?;
            Ok(())
        })
    }
}

/// How long one operation may take, waiting for its turn included.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for a lock that another process holds.
const BUSY_LIMIT: Duration = Duration::from_secs(3);
/// One record in this many sweeps.
const SWEEP_EVERY: u64 = 64;
/// How many entries of a kind it then sweeps at most: more than came in since.
const SWEPT_AT_ONCE: i64 = 256;
const SWEPT_AT_START: i64 = 10_000;

/// Every schema change ever released, in order. A released one never changes again.
const MIGRATIONS: [(i64, &str, &str); 1] =
    [(1, "proofs assertions keys", include_str!("../../migrations/sqlite/0001_proofs_assertions_keys.sql"))];

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

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// SQLite gives its other files the mode of the database.
fn make_file(path: &Path) -> io::Result<()> {
    match private_file(path) {
        Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => Err(fault),
        Ok(_) | Err(_) => Ok(()),
    }
}

async fn connect(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_LIMIT)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(1) // SQLite has one writer; waiting for a turn here is fairer than polling for its lock
        .acquire_timeout(TIME_LIMIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

async fn migrate(pool: &SqlitePool, path: &Path) -> Result<(), StorageOpenError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default();
    match Migrator::with_migrations(migrations.to_vec()).run(pool).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => {
            let path = path.to_owned();
            let found = newest_schema(pool).await.unwrap_or(found);
            Err(StorageOpenError::NewerSchema { path, found, known })
        }
        Err(fault) => {
            let fault = StorageError::Unavailable { reason: fault.to_string() };
            Err(StorageOpenError::Database { path: path.to_owned(), fault })
        }
    }
}

async fn newest_schema(pool: &SqlitePool) -> Option<i64> {
    let mut connection = pool.acquire().await.ok()?;
    let applied = connection.list_applied_migrations("_sqlx_migrations").await.ok()?;
    applied.iter().map(|migration| migration.version).max()
}

fn draw_epoch() -> Result<EpochId, sqlx::Error> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| sqlx::Error::Protocol("no random bytes".to_owned()))?;
    Ok(EpochId::from_bytes(bytes))
}

async fn find_memory(transaction: &mut Transaction<'static, Sqlite>) -> Result<Option<Memory>, sqlx::Error> {
    let row: Option<(Vec<u8>, i64, i64, i64, i64)> =
        sqlx::query_as("SELECT epoch, floor, highest_seen, assertions_forgotten, max_age FROM memory WHERE id = 1")
            .fetch_optional(&mut **transaction)
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

async fn save_memory(transaction: &mut Transaction<'static, Sqlite>, memory: &Memory) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE memory SET epoch = $1, floor = $2, highest_seen = $3, assertions_forgotten = $4, max_age = $5
         WHERE id = 1",
    )
    .bind(memory.epoch.id.as_bytes().as_slice())
    .bind(memory.epoch.floor.seconds())
    .bind(memory.highest_seen.seconds())
    .bind(memory.assertions_forgotten.seconds())
    .bind(memory.max_age)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn record_proof(
    transaction: &mut Transaction<'static, Sqlite>,
    proof: &ReplayEntry,
    memory: &Memory,
) -> Result<Verdict, sqlx::Error> {
    if memory.epoch.demands_nonce(proof.iat) && proof.nonce_epoch != Some(memory.epoch.id) {
        return Ok(Verdict::NonceDemanded);
    }
    let inserted = sqlx::query("INSERT INTO used_proof (replay_key, not_after) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(proof.key.as_bytes().as_slice())
        .bind(proof.not_after.seconds())
        .execute(&mut **transaction)
        .await?;
    Ok(if inserted.rows_affected() == 1 { Verdict::First } else { Verdict::ProofReplayed })
}

async fn record_assertion(
    transaction: &mut Transaction<'static, Sqlite>,
    assertion: &AssertionEntry,
    memory: &Memory,
) -> Result<Verdict, sqlx::Error> {
    if assertion.not_after <= memory.assertions_forgotten {
        return Ok(Verdict::AssertionForgotten);
    }
    let inserted =
        sqlx::query("INSERT INTO used_assertion (assertion_key, not_after) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(assertion.key.as_bytes().as_slice())
            .bind(assertion.not_after.seconds())
            .execute(&mut **transaction)
            .await?;
    Ok(if inserted.rows_affected() == 1 { Verdict::First } else { Verdict::AssertionReplayed })
}

/// Sweeps about `limit` entries of each kind, the oldest first, and notes in `memory` what is forgotten by it.
async fn sweep_some(
    transaction: &mut Transaction<'static, Sqlite>,
    memory: &mut Memory,
    now: Timestamp,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let before = memory.sweep_before(now).seconds();
    let mut swept = 0;
    let (through,): (Option<i64>,) = sqlx::query_as(
        "SELECT max(not_after) FROM (SELECT not_after FROM used_proof WHERE not_after < $1 ORDER BY not_after LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .fetch_one(&mut **transaction)
    .await?;
    if let Some(through) = through {
        let gone = sqlx::query("DELETE FROM used_proof WHERE not_after <= $1").bind(through);
        swept += gone.execute(&mut **transaction).await?.rows_affected();
    }
    let (through,): (Option<i64>,) = sqlx::query_as(
        "SELECT max(not_after)
         FROM (SELECT not_after FROM used_assertion WHERE not_after < $1 ORDER BY not_after LIMIT $2)",
    )
    .bind(before)
    .bind(limit)
    .fetch_one(&mut **transaction)
    .await?;
    if let Some(through) = through {
        let gone = sqlx::query("DELETE FROM used_assertion WHERE not_after <= $1").bind(through);
        swept += gone.execute(&mut **transaction).await?.rows_affected();
        memory.assertions_forgotten = memory.assertions_forgotten.max(Timestamp::from_seconds(through));
    }
    Ok(swept)
}

fn read_key(row: (String, String, Vec<u8>, String, i64)) -> Result<SealedKey, sqlx::Error> {
    let (kid, algorithm, sealed, state, created_at) = row;
    let unknown = |what: &str| sqlx::Error::Protocol(format!("signing key {kid} has an unknown {what}"));
    let algorithm = algorithm.parse().map_err(|_| unknown("algorithm"))?;
    let state = KeyState::from_name(&state).ok_or_else(|| unknown("state"))?;
    Ok(SealedKey { kid, algorithm, sealed, state, created_at: Timestamp::from_seconds(created_at) })
}
