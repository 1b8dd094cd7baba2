use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::{Algorithms, VerifyAlgorithm};
use crate::jose::examples::{
    RFC7515_ES256_JWS, RFC7515_ES512_JWS, RFC7515_P256, RFC7515_P521, RFC7515_RS256_JWS, RFC7515_RSA, RFC8037_ED25519,
    RFC8037_EDDSA_JWS, key, public,
};
use crate::jose::{Algorithm, CompactJws, InvalidSignature, JwsBuffer, PublicJwk, SoftwareKey, sign_compact};

fn verifies(jws: &str, json: &str, algorithm: Algorithm) -> bool {
    let key = PublicJwk::parse(public(json).as_bytes()).unwrap();
    let mut buffer = JwsBuffer::new();
    let jws = CompactJws::split(jws.as_bytes(), &mut buffer, 1_000).unwrap();
    Algorithms::all().verify(algorithm, &key, jws.signing_input(), jws.signature()).is_ok()
}

#[test]
fn verifies_the_examples_of_the_rfcs() {
    for (jws, json, algorithm) in [
        (RFC7515_RS256_JWS, RFC7515_RSA, Algorithm::Rs256),
        (RFC7515_ES256_JWS, RFC7515_P256, Algorithm::Es256),
        (RFC7515_ES512_JWS, RFC7515_P521, Algorithm::Es512),
        (RFC8037_EDDSA_JWS, RFC8037_ED25519, Algorithm::EdDsa),
    ] {
        assert!(verifies(jws, json, algorithm), "{algorithm}");
        let other = jws.replacen(".e", ".f", 1).replacen(".U", ".V", 1).replacen(".R", ".S", 1);
        assert_ne!(other, jws);
        assert!(!verifies(&other, json, algorithm), "row 192: {algorithm}");
    }
}

#[test]
fn keeps_algorithms_and_keys_apart() {
    let keys: Vec<_> = Algorithm::ALL.iter().map(|&algorithm| key(algorithm)).collect();
    let all = Algorithms::all();
    for signer in &keys {
        let signature = signer.sign_now(b"message").unwrap();
        for verifier in &keys {
            for &algorithm in Algorithm::ALL {
                let is_same = signer.public_jwk() == verifier.public_jwk();
                let is_ed25519 = signer.public_jwk().fits(Algorithm::Ed25519) && algorithm.name().starts_with("Ed");
                let expected = is_same && (algorithm == signer.algorithm() || is_ed25519);
                let found = all.verify(algorithm, verifier.public_jwk(), b"message", &signature).is_ok();
                assert_eq!(found, expected, "rows 116 to 120, 193: {signer:?} {verifier:?} {algorithm}");
            }
        }
    }
}

#[test]
fn takes_signatures_of_their_one_length_only() {
    let all = Algorithms::all();
    for &algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let verify = |signature: &[u8]| all.verify(algorithm, key.public_jwk(), b"message", signature);
        let mut signature = key.sign_now(b"message").unwrap();
        assert_eq!(verify(&signature), Ok(()), "{algorithm}");
        signature.push(0);
        assert_eq!(verify(&signature), Err(InvalidSignature), "row 203: {algorithm}");
        signature.truncate(signature.len() - 2);
        assert_eq!(verify(&signature), Err(InvalidSignature), "row 203: {algorithm}");
        assert_eq!(verify(&[]), Err(InvalidSignature), "row 211: {algorithm}");
        assert_eq!(verify(&vec![0; signature.len() + 1]), Err(InvalidSignature), "row 197: {algorithm}");
    }
}

#[test]
fn refuses_der_and_padded_halves_for_ecdsa() {
    let key = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let signature = key.sign_now(b"message").unwrap();
    let verify = |signature: &[u8]| Algorithms::all().verify(Algorithm::Es256, key.public_jwk(), b"message", signature);
    let integer = |half: &[u8]| [&[2, 33, 0][..], half].concat();
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    assert!(verify(&[&[0x30, 70][..], &body].concat()).is_err(), "row 194");
    let padded = [&[0; 16][..], &signature[..32], &[0; 16], &signature[32..]].concat();
    assert!(verify(&padded).is_err(), "row 199");
}

#[test]
fn takes_ecdsa_signatures_with_a_high_s() {
    // The order of P-256 (SP 800-186 §3.2.1.3).
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let key = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let mut signature = key.sign_now(b"message").unwrap();
    let mut borrow = false;
    for place in (0..32).rev() {
        let (difference, under) = ORDER[place].overflowing_sub(signature[32 + place]);
        let (difference, under_again) = difference.overflowing_sub(u8::from(borrow));
        borrow = under || under_again;
        signature[32 + place] = difference;
    }
    let verify = |signature: &[u8]| Algorithms::all().verify(Algorithm::Es256, key.public_jwk(), b"message", signature);
    assert_eq!(verify(&signature), Ok(()), "row 201: s or n − s, one of the two is high");
    signature[..32].copy_from_slice(&ORDER);
    assert!(verify(&signature).is_err(), "row 196");
}

#[test]
fn refuses_points_off_the_curve() {
    let key = PublicJwk::P256 { x: [0; 32], y: [0; 32] };
    assert!(Algorithms::all().verify(Algorithm::Es256, &key, b"message", &[1; 64]).is_err(), "row 156");
}

#[test]
fn narrows_to_what_is_wanted() {
    let all = Algorithms::all();
    let narrow = all.narrowed_to(&[Algorithm::Ed25519, Algorithm::Es256]).unwrap();
    assert_eq!(narrow.names(), "Ed25519 ES256");
    assert!(!narrow.contains(Algorithm::Rs256));
    assert!(narrow.narrowed_to(&[Algorithm::Rs256]).is_none());
    assert!(all.narrowed_to(&[]).is_none());
    let key = SoftwareKey::generate(Algorithm::Es384).unwrap();
    let signature = key.sign_now(b"message").unwrap();
    assert!(narrow.verify(Algorithm::Es384, key.public_jwk(), b"message", &signature).is_err(), "row 128");
}

#[test]
fn only_the_implementations_of_this_crate_are_replaceable() {
    #[derive(Debug)]
    struct Own;
    impl VerifyAlgorithm for Own {
        fn algorithm(&self) -> Algorithm {
            Algorithm::Es256
        }
        fn verify(&self, _: &PublicJwk, _: &[u8], _: &[u8]) -> Result<(), InvalidSignature> {
            Err(InvalidSignature)
        }
    }
    assert!(Algorithm::ALL.iter().all(|algorithm| Algorithms::all().is_replaceable(*algorithm)));
    let own = Algorithms::from_implementations(vec![Arc::new(Own)]);
    assert!(!own.is_replaceable(Algorithm::Es256));
    assert!(!own.is_replaceable(Algorithm::Es384), "not accepted");
}

#[test]
fn a_signed_compact_jws_verifies() {
    let key = SoftwareKey::generate(Algorithm::Es256).unwrap();
    let signing = pin!(sign_compact(&key, r#"{"alg":"ES256"}"#, "{}"));
    let Poll::Ready(jws) = signing.poll(&mut Context::from_waker(Waker::noop())) else { panic!("a key at hand waits") };
    let jws = jws.unwrap();
    let mut buffer = JwsBuffer::new();
    let jws = CompactJws::split(jws.as_bytes(), &mut buffer, 1_000).unwrap();
    assert_eq!((jws.header(), jws.payload()), (&br#"{"alg":"ES256"}"#[..], &b"{}"[..]));
    let verdict = Algorithms::all().verify(key.algorithm(), key.public_jwk(), jws.signing_input(), jws.signature());
    assert_eq!(verdict, Ok(()));
}

/// The keys of the all-zero seed, whose `kid` is their thumbprint, and what they signed (RFC 9964, appendix A).
#[cfg(feature = "ml-dsa")]
#[test]
fn knows_the_keys_and_signatures_of_rfc_9964() {
    for (text, algorithm) in [
        (include_str!("../../../testdata/rfc9964/ml-dsa-44.json"), Algorithm::MlDsa44),
        (include_str!("../../../testdata/rfc9964/ml-dsa-65.json"), Algorithm::MlDsa65),
    ] {
        let example: serde_json::Value = serde_json::from_str(text).unwrap();
        let key = SoftwareKey::from_text(example["jwk"].to_string().as_bytes(), None).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.public_jwk().jkt().to_string(), example["jwk"]["kid"].as_str().unwrap());
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(example["jws"].as_str().unwrap().as_bytes(), &mut buffer, 8_192).unwrap();
        let verify = |message: &[u8]| Algorithms::all().verify(algorithm, key.public_jwk(), message, jws.signature());
        assert_eq!(verify(jws.signing_input()), Ok(()));
        assert!(verify(jws.payload()).is_err());
    }
}
