//! Project Wycheproof's ECDSA vectors for P-256 with SHA-256 and signatures of fixed length, all of them, by every
//! engine and tier, and by the library.

use countersign_es256::{Engine, PreparedKey, PublicKey, Sampling, Tier, Verifier};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../vectors/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json");

const NEVER: Sampling = Sampling { accepted: 0, refused: 0 };

#[test]
fn every_engine_judges_wycheproof_as_it_says() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut judged = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = key(&group["publicKeyJwk"]);
        for engine in Engine::ALL.into_iter().filter(|engine| engine.is_available()) {
            let verifier = Verifier::new(engine).with_sampling(NEVER);
            for tier in [Tier::Small, Tier::Hot] {
                let prepared = PreparedKey::with(&key, engine, tier);
                assert_eq!(prepared.engine(), engine, "the table was built");
                for case in group["tests"].as_array().unwrap() {
                    let (message, signature) = (hex(&case["msg"]), hex(&case["sig"]));
                    let found = verifier.verify(&prepared, &message, &signature).is_accepted();
                    assert_eq!(found, case["result"] == "valid", "{engine}, {tier:?}: {case}");
                    judged += 1;
                }
            }
        }
    }
    assert!(judged >= 262 * 6, "all cases were there: {judged}");
}

fn key(jwk: &Value) -> PublicKey {
    let coordinate = |name: &str| -> [u8; 32] { base64url(jwk[name].as_str().unwrap()).try_into().unwrap() };
    PublicKey::from_coordinates(&coordinate("x"), &coordinate("y")).unwrap()
}

fn hex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    digits.chunks(2).map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).unwrap()).collect()
}

fn base64url(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text.bytes() {
        let place = ALPHABET.iter().position(|&letter| letter == byte).unwrap();
        bits = bits << 6 | u32::try_from(place).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}
