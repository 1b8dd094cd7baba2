//! An ES256 signature, message and key: every engine and table gives the library's verdict. Input: an even byte, then x,
//! y, r, s, 32 bytes each, and the message; or an odd byte, a private key and a nonce of 32 bytes each, what to spoil (3
//! bytes) and the message, which is then signed.
#![no_main]

use std::cell::RefCell;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use countersign_es256::{Engine, PreparedKey, PublicKey, Sampling, Tier, Verifier};
use libfuzzer_sys::fuzz_target;
use num_bigint::BigUint;

/// The order of P-256 (SP 800-186 §3.2.1.3).
const ORDER: &[u8] = b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const NEVER: Sampling = Sampling { accepted: 0, refused: 0 };

type Number = [u8; 32];

/// A key as coordinates, and 64 bytes that may be its signature.
struct Case {
    x: Number,
    y: Number,
    signature: [u8; 64],
}

thread_local! {
    /// The last key with its tables: most inputs that follow have the same one.
    static LAST: RefCell<Option<(PublicKey, Vec<PreparedKey>)>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    let Some((form, rest)) = data.split_first() else { return };
    if form % 2 == 0 {
        read(rest)
    } else {
        sign(rest)
    };
});

fn read(data: &[u8]) -> Option<()> {
    let (x, rest) = data.split_first_chunk()?;
    let (y, rest) = rest.split_first_chunk()?;
    let (signature, message) = rest.split_first_chunk()?;
    judge(&Case { x: *x, y: *y, signature: *signature }, message);
    Some(())
}

/// FIPS 186-5 §6.4.1 with the nonce that is given; what is not spoilt is taken.
fn sign(data: &[u8]) -> Option<()> {
    let (private, rest) = data.split_first_chunk()?;
    let (nonce, rest) = rest.split_first_chunk()?;
    let (spoil, message) = rest.split_first_chunk::<3>()?;
    let (x, y) = multiple(private)?;
    let n = BigUint::parse_bytes(ORDER, 16)?;
    let number = |bytes: &[u8]| BigUint::from_bytes_be(bytes);
    let r = number(&multiple(nonce)?.0) % &n;
    let hash = digest(&SHA256, message);
    let s = number(nonce).modinv(&n)? * (number(hash.as_ref()) + &r * number(private)) % &n;
    let mut case = Case { x, y, signature: [0; 64] };
    for (place, number) in [(32, r), (64, s)] {
        let bytes = number.to_bytes_be();
        case.signature[place - bytes.len()..place].copy_from_slice(&bytes);
    }
    let spoilt = spoil[0] % 3 != 0;
    if spoilt {
        let (place, bit) = (usize::from(spoil[1]) % 96, 1 << (spoil[2] % 8));
        if place < 64 { case.signature[place] ^= bit } else { case.x[place - 64] ^= bit }
    }
    let accepted = judge(&case, message);
    // r or s of zero is no signature, however it came about.
    assert!(accepted || spoilt || case.signature[..32] == [0; 32] || case.signature[32..] == [0; 32]);
    Some(())
}

/// The coordinates of so many times the base point; `None` for a number that is no private key.
fn multiple(number: &Number) -> Option<(Number, Number)> {
    let point = PrivateKey::from_private_key(&ECDH_P256, number).ok()?.compute_public_key().ok()?;
    let (x, y) = point.as_ref().get(1..)?.split_at_checked(32)?;
    Some((x.try_into().ok()?, y.try_into().ok()?))
}

/// The library's verdict, which every engine with every table must share.
fn judge(case: &Case, message: &[u8]) -> bool {
    let bytes = [&[4], &case.x[..], &case.y[..]].concat();
    let accepted = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).verify(message, &case.signature).is_ok();
    let Ok(public) = PublicKey::from_coordinates(&case.x, &case.y) else {
        assert!(!accepted, "the library takes a key that is refused here");
        return accepted;
    };
    LAST.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|(known, _)| *known != public) {
            *last = Some((public, prepared(&public)));
        }
        for key in last.iter().flat_map(|(_, keys)| keys) {
            let verdict = Verifier::new(key.engine()).with_sampling(NEVER).verify(key, message, &case.signature);
            assert_eq!(verdict.is_accepted(), accepted, "{key:?}");
        }
    });
    accepted
}

fn prepared(public: &PublicKey) -> Vec<PreparedKey> {
    let engines = Engine::ALL.into_iter().filter(|engine| engine.is_available());
    engines.flat_map(|engine| [Tier::Small, Tier::Hot].map(|tier| PreparedKey::with(public, engine, tier))).collect()
}
