//! The stores that need nothing but this process and its disk, held to the contract of every key store. Those that need
//! more are in `tests/stores.rs`.

use std::sync::Arc;

use countersign_client::keys::{KdfCost, KeyClass, KeyStore, MemoryKeyStore, SealedFileStore};
use countersign_testkit::key_store_contract::{Abilities, holds};
use tempfile::TempDir;

use crate::played::set_clock;

#[tokio::test]
async fn keys_in_memory_hold_the_contract() {
    let store = MemoryKeyStore::new(set_clock());
    assert_eq!(store.class(), KeyClass::Memory);
    holds(Arc::new(store), Abilities::SOFTWARE).await;
}

#[tokio::test]
async fn files_sealed_by_the_device_key_hold_the_contract() {
    let directory = TempDir::new().expect("a directory");
    let store = SealedFileStore::new(directory.path().join("keys"), set_clock());
    assert_eq!(store.class(), KeyClass::FileDeviceKey);
    holds(Arc::new(store), Abilities::SOFTWARE).await;
}

#[tokio::test]
async fn files_sealed_by_a_passphrase_hold_the_contract() {
    let directory = TempDir::new().expect("a directory");
    let store = SealedFileStore::new(directory.path().join("keys"), set_clock())
        .with_kdf_cost(KdfCost::new(8_192, 1).expect("the least"))
        .with_passphrase("correct horse".into())
        .expect("a passphrase");
    assert_eq!(store.class(), KeyClass::FilePassphrase);
    holds(Arc::new(store), Abilities::SOFTWARE).await;
}
