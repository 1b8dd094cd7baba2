//! The contract of every key store: what code that keeps keys somewhere may count on, whatever the somewhere is.
//!
//! Feature `client`. A store is held to it by a test that calls [`holds`] with an empty one.

use std::sync::Arc;

use countersign_client::keys::{KeyName, KeyStore, KeyStoreError, StoredKey};
use countersign_dpop::jose::{Algorithm, Algorithms, SoftwareKey};

/// What a store can do besides making keys for ES256.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// Another algorithm that it makes keys for.
    pub other: Algorithm,
    /// Whether it takes keys that were made elsewhere.
    pub imports: bool,
}

impl Abilities {
    /// Those of a store of software keys.
    pub const SOFTWARE: Self = Self { other: Algorithm::Ed25519, imports: true };
}

fn name(name: &str) -> KeyName {
    KeyName::parse(name).expect("a name")
}

/// What any store must do. `store` is empty, and is not after.
///
/// # Panics
/// When the store breaks the contract.
pub async fn holds(store: Arc<dyn KeyStore>, abilities: Abilities) {
    finds_nothing_where_nothing_is(store.as_ref());
    keeps_a_key_and_signs_with_it(store.as_ref(), abilities).await;
    takes_a_key_or_refuses_it(store.as_ref(), abilities).await;
    never_replaces_a_key(store.as_ref());
    lists_and_deletes(store.as_ref(), abilities);
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

async fn keeps_a_key_and_signs_with_it(store: &dyn KeyStore, abilities: Abilities) {
    for (key, algorithm) in [("made", Algorithm::Es256), ("other", abilities.other)] {
        let made = store.generate(&name(key), algorithm).expect("a new key");
        assert_eq!((&made.name, made.algorithm, made.class), (&name(key), algorithm, store.class()));
        assert_eq!(store.show(&name(key)), Ok(made.clone()));
        signs_as(store, &made).await;
    }
}

async fn takes_a_key_or_refuses_it(store: &dyn KeyStore, abilities: Abilities) {
    let imported = SoftwareKey::generate(Algorithm::Es384).expect("a key");
    let public = imported.public_jwk().clone();
    if !abilities.imports {
        let refused = store.import(&name("imported"), imported).expect_err("no import");
        assert_eq!(refused, KeyStoreError::ImportRefused { class: store.class() });
        assert_eq!(store.show(&name("imported")), Err(KeyStoreError::NotFound { name: name("imported") }));
        return;
    }
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
    let opened = store.open_or_generate(&name("made"), Algorithm::Es384).expect("the same key");
    assert_eq!(opened.public_jwk(), &before.public);
}

fn lists_and_deletes(store: &dyn KeyStore, abilities: Abilities) {
    let imported: &[&str] = if abilities.imports { &["imported"] } else { &[] };
    let names = || -> Vec<String> {
        let listed = store.list().expect("a list");
        assert!(listed.iter().all(|line| line.key.as_ref().is_ok_and(|key| key.name == line.name)));
        listed.iter().map(|line| line.name.to_string()).collect()
    };
    assert_eq!(names(), [imported, &["made", "other"]].concat());
    store.delete(&name("made")).expect("gone");
    assert_eq!(names(), [imported, &["other"]].concat());
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
