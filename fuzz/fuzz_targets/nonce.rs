//! A nonce: none but the issuer's own is taken.
#![no_main]

use std::sync::OnceLock;

use countersign_dpop::replay::EpochId;
use countersign_dpop::time::Timestamp;
use countersign_dpop::{NonceIssuer, NonceKey};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fuzz_target!(|data: &[u8]| {
    static ISSUER: OnceLock<NonceIssuer> = OnceLock::new();
    let issuer = ISSUER.get_or_init(|| {
        let older = NonceKey::from_bytes([2; 32]);
        NonceIssuer::new("realm", NonceKey::from_bytes([1; 32])).with_older_key(older)
    });
    let epoch = EpochId::default();
    let Ok(text) = std::str::from_utf8(data) else { return };
    if issuer.check(text, &epoch, NOW).is_ok() {
        // Whatever is taken was issued within the lifetime, to the letter.
        let is_ours = (-5..=NonceIssuer::LIFETIME).any(|age| issuer.issue(&epoch, NOW.plus(-age)) == text);
        assert!(is_ours, "{text}");
    }
});
