use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_client::config::{AssertionKey, Authentication};
use countersign_client::keys::{KeyClass, KeyName, KeyStore, KeyStoreError, ListedKey, StoredKey};
use countersign_client::{Client, NonceError, OpenError, TokenError};
use countersign_dpop::ErrorCode;
use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, JwsBuffer, ProofSigner, PublicJwk, Signing, SoftwareKey,
};
use countersign_dpop::time::Timestamp;
use serde_json::json;

use crate::played::*;

fn by_key() -> Authentication {
    Authentication::PrivateKeyJwt { key: AssertionKey::Stored(name("robot")), kid: Some("k1".to_owned()) }
}

/// An issuer that answers token requests by `play`.
async fn token_endpoint(play: impl Fn(&Seen) -> axum::response::Response + Send + Sync + 'static) -> Played {
    Played::start(move |seen| match seen.path.as_str() {
        "/token" => play(seen),
        _ => honest_issuer(seen).unwrap_or_else(|| reply(404, &[], "")),
    })
    .await
}

async fn failure(server: &Played) -> TokenError {
    client(server).token().await.expect_err("no token")
}

#[tokio::test]
async fn asks_for_a_token_with_a_secret_and_a_proof() {
    let server = token_endpoint(|_| reply_json(200, &token_answer())).await;
    let config = config(server.origin(), by_secret())
        .with_resource("https://api.example.com/a b?c")
        .expect("a resource")
        .with_scope("read write");
    let clock = set_clock();
    let client = Client::open(&config, &keys(clock.clone()), clock).expect("a client");
    let token = client.token().await.expect("a token");
    assert_eq!((token.expose_secret(), token.expires_at()), (TOKEN, Some(Timestamp::from_seconds(NOW + 300))));

    let seen = &server.seen_at("/token")[0];
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.field("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen.form("grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(seen.form("scope").as_deref(), Some("read write"));
    assert_eq!(seen.form("resource").as_deref(), Some("https://api.example.com/a b?c"));
    // base64 of "robot:" and the secret.
    assert_eq!(seen.field("authorization"), "Basic cm9ib3Q6Y2FuYXJ5LWNsaWVudC1zZWNyZXQtUXg4MQ==");
    let proof = seen.proof();
    assert_eq!((&proof["htm"], &proof["htu"]), (&json!("POST"), &json!(format!("{}/token", server.origin()))));
    assert_eq!(proof.get("ath"), None, "row 504");
}

#[tokio::test]
async fn asks_for_a_token_with_an_assertion_for_the_issuer_alone() {
    let server = token_endpoint(|_| reply_json(200, &token_answer())).await;
    let clock = set_clock();
    let store = keys(clock.clone());
    let client = Client::open(&config(server.origin(), by_key()), &store, clock).expect("a client");
    client.token().await.expect("a token");

    let seen = &server.seen_at("/token")[0];
    assert_eq!(seen.field("authorization"), "");
    let assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    assert_eq!(seen.form("client_assertion_type").as_deref(), Some(assertion_type));
    let assertion = seen.form("client_assertion").expect("an assertion");
    assert_eq!(part(&assertion, 0), json!({ "typ": "JWT", "alg": "ES256", "kid": "k1" }));
    let claims = part(&assertion, 1);
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("robot"), &json!("robot")));
    assert_eq!(claims["aud"], server.origin());
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + 60)));

    let mut buffer = JwsBuffer::new();
    let jws = CompactJws::split(assertion.as_bytes(), &mut buffer, 4_096).expect("a JWS");
    let key = store.show(&name("robot")).expect("a key").public;
    let verified = Algorithms::all().verify(Algorithm::Es256, &key, jws.signing_input(), jws.signature());
    assert_eq!(verified, Ok(()));
}

#[tokio::test]
async fn a_public_client_sends_its_name_only() {
    let server = token_endpoint(|_| reply_json(200, &token_answer())).await;
    let clock = set_clock();
    let config = config(server.origin(), Authentication::None);
    let client = Client::open(&config, &keys(clock.clone()), clock).expect("a client");
    client.token().await.expect("a token");
    let seen = &server.seen_at("/token")[0];
    assert_eq!((seen.field("authorization"), seen.form("client_id").as_deref()), ("", Some("robot")));
}

#[test]
fn refuses_one_key_for_proofs_and_assertions() {
    let clock = set_clock();
    let store = keys(clock.clone());
    let authentication = Authentication::PrivateKeyJwt { key: AssertionKey::Stored(name("dpop")), kid: None };
    let error = Client::open(&config("https://idp.example.com", authentication), &store, clock).expect_err("one key");
    assert_eq!(error, OpenError::OneKeyForBoth { jkt: store.show(&name("dpop")).expect("a key").jkt() });
}

#[tokio::test]
async fn answers_a_nonce_error_once_with_fresh_proof_and_assertion() {
    let server = token_endpoint(|seen| match seen.proof().get("nonce") {
        Some(nonce) if nonce == "n1" => reply_json(200, &token_answer()),
        _ => nonce_error("n1"),
    })
    .await;
    let clock = set_clock();
    let client = Client::open(&config(server.origin(), by_key()), &keys(clock.clone()), clock).expect("a client");
    client.token().await.expect("a token");
    let seen = server.seen_at("/token");
    assert_eq!(seen.len(), 2);
    assert_ne!(seen[0].proof()["jti"], seen[1].proof()["jti"]);
    let assertion_jti = |seen: &Seen| part(&seen.form("client_assertion").expect("an assertion"), 1)["jti"].clone();
    assert_ne!(assertion_jti(&seen[0]), assertion_jti(&seen[1]));
}

#[tokio::test]
async fn gives_up_on_a_token_endpoint_that_never_takes_its_nonce() {
    let count = AtomicUsize::new(0);
    let endless = token_endpoint(move |_| nonce_error(&format!("n{}", count.fetch_add(1, Ordering::SeqCst)))).await;
    assert!(matches!(failure(&endless).await, TokenError::Nonce(NonceError::Unending)), "row 493");
    assert_eq!(endless.seen_at("/token").len(), 2, "row 493");

    let same = token_endpoint(|_| nonce_error("n1")).await;
    assert!(matches!(failure(&same).await, TokenError::Nonce(NonceError::Repeated)));
    assert_eq!(same.seen_at("/token").len(), 2);

    let none = token_endpoint(|_| reply_json(400, &json!({ "error": "use_dpop_nonce" }))).await;
    assert!(matches!(failure(&none).await, TokenError::Nonce(NonceError::Missing)), "row 494");
    assert_eq!(none.seen_at("/token").len(), 1, "row 494");

    let unusable = token_endpoint(|_| nonce_error("a\tb")).await;
    assert!(matches!(failure(&unusable).await, TokenError::Nonce(NonceError::Unusable)));
    assert_eq!(unusable.seen_at("/token").len(), 1);
}

#[tokio::test]
async fn throws_an_unbound_token_away() {
    let bearer = json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": 300 });
    let server = token_endpoint(move |_| reply_json(200, &bearer)).await;
    let client = client(&server);
    for _ in 0..2 {
        let error = client.token().await.expect_err("row 501");
        assert!(
            matches!(&error, TokenError::Downgraded { token_type } if token_type == "Bearer"),
            "row 501: {error:?}"
        );
        assert!(error.to_string().contains("'Bearer'"), "row 501: {error}");
    }
    let error = client.call(get(&format!("{}/x", server.origin()))).await.expect_err("row 501");
    assert!(matches!(error, countersign_client::CallError::Token(TokenError::Downgraded { .. })), "row 501");
    assert_eq!(server.seen_at("/x").len(), 0, "row 501: nothing is sent with it");
}

#[tokio::test]
async fn shows_what_the_server_says_but_no_secret() {
    let says = |description: &'static str| {
        move |seen: &Seen| {
            let text =
                description.replace("{proof}", seen.field("dpop")).replace("{basic}", seen.field("authorization"));
            let body = json!({ "error": "invalid_client", "error_description": text });
            reply_json(401, &body)
        }
    };
    let server = token_endpoint(says("no such client\u{1b}[2J")).await;
    let error = failure(&server).await;
    let endpoint = format!("{}/token", server.origin());
    assert_eq!(error.to_string(), format!("{endpoint} refused: invalid_client (status 401): no such client?[2J"));
    for echo in ["you sent {proof}", "you sent {basic}", "bad secret canary-client-secret-Qx81"] {
        let server = token_endpoint(says(echo)).await;
        let TokenError::Refused { status: 401, error: Some(ErrorCode::InvalidClient), description: None, .. } =
            failure(&server).await
        else {
            panic!("{echo}")
        };
    }
}

#[tokio::test]
async fn refuses_answers_that_are_no_token_answers() {
    for (status, body) in [(200, "<html>"), (200, "{}"), (200, "[[[[[[[[[[[[[[[[[[[[[[")] {
        let server = token_endpoint(move |_| reply(status, &[], body)).await;
        assert!(matches!(failure(&server).await, TokenError::Malformed { .. }), "{body}");
    }
    for status in [201, 302, 404, 500] {
        let server =
            token_endpoint(move |_| reply(status, &[("location", "/elsewhere")], token_answer().to_string())).await;
        let error = failure(&server).await;
        assert!(
            matches!(error, TokenError::Refused { status: found, error: None, .. } if found == status),
            "{error:?}"
        );
        assert_eq!(server.seen_at("/elsewhere").len(), 0, "no redirect is followed");
    }
}

#[tokio::test]
async fn keeps_a_token_until_shortly_before_it_ends() {
    let server = token_endpoint(|_| reply_json(200, &token_answer())).await;
    let clock = set_clock();
    let client = client_with_clock(&server, clock.clone());
    for (advance, requests) in [(0, 1), (269, 1), (1, 2), (0, 2), (100_000, 3)] {
        clock.advance(advance);
        client.token().await.expect("a token");
        assert_eq!(server.seen_at("/token").len(), requests);
    }
    assert_eq!(server.seen_at("/.well-known/oauth-authorization-server").len(), 2, "metadata are read again later");
}

#[tokio::test]
async fn many_callers_share_one_failure() {
    let server = token_endpoint(|_| reply_json(400, &json!({ "error": "invalid_scope" }))).await;
    let client = client(&server);
    let callers = futures_util::future::join_all((0..50).map(|_| client.token())).await;
    for result in callers {
        assert!(matches!(result, Err(TokenError::Refused { error: Some(ErrorCode::InvalidScope), .. })));
    }
    assert_eq!(server.seen_at("/token").len(), 1);
    client.token().await.expect_err("no token");
    assert_eq!(server.seen_at("/token").len(), 2, "who comes later asks again");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_take_the_token_with_it() {
    let server = token_endpoint(|_| reply_json(200, &token_answer())).await;
    let client = client(&server);
    tokio::select! {
        biased;
        _ = client.token() => panic!("too fast"),
        () = tokio::task::yield_now() => {}
    }
    client.token().await.expect("a token");
}

#[tokio::test]
async fn follows_the_issuers_clock_after_a_refused_proof() {
    let server = token_endpoint(|seen| match seen.proof()["iat"].as_i64() {
        Some(iat) if iat == NOW + 600 => reply_json(200, &token_answer()),
        _ => {
            let body = json!({ "error": "invalid_dpop_proof" }).to_string();
            reply(400, &[("date", "Fri, 15 Jan 2027 08:10:00 GMT")], body)
        }
    })
    .await;
    let clock = set_clock();
    let client = Client::open(&config(server.origin(), by_key()), &keys(clock.clone()), clock).expect("a client");
    client.token().await.expect("row 506");
    let assertion = server.seen_at("/token")[1].form("client_assertion").expect("an assertion");
    assert_eq!(part(&assertion, 1)["iat"], NOW + 600, "row 506: the assertion is dated like the proof");
}

/// A store whose keys cannot leave it: it gives out signers and nothing else.
#[derive(Debug)]
struct Device(Arc<SoftwareKey>);

#[derive(Debug)]
struct DeviceSigner(Arc<SoftwareKey>);

impl ProofSigner for DeviceSigner {
    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
    }

    fn public_jwk(&self) -> &PublicJwk {
        self.0.public_jwk()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Signing<'a> {
        Box::pin(async {
            tokio::task::yield_now().await;
            self.0.sign_now(message)
        })
    }
}

impl KeyStore for Device {
    fn class(&self) -> KeyClass {
        KeyClass::Memory
    }

    fn import(&self, name: &KeyName, _: SoftwareKey) -> Result<StoredKey, KeyStoreError> {
        Err(KeyStoreError::Exists { name: name.clone() })
    }

    fn open(&self, _: &KeyName) -> Result<Arc<dyn ProofSigner>, KeyStoreError> {
        Ok(Arc::new(DeviceSigner(self.0.clone())))
    }

    fn show(&self, name: &KeyName) -> Result<StoredKey, KeyStoreError> {
        Err(KeyStoreError::NotFound { name: name.clone() })
    }

    fn list(&self) -> Result<Vec<ListedKey>, KeyStoreError> {
        Ok(Vec::new())
    }

    fn delete(&self, name: &KeyName) -> Result<(), KeyStoreError> {
        Err(KeyStoreError::NotFound { name: name.clone() })
    }
}

#[tokio::test]
async fn works_with_a_key_that_cannot_leave_its_store() {
    let server = token_endpoint(|_| reply_json(200, &token_answer())).await;
    let device = Device(Arc::new(SoftwareKey::generate(Algorithm::Ed25519).expect("a key")));
    let client = Client::open(&config(server.origin(), by_secret()), &device, set_clock()).expect("a client");
    client.token().await.expect("row 512");
    let header = part(server.seen_at("/token")[0].field("dpop"), 0);
    assert_eq!(header["alg"], "Ed25519", "row 512");
    assert_eq!(*client.jkt(), device.0.public_jwk().jkt(), "row 512");
}
