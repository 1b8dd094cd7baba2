//! A storage that is away, slow, full or not ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_authserver::storage::{
    Change, Entry, EntryId, EntryKind, KeyChange, Listing, SealedKey, SingleUse, SqlStorage, Storage, StorageError,
    Stored, Verdict,
};
use countersign_authserver::{AuthServer, OpenError};
use countersign_dpop::replay::Epoch;
use countersign_dpop::time::Timestamp;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tower::ServiceExt;

use crate::support::{Answer, World, settings};

/// A storage that can be unplugged.
#[derive(Debug)]
struct Unplugged {
    inner: Arc<dyn Storage>,
    away: Arc<AtomicBool>,
}

impl Unplugged {
    fn or<'a, T: Send + 'a>(&'a self, answer: Stored<'a, T>) -> Stored<'a, T> {
        if self.away.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StorageError::Unavailable { reason: "unplugged".to_owned() }) });
        }
        answer
    }
}

impl Storage for Unplugged {
    fn epoch(&self) -> Epoch {
        self.inner.epoch()
    }
    fn commit<'a>(&'a self, once: &'a SingleUse, changes: &'a [Change], now: Timestamp) -> Stored<'a, Verdict> {
        self.or(self.inner.commit(once, changes, now))
    }
    fn find(&self, kind: EntryKind, id: EntryId) -> Stored<'_, Option<Entry>> {
        self.or(self.inner.find(kind, id))
    }
    fn list<'a>(&'a self, listing: Listing<'a>) -> Stored<'a, Vec<Entry>> {
        self.or(self.inner.list(listing))
    }
    fn count_recorded(&self) -> Stored<'_, u64> {
        self.or(self.inner.count_recorded())
    }
    fn sweep(&self, now: Timestamp) -> Stored<'_, u64> {
        self.or(self.inner.sweep(now))
    }
    fn signing_keys(&self) -> Stored<'_, Vec<SealedKey>> {
        self.or(self.inner.signing_keys())
    }
    fn add_first_signing_key(&self, key: SealedKey) -> Stored<'_, Vec<SealedKey>> {
        self.or(self.inner.add_first_signing_key(key))
    }
    fn change_signing_keys(&self, change: KeyChange) -> Stored<'_, Vec<SealedKey>> {
        self.or(self.inner.change_signing_keys(change))
    }
    fn keep_secret<'a>(&'a self, name: &'a str, sealed: Vec<u8>) -> Stored<'a, Vec<u8>> {
        self.or(self.inner.keep_secret(name, sealed))
    }
    fn probe(&self) -> Stored<'_, ()> {
        self.or(self.inner.probe())
    }
}

#[tokio::test]
async fn without_storage_nothing_is_accepted_and_nothing_spent_rows_338_340() {
    let away = Arc::new(AtomicBool::new(false));
    let switch = away.clone();
    let world = World::on_storage(|inner| Arc::new(Unplugged { inner, away: switch })).await;
    let request = world.bound_request();
    away.store(true, Ordering::SeqCst);
    world.send(&request).await.unavailable(503);
    let readyz = http::Request::get("/readyz").body(axum::body::Body::empty()).unwrap();
    let answer = world.server.admin_router().oneshot(readyz).await.unwrap();
    assert_eq!(answer.status(), 503);
    away.store(false, Ordering::SeqCst);
    world.send(&request).await.granted("DPoP");
}

#[tokio::test]
async fn a_locked_database_is_waited_for_so_long_and_no_longer_row_339() {
    let world = World::new().await;
    let path = world.dir.path().join("data").join(SqlStorage::FILE);
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let request = world.bound_request();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    world.send(&request).await.unavailable(503);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    world.send(&request).await.granted("DPoP");
}

#[tokio::test]
async fn refuses_a_database_of_a_newer_program() {
    let world = World::new().await;
    let path = world.dir.path().join("data").join(SqlStorage::FILE);
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut other)
    .await
    .unwrap();
    let error = AuthServer::open(settings(&world.config, &world.dir), world.clock.shared()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("has schema 9000") && text.contains("use the newer program"), "{text}");
}

#[tokio::test]
async fn refuses_a_database_whose_sealing_key_is_lost_or_another() {
    let world = World::new().await;
    let path = world.dir.path().join("data").join("sealing.key");
    std::fs::write(&path, [9; 32]).unwrap();
    let error = AuthServer::open(settings(&world.config, &world.dir), world.clock.shared()).await.unwrap_err();
    assert!(matches!(error, OpenError::Secret(_)), "{error}");
    std::fs::write(&path, b"short").unwrap();
    let error = AuthServer::open(settings(&world.config, &world.dir), world.clock.shared()).await.unwrap_err();
    assert!(matches!(error, OpenError::SealFile(_)), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = AuthServer::open(settings(&world.config, &world.dir), world.clock.shared()).await.unwrap_err();
    assert!(error.to_string().contains("restore it from a backup"), "{error}");
    assert!(!path.exists(), "no other key is put in its place");
}

#[tokio::test]
async fn refuses_a_file_that_is_no_database() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::write(dir.path().join("data").join(SqlStorage::FILE), vec![b'x'; 8_192]).unwrap();
    let error = AuthServer::open(settings(&world.config, &dir), world.clock.shared()).await.unwrap_err();
    assert!(matches!(error, OpenError::Storage(_)), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_it_keeps_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    world.send(&world.bound_request()).await.granted("DPoP");
    let data = world.dir.path().join("data");
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert!(files >= 3, "database, its log and the sealing key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_a_new_directory_at_once_agree_on_everything() {
    let world = World::new().await;
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (config, clock, dir) = (world.config.clone(), world.clock.shared(), dir.clone());
            tokio::spawn(async move { AuthServer::open(settings(&config, &dir), clock).await })
        })
        .collect();
    let mut keys = Vec::new();
    for task in tasks {
        let server = task.await.unwrap().unwrap();
        let request = http::Request::get("/jwks").body(axum::body::Body::empty()).unwrap();
        keys.push(Answer::read(server.router().oneshot(request).await.unwrap()).await.text);
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn two_processes_on_one_directory_agree() {
    let world = World::new().await;
    let second = AuthServer::open(settings(&world.config, &world.dir), world.clock.shared()).await.unwrap();
    let proof = world.proof().text();
    world.send(&world.request().proof(&proof)).await.granted("DPoP");
    let replayed = world.request().proof(&proof).to_http();
    assert_eq!(second.router().oneshot(replayed).await.unwrap().status(), 400);
}
