//! Fifty requests at the same time, to two processes that share a database: what is good once is taken once.

use countersign_authserver::storage::{EntryKind, Listing};
use futures_util::future::join_all;

use crate::Check;
use crate::browser::Browser;
use crate::client::{Answer, As, Client, Lost, Sent, VERIFIER};
use crate::server::{CALLBACK, Database, Issuer, Running};

pub(crate) const CHECKS: &[(&str, Check)] = &[
    ("a_code_is_redeemed_once", |database| Box::pin(code(database))),
    ("a_device_code_is_redeemed_once", |database| Box::pin(device_code(database))),
    ("an_assertion_is_taken_once", |database| Box::pin(assertion(database))),
    ("a_proof_is_taken_once", |database| Box::pin(proof(database))),
    ("a_refresh_request_is_taken_once", |database| Box::pin(refresh_request(database))),
    ("a_refresh_token_has_one_living_successor", |database| Box::pin(refresh_token(database))),
];

const REQUESTS: usize = 50;

/// Two processes on one database.
struct World {
    issuer: Issuer,
    processes: [Running; 2],
}

impl World {
    async fn new(database: Database) -> Self {
        let issuer = Issuer::new(database);
        let first = issuer.start(issuer.address()).await;
        let second = issuer.start("127.0.0.1:0").await;
        issuer.client.learn_nonce(&first.url).await;
        Self { issuer, processes: [first, second] }
    }

    fn client(&self) -> &Client {
        &self.issuer.client
    }

    /// Fifty requests, made one after the other.
    async fn requests(&self, of: As, form: &[(&str, &str)]) -> Vec<Sent> {
        let mut requests = Vec::new();
        for _ in 0..REQUESTS {
            requests.push(self.client().request(of, form).await);
        }
        requests
    }

    /// Sends all of them at the same time, one half to each process. A process that had too much to do (503) says
    /// nothing of a request; how often that was comes beside the answers.
    async fn send_at_once(&self, requests: &[Sent]) -> (Vec<Answer>, usize) {
        let sent = requests.iter().enumerate().map(|(index, request)| {
            let server = &self.processes[index % 2].url;
            async move { self.client().send(server, request).await }
        });
        let answers: Vec<Result<Answer, Lost>> = join_all(sent).await;
        assert!(answers.iter().all(|answer| !matches!(answer, Err(Lost::Gone))), "a process has ended");
        let away = answers.iter().filter(|answer| answer.is_err()).count();
        (answers.into_iter().flatten().collect(), away)
    }

    /// Sends all of them: one is granted, all others get the OAuth error. `None` when nobody was told of the one.
    async fn is_granted_once(&self, requests: &[Sent], status: u16, error: &str) -> Option<Answer> {
        let (answers, away) = self.send_at_once(requests).await;
        let (mut granted, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(Answer::is_granted);
        assert!(granted.len() == 1 || (granted.is_empty() && away > 0), "{granted:?} {refused:?} {away}");
        for answer in &refused {
            assert_eq!((answer.status, answer.error()), (status, error), "{answer:?}");
        }
        granted.pop()
    }
}

async fn code(database: Database) {
    let world = World::new(database).await;
    let code = Browser::new(world.client().clone()).allow(&world.processes[0].url, "app").await.unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let requests = world.requests(As::App, &form).await;
    world.is_granted_once(&requests, 400, "invalid_grant").await;
}

async fn device_code(database: Database) {
    let world = World::new(database).await;
    let server = world.processes[0].url.clone();
    let mut asked = world.client().request(As::App, &[("scope", "read")]).await;
    asked.proof.clear();
    let url = format!("{server}/device_authorization");
    let asked = world.client().post(&url, &asked.form, None).await.unwrap();
    Browser::new(world.client().clone()).allow_device(&server, &asked.text("user_code")).await.unwrap();
    let (device_code, grant) = (asked.text("device_code"), "urn:ietf:params:oauth:grant-type:device_code");
    let requests = world.requests(As::App, &[("grant_type", grant), ("device_code", &device_code)]).await;
    world.is_granted_once(&requests, 400, "invalid_grant").await;
}

async fn assertion(database: Database) {
    let world = World::new(database).await;
    let mut requests = world.requests(As::App, &[("grant_type", "client_credentials")]).await;
    let form = requests[0].form.clone();
    for request in &mut requests {
        request.form.clone_from(&form);
    }
    world.is_granted_once(&requests, 401, "invalid_client").await;
}

async fn proof(database: Database) {
    let world = World::new(database).await;
    let mut requests = world.requests(As::App, &[("grant_type", "client_credentials")]).await;
    let proof = requests[0].proof.clone();
    for request in &mut requests {
        request.proof.clone_from(&proof);
    }
    world.is_granted_once(&requests, 400, "invalid_dpop_proof").await;
}

async fn refresh_request(database: Database) {
    let world = World::new(database).await;
    let token = world.issuer.refresh_tokens(1).await.remove(0);
    let request = world.client().request(As::Spa, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
    let granted = world.is_granted_once(&vec![request; REQUESTS], 400, "invalid_dpop_proof").await;
    assert!(granted.is_none_or(|granted| granted.text("refresh_token") != token));
}

/// A token whose answer may have been lost is good until its successor is used, so each of many requests may be
/// answered; but of all the successors that are handed out one is good, and its first use ends the token that it follows.
async fn refresh_token(database: Database) {
    let world = World::new(database).await;
    let token = world.issuer.refresh_tokens(1).await.remove(0);
    let requests = world.requests(As::Spa, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
    let (answers, away) = world.send_at_once(&requests).await;
    assert!(answers.iter().any(Answer::is_granted) || away > 0, "{answers:?}");
    for answer in &answers {
        assert!(answer.is_granted() || answer.error() == "invalid_grant", "{answer:?}");
    }
    let storage = world.issuer.database.storage().await;
    let listing = Listing { kind: EntryKind::RefreshToken, owner: None, after: None, limit: 1_000 };
    let kept = storage.list(listing).await.unwrap();
    let states = kept.iter().map(|entry| -> serde_json::Value { serde_json::from_str(&entry.content.body).unwrap() });
    let living = states.filter(|token| token["state"] == "current").count();
    assert_eq!(living, 1, "of {} successors", kept.len() - 1);
}
