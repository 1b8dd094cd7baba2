//! What happens to a storage from outside: a newer program was there, the server went away, a backup is taken.

use std::sync::Arc;

use countersign_authserver::storage::{
    Change, EntryContent, EntryId, EntryKind, PostgresAddress, SingleUse, SqlStorage, Storage, StorageOpenError,
    Verdict,
};
use countersign_dpop::time::{Timestamp, Window};
use countersign_testkit::service::postgres::{Durability, Postgres};
use countersign_testkit::storage_contract::{NOW, at};

async fn open(url: &str) -> Result<Arc<dyn Storage>, StorageOpenError> {
    let address = PostgresAddress::parse(&url.to_owned().into()).unwrap();
    Ok(Arc::new(SqlStorage::open_postgres(&address, Window::RFC, at(NOW - 600)).await?))
}

fn add(name: &str) -> [Change; 1] {
    let content = EntryContent { owner: None, not_after: Timestamp::MAX, body: "{}".to_owned() };
    [Change::Add(EntryKind::Code, EntryId::of(name), content)]
}

/// Unreachable is an error and not a guess, and it ends with the outage.
pub(crate) async fn heals_when_postgres_comes_back() {
    let mut postgres = Postgres::start(Durability::Memory).unwrap();
    let url = postgres.make_database().unwrap();
    let storage = open(&url).await.unwrap();
    assert_eq!(storage.commit(&SingleUse::default(), &add("before"), at(NOW)).await.unwrap(), Verdict::First);
    postgres.crash();
    assert!(storage.probe().await.is_err());
    assert!(storage.commit(&SingleUse::default(), &add("during"), at(NOW)).await.is_err());
    let error = open(&url).await.map(drop).unwrap_err();
    assert!(matches!(error, StorageOpenError::Postgres { .. }), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
    postgres.resume().unwrap();
    storage.probe().await.unwrap();
    assert!(storage.find(EntryKind::Code, EntryId::of("before")).await.unwrap().is_some());
    assert_eq!(storage.find(EntryKind::Code, EntryId::of("during")).await.unwrap(), None);
    assert_eq!(storage.commit(&SingleUse::default(), &add("during"), at(NOW)).await.unwrap(), Verdict::First);
    // Started again while nobody asked anything: every connection is dead, and nobody notices.
    postgres.crash();
    postgres.resume().unwrap();
    assert_eq!(storage.commit(&SingleUse::default(), &add("after"), at(NOW)).await.unwrap(), Verdict::First);
}

pub(crate) async fn refuses_a_newer_schema(postgres: &Postgres) {
    let url = postgres.make_database().unwrap();
    drop(open(&url).await.unwrap());
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (999, 'newer', true, '\\x00', 0)";
    postgres.run_sql(&url, newer).unwrap();
    let error = open(&url).await.map(drop).unwrap_err();
    assert!(matches!(error, StorageOpenError::NewerSchema { found: 999, .. }), "{error}");
    assert!(error.to_string().contains("use the newer program"), "{error}");
}

pub(crate) async fn is_told_apart_from_a_refusal(postgres: &Postgres) {
    let url = postgres.make_database().unwrap();
    for (written, instead) in [("canary-postgres-5f1c", "canary-wrong"), ("/test", "/nothing")] {
        let error = open(&url.replace(written, instead)).await.map(drop).unwrap_err();
        assert!(matches!(error, StorageOpenError::PostgresRefused { .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

/// Taken while the server writes, restored elsewhere: all that was answered before is there, and a new epoch begins,
/// because what was accepted since then is not remembered.
pub(crate) async fn a_backup_of_a_running_sqlite_restores() {
    let (data, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let storage: Arc<dyn Storage> =
        Arc::new(SqlStorage::open_sqlite(data.path(), Window::RFC, at(NOW - 600)).await.unwrap());
    assert_eq!(storage.commit(&SingleUse::default(), &add("before"), at(NOW)).await.unwrap(), Verdict::First);
    let writing = {
        let storage = storage.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                let verdict = storage.commit(&SingleUse::default(), &add(&format!("during {n}")), at(NOW)).await;
                assert_eq!(verdict.unwrap(), Verdict::First);
            }
        })
    };
    let copy = restored.path().join(SqlStorage::FILE);
    SqlStorage::backup_sqlite(data.path(), &copy).await.unwrap();
    let again = SqlStorage::backup_sqlite(data.path(), &copy).await.unwrap_err();
    assert!(again.to_string().contains("exists"), "a backup overwrites nothing: {again}");
    writing.await.unwrap();

    let opened = SqlStorage::open_sqlite(restored.path(), Window::RFC, at(NOW)).await.unwrap();
    assert!(opened.find(EntryKind::Code, EntryId::of("before")).await.unwrap().is_some());
    assert_ne!(opened.epoch().id, storage.epoch().id);
    assert_eq!(opened.epoch().floor, at(NOW + 10));
    assert_eq!(opened.commit(&SingleUse::default(), &add("after"), at(NOW)).await.unwrap(), Verdict::First);
}
