//! Storage in an SQL database: SQLite in one data directory (write-ahead log, synchronous writes), or Postgres shared by
//! several processes. The statements are the same; see [`work`].

mod entries;
mod keys;
mod memory_row;
mod migrations;
mod open_postgres;
mod open_sqlite;
mod recording;
mod sweeping;
mod work;
mod writer;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use countersign_dpop::replay::{Epoch, EpochId};
use countersign_dpop::time::{Timestamp, Window};

pub use self::open_postgres::{PostgresAddress, PostgresAddressError};
use self::work::{Pool, Work};
use self::writer::Writer;
use super::memory::Memory;
use super::{
    Change, Entry, EntryId, EntryKind, KeyChange, Listing, SealedKey, SingleUse, Storage, StorageError,
    StorageOpenError, Stored, Verdict,
};

/// Storage in a database.
#[derive(Debug)]
pub struct SqlStorage {
    database: Arc<Database>,
    writer: Writer,
}

impl SqlStorage {
    /// The name of the SQLite database in the data directory.
    pub const FILE: &'static str = "authserver.db";

    /// Opens the SQLite database in `directory`, or makes both, readable by their owner only, and brings its schema up
    /// to date. `window` says how long proofs are acceptable, `now` when the memory begins.
    ///
    /// # Errors
    /// See [`StorageOpenError`].
    pub async fn open_sqlite(directory: &Path, window: Window, now: Timestamp) -> Result<Self, StorageOpenError> {
        let path = directory.join(Self::FILE);
        let pool = Pool::Sqlite(open_sqlite::open(directory, &path).await?);
        let begun = Self::begin(pool, window, ONE_CLOCK, now).await;
        begun.map_err(|fault| StorageOpenError::Database { path, fault })
    }

    /// Copies the SQLite database in `directory`, which may be in use, to the new file `copy`. Whoever opens the copy
    /// begins a new epoch: what was accepted since is not in it.
    ///
    /// # Errors
    /// See [`StorageOpenError`]; an existing file is left as it is.
    pub async fn backup_sqlite(directory: &Path, copy: &Path) -> Result<(), StorageOpenError> {
        open_sqlite::backup(&directory.join(Self::FILE), copy).await
    }

    /// Makes an SQLite database that ends with this process, for tests.
    ///
    /// # Errors
    /// See [`StorageOpenError`].
    pub async fn open_in_memory(window: Window, now: Timestamp) -> Result<Self, StorageOpenError> {
        let pool = Pool::Sqlite(open_sqlite::open_in_memory().await?);
        let begun = Self::begin(pool, window, ONE_CLOCK, now).await;
        begun.map_err(|fault| StorageOpenError::Database { path: ":memory:".into(), fault })
    }

    /// Opens a Postgres database, which other processes may share, and brings its schema up to date.
    ///
    /// # Errors
    /// See [`StorageOpenError`].
    pub async fn open_postgres(
        address: &PostgresAddress,
        window: Window,
        now: Timestamp,
    ) -> Result<Self, StorageOpenError> {
        let pool = Pool::Postgres(open_postgres::open(address).await?);
        let begun = Self::begin(pool, window, SEVERAL_CLOCKS, now).await;
        begun.map_err(|fault| StorageOpenError::Postgres { address: address.to_string(), fault })
    }

    async fn begin(pool: Pool, window: Window, clocks: Clocks, now: Timestamp) -> Result<Self, StorageError> {
        let unknown = Epoch { id: EpochId::default(), floor: Timestamp::MAX };
        let database = Arc::new(Database { pool, window, clocks, epoch: RwLock::new(unknown) });
        database.begin_memory(now).await?;
        Ok(Self { writer: Writer::spawn(database.clone()), database })
    }
}

impl Storage for SqlStorage {
    fn epoch(&self) -> Epoch {
        *self.database.epoch.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit<'a>(&'a self, once: &'a SingleUse, changes: &'a [Change], now: Timestamp) -> Stored<'a, Verdict> {
        if changes.is_empty() {
            return Box::pin(self.writer.record(*once, now));
        }
        let (once, changes): (_, Arc<[Change]>) = (*once, changes.into());
        Box::pin(self.writer.write(Some(now), move |work, memory| {
            let changes = changes.clone();
            Box::pin(async move { recording::commit(work, memory, &once, &changes).await })
        }))
    }

    fn find(&self, kind: EntryKind, id: EntryId) -> Stored<'_, Option<Entry>> {
        in_time(move || entries::find(&self.database.pool, kind, id))
    }

    fn list<'a>(&'a self, listing: Listing<'a>) -> Stored<'a, Vec<Entry>> {
        in_time(move || async move { entries::list(&self.database.pool, &listing).await })
    }

    fn count_recorded(&self) -> Stored<'_, u64> {
        in_time(|| self.database.count())
    }

    fn sweep(&self, now: Timestamp) -> Stored<'_, u64> {
        Box::pin(async move { Ok(self.database.sweep_all(now).await?) })
    }

    fn signing_keys(&self) -> Stored<'_, Vec<SealedKey>> {
        in_time(|| keys::all(&self.database.pool))
    }

    fn add_first_signing_key(&self, key: SealedKey) -> Stored<'_, Vec<SealedKey>> {
        Box::pin(self.writer.write(None, move |work, _| {
            let key = key.clone();
            Box::pin(async move { keys::add_first(work, &key).await })
        }))
    }

    fn change_signing_keys(&self, change: KeyChange) -> Stored<'_, Vec<SealedKey>> {
        Box::pin(self.writer.write(None, move |work, _| {
            let change = change.clone();
            Box::pin(async move { keys::change(work, &change).await })
        }))
    }

    fn keep_secret<'a>(&'a self, name: &'a str, sealed: Vec<u8>) -> Stored<'a, Vec<u8>> {
        let name = name.to_owned();
        Box::pin(self.writer.write(None, move |work, _| {
            let (name, sealed) = (name.clone(), sealed.clone());
            Box::pin(async move { keys::keep_secret(work, &name, &sealed).await })
        }))
    }

    fn probe(&self) -> Stored<'_, ()> {
        in_time(|| async { self.database.pool.fetch_one("SELECT id FROM memory", &[]).await.map(|_| ()) })
    }
}

/// How long one operation may take, waiting for its turn included.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// What is expected of the clocks of those who write, in seconds.
#[derive(Clone, Copy, Debug)]
struct Clocks {
    /// A clock that goes back by no more than this is taken to stand still.
    step_back: i64,
    /// By how much two of them may differ.
    apart: i64,
}

const ONE_CLOCK: Clocks = Clocks { step_back: 1, apart: 0 };
const SEVERAL_CLOCKS: Clocks = Clocks { step_back: 30, apart: 30 };

/// Reads, again if the connection turns out to be lost: a database that was started again has closed them all.
fn in_time<'a, T, F, R>(read: F) -> Stored<'a, T>
where
    F: Fn() -> R + Send + 'a,
    R: Future<Output = Result<T, sqlx::Error>> + Send,
    T: Send + 'a,
{
    let reading = async move {
        let mut tries = open_postgres::CONNECTIONS;
        loop {
            match read().await {
                Err(fault) if is_lost_connection(&fault) && tries > 0 => tries -= 1,
                answer => return answer,
            }
        }
    };
    Box::pin(async move {
        match tokio::time::timeout(TIME_LIMIT, reading).await {
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

/// What writer and readers share.
#[derive(Debug)]
struct Database {
    pool: Pool,
    window: Window,
    clocks: Clocks,
    /// The epoch as last seen in the database.
    epoch: RwLock<Epoch>,
}

impl Database {
    /// Begins a transaction that writes and settles the epoch: if the memory turns out to be incomplete at `now`, a
    /// new epoch begins at once, in a transaction of its own, whatever becomes of the request.
    async fn begin(&self, now: Option<Timestamp>) -> Result<(Work, Memory), sqlx::Error> {
        let (mut work, memory) = self.begin_and_lock().await?;
        let Some(now) = now.filter(|now| memory.is_incomplete(self.window, self.clocks.step_back, *now)) else {
            return Ok((work, memory));
        };
        let memory = memory.in_new_epoch(memory_row::draw_epoch()?, self.window, now);
        memory_row::save(&mut work, &memory).await?;
        work.commit().await?;
        tracing::warn!("the clock went back or the window widened: a new epoch begins and proofs need a nonce");
        self.begin_and_lock().await
    }

    /// Connections that the database has closed meanwhile, for instance because it was started again, are found out
    /// here, where nothing is lost by trying another one.
    async fn begin_and_lock(&self) -> Result<(Work, Memory), sqlx::Error> {
        let mut tries = open_postgres::CONNECTIONS;
        loop {
            match self.try_to_begin().await {
                Err(fault) if is_lost_connection(&fault) && tries > 0 => tries -= 1,
                begun => return begun,
            }
        }
    }

    async fn try_to_begin(&self) -> Result<(Work, Memory), sqlx::Error> {
        let mut work = self.pool.begin().await?;
        let memory = memory_row::lock(&mut work).await?.ok_or(sqlx::Error::RowNotFound)?;
        *self.epoch.write().unwrap_or_else(PoisonError::into_inner) = memory.epoch;
        Ok((work, memory))
    }

    /// Finds the memory of earlier runs or begins one.
    async fn begin_memory(&self, now: Timestamp) -> Result<(), sqlx::Error> {
        let mut work = self.pool.begin().await?;
        if memory_row::lock(&mut work).await?.is_none() {
            let memory = Memory::begin(memory_row::draw_epoch()?, self.window, self.clocks.apart, now);
            memory_row::insert(&mut work, &memory).await?;
        }
        work.commit().await?;
        let (work, _) = self.begin(Some(now)).await?;
        work.commit().await
    }

    async fn sweep_all(&self, now: Timestamp) -> Result<u64, sqlx::Error> {
        let mut swept = 0;
        loop {
            let (mut work, mut memory) = self.begin(Some(now)).await?;
            let some = sweeping::sweep_some(&mut work, &mut memory, now, SWEPT_IN_ONE_GO).await?;
            memory_row::save(&mut work, &memory).await?;
            work.commit().await?;
            swept += some;
            if some == 0 {
                return Ok(swept);
            }
        }
    }

    async fn count(&self) -> Result<u64, sqlx::Error> {
        let sql = "SELECT (SELECT count(*) FROM used_proof) + (SELECT count(*) FROM used_assertion)";
        let count = self.pool.fetch_one(sql, &[]).await?.number(0)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// How many entries of a kind are swept in one transaction when nothing else is to be done.
const SWEPT_IN_ONE_GO: i64 = 10_000;

/// Whether it was the connection and not what was asked of it.
fn is_lost_connection(fault: &sqlx::Error) -> bool {
    match fault {
        sqlx::Error::Io(fault) => fault.kind() != std::io::ErrorKind::ConnectionRefused,
        // Class 57, operator intervention: shut down, crashed, starting up (Postgres manual, appendix A).
        sqlx::Error::Database(fault) => fault.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
