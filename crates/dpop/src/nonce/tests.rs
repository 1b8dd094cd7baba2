use proptest::prelude::*;

use super::{NonceAge, NonceIssuer, NonceKey, NonceKeyRing};
use crate::error::NonceError;
use crate::jose::{decode_base64url, encode_base64url};
use crate::replay::EpochId;
use crate::time::Timestamp;

const EPOCH: EpochId = EpochId::from_bytes([3; 16]);
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn key(byte: u8) -> NonceKey {
    NonceKey::from_bytes([byte; 32])
}

fn issuer() -> NonceIssuer {
    NonceIssuer::new("https://rs.example", key(1))
}

#[test]
fn takes_its_own_nonce_and_tells_its_age() {
    let nonce = issuer().issue(&EPOCH, NOW);
    let expired = |age| Err(NonceError::Expired { age, lifetime: 120 });
    let ages = [
        (0, Ok(NonceAge::Fresh)),
        (59, Ok(NonceAge::Fresh)),
        (60, Ok(NonceAge::Ageing)),
        (120, Ok(NonceAge::Ageing)), // row 369
        (121, expired(121)),         // row 363
        (3_600, expired(3_600)),
        (-30, Ok(NonceAge::Fresh)),
        (-31, Err(NonceError::Unknown)),
    ];
    for (age, expected) in ages {
        assert_eq!(issuer().check(&nonce, &EPOCH, NOW.plus(age)), expected, "{age}");
    }
}

#[test]
fn has_the_form_that_the_field_allows_row_368() {
    for seconds in [0, 1, -1, i64::MAX, i64::MIN, 1_700_000_000] {
        let nonce = issuer().issue(&EPOCH, Timestamp::from_seconds(seconds));
        assert_eq!(nonce.len(), 40);
        assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
    }
}

#[test]
fn refuses_nonces_of_another_realm_epoch_or_key() {
    let nonce = issuer().issue(&EPOCH, NOW);
    let other_realm = NonceIssuer::new("https://other.example", key(1)); // row 383
    assert_eq!(other_realm.check(&nonce, &EPOCH, NOW), Err(NonceError::Unknown));
    assert_eq!(issuer().check(&nonce, &EpochId::from_bytes([4; 16]), NOW), Err(NonceError::Unknown)); // row 372
    let other_key = NonceIssuer::new("https://rs.example", key(2));
    assert_eq!(other_key.check(&nonce, &EPOCH, NOW), Err(NonceError::Unknown));
}

#[test]
fn takes_nonces_of_older_keys_and_signs_with_the_first() {
    let rotated = NonceIssuer::new("https://rs.example", key(2)).with_older_key(key(1));
    assert_eq!(rotated.check(&issuer().issue(&EPOCH, NOW), &EPOCH, NOW), Ok(NonceAge::Fresh));
    assert_eq!(issuer().check(&rotated.issue(&EPOCH, NOW), &EPOCH, NOW), Err(NonceError::Unknown));
    // Row 370: two rotations old.
    let rotated_again = NonceIssuer::new("https://rs.example", key(3)).with_older_key(key(2));
    assert_eq!(rotated_again.check(&issuer().issue(&EPOCH, NOW), &EPOCH, NOW), Err(NonceError::Unknown));
}

#[test]
fn a_ring_is_changed_for_all_that_share_it() {
    let ring = NonceKeyRing::new(key(1));
    let (issuer, other) =
        (NonceIssuer::new("https://rs.example", ring.clone()), NonceIssuer::new("https://rs.example", ring.clone()));
    let before = issuer.issue(&EPOCH, NOW);
    ring.replace(&key(2), &[]);
    assert_eq!(other.check(&before, &EPOCH, NOW), Err(NonceError::Unknown));
    let after = issuer.issue(&EPOCH, NOW);
    assert_eq!(other.check(&after, &EPOCH, NOW), Ok(NonceAge::Fresh));
    ring.replace(&key(3), &[key(2)]);
    assert_eq!(issuer.check(&after, &EPOCH, NOW), Ok(NonceAge::Fresh), "an older key still verifies");
    assert!(!format!("{ring:?}").contains('2'), "{ring:?}");
}

#[test]
fn refuses_every_change_of_one_bit_row_371() {
    let nonce = decode_base64url(issuer().issue(&EPOCH, NOW)).expect("base64url");
    for bit in 0..nonce.len() * 8 {
        let mut changed = nonce.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(issuer().check(&encode_base64url(changed), &EPOCH, NOW), Err(NonceError::Unknown), "{bit}");
    }
}

#[test]
fn refuses_what_is_no_nonce_of_ours() {
    let nonce = issuer().issue(&EPOCH, NOW);
    let huge = "A".repeat(65_536); // row 382
    for text in ["", "a", &nonce[..39], &format!("{nonce}A"), &format!("{}=", &nonce[..39]), &huge] {
        assert_eq!(issuer().check(text, &EPOCH, NOW), Err(NonceError::Unknown)); // row 366
    }
}

#[test]
fn a_realm_cannot_run_over_into_the_epoch() {
    // Without the length prefix these two would sign the same bytes.
    let epoch = EpochId::from_bytes(*b"bbbbbbbbbbbbbbbb");
    let one = NonceIssuer::new("ab", key(1)).issue(&epoch, NOW);
    assert_eq!(NonceIssuer::new("a", key(1)).check(&one, &epoch, NOW), Err(NonceError::Unknown));
}

#[test]
fn survives_the_ends_of_time() {
    for (issued, now) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN)] {
        let nonce = issuer().issue(&EPOCH, Timestamp::from_seconds(issued));
        assert!(issuer().check(&nonce, &EPOCH, Timestamp::from_seconds(now)).is_err());
    }
}

#[test]
fn debug_output_holds_no_secret() {
    let shown = format!("{:?} {:?}", issuer(), key(0x41));
    assert!(!shown.contains("65") && !shown.contains("AAAA"), "{shown}");
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,64}", now in any::<i64>()) {
        let _ = issuer().check(&text, &EPOCH, Timestamp::from_seconds(now));
    }

    #[test]
    fn is_good_for_its_lifetime_and_no_longer(issued in -1_000_000_000_i64..4_000_000_000, age in -300_i64..300) {
        let nonce = issuer().issue(&EPOCH, Timestamp::from_seconds(issued));
        let good = issuer().check(&nonce, &EPOCH, Timestamp::from_seconds(issued + age)).is_ok();
        prop_assert_eq!(good, (-30..=120).contains(&age));
    }
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", key(0x5a)), "NonceKey { .. }");
    let shown = format!("{:?} {:?}", issuer(), NonceKeyRing::from(key(0x5a)));
    assert!(shown.contains("NonceIssuer {") && shown.contains("NonceKeyRing {"), "{shown}");
    assert!(!shown.contains("90, 90") && !shown.to_lowercase().contains("5a5a"), "{shown}");
}
