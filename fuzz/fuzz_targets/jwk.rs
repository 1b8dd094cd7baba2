//! A JWK or a JWK Set: what is read can be written and read again, with the same thumbprint, and holds nothing private.
#![no_main]

use countersign_dpop::jose::{JwkSet, PublicJwk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = PublicJwk::parse(data) {
        let json = key.to_json();
        let again = PublicJwk::parse(json.as_bytes()).expect("what was written is read");
        assert_eq!(again, key);
        assert_eq!(again.jkt(), key.jkt());
        let members: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(data).expect("it was JSON");
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            assert!(!members.contains_key(private));
        }
        let _ = key.is_on_curve();
    }
    if let Ok(set) = JwkSet::parse(data) {
        assert!(set.keys().len() + set.left_out() <= JwkSet::MAX_KEYS);
    }
});
