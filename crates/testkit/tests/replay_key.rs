//! The form of a replay key is a promise: nodes of different versions share a store, and a proof used at one must be
//! known at the other (row 358). A change of form needs a new version in the key and a time in which both are written.

use countersign_dpop::jose::encode_base64url;
use countersign_dpop::replay::{RealmId, ReplayKey};

#[test]
fn the_form_of_a_replay_key_does_not_change() {
    let jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse().unwrap();
    let key = ReplayKey::new(&RealmId::of("https://rs.example"), &jkt, "jti-\u{e9} 1");
    // SHA-256 over the version, 128 bits of the realm's SHA-256, the thumbprint, and the identifier after its length in
    // one byte with zeros up to 47 behind it, worked out by other means.
    assert_eq!(encode_base64url(key.digest()), "vX_gY___t4IIdQfUZXcARl7kM0VvexoRlLoa4nccYAU");
}
