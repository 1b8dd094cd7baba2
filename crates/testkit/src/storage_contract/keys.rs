//! Signing keys and secrets.

use std::sync::Arc;

use countersign_authserver::storage::{KeyState, SealedKey};
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

pub(super) async fn the_first_secret_of_a_name_wins(opener: &dyn Opener) {
    let storage = opener.open(NOW).await;
    assert_eq!(storage.keep_secret("a", vec![1]).await.unwrap(), [1]);
    assert_eq!(storage.keep_secret("a", vec![2]).await.unwrap(), [1]);
    assert_eq!(storage.keep_secret("b", vec![2]).await.unwrap(), [2]);
    storage.probe().await.unwrap();
}
