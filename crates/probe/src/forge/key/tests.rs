use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

use super::*;

#[test]
fn every_name_has_a_key_that_signs() {
    for name in [
        "es256",
        "es256_other",
        "es256_zero_x",
        "es384",
        "es512",
        "k256",
        "ed25519",
        "ed25519_other",
        "eddsa",
        "x25519",
        "rs256",
        "ps256",
        "rs256_other",
        "rsa1024",
        "rsa2047",
        "rsa_e3",
        "rsa_roca",
        "oct",
        "es256_client_7",
    ] {
        let key = ForgeKey::named(name).unwrap();
        assert_eq!(key.jkt().len(), 43, "{name}");
        assert!(!key.sign(b"message", &SignatureForm::Right, "").unwrap().is_empty(), "{name}");
    }
    assert!(ForgeKey::named("none").is_none());
}

#[test]
fn the_zero_of_x_is_kept() {
    let key = ForgeKey::named("es256_zero_x").unwrap();
    let x = key.jwk().get("x").unwrap();
    assert!(x.starts_with("\"AK"), "the first eight bits are zero");
    assert_eq!(x.len(), 45);
}

#[test]
fn of_the_ecdsa_forms_only_high_s_verifies() {
    let key = ForgeKey::named("es256").unwrap();
    let Secret::Ec { public, .. } = &key.secret else { panic!("an EC key") };
    for form in [
        EcdsaForm::Der,
        EcdsaForm::Zeros,
        EcdsaForm::OrderAsR,
        EcdsaForm::OrderAsS,
        EcdsaForm::PaddedHalves,
        EcdsaForm::HighS,
    ] {
        let signature = key.sign(b"message", &SignatureForm::Ecdsa(form), "").unwrap();
        let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(b"message", &signature);
        assert_eq!(verified.is_ok(), form == EcdsaForm::HighS, "{form:?}");
    }
}

#[test]
fn of_the_ed25519_forms_none_verifies() {
    let key = ForgeKey::named("ed25519").unwrap();
    let x = decode_base64url(key.jwk().get("x").unwrap().trim_matches('"')).unwrap();
    let verify = |signature: &[u8]| UnparsedPublicKey::new(&ED25519, &x).verify(b"message", signature).is_ok();
    assert!(verify(&key.sign(b"message", &SignatureForm::Right, "").unwrap()));
    for form in [Ed25519Form::OrderAddedToS, Ed25519Form::NonCanonicalR] {
        assert!(!verify(&key.sign(b"message", &SignatureForm::Ed25519(form), "").unwrap()), "{form:?}");
    }
}
