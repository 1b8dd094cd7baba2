//! Making and opening the database, and bringing its schema up to date.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlSafeStr, SqlitePool};

use super::TIME_LIMIT;
use crate::seal::private_file;
use crate::storage::StorageError;

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

/// Opens the database at `path` in `directory`.
pub(super) async fn open(directory: &Path, path: &Path) -> Result<SqlitePool, StorageOpenError> {
    make_directory(directory).map_err(|fault| StorageOpenError::File { path: directory.to_owned(), fault })?;
    let turn = wait_for_turn(directory.join("opening.lock")).await?;
    make_file(path).map_err(|fault| StorageOpenError::File { path: path.to_owned(), fault })?;
    let pool = connect(path).await;
    let pool = pool.map_err(|fault| StorageOpenError::Database { path: path.to_owned(), fault: fault.into() })?;
    migrate(&pool, path).await?;
    drop(turn);
    Ok(pool)
}

/// How long to wait for a lock that another process holds.
const BUSY_LIMIT: Duration = Duration::from_secs(3);

/// Every schema change ever released, in order. A released one never changes again.
const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "proofs assertions keys", include_str!("../../../migrations/sqlite/0001_proofs_assertions_keys.sql")),
    (2, "entries", include_str!("../../../migrations/sqlite/0002_entries.sql")),
];

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Of processes that open one directory at the same time, one brings the schema up to date. The lock ends with the
/// file that is returned.
async fn wait_for_turn(path: PathBuf) -> Result<File, StorageOpenError> {
    let wait = |path: &Path| {
        make_file(path)?;
        let file = File::open(path)?;
        file.lock().map(|()| file)
    };
    let outcome =
        tokio::task::spawn_blocking(move || wait(&path).map_err(|fault| StorageOpenError::File { path, fault }));
    outcome.await.unwrap_or_else(|fault| {
        Err(StorageOpenError::File { path: PathBuf::from("opening.lock"), fault: io::Error::other(fault) })
    })
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
        .max_connections(2) // one for the writer, one to read beside it
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
            let found = newest_schema(pool).await.unwrap_or(found);
            Err(StorageOpenError::NewerSchema { path: path.to_owned(), found, known })
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
