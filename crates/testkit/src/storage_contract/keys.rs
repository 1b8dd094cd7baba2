//! Signing keys and secrets.

use std::sync::Arc;

use countersign_authserver::storage::{KeyChange, KeyState, SealedKey};
use countersign_dpop::jose::Algorithm;

use super::{NOW, Opener, at};

pub(super) async fn the_first_signing_key_wins(opener: &dyn Opener) {
    let (one, two) = (opener.open(NOW).await, opener.open(NOW).await);
    assert!(one.signing_keys().await.unwrap().is_empty());
    let key = |kid: &str| SealedKey {
        kid: kid.to_owned(),
        algorithm: Algorithm::Es256,
        sealed: vec![1, 2, 3],
        state: KeyState::Active,
        created_at: at(NOW),
    };
    for storage in [&one, &two] {
        let kept =
            storage.add_first_signing_key(key(if Arc::ptr_eq(storage, &one) { "a" } else { "b" })).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].kid.as_str(), kept[0].sealed.as_slice()), ("a", &[1, 2, 3][..]));
        assert_eq!(
            (kept[0].algorithm, kept[0].state, kept[0].created_at),
            (Algorithm::Es256, KeyState::Active, at(NOW))
        );
    }
}

pub(super) async fn one_key_waits_one_signs_and_the_rest_may_be_forgotten(opener: &dyn Opener) {
    let storage = opener.open(NOW).await;
    let key = |kid: &str, state| SealedKey {
        kid: kid.to_owned(),
        algorithm: Algorithm::Es256,
        sealed: vec![1, 2, 3],
        state,
        created_at: at(NOW),
    };
    storage.add_first_signing_key(key("a", KeyState::Active)).await.unwrap();
    let steps = [
        (KeyChange::Activate("a".to_owned()), "a active"),
        (KeyChange::Activate("nobody".to_owned()), "a active"),
        (KeyChange::Remove("a".to_owned()), "a active"),
        (KeyChange::AddNext(key("b", KeyState::Next)), "a active, b next"),
        (KeyChange::AddNext(key("c", KeyState::Next)), "a active, b next"),
        (KeyChange::Activate("b".to_owned()), "a retiring, b active"),
        (KeyChange::Activate("b".to_owned()), "a retiring, b active"),
        (KeyChange::Activate("a".to_owned()), "a retiring, b active"),
        (KeyChange::AddNext(key("c", KeyState::Next)), "a retiring, b active, c next"),
        (KeyChange::Remove("a".to_owned()), "b active, c next"),
        (KeyChange::Remove("c".to_owned()), "b active"),
    ];
    for (change, expected) in steps {
        let keys = storage.change_signing_keys(change.clone()).await.unwrap();
        let words: Vec<String> = keys.iter().map(|key| format!("{} {}", key.kid, key.state.as_str())).collect();
        assert_eq!(words.join(", "), expected, "{change:?}");
        assert_eq!(storage.signing_keys().await.unwrap().len(), keys.len());
    }
}

pub(super) async fn the_first_secret_of_a_name_wins(opener: &dyn Opener) {
    let storage = opener.open(NOW).await;
    assert_eq!(storage.keep_secret("a", vec![1]).await.unwrap(), [1]);
    assert_eq!(storage.keep_secret("a", vec![2]).await.unwrap(), [1]);
    assert_eq!(storage.keep_secret("b", vec![2]).await.unwrap(), [2]);
    storage.probe().await.unwrap();
}
