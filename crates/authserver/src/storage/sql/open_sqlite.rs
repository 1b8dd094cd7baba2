//! Making and opening an SQLite database, and bringing its schema up to date.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::TIME_LIMIT;
use super::migrations::{self, MigrationFault};
use crate::seal::{private_directory, private_file};
use crate::storage::{StorageError, StorageOpenError};

/// Opens the database at `path` in `directory`.
pub(super) async fn open(directory: &Path, path: &Path) -> Result<SqlitePool, StorageOpenError> {
    private_directory(directory).map_err(|fault| StorageOpenError::File { path: directory.to_owned(), fault })?;
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

/// Copies a database that may be in use.
pub(super) async fn backup(path: &Path, copy: &Path) -> Result<(), StorageOpenError> {
    let fault =
        |path: &Path, fault: sqlx::Error| StorageOpenError::Database { path: path.to_owned(), fault: fault.into() };
    let exists = || io::Error::from(io::ErrorKind::AlreadyExists);
    if copy.exists() {
        return Err(StorageOpenError::File { path: copy.to_owned(), fault: exists() });
    }
    // SQLite writes into an empty file too, so the copy is its owner's only from the start.
    make_file(copy).map_err(|fault| StorageOpenError::File { path: copy.to_owned(), fault })?;
    let options =
        SqliteConnectOptions::new().create_if_missing(false).busy_timeout(BUSY_LIMIT).disable_statement_logging();
    let mut source = options.clone().filename(path).connect().await.map_err(|error| fault(path, error))?;
    let into = copy.to_string_lossy().into_owned();
    let copied = sqlx::query("VACUUM INTO $1").bind(into).execute(&mut source).await;
    copied.map_err(|error| fault(copy, error))?;
    let mut made = options.filename(copy).connect().await.map_err(|error| fault(copy, error))?;
    // No window is narrower than this one, so the memory of the copy is found incomplete when it is opened.
    let marked = sqlx::query("UPDATE memory SET max_age = -1").execute(&mut made).await;
    marked.map_err(|error| fault(copy, error))?;
    made.close().await.map_err(|error| fault(copy, error))
}

/// Opens a database that lives in this process only, for tests.
pub(super) async fn open_in_memory() -> Result<SqlitePool, StorageOpenError> {
    let path = Path::new(":memory:");
    let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true).disable_statement_logging();
    // Every connection would be a database of its own.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(TIME_LIMIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await;
    let pool = pool.map_err(|fault| StorageOpenError::Database { path: path.to_owned(), fault: fault.into() })?;
    migrate(&pool, path).await?;
    Ok(pool)
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
    let fault = |fault: StorageError| StorageOpenError::Database { path: path.to_owned(), fault };
    let mut connection = pool.acquire().await.map_err(|error| fault(error.into()))?;
    migrations::run(&mut *connection, migrations::SQLITE).await.map_err(|error| match error {
        MigrationFault::NewerSchema { found, known } => {
            StorageOpenError::NewerSchema { database: path.display().to_string(), found, known }
        }
        MigrationFault::Failed { reason } => fault(StorageError::Unavailable { reason }),
    })
}
