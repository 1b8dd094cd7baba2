//! Sessions that are kept, renewed by one for all, and ended.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_client::keys::{KeyPlace, KeyStore, SealedFileStore};
use countersign_client::login::{ClientChoice, LoginPlan, LoginTools};
use countersign_client::sessions::{SessionError, SessionId};
use countersign_client::{Client, Endpoint, Login, Session, SessionStore, TokenError};
use countersign_dpop::jose::Algorithm;
use countersign_testkit::FakeClock;
use serde_json::json;
use tempfile::TempDir;

use crate::login::issuer_metadata;
use crate::played::*;

/// An issuer that rotates refresh tokens and ends a session when an old one comes again; sessions and keys on disk.
struct World {
    server: Played,
    clock: Arc<FakeClock>,
    directory: TempDir,
    refreshes: Arc<AtomicUsize>,
}

fn issuer(refreshes: &AtomicUsize, seen: &Seen) -> axum::response::Response {
    match seen.path.as_str() {
        "/.well-known/oauth-protected-resource" => {
            reply_json(200, &json!({ "resource": seen.origin, "authorization_servers": [seen.origin] }))
        }
        "/.well-known/oauth-authorization-server" => reply_json(200, &issuer_metadata(&seen.origin)),
        "/token" => {
            let expected = format!("canary-refresh-{}", refreshes.load(Ordering::SeqCst));
            if seen.form("grant_type").as_deref() == Some("refresh_token")
                && seen.form("refresh_token") != Some(expected)
            {
                return reply_json(400, &json!({ "error": "invalid_grant" }));
            }
            let number = refreshes.fetch_add(1, Ordering::SeqCst) + 1;
            let answer = json!({ "access_token": format!("canary-access-{number}"), "token_type": "DPoP",
                                 "expires_in": 300, "refresh_token": format!("canary-refresh-{number}") });
            reply_json(200, &answer)
        }
        "/revoke" => reply(200, &[], ""),
        _ => reply(200, &[], seen.field("authorization").to_owned()),
    }
}

impl World {
    async fn new() -> Self {
        let refreshes = Arc::new(AtomicUsize::new(0));
        let counted = refreshes.clone();
        let server = Played::start(move |seen| issuer(&counted, seen)).await;
        Self { server, clock: set_clock(), directory: TempDir::new().expect("a directory"), refreshes }
    }

    /// As another process would open them.
    fn sessions(&self) -> SessionStore {
        SessionStore::in_directory(self.directory.path().join("sessions"))
    }

    fn keys(&self) -> Arc<dyn KeyStore> {
        Arc::new(SealedFileStore::new(self.directory.path().join("keys"), self.clock.clone()))
    }

    async fn log_in(&self) -> SessionId {
        let store = KeyPlace::Files(self.directory.path().join("keys"));
        let client = ClientChoice::Registered { client_id: "robot".to_owned(), authentication: by_secret() };
        let plan = LoginPlan { client, ..LoginPlan::new(&format!("{}/orders", self.server.origin()), store) };
        let tools = LoginTools::new(self.keys(), self.sessions(), self.clock.clone());
        let login = Login::prepare(&plan, &tools).await.expect("a login");
        let session = login.by_client_credentials().await.expect("a session");
        self.sessions().save(&session).expect("kept");
        session.id()
    }

    fn session(&self, id: &SessionId) -> Session {
        self.sessions().load(id).expect("a session")
    }

    fn client(&self, id: &SessionId) -> Client {
        let keys = self.keys();
        Client::of_session(&self.session(id), self.sessions(), keys.as_ref(), self.clock.clone()).expect("a client")
    }

    async fn token_of(&self, id: &SessionId) -> String {
        self.client(id).token().await.expect("a token").expose_secret().to_owned()
    }
}

#[tokio::test]
async fn a_session_outlives_the_process_with_its_key() {
    let world = World::new().await;
    let id = world.log_in().await;
    assert_eq!(world.token_of(&id).await, "canary-access-1");
    assert_eq!(world.refreshes.load(Ordering::SeqCst), 1, "a token that is good is not renewed");
    world.clock.advance(300);
    assert_eq!(world.token_of(&id).await, "canary-access-2", "row 514");
    let refreshed = world.server.seen_at("/token").pop().expect("a request");
    assert_eq!(refreshed.form("refresh_token").as_deref(), Some("canary-refresh-1"), "row 514");
    let first = &world.server.seen_at("/token")[0];
    let key = |seen: &Seen| part(seen.field("dpop"), 0)["jwk"].clone();
    assert_eq!(key(&refreshed), key(first), "row 514: the same key");
}

#[tokio::test]
async fn of_many_processes_one_renews_for_all() {
    let world = World::new().await;
    let id = world.log_in().await;
    world.clock.advance(300);
    let clients: Vec<_> = (0..12).map(|_| world.client(&id)).collect();
    let asked =
        clients.iter().map(|client| async { client.token().await.expect("a token").expose_secret().to_owned() });
    let tokens = futures_util::future::join_all(asked).await;
    assert!(tokens.iter().all(|token| token == "canary-access-2"), "{tokens:?}");
    assert_eq!(world.refreshes.load(Ordering::SeqCst), 2, "one renewal for all twelve");
}

#[tokio::test]
async fn the_rotated_token_is_on_disk_before_the_access_token_is_used() {
    let world = World::new().await;
    let id = world.log_in().await;
    world.clock.advance(300);
    let client = world.client(&id);
    // No new file can be put into the directory any more: nothing may be rotated then.
    let sessions = world.directory.path().join("sessions");
    fs::rename(&sessions, world.directory.path().join("moved")).expect("moved");
    fs::write(&sessions, "in the way").expect("written");
    let refused = client.token().await.expect_err("no session");
    assert!(matches!(refused, TokenError::Session(_)), "{refused}");
    assert_eq!(world.refreshes.load(Ordering::SeqCst), 1, "the refresh token was not spent");
    fs::remove_file(&sessions).expect("gone");
    fs::rename(world.directory.path().join("moved"), &sessions).expect("back");
    assert_eq!(client.token().await.expect("a token").expose_secret(), "canary-access-2");
    assert_eq!(world.session(&id).tokens.access.expose_secret(), "canary-access-2");
}

#[tokio::test]
async fn a_caller_who_goes_away_loses_no_rotated_token() {
    let world = World::new().await;
    let id = world.log_in().await;
    world.clock.advance(300);
    let client = world.client(&id);
    let asking = tokio::spawn(async move { client.token().await });
    while world.refreshes.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    let _ = asking.await;
    assert_eq!(world.token_of(&id).await, "canary-access-2");
    assert_eq!(world.refreshes.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_ends_the_session_with_a_hint() {
    let world = World::new().await;
    let id = world.log_in().await;
    world.refreshes.store(7, Ordering::SeqCst);
    world.clock.advance(300);
    let ended = world.client(&id).token().await.expect_err("an end");
    assert!(matches!(ended, TokenError::LoginNeeded { .. }), "{ended}");
    assert!(ended.to_string().contains("has ended"), "{ended}");
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let world = World::new().await;
    let id = world.log_in().await;
    let refused = Played::start(|seen| match seen.field("authorization") {
        "DPoP canary-access-2" => reply(200, &[], "hello"),
        _ => reply(401, &[("www-authenticate", "DPoP error=\"invalid_token\"")], ""),
    })
    .await;
    let mut session = world.session(&id);
    session.config = session.config.with_base_url(refused.origin()).expect("a URL");
    world.sessions().save(&session).expect("kept");
    let answer = world.client(&id).call(get(&format!("{}/x", refused.origin()))).await.expect("an answer");
    assert_eq!((answer.status().as_u16(), refused.seen().len()), (200, 2));
}

#[tokio::test]
async fn logging_out_revokes_both_tokens_and_forgets_the_session() {
    let world = World::new().await;
    let id = world.log_in().await;
    let client = world.client(&id);
    assert!(client.log_out().await.expect("revoked"));
    let revoked: Vec<_> = world.server.seen_at("/revoke").iter().map(|seen| seen.form("token")).collect();
    assert_eq!(revoked, [Some("canary-refresh-1".to_owned()), Some("canary-access-1".to_owned())]);
    assert_eq!(world.sessions().load(&id).expect_err("forgotten"), SessionError::NotFound { id });
    client.token().await.expect_err("no token after that");
}

#[tokio::test]
async fn another_key_under_the_same_name_is_noticed() {
    let world = World::new().await;
    let id = world.log_in().await;
    let session = world.session(&id);
    let key = session.config.keys().dpop.clone();
    world.keys().delete(&key).expect("deleted");
    let lost = Client::of_session(&session, world.sessions(), world.keys().as_ref(), world.clock.clone());
    assert!(lost.expect_err("lost").to_string().contains("there is no key"));
    world.keys().generate(&key, Algorithm::Es256).expect("another");
    let changed = Client::of_session(&session, world.sessions(), world.keys().as_ref(), world.clock.clone());
    assert!(changed.expect_err("changed").to_string().contains("log in again"));
}

#[tokio::test]
async fn tokens_are_sealed_at_rest_and_damage_is_found() {
    let world = World::new().await;
    let id = world.log_in().await;
    let directory = world.directory.path().join("sessions");
    for entry in fs::read_dir(&directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let bytes = fs::read(&path).expect("readable");
        let found = bytes.windows(6).any(|window| window == b"canary");
        assert!(!found, "{} shows a token", path.display());
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("a file").permissions());
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    let file = directory.join(format!("{id}.session"));
    let whole = fs::read(&file).expect("readable");
    for position in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[position] ^= 1;
        fs::write(&file, damaged).expect("written");
        assert_eq!(world.sessions().load(&id).expect_err("damage"), SessionError::Damaged { id }, "byte {position}");
    }
    fs::write(&file, &whole[..whole.len() / 2]).expect("written");
    assert_eq!(world.sessions().load(&id).expect_err("a cut"), SessionError::Damaged { id });
    fs::write(&file, &whole).expect("written");
    fs::write(directory.join(".device-key"), [7; 32]).expect("written");
    assert_eq!(world.sessions().load(&id).expect_err("another device"), SessionError::Damaged { id });
    assert!(world.sessions().remove(&id).expect("removable all the same"));
}

#[tokio::test]
async fn the_session_that_says_most_of_the_path_is_found() {
    let world = World::new().await;
    let id = world.log_in().await;
    for store in [world.sessions(), SessionStore::in_memory()] {
        let (all, deep, v1) = ("https://api.example", "https://api.example/v1/deep", "https://api.example/v1/");
        for (resource, label) in [(all, ""), (deep, ""), (v1, ""), ("https://api.example/v1/x", "of an agent")] {
            let mut session = world.session(&id);
            label.clone_into(&mut session.label);
            session.config = session.config.with_resource(resource).expect("a URL");
            store.save(&session).expect("kept");
        }
        let found = |url: &str| {
            let session = store.find(&Endpoint::parse(url).expect("a URL")).expect("a store");
            session.and_then(|session| session.config.resource().map(str::to_owned))
        };
        assert_eq!(found("https://api.example/v1/deep/er").as_deref(), Some(deep));
        assert_eq!(found("https://api.example/v1/x").as_deref(), Some(v1), "what has a label is somebody's own");
        assert_eq!(found("https://api.example/x").as_deref(), Some(all));
        assert_eq!(found("https://other.example/x"), None);
    }
}
