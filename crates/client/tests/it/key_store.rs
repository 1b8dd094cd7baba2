//! The contract of every key store, and the stores that are held to it.

use std::sync::Arc;

use countersign_client::keys::{
    KdfCost, KeyClass, KeyStore, KeyStoreError, MemoryKeyStore, SealedFileStore, StoredKey,
};
use countersign_dpop::jose::{Algorithm, Algorithms, SoftwareKey};
use tempfile::TempDir;

use crate::played::{name, set_clock};

/// What any store must do. `store` is empty.
async fn holds_the_contract(store: Arc<dyn KeyStore>) {
    finds_nothing_where_nothing_is(store.as_ref());
    keeps_a_key_and_signs_with_it(store.as_ref()).await;
    never_replaces_a_key(store.as_ref());
    lists_and_deletes(store.as_ref());
    of_many_at_once_one_makes_the_key(&store);
}

fn finds_nothing_where_nothing_is(store: &dyn KeyStore) {
    let missing = name("missing");
    let expected = KeyStoreError::NotFound { name: missing.clone() };
    assert_eq!(store.open(&missing).expect_err("no key"), expected);
    assert_eq!(store.show(&missing), Err(expected.clone()));
    assert_eq!(store.delete(&missing), Err(expected));
    assert_eq!(store.list(), Ok(Vec::new()));
}

async fn keeps_a_key_and_signs_with_it(store: &dyn KeyStore) {
    for (key, algorithm) in [("made", Algorithm::Es256), ("other", Algorithm::Ed25519)] {
        let made = store.generate(&name(key), algorithm).expect("a new key");
        assert_eq!((&made.name, made.algorithm, made.class), (&name(key), algorithm, store.class()));
        assert_eq!(store.show(&name(key)), Ok(made.clone()));
        signs_as(store, &made).await;
    }
    let imported = SoftwareKey::generate(Algorithm::Es384).expect("a key");
    let public = imported.public_jwk().clone();
    let kept = store.import(&name("imported"), imported).expect("a kept key");
    assert_eq!((&kept.public, kept.algorithm), (&public, Algorithm::Es384));
    signs_as(store, &kept).await;
}

async fn signs_as(store: &dyn KeyStore, kept: &StoredKey) {
    let signer = store.open(&kept.name).expect("an open key");
    assert_eq!((signer.algorithm(), signer.public_jwk()), (kept.algorithm, &kept.public));
    let signature = signer.sign(b"message").await.expect("a signature");
    assert_eq!(Algorithms::all().verify(kept.algorithm, &kept.public, b"message", &signature), Ok(()));
}

fn never_replaces_a_key(store: &dyn KeyStore) {
    let before = store.show(&name("made")).expect("a key");
    let expected = Err(KeyStoreError::Exists { name: name("made") });
    assert_eq!(store.generate(&name("made"), Algorithm::Es256), expected);
    let other = SoftwareKey::generate(Algorithm::Es256).expect("a key");
    assert_eq!(store.import(&name("made"), other), expected);
    assert_eq!(store.show(&name("made")), Ok(before.clone()));
    let opened = store.open_or_generate(&name("made"), Algorithm::Ed25519).expect("the same key");
    assert_eq!(opened.public_jwk(), &before.public);
}

fn lists_and_deletes(store: &dyn KeyStore) {
    let names = || -> Vec<String> {
        let listed = store.list().expect("a list");
        assert!(listed.iter().all(|line| line.key.as_ref().is_ok_and(|key| key.name == line.name)));
        listed.iter().map(|line| line.name.to_string()).collect()
    };
    assert_eq!(names(), ["imported", "made", "other"]);
    store.delete(&name("made")).expect("gone");
    assert_eq!(names(), ["imported", "other"]);
    assert_eq!(store.delete(&name("made")), Err(KeyStoreError::NotFound { name: name("made") }));
    store.generate(&name("made"), Algorithm::Es256).expect("the name is free again");
}

fn of_many_at_once_one_makes_the_key(store: &Arc<dyn KeyStore>) {
    let race = |action: fn(&dyn KeyStore) -> Option<String>| -> Vec<Option<String>> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| action(store.as_ref()))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        })
    };
    let made = race(|store| match store.generate(&name("raced"), Algorithm::Es256) {
        Ok(key) => Some(key.jkt().to_string()),
        Err(KeyStoreError::Exists { .. }) => None,
        Err(other) => panic!("{other}"),
    });
    let winners: Vec<_> = made.into_iter().flatten().collect();
    let kept = store.show(&name("raced")).expect("a key").jkt().to_string();
    assert_eq!(winners, [kept], "one makes it, and that one stays");

    let opened = race(|store| {
        let signer = store.open_or_generate(&name("shared"), Algorithm::Es256).expect("a key");
        Some(signer.public_jwk().jkt().to_string())
    });
    assert!(opened.iter().all(|jkt| *jkt == opened[0]), "all get the same key: {opened:?}");
}

#[tokio::test]
async fn keys_in_memory_hold_the_contract() {
    let store = MemoryKeyStore::new(set_clock());
    assert_eq!(store.class(), KeyClass::Memory);
    holds_the_contract(Arc::new(store)).await;
}

#[tokio::test]
async fn files_sealed_by_the_device_key_hold_the_contract() {
    let directory = TempDir::new().expect("a directory");
    let store = SealedFileStore::new(directory.path().join("keys"), set_clock());
    assert_eq!(store.class(), KeyClass::FileDeviceKey);
    holds_the_contract(Arc::new(store)).await;
}

#[tokio::test]
async fn files_sealed_by_a_passphrase_hold_the_contract() {
    let directory = TempDir::new().expect("a directory");
    let store = SealedFileStore::new(directory.path().join("keys"), set_clock())
        .with_kdf_cost(KdfCost::new(8_192, 1).expect("the least"))
        .with_passphrase("correct horse".into())
        .expect("a passphrase");
    assert_eq!(store.class(), KeyClass::FilePassphrase);
    holds_the_contract(Arc::new(store)).await;
}
