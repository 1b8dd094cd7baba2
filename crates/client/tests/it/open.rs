//! Opening a client: what its configuration names must be there and fit.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use countersign_client::config::{AssertionKey, Authentication, ClientSecret};
use countersign_client::keys::{KeyStore, KeyStoreError, MemoryKeyStore};
use countersign_client::{Client, ClientConfig, OpenError};
use countersign_dpop::jose::KeyFormatError;
use tempfile::TempDir;

use crate::played::*;

fn open(authentication: Authentication) -> Result<Client, OpenError> {
    let clock = set_clock();
    Client::open(&config("https://idp.example.com", authentication), &keys(clock.clone()), clock)
}

fn by_secret_file(path: &Path) -> Authentication {
    Authentication::ClientSecretBasic { secret: ClientSecret::File(path.to_owned()) }
}

fn by_key_file(path: &Path) -> Authentication {
    Authentication::PrivateKeyJwt { key: AssertionKey::File(path.to_owned()), kid: None }
}

#[tokio::test]
async fn takes_a_secret_from_a_file_without_its_line_end() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("secret");
    for (content, secret) in [("s p", "s p"), ("s\n", "s"), ("s\r\n", "s"), ("s \n", "s "), ("s\n\n", "s\n")] {
        fs::write(&path, content).expect("written");
        let server = resource(|_| reply(200, &[], "")).await;
        let clock = set_clock();
        let config = config(server.origin(), by_secret_file(&path));
        let client = Client::open(&config, &keys(clock.clone()), clock).expect("a client");
        client.token().await.expect("a token");
        let expected =
            format!("Basic {}", base64_of(&format!("robot:{}", secret.replace(' ', "%20").replace('\n', "%0A"))));
        assert_eq!(server.seen_at("/token")[0].field("authorization"), expected, "{content:?}");
    }
}

/// Standard base64, as the specification of `Basic` wants it.
fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn takes_a_key_from_a_pem_file() {
    // An Ed25519 key of all sevens in PKCS#8 (RFC 8410 §7).
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n-----END PRIVATE KEY-----\n";
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("key.pem");
    fs::write(&path, pem).expect("written");
    let server = resource(|_| reply(200, &[], "")).await;
    let clock = set_clock();
    let client = Client::open(&config(server.origin(), by_key_file(&path)), &keys(clock.clone()), clock);
    client.expect("a client").token().await.expect("a token");
    let assertion = server.seen_at("/token")[0].form("client_assertion").expect("an assertion");
    assert_eq!(part(&assertion, 0)["alg"], "Ed25519");
}

#[test]
fn names_the_file_that_cannot_be_used() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("file");
    let missing = OpenError::File { path: path.clone(), kind: ErrorKind::NotFound };
    assert_eq!(open(by_secret_file(&path)).expect_err("no file"), missing);
    assert_eq!(open(by_key_file(&path)).expect_err("no file"), missing);

    let wrong_size = OpenError::FileSize { path: path.clone(), limit: 65_536 };
    for content in [String::new(), "\n".to_owned(), "x".repeat(65_537)] {
        fs::write(&path, content).expect("written");
        assert_eq!(open(by_secret_file(&path)).expect_err("no secret"), wrong_size);
    }
    fs::write(&path, [0xff, 0xfe]).expect("written");
    assert_eq!(open(by_secret_file(&path)).expect_err("no text"), OpenError::SecretNotText { path: path.clone() });
    fs::write(&path, "canary-no-key").expect("written");
    let error = open(by_key_file(&path)).expect_err("no key");
    assert_eq!(error, OpenError::KeyFile { path, fault: KeyFormatError::NotAKey });
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn names_the_key_that_is_missing() {
    let clock = set_clock();
    let empty = MemoryKeyStore::new(clock.clone());
    let config = config("https://idp.example.com", by_secret());
    let error = Client::open(&config, &empty, clock.clone()).expect_err("no key");
    assert_eq!(error, OpenError::KeyStore(KeyStoreError::NotFound { name: name("dpop") }));

    let store = keys(clock.clone());
    store.delete(&name("robot")).expect("gone");
    let by_key = Authentication::PrivateKeyJwt { key: AssertionKey::Stored(name("robot")), kid: None };
    let keys = config.keys().clone();
    let config = ClientConfig::new("https://idp.example.com", "robot", by_key, keys).expect("a configuration");
    let error = Client::open(&config, &store, clock).expect_err("no key");
    assert_eq!(error, OpenError::KeyStore(KeyStoreError::NotFound { name: name("robot") }));
}
