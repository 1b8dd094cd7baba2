//! No secret in a log, an error or a debug text, at the finest level there is.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{NOW, Proof, SECRET, TokenRequest, World};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The parts of a JWT that must not be seen: whole, and each segment that is not shared by all.
fn parts(jwt: &str) -> Vec<String> {
    jwt.split('.').skip(1).map(str::to_owned).collect()
}

#[tokio::test]
async fn no_secret_in_the_log_of_any_request() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    // One thread, so that this subscriber sees all of it.
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut world = World::with(|config| format!("nonce = \"required\"\n{config}")).await;
    let mut secrets = vec![SECRET.to_owned(), "wrong-canary".to_owned(), "jti-canary".to_owned()];

    let proof = world.proof().claim("jti", "jti-canary");
    let assertion = world.assertion("jwt").claim("jti", "jti-canary").text();
    let request = TokenRequest::plain().assertion(&assertion);
    let asked = world.send(&request.clone().proof(&proof.text())).await;
    let nonce = asked.nonce().unwrap();
    let with_nonce = proof.clone().claim("nonce", nonce.clone()).text();
    let granted = world.send(&request.clone().proof(&with_nonce)).await;
    granted.granted("DPoP");
    world.send(&request.proof(&with_nonce)).await.refused(400, "invalid_dpop_proof");
    for (id, secret) in [("basic", SECRET), ("basic", "wrong-canary"), ("wrong-canary", SECRET)] {
        world.send(&TokenRequest::plain().basic(id, secret)).await;
    }
    for name in ["client_secret", "scope", "resource", "grant_type", "client_id", "client_assertion_type"] {
        world.send(&world.request().set(name, "wrong-canary")).await;
    }
    let proof = proof.text();
    world.restart().await;

    secrets.extend([nonce, granted.token().to_owned()]);
    secrets.extend([proof, with_nonce, assertion].iter().flat_map(|jwt| parts(jwt)));
    secrets.extend(parts(granted.token()));
    secrets.push(std::fs::read(world.dir.path().join("data/sealing.key")).map(|key| format!("{key:?}")).unwrap());
    let seen = format!("{} {:?} {:?}", log.text(), world.server, world.server.settings());
    for secret in &secrets {
        assert!(!seen.contains(secret), "{secret} is seen");
    }
    assert!(seen.contains("countersign::decision"), "the log was captured");
}

#[tokio::test]
async fn every_request_leaves_one_line_with_what_is_known() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let proof = world.proof().claim("iat", NOW - 3).text();
    world.send(&world.request().proof(&proof)).await.granted("DPoP");
    world.send(&world.bound_request().set("scope", "admin")).await.refused(400, "invalid_scope");
    world.send(&TokenRequest::plain().basic("someone", "x")).await.refused(401, "invalid_client");
    let text = log.text();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["target"] == "countersign::decision")
        .map(|line| line["fields"].clone())
        .collect();
    let jkt = world.key.public_jwk().jkt().to_string();
    let field_of = |index: usize, field: &str| lines[index].get(field).cloned().unwrap_or_default();
    assert_eq!(lines.len(), 3);
    for (index, field, expected) in [
        (0, "outcome", json!("granted")),
        (0, "code", json!("ok")),
        (0, "status", json!(200)),
        (0, "bound", json!(true)),
        (0, "client", json!("jwt")),
        (0, "jkt", json!(jkt)),
        (0, "offset", json!(-3)),
        (0, "grant", json!("client_credentials")),
        (1, "outcome", json!("refused")),
        (1, "code", json!("scope_not_allowed")),
        (1, "error", json!("invalid_scope")),
        (1, "client", json!("jwt")),
        (1, "jkt", json!(jkt)),
        (1, "reason", json!("the scope is more than client and resource have")),
        (2, "code", json!("client_unknown")),
        (2, "error", json!("invalid_client")),
        (2, "status", json!(401)),
        (2, "client", json!(null)), // a name that nobody has is not repeated
        (2, "jkt", json!(null)),
    ] {
        assert_eq!(field_of(index, field), expected, "line {index}, {field}");
    }
}

#[tokio::test]
async fn warns_of_a_client_that_uses_one_key_for_assertions_and_proofs() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    world.send(&world.bound_request()).await.granted("DPoP");
    assert!(!log.text().contains("one key"));
    let proof = Proof::new(&world.client_key, NOW).text();
    world.send(&world.request().proof(&proof)).await.granted("DPoP");
    assert!(log.text().contains("WARN") && log.text().contains("with one key"), "{}", log.text());
}
