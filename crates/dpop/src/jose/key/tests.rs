use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use proptest::prelude::*;
use serde_json::json;

use super::secret::Secret;
use super::{KeyFormatError, SoftwareKey};
use crate::jose::examples::{RFC7515_P256, RFC7515_P521, RFC7515_RSA, RFC8037_ED25519, public, with};
use crate::jose::{Algorithm, Algorithms, PublicJwk, encode_base64url};

const P256_ENCRYPTED: &str = include_str!("../../../testdata/keys/p256.encrypted.pem");
const P256_PKCS8: &str = include_str!("../../../testdata/keys/p256.pkcs8.pem");
const P256_PUBLIC: &str = include_str!("../../../testdata/keys/p256.public.pem");
const P256_SEC1: &str = include_str!("../../../testdata/keys/p256.sec1.pem");
const P521_SEC1: &str = include_str!("../../../testdata/keys/p521.sec1.pem");
const ED25519_PKCS8: &str = include_str!("../../../testdata/keys/ed25519.pkcs8.pem");
const RSA_1024: &str = include_str!("../../../testdata/keys/rsa1024.pkcs8.pem");
const RSA_PKCS1: &str = include_str!("../../../testdata/keys/rsa.pkcs1.pem");
const RSA_PKCS8: &str = include_str!("../../../testdata/keys/rsa.pkcs8.pem");
const SECP256K1: &str = include_str!("../../../testdata/keys/secp256k1.pkcs8.pem");

fn read(text: &str) -> Result<SoftwareKey, KeyFormatError> {
    SoftwareKey::from_text(text.as_bytes(), None)
}

fn refusal(text: &str) -> KeyFormatError {
    read(text).map(|key| key.algorithm()).unwrap_err()
}

fn verifies_own_signature(key: &SoftwareKey) -> bool {
    let signature = key.sign_now(b"message").unwrap();
    Algorithms::all().verify(key.algorithm(), key.public_jwk(), b"message", &signature).is_ok()
}

#[test]
fn makes_keys_that_sign_and_come_back_from_pkcs8() {
    // Keys for RSA are slow to make, and the same for both of its algorithms.
    for &algorithm in Algorithm::ALL.iter().filter(|algorithm| **algorithm != Algorithm::Rs256) {
        let key = SoftwareKey::generate(algorithm).unwrap();
        assert!(verifies_own_signature(&key), "{algorithm}");
        let again = SoftwareKey::from_pkcs8(&key.to_pkcs8().unwrap(), algorithm).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert!(verifies_own_signature(&again), "{algorithm}");
        assert_ne!(SoftwareKey::generate(algorithm).unwrap().public_jwk(), key.public_jwk());
    }
}

#[test]
fn reads_every_form_of_one_key() {
    for (jwk, algorithm, texts) in [
        (RFC7515_P256, Algorithm::Es256, &[P256_PKCS8, P256_SEC1, RFC7515_P256][..]),
        (RFC7515_P521, Algorithm::Es512, &[P521_SEC1, RFC7515_P521]),
        (RFC8037_ED25519, Algorithm::Ed25519, &[ED25519_PKCS8, RFC8037_ED25519]),
        (RFC7515_RSA, Algorithm::Ps256, &[RSA_PKCS8, RSA_PKCS1, RFC7515_RSA]),
    ] {
        let expected = PublicJwk::parse(public(jwk).as_bytes()).unwrap();
        for text in texts {
            let key = read(text).unwrap();
            assert_eq!((key.public_jwk(), key.algorithm()), (&expected, algorithm));
            assert!(verifies_own_signature(&key));
        }
    }
}

#[test]
fn reads_a_private_jwk_of_every_curve() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
        let key = SoftwareKey::generate(algorithm).unwrap();
        let Secret::Ecdsa(pair) = &key.secret else { panic!("{algorithm} has another kind of key") };
        let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
        let jwk = with(&key.public_jwk().to_json(), "d", json!(encode_base64url(d.as_ref())));
        let again = read(&jwk).unwrap();
        assert_eq!((again.algorithm(), again.public_jwk()), (algorithm, key.public_jwk()));
        assert!(verifies_own_signature(&again), "{algorithm}");
    }
}

#[cfg(feature = "ml-dsa")]
#[test]
fn reads_a_private_jwk_with_the_seed_of_an_ml_dsa_key() {
    use aws_lc_rs::signature::{KeyPair, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, PqdsaKeyPair};
    for (algorithm, set) in [(Algorithm::MlDsa44, &ML_DSA_44_SIGNING), (Algorithm::MlDsa65, &ML_DSA_65_SIGNING)] {
        let (seed, pair) = ([7; 32], PqdsaKeyPair::from_seed(set, &[7; 32]).unwrap());
        let public = encode_base64url(pair.public_key());
        let public = json!({ "kty": "AKP", "alg": algorithm.name(), "pub": public }).to_string();
        let private = with(&public, "priv", json!(encode_base64url(seed)));
        let key = read(&private).unwrap();
        assert_eq!((key.algorithm(), key.public_jwk().to_json()), (algorithm, public.clone()));
        assert!(verifies_own_signature(&key), "{algorithm}");
        assert_eq!(refusal(&public), KeyFormatError::PublicOnly);
        let of_another = with(&private, "priv", json!(encode_base64url([8; 32])));
        for unfit in [of_another, with(&private, "pub", None), with(&private, "kty", json!("EC"))] {
            assert_eq!(refusal(&unfit), KeyFormatError::NotFit(algorithm));
        }
    }
}

#[test]
fn reads_as_much_as_the_limit_and_no_more() {
    let longest = format!("{P256_PKCS8}{}", "\n".repeat(SoftwareKey::MAX_LENGTH - P256_PKCS8.len()));
    assert!(read(&longest).is_ok());
    assert_eq!(refusal(&format!("{longest}\n")), KeyFormatError::NotAKey);
}

#[test]
fn writes_pkcs8_as_openssl_does() {
    use base64::Engine;
    for pem in [P256_PKCS8, ED25519_PKCS8, RSA_PKCS8] {
        let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        assert_eq!(*read(pem).unwrap().to_pkcs8().unwrap(), der);
    }
}

#[test]
fn uses_a_key_with_the_algorithm_that_is_asked_for() {
    for (text, algorithm) in [
        (RSA_PKCS8, Algorithm::Rs256),
        (RSA_PKCS1, Algorithm::Ps256),
        (ED25519_PKCS8, Algorithm::EdDsa),
        (RFC7515_RSA, Algorithm::Rs256),
        (RFC8037_ED25519, Algorithm::EdDsa),
    ] {
        let key = SoftwareKey::from_text(text.as_bytes(), Some(algorithm)).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert!(verifies_own_signature(&key));
    }
    let named = with(RFC7515_RSA, "alg", json!("RS256"));
    assert_eq!(read(&named).unwrap().algorithm(), Algorithm::Rs256);
}

#[test]
fn refuses_a_key_for_another_algorithm() {
    for (text, algorithm) in [
        (P256_PKCS8, Algorithm::Es384),
        (P256_SEC1, Algorithm::Es512),
        (RSA_PKCS1, Algorithm::Es256),
        (ED25519_PKCS8, Algorithm::Es256),
        (RFC7515_P256, Algorithm::Ed25519),
        (RFC8037_ED25519, Algorithm::Ps256),
        (&with(RFC8037_ED25519, "crv", json!("X25519")), Algorithm::Ed25519),
        (&with(RFC8037_ED25519, "kty", json!("EC")), Algorithm::Ed25519),
        (RFC7515_RSA, Algorithm::Es256),
        (&with(RFC7515_RSA, "alg", json!("RS256")), Algorithm::Ps256),
    ] {
        let key = SoftwareKey::from_text(text.as_bytes(), Some(algorithm));
        assert_eq!(key.map(|key| key.algorithm()), Err(KeyFormatError::NotFit(algorithm)));
    }
    let der = read(P256_PKCS8).unwrap().to_pkcs8().unwrap();
    let key = SoftwareKey::from_pkcs8(&der, Algorithm::Ed25519);
    assert_eq!(key.map(|key| key.algorithm()), Err(KeyFormatError::NotFit(Algorithm::Ed25519)));
}

#[test]
fn refuses_keys_that_contradict_themselves_or_are_too_weak() {
    for (jwk, name, algorithm) in [
        (RFC7515_P256, "x", Algorithm::Es256),
        (RFC7515_P521, "y", Algorithm::Es512),
        (RFC8037_ED25519, "x", Algorithm::Ed25519),
        (RFC7515_RSA, "dp", Algorithm::Ps256),
        (RFC7515_RSA, "q", Algorithm::Ps256),
        (RFC7515_RSA, "n", Algorithm::Ps256),
    ] {
        let mut value: serde_json::Value = serde_json::from_str(jwk).unwrap();
        let text = value[name].as_str().unwrap().to_owned();
        let first = if text.starts_with('B') { "C" } else { "B" };
        value[name] = json!(format!("{first}{}", &text[1..]));
        assert_eq!(refusal(&value.to_string()), KeyFormatError::NotFit(algorithm), "{name}");
        assert_eq!(refusal(&with(jwk, name, None)), KeyFormatError::NotFit(algorithm), "{name}");
    }
    assert_eq!(refusal(&with(RFC7515_P256, "use", json!("enc"))), KeyFormatError::NotFit(Algorithm::Es256));
    assert_eq!(refusal(RSA_1024), KeyFormatError::Unusable);
}

#[test]
fn tells_a_public_key() {
    assert_eq!(refusal(P256_PUBLIC), KeyFormatError::PublicOnly);
    for jwk in [RFC7515_P256, RFC7515_RSA, RFC8037_ED25519] {
        assert_eq!(refusal(&public(jwk)), KeyFormatError::PublicOnly);
    }
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    assert_eq!(refusal(certificate), KeyFormatError::PublicOnly);
    let spki = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1,
        0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
        0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ];
    let key = SoftwareKey::from_pkcs8(&spki, Algorithm::Ed25519);
    assert_eq!(key.map(|key| key.algorithm()), Err(KeyFormatError::PublicOnly));
}

#[test]
fn refuses_what_is_no_key() {
    let two = format!("{P256_PKCS8}{ED25519_PKCS8}");
    let cut = &P256_PKCS8[..P256_PKCS8.len() / 2];
    let long = " ".repeat(SoftwareKey::MAX_LENGTH) + P256_PKCS8;
    let twice = RFC7515_P256.replacen('{', r#"{"d":"AA","#, 1);
    let escaped = RFC7515_P256.replace(r#""d":"j"#, r#""d":"\u006a"#);
    let multi_prime = with(RFC7515_RSA, "oth", json!([]));
    for text in [
        "",
        "{",
        "{}",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----",
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----",
        &two,
        cut,
        &long,
        &twice,
        &escaped,
        &multi_prime,
        &with(RFC7515_P256, "d", json!(7)),
    ] {
        assert_eq!(refusal(text), KeyFormatError::NotAKey, "{text}");
    }
    for der in [&b""[..], b"0", &[0x30, 0], &read(P256_PKCS8).unwrap().to_pkcs8().unwrap()[1..]] {
        let key = SoftwareKey::from_pkcs8(der, Algorithm::Es256);
        assert_eq!(key.map(|key| key.algorithm()), Err(KeyFormatError::NotAKey), "{der:02x?}");
    }
}

#[test]
fn tells_private_keys_that_cannot_be_used() {
    for text in [
        SECP256K1,
        &P256_SEC1.replace("EC PRIVATE", "RSA PRIVATE"),
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
        r#"{"kty":"oct","k":"AAAA"}"#,
        &with(RFC7515_P256, "crv", json!("secp256k1")),
        &with(RFC7515_P256, "alg", json!("HS256")),
    ] {
        assert_eq!(refusal(text), KeyFormatError::Unusable, "{text}");
    }
    let old = P256_SEC1.replace("EC PRIVATE KEY-----\nMHc", "EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMHc");
    assert_ne!(old, P256_SEC1);
    for text in [P256_ENCRYPTED, &old] {
        assert_eq!(refusal(text), KeyFormatError::Encrypted, "{text}");
    }
}

#[test]
fn passes_over_what_openssl_writes_beside_a_key() {
    assert!(P256_SEC1.contains("EC PARAMETERS"));
    let text = format!("Bag Attributes\n{P256_PUBLIC}\r\n{}\n", P256_PKCS8.replace('\n', "\r\n"));
    assert_eq!(read(&text).unwrap().algorithm(), Algorithm::Es256);
}

#[test]
fn shows_nothing_of_the_key() {
    let key = read(RFC7515_P256).unwrap();
    let shown = format!("{key:?}");
    assert_eq!(shown, "SoftwareKey { algorithm: Es256, .. }");
}

proptest! {
    #[test]
    fn never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SoftwareKey::from_text(&text, None);
        let _ = SoftwareKey::from_pkcs8(&text, Algorithm::Es256);
    }

    #[test]
    fn never_panics_on_damaged_keys(place in 0_usize..2_000, byte in any::<u8>()) {
        for text in [P256_SEC1, RSA_PKCS1, RFC7515_RSA, RFC8037_ED25519] {
            let mut bytes = text.as_bytes().to_vec();
            let place = place % bytes.len();
            bytes[place] = byte;
            if let Ok(key) = SoftwareKey::from_text(&bytes, None) {
                prop_assert!(verifies_own_signature(&key));
            }
            let _ = SoftwareKey::from_text(&bytes[..place], None);
        }
    }
}
