use proptest::prelude::*;
use serde_json::json;

use super::{Jkt, PublicJwk};
use crate::error::KeyError;
use crate::jose::examples::{RFC7515_P256, RFC7515_P521, RFC7515_RSA, RFC7638_RSA, RFC8037_ED25519, public, with};
use crate::jose::{Algorithm, encode_base64url};

fn refusal(json: &str) -> KeyError {
    match PublicJwk::parse(json.as_bytes()) {
        Ok(key) => panic!("{json} gives {key:?}"),
        Err(fault) => fault,
    }
}

fn p256() -> String {
    public(RFC7515_P256)
}

fn rsa() -> String {
    public(RFC7515_RSA)
}

fn ed25519() -> String {
    public(RFC8037_ED25519)
}

fn ed25519_of(x: [u8; 32]) -> String {
    with(&ed25519(), "x", json!(encode_base64url(x)))
}

fn rsa_of(n: &[u8], e: &[u8]) -> String {
    json!({ "kty": "RSA", "n": encode_base64url(n), "e": encode_base64url(e) }).to_string()
}

/// A modulus of `bits` bits that is odd.
fn modulus(bits: usize) -> Vec<u8> {
    let mut n = vec![0xa5; bits.div_ceil(8)];
    n[0] = 0xff >> (n.len() * 8 - bits);
    n
}

#[test]
fn has_the_thumbprints_of_the_rfcs() {
    for (json, jkt) in [
        (RFC7638_RSA, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        (&ed25519(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
    ] {
        let key = PublicJwk::parse(json.as_bytes()).unwrap();
        assert_eq!(key.jkt().to_string(), jkt);
        assert_eq!(jkt.parse(), Ok(key.jkt()));
    }
}

#[test]
fn writes_the_required_members_in_the_order_of_the_thumbprint() {
    for json in [p256(), public(RFC7515_P521), ed25519(), rsa()] {
        let key = PublicJwk::parse(json.as_bytes()).unwrap();
        assert_eq!(key.to_json(), json, "serde_json sorts by name, which is what RFC 7638 asks for");
        assert_eq!(PublicJwk::parse(key.to_json().as_bytes()), Ok(key));
    }
}

#[test]
fn has_one_thumbprint_for_one_key() {
    let plain = PublicJwk::parse(p256().as_bytes()).unwrap().jkt();
    let (x, y) = ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    for json in [
        format!(r#"{{"y":"{y}","kty":"EC","x":"{x}","crv":"P-256"}}"#),
        format!(r#"{{"kty":"EC","crv":"\u0050-256","x":"{x}","y":"{y}"}}"#),
        format!(r#" {{ "kid":"a", "k\u0074y":"EC","crv":"P-256","x":"{x}","y":"{y}","ext":true,"alg":"ES256" }} "#),
    ] {
        assert_eq!(PublicJwk::parse(json.as_bytes()).unwrap().jkt(), plain, "rows 182 and 187: {json}");
    }
}

#[test]
fn refuses_private_members_of_every_type_whatever_they_hold() {
    for json in [p256(), ed25519(), rsa(), r#"{"kty":"oct"}"#.into(), "{}".into(), r#"{"kty":7}"#.into()] {
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            for value in [json!("AQAB"), json!(""), json!(null), json!(0), json!([]), json!({ "a": 1 })] {
                let json = with(&json, member, value);
                assert_eq!(refusal(&json), KeyError::PrivateMember { member }, "rows 147 to 154: {json}");
            }
        }
    }
    for json in [RFC7515_P256, RFC7515_P521, RFC7515_RSA, RFC8037_ED25519] {
        assert!(matches!(refusal(json), KeyError::PrivateMember { .. }));
    }
    let escaped = p256().replacen('{', r#"{"\u0064":null,"#, 1);
    assert_eq!(refusal(&escaped), KeyError::PrivateMember { member: "d" });
}

#[test]
fn refuses_what_is_no_strict_object() {
    let twice = p256().replacen('{', r#"{"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#, 1);
    for json in ["", "null", "[]", "\"{}\"", "{", "{}{}", &twice, &format!("[{}]", p256())] {
        assert_eq!(refusal(json), KeyError::NotAnObject, "rows 141, 142, 186: {json}");
    }
}

#[test]
fn refuses_types_that_do_not_sign() {
    for json in [
        "{}".to_owned(),
        json!({ "keys": [] }).to_string(),
        with(&p256(), "crv", json!("secp256k1")),
        with(&p256(), "crv", json!("P-256K1")),
        with(&p256(), "crv", json!("p-256")),
        with(&p256(), "crv", None),
        with(&p256(), "kty", json!("ec")),
        with(&p256(), "kty", json!(["EC"])),
        with(&ed25519(), "crv", json!("X25519")),
        with(&ed25519(), "crv", json!("Ed448")),
        with(&ed25519(), "kty", json!("EC")),
        json!({ "kty": "oct" }).to_string(),
    ] {
        assert_eq!(refusal(&json), KeyError::UnsupportedType, "rows 119, 126, 143: {json}");
    }
}

#[test]
fn refuses_coordinates_that_are_not_canonical_or_not_of_full_length() {
    let short = encode_base64url([1; 31]);
    let long = encode_base64url([0; 33]);
    for (name, value) in [
        ("x", json!(short)),
        ("x", json!(long)),
        ("x", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=")),
        ("x", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV")),
        ("x", json!("")),
        ("x", json!(7)),
        ("y", json!("x/FEzRu9m36HLN/tue659LNpXW6pCyStikYjKIWI5a0")),
        ("y", json!(encode_base64url([1; 1_000]))),
        ("y", json!(null)),
    ] {
        let json = with(&p256(), name, value);
        assert_eq!(refusal(&json), KeyError::BadMember { member: name }, "rows 158, 159, 164, 165: {json}");
    }
    assert_eq!(refusal(&with(&p256(), "y", None)), KeyError::BadMember { member: "y" });
    let shorter = with(&public(RFC7515_P521), "x", json!(encode_base64url([1; 65])));
    assert_eq!(refusal(&shorter), KeyError::BadMember { member: "x" });
}

#[test]
fn takes_a_coordinate_that_begins_with_a_zero_byte() {
    let mut x = [7; 32];
    x[0] = 0;
    let json = with(&p256(), "x", json!(encode_base64url(x)));
    assert!(PublicJwk::parse(json.as_bytes()).is_ok(), "row 160");
}

#[test]
fn tells_points_off_the_curve() {
    let key = |x: [u8; 32], y: [u8; 32]| PublicJwk::P256 { x, y };
    let PublicJwk::P256 { x, y } = PublicJwk::parse(p256().as_bytes()).unwrap() else { panic!() };
    assert!(key(x, y).is_on_curve());
    assert!(!key(y, x).is_on_curve(), "row 189");
    assert!(!key([0; 32], [0; 32]).is_on_curve(), "row 156");
    assert!(!key([0xff; 32], y).is_on_curve(), "row 157");
    let mut other = y;
    other[31] ^= 1;
    assert!(!key(x, other).is_on_curve(), "row 155");
    assert!(PublicJwk::parse(public(RFC7515_P521).as_bytes()).unwrap().is_on_curve());
    assert!(!PublicJwk::P384 { x: [1; 48], y: [1; 48] }.is_on_curve());
}

#[test]
fn bounds_rsa_keys() {
    let weak = |reason| KeyError::Weak { reason };
    for bits in [2_048, 2_049, 3_072, 4_095, 4_096] {
        assert!(PublicJwk::parse(rsa_of(&modulus(bits), &[1, 0, 1]).as_bytes()).is_ok(), "{bits}");
    }
    for bits in [512, 1_024, 2_040, 2_047, 4_097, 8_192] {
        let json = rsa_of(&modulus(bits), &[1, 0, 1]);
        assert_eq!(refusal(&json), weak("an RSA modulus outside 2048 to 4096 bits"), "row 167: {bits}");
    }
    let mut even = modulus(2_048);
    even[255] = 0xa4;
    assert_eq!(refusal(&rsa_of(&even, &[3])), weak("an even RSA modulus"));
    let padded = [&[0][..], &modulus(2_048)].concat();
    assert_eq!(refusal(&rsa_of(&padded, &[3])), KeyError::BadMember { member: "n" });
    assert_eq!(refusal(&rsa_of(&[], &[3])), KeyError::BadMember { member: "n" });
}

#[test]
fn bounds_rsa_exponents() {
    let n = modulus(2_048);
    for e in [&[3][..], &[17], &[1, 0, 1], &[0xff, 0xff, 0xff, 0xff], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert!(PublicJwk::parse(rsa_of(&n, e).as_bytes()).is_ok(), "row 175: {e:?}");
    }
    for e in [&[][..], &[0], &[0, 1, 0, 1]] {
        assert_eq!(refusal(&rsa_of(&n, e)), KeyError::BadMember { member: "e" }, "rows 173, 177: {e:?}");
    }
    for e in [&[1][..], &[2], &[1, 0, 0]] {
        let fault = KeyError::Weak { reason: "an RSA exponent that is even or below 3" };
        assert_eq!(refusal(&rsa_of(&n, e)), fault, "rows 171, 172: {e:?}");
    }
    for e in [&[2, 0, 0, 0, 1][..], &[1, 0, 0, 0, 0, 1], &n] {
        let fault = KeyError::Weak { reason: "an RSA exponent of 2^33 or more" };
        assert_eq!(refusal(&rsa_of(&n, e)), fault, "row 174: {e:?}");
    }
    assert_eq!(refusal(&with(&rsa(), "e", json!(65_537))), KeyError::BadMember { member: "e" }, "row 180");
}

/// The primes below 167 for which not everything is a power of 65537 (CVE-2017-15361).
const TELLING_PRIMES: [u128; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// An odd modulus of `length` bytes that is a power of 65537 modulo every telling prime, and no power modulo `but`.
fn roca_modulus(length: usize, but: Option<u128>) -> Vec<u8> {
    let powers = |prime| std::iter::successors(Some(1), move |power| Some(power * 65_537 % prime));
    let is_power = |residue, prime: u128| powers(prime).take(256).any(|power| power == residue);
    // Big-endian: a first byte of 0x80, zeros, and an end of 16 bytes that makes the residues.
    let first = |prime| (0..length - 1).fold(0x80, |residue, _| residue * 256 % prime);
    let (mut end, mut step) = (1, 2);
    for prime in TELLING_PRIMES {
        while is_power((first(prime) + end) % prime, prime) == (but == Some(prime)) {
            end += step;
        }
        step *= prime;
    }
    let mut modulus = vec![0; length];
    modulus[0] = 0x80;
    modulus[length - 16..].copy_from_slice(&u128::to_be_bytes(end));
    modulus
}

#[test]
fn refuses_rsa_moduli_with_the_roca_pattern() {
    for length in 256..=260 {
        let fault = KeyError::Weak { reason: "an RSA modulus with the pattern of CVE-2017-15361" };
        assert_eq!(refusal(&rsa_of(&roca_modulus(length, None), &[1, 0, 1])), fault, "row 179: {length}");
    }
}

#[test]
fn takes_rsa_moduli_with_a_part_of_the_roca_pattern() {
    for length in 256..=260 {
        for prime in TELLING_PRIMES {
            let modulus = roca_modulus(length, Some(prime));
            assert!(PublicJwk::parse(rsa_of(&modulus, &[1, 0, 1]).as_bytes()).is_ok(), "{prime} {length}");
        }
    }
}

#[test]
fn refuses_ed25519_points_of_low_order_with_either_sign() {
    for y in super::strength::LOW_ORDER {
        for sign in [0, 0x80] {
            let mut x = y;
            x[31] |= sign;
            let fault = KeyError::Weak { reason: "an Ed25519 point of low order" };
            assert_eq!(refusal(&ed25519_of(x)), fault, "row 184: {x:02x?}");
        }
    }
}

#[test]
fn refuses_a_second_encoding_of_an_ed25519_point() {
    for last in 0..=0x12_u8 {
        for sign in [0x7f, 0xff] {
            let mut x = [0xff; 32];
            x[0] = 0xed + last;
            x[31] = sign;
            assert_eq!(refusal(&ed25519_of(x)), KeyError::BadMember { member: "x" }, "row 185: {x:02x?}");
        }
    }
    let mut largest = [0xff; 32];
    largest[0] = 0xeb;
    largest[31] = 0x7f;
    assert!(PublicJwk::parse(ed25519_of(largest).as_bytes()).is_ok());
}

#[test]
fn heeds_what_the_key_is_said_to_be_for() {
    for (name, value) in [
        ("use", json!("sig")),
        ("key_ops", json!(["verify"])),
        ("key_ops", json!(["sign", "verify"])),
        ("alg", json!("ES256")),
    ] {
        assert!(PublicJwk::parse(with(&p256(), name, value).as_bytes()).is_ok());
    }
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!("")),
        ("key_ops", json!([])),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES384")),
        ("alg", json!("es256")),
        ("alg", json!("ECDH-ES")),
        ("alg", json!("")),
    ] {
        assert_eq!(refusal(&with(&p256(), name, value.clone())), KeyError::AlgMismatch, "row 129: {name} {value}");
    }
    for (name, value) in [("use", json!(1)), ("key_ops", json!("verify")), ("alg", json!(null))] {
        assert_eq!(refusal(&with(&p256(), name, value)), KeyError::BadMember { member: name });
    }
}

#[test]
fn ignores_members_that_point_elsewhere() {
    let mut json = p256();
    for name in ["x5u", "x5c", "x5t", "jku", "kid", "ext", "iss"] {
        json = with(&json, name, json!({ "anything": ["http://127.0.0.1:1/"] }));
    }
    assert_eq!(PublicJwk::parse(json.as_bytes()), PublicJwk::parse(p256().as_bytes()));
}

#[test]
fn fits_the_algorithms_of_its_type_only() {
    let names = |json: &str| {
        let key = PublicJwk::parse(json.as_bytes()).unwrap();
        Algorithm::ALL.iter().filter(|algorithm| key.fits(**algorithm)).map(|a| a.name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&p256()), ["ES256"]);
    assert_eq!(names(&String::from_utf8_lossy(&PublicJwk::P384 { x: [1; 48], y: [1; 48] }.json())), ["ES384"]);
    assert_eq!(names(&public(RFC7515_P521)), ["ES512"]);
    assert_eq!(names(&ed25519()), ["Ed25519", "EdDSA"]);
    assert_eq!(names(&rsa()), ["PS256", "RS256"]);
}

#[test]
fn reads_a_jkt_in_its_one_form() {
    let text = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    assert_eq!(text.parse::<Jkt>().unwrap().to_string(), text);
    for other in
        [&text[1..], &format!("{text}="), &format!("{text}A"), "", &text.replace('-', "+"), &text.replace("4I", "4J")]
    {
        assert!(other.parse::<Jkt>().is_err(), "row 55: {other}");
    }
}

#[cfg(feature = "ml-dsa")]
#[test]
fn reads_ml_dsa_keys_of_their_length() {
    for (alg, length) in [("ML-DSA-44", 1_312), ("ML-DSA-65", 1_952)] {
        let json = |length| json!({ "alg": alg, "kty": "AKP", "pub": encode_base64url(vec![7; length]) }).to_string();
        let key = PublicJwk::parse(json(length).as_bytes()).unwrap();
        assert_eq!(key.to_json(), json(length));
        assert_eq!(refusal(&json(length - 1)), KeyError::BadMember { member: "pub" });
        assert_eq!(refusal(&with(&json(length), "alg", None)), KeyError::UnsupportedType);
        assert_eq!(refusal(&with(&json(length), "alg", json!("ML-DSA-87"))), KeyError::UnsupportedType);
        assert_eq!(refusal(&with(&json(length), "priv", json!(""))), KeyError::PrivateMember { member: "priv" });
    }
}

proptest! {
    #[test]
    fn never_panics(json in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = PublicJwk::parse(&json);
    }

    #[test]
    fn never_panics_near_the_form(
        kty in prop::sample::select(vec!["EC", "OKP", "RSA", "AKP", "oct", ""]),
        crv in prop::sample::select(vec!["P-256", "P-384", "P-521", "Ed25519", "X25519"]),
        x in prop::collection::vec(any::<u8>(), 0..70),
        y in prop::collection::vec(any::<u8>(), 0..70),
        alg in "[A-Z0-9-]{0,9}",
    ) {
        let (x, y) = (encode_base64url(x), encode_base64url(y));
        let json = json!({ "kty": kty, "crv": crv, "x": x, "y": y, "n": x, "e": y, "pub": x, "alg": alg });
        if let Ok(key) = PublicJwk::parse(json.to_string().as_bytes()) {
            prop_assert_eq!(PublicJwk::parse(key.to_json().as_bytes()), Ok(key));
        }
    }

    #[test]
    fn comes_back_from_its_json(x in any::<[u8; 32]>(), y in any::<[u8; 32]>()) {
        let key = PublicJwk::P256 { x, y };
        prop_assert_eq!(PublicJwk::parse(key.to_json().as_bytes()), Ok(key));
    }
}
