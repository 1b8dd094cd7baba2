//! The kinds of storage.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use countersign_authserver::storage::{PostgresAddress, SqlStorage, Storage};
use countersign_dpop::time::Window;
use countersign_testkit::service::postgres::Postgres;
use countersign_testkit::storage_contract::{Opener, at};
use tempfile::TempDir;

type Opened<'a> = Pin<Box<dyn Future<Output = Arc<dyn Storage>> + Send + 'a>>;

/// SQLite without a file: one database for as long as the test runs.
#[derive(Default)]
pub(crate) struct InMemory(Mutex<Option<Arc<dyn Storage>>>);

impl Opener for InMemory {
    fn open(&self, now: i64) -> Opened<'_> {
        Box::pin(async move {
            if let Some(opened) = self.0.lock().unwrap().clone() {
                return opened;
            }
            let opened: Arc<dyn Storage> = Arc::new(SqlStorage::open_in_memory(Window::RFC, at(now)).await.unwrap());
            *self.0.lock().unwrap() = Some(opened.clone());
            opened
        })
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn clock_difference(&self) -> i64 {
        1
    }
}

/// SQLite in a directory.
pub(crate) struct OnSqlite(TempDir);

impl OnSqlite {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Opener for OnSqlite {
    fn open(&self, now: i64) -> Opened<'_> {
        Box::pin(async move {
            let opened = SqlStorage::open_sqlite(self.0.path(), Window::RFC, at(now)).await.unwrap();
            Arc::new(opened) as Arc<dyn Storage>
        })
    }

    fn clock_difference(&self) -> i64 {
        1
    }
}

/// A database of a Postgres server.
pub(crate) struct OnPostgres {
    address: PostgresAddress,
    _server: Arc<Postgres>,
}

impl OnPostgres {
    pub(crate) fn new(server: &Arc<Postgres>) -> Self {
        let url = server.make_database().unwrap();
        Self { address: PostgresAddress::parse(&url.into()).unwrap(), _server: server.clone() }
    }
}

impl Opener for OnPostgres {
    fn open(&self, now: i64) -> Opened<'_> {
        Box::pin(async move {
            let opened = SqlStorage::open_postgres(&self.address, Window::RFC, at(now)).await.unwrap();
            Arc::new(opened) as Arc<dyn Storage>
        })
    }

    fn clock_difference(&self) -> i64 {
        30
    }
}
