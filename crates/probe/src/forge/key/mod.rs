#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, X25519};
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair,
};
use countersign_dpop::jose::{decode_base64url, encode_base64url};

use crate::forge::big;
use crate::forge::rsa::RsaNumbers;
use crate::forge::{EcdsaForm, Ed25519Form, ForgeError, RawObject, RsaForm, SignatureForm, quoted, thumbprint};

/// A key of the forge: fixed, public knowledge, and of any type, strength and use. Never to be trusted.
pub struct ForgeKey {
    alg: &'static str,
    jwk: RawObject,
    private: RawObject,
    secret: Secret,
}

impl ForgeKey {
    /// The key of that name. `None` for a name without a key.
    ///
    /// `es256`, `es256_zero_x` (its x begins with a zero byte), `es384`, `es512`, `k256` (secp256k1),
    /// `ed25519`, `ed25519_other`, `eddsa` (the same under the old name), `x25519`, `rs256`, `ps256`, `rs256_other`,
    /// `rsa1024`, `rsa2047`, `rsa8192`, `rsa_e3`, `rsa_roca`, `oct`, and any other name that begins with `es256_`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "es256" => Self::ec(&P256, name),
            "es256_zero_x" => Self::ec(&P256, "p256_zero_x 261"),
            "es384" => Self::ec(&P384, name),
            "es512" => Self::ec(&P521, name),
            "k256" => Self::k256(),
            "ed25519" | "ed25519_other" => Self::ed25519("Ed25519", name),
            "eddsa" => Self::ed25519("EdDSA", "ed25519"),
            "x25519" => Self::x25519(),
            "rs256" => Self::rsa("RS256", "rsa2048"),
            "ps256" => Self::rsa("PS256", "rsa2048"),
            "rs256_other" => Self::rsa("RS256", "rsa2048_other"),
            "rsa1024" | "rsa2047" | "rsa8192" => Self::rsa("RS256", name),
            "rsa_e3" => Self::rsa("RS256", "rsa2048_e3"),
            "rsa_roca" => Self::rsa("RS256", "rsa2048_roca"),
            "oct" => Some(Self::oct()),
            _ if name.starts_with("es256_") => Self::ec(&P256, name),
            _ => None,
        }
    }

    /// The algorithm that the key is made for.
    pub const fn alg(&self) -> &'static str {
        self.alg
    }

    /// The public JWK; of a symmetric key all of it.
    pub const fn jwk(&self) -> &RawObject {
        &self.jwk
    }

    /// A member that a private JWK of this key has, as JSON text.
    pub fn private_member(&self, name: &str) -> Option<String> {
        self.private.get(name)
    }

    /// The thumbprint (RFC 7638).
    pub fn jkt(&self) -> String {
        thumbprint(&self.jwk).unwrap_or_default()
    }

    /// Signs `message` in `form`; `jwk` is the text that [`SignatureForm::HmacOfJwk`] takes for a secret.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub fn sign(&self, message: &[u8], form: &SignatureForm, jwk: &str) -> Result<Vec<u8>, ForgeError> {
        let right = || self.sign_right(message);
        match form {
            SignatureForm::Empty => Ok(Vec::new()),
            SignatureForm::Literal(text) => {
                decode_base64url(text).map_err(|_| ForgeError::NoEffect { what: "a literal that is not base64url" })
            }
            SignatureForm::HmacOfJwk => Ok(hmac_sha256(jwk.as_bytes(), message)),
            SignatureForm::BitChanged => right().map(|mut bytes| {
                bytes.iter_mut().take(1).for_each(|byte| *byte ^= 0x80);
                bytes
            }),
            SignatureForm::ByteShort => right().map(|mut bytes| {
                bytes.pop();
                bytes
            }),
            SignatureForm::ByteLong => right().map(|mut bytes| {
                bytes.push(0);
                bytes
            }),
            SignatureForm::Right => right(),
            SignatureForm::Ecdsa(form) => self.sign_ecdsa(message, Some(*form)),
            SignatureForm::Ed25519(form) => self.sign_ed25519(message, Some(*form)),
            SignatureForm::Rsa(form) => self.sign_rsa(message, Some(*form)),
        }
    }

    /// Modulus and exponent of an RSA key.
    #[cfg(test)]
    pub(super) fn rsa_public(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let number = |name| decode_base64url(self.jwk.get(name)?.trim_matches('"')).ok();
        Some((number("n")?, number("e")?))
    }

    fn sign_right(&self, message: &[u8]) -> Result<Vec<u8>, ForgeError> {
        match &self.secret {
            Secret::Ec { .. } => self.sign_ecdsa(message, None),
            Secret::Ed25519 { .. } => self.sign_ed25519(message, None),
            Secret::Rsa { .. } => self.sign_rsa(message, None),
            Secret::Oct { bytes } => Ok(hmac_sha256(bytes, message)),
        }
    }

    fn sign_ecdsa(&self, message: &[u8], form: Option<EcdsaForm>) -> Result<Vec<u8>, ForgeError> {
        let Secret::Ec { curve, scalar, public } = &self.secret else {
            return Err(ForgeError::WrongKeyType);
        };
        let sign = |algorithm| -> Result<Vec<u8>, ForgeError> {
            let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, public)?;
            Ok(pair.sign(&SystemRandom::new(), message)?.as_ref().to_vec())
        };
        let right = sign(curve.signing)?;
        match form {
            None => Ok(right),
            Some(_) if curve.length != 32 => Err(ForgeError::WrongKeyType),
            Some(EcdsaForm::Der) => sign(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Some(form) => Ok(respell_ecdsa(&right, form)),
        }
    }

    fn sign_ed25519(&self, message: &[u8], form: Option<Ed25519Form>) -> Result<Vec<u8>, ForgeError> {
        let Secret::Ed25519 { seed } = &self.secret else {
            return Err(ForgeError::WrongKeyType);
        };
        sign_ed25519(seed, message, form)
    }

    fn sign_rsa(&self, message: &[u8], form: Option<RsaForm>) -> Result<Vec<u8>, ForgeError> {
        let Secret::Rsa { numbers, usual } = &self.secret else {
            return Err(ForgeError::WrongKeyType);
        };
        Ok(numbers.sign(message, *usual, form.unwrap_or(*usual)))
    }

    fn ec(curve: &'static Curve, name: &str) -> Option<Self> {
        let scalar = curve.scalar(name);
        let private = agreement::PrivateKey::from_private_key(curve.agreement?, &scalar).ok()?;
        let public = private.compute_public_key().ok()?.as_ref().to_vec();
        Some(Self::of_point(curve, scalar, public))
    }

    fn k256() -> Option<Self> {
        let public = [vec![4], decode_base64url(K256_X).ok()?, decode_base64url(K256_Y).ok()?].concat();
        Some(Self::of_point(&K256, K256.scalar("k256"), public))
    }

    fn of_point(curve: &'static Curve, scalar: Vec<u8>, public: Vec<u8>) -> Self {
        let (x, y) = public[1..].split_at(curve.length);
        let mut jwk = RawObject::new();
        for (name, value) in [("crv", curve.name), ("kty", "EC")] {
            jwk.set_text(name, value);
        }
        jwk.set_text("x", &encode_base64url(x));
        jwk.set_text("y", &encode_base64url(y));
        let private = one_member("d", &scalar);
        Self { alg: curve.alg, jwk, private, secret: Secret::Ec { curve, scalar, public } }
    }

    fn ed25519(alg: &'static str, name: &str) -> Option<Self> {
        let seed = seed(name);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let jwk = okp("Ed25519", pair.public_key().as_ref());
        Some(Self { alg, jwk, private: one_member("d", &seed), secret: Secret::Ed25519 { seed } })
    }

    fn x25519() -> Option<Self> {
        let seed = seed("x25519");
        let public = agreement::PrivateKey::from_private_key(&X25519, &seed).ok()?.compute_public_key().ok()?;
        let jwk = okp("X25519", public.as_ref());
        Some(Self { alg: "Ed25519", jwk, private: one_member("d", &seed), secret: Secret::Ed25519 { seed } })
    }

    fn rsa(alg: &'static str, name: &str) -> Option<Self> {
        let keys: serde_json::Value = serde_json::from_str(RSA_KEYS).ok()?;
        let key = keys.get(name)?.as_object()?;
        let (mut jwk, mut private) = (RawObject::new(), RawObject::new());
        for (member, value) in key {
            let target = if matches!(member.as_str(), "n" | "e") { &mut jwk } else { &mut private };
            target.set(member, value.to_string());
        }
        jwk.set_text("kty", "RSA");
        let number = |member: &str| decode_base64url(key.get(member)?.as_str()?).ok();
        let numbers = RsaNumbers { n: number("n")?, d: number("d")? };
        let usual = if alg == "PS256" { RsaForm::Ps256 } else { RsaForm::Rs256 };
        Some(Self { alg, jwk, private, secret: Secret::Rsa { numbers, usual } })
    }

    fn oct() -> Self {
        let bytes = seed("oct");
        let mut jwk = one_member("k", &bytes);
        jwk.set_text("kty", "oct");
        Self { alg: "HS256", jwk, private: RawObject::new(), secret: Secret::Oct { bytes } }
    }
}

impl fmt::Debug for ForgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForgeKey").field("alg", &self.alg).field("jkt", &self.jkt()).finish_non_exhaustive()
    }
}

enum Secret {
    Ec { curve: &'static Curve, scalar: Vec<u8>, public: Vec<u8> },
    Ed25519 { seed: Vec<u8> },
    Rsa { numbers: RsaNumbers, usual: RsaForm },
    Oct { bytes: Vec<u8> },
}

struct Curve {
    name: &'static str,
    alg: &'static str,
    /// Bytes of a coordinate.
    length: usize,
    agreement: Option<&'static agreement::Algorithm>,
    signing: &'static EcdsaSigningAlgorithm,
}

impl Curve {
    /// A private scalar, below the order of the group: for P-521 the hash leaves two bytes of zeros.
    fn scalar(&self, name: &str) -> Vec<u8> {
        let text = format!("countersign forge key {name}");
        let hash = digest(if self.length > 32 { &SHA512 } else { &SHA256 }, text.as_bytes());
        let hash = hash.as_ref();
        let mut scalar = vec![0; self.length.saturating_sub(hash.len())];
        scalar.extend_from_slice(&hash[..self.length.min(hash.len())]);
        scalar
    }
}

static P256: Curve = Curve {
    name: "P-256",
    alg: "ES256",
    length: 32,
    agreement: Some(&ECDH_P256),
    signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
};
static P384: Curve = Curve {
    name: "P-384",
    alg: "ES384",
    length: 48,
    agreement: Some(&ECDH_P384),
    signing: &ECDSA_P384_SHA384_FIXED_SIGNING,
};
static P521: Curve = Curve {
    name: "P-521",
    alg: "ES512",
    length: 66,
    agreement: Some(&ECDH_P521),
    signing: &ECDSA_P521_SHA512_FIXED_SIGNING,
};
static K256: Curve = Curve {
    name: "secp256k1",
    alg: "ES256K",
    length: 32,
    agreement: None,
    signing: &ECDSA_P256K1_SHA256_FIXED_SIGNING,
};

const RSA_KEYS: &str = include_str!("../rsa-keys.json");
const K256_X: &str = "hRsK8tRYLo4oGluLmwhGM0zS7XPwTayp7-_ueCjMWXo";
const K256_Y: &str = "tSLgP75nQEWhAiyRec56fkiGMjyYVtVHxwe4zDdVmHo";
/// The order of P-256.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of Ed25519's group, big-endian.
const ED25519_ORDER: [u8; 32] = [
    0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xde, 0xf9, 0xde, 0xa2, 0xf7, 0x9c, 0xd6, 0x58, 0x12,
    0x63, 0x1a, 0x5c, 0xf5, 0xd3, 0xed,
];

fn respell_ecdsa(right: &[u8], form: EcdsaForm) -> Vec<u8> {
    let (r, s) = right.split_at(32);
    match form {
        EcdsaForm::Der => right.to_vec(),
        EcdsaForm::Zeros => vec![0; 64],
        EcdsaForm::OrderAsR => [&P256_ORDER, s].concat(),
        EcdsaForm::OrderAsS => [r, &P256_ORDER].concat(),
        EcdsaForm::PaddedHalves => [&[0; 16], r, &[0; 16], s].concat(),
        EcdsaForm::HighS => {
            let other = big::subtract(&P256_ORDER, s, 32);
            [r, if other.as_slice() > s { &other } else { s }].concat()
        }
    }
}

fn sign_ed25519(seed: &[u8], message: &[u8], form: Option<Ed25519Form>) -> Result<Vec<u8>, ForgeError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed)?;
    let right = pair.sign(message).as_ref().to_vec();
    let (r, s) = right.split_at(32);
    Ok(match form {
        None => right,
        Some(Ed25519Form::OrderAddedToS) => {
            let sum = big::add(&reversed(s), &ED25519_ORDER, 32);
            [r, &reversed(&sum)].concat()
        }
        Some(Ed25519Form::NonCanonicalR) => {
            // R is the neutral element written with y = p + 1. With it S is simply the challenge times the secret.
            let mut r = [0xff; 32];
            (r[0], r[31]) = (0xee, 0x7f);
            let challenge = digest(&SHA512, &[&r, pair.public_key().as_ref(), message].concat());
            let s = big::multiply_mod(&reduced(challenge.as_ref()), &reduced(&clamped(seed)), &ED25519_ORDER);
            [r.as_slice(), &reversed(&s)].concat()
        }
    })
}

/// The private scalar of a seed (RFC 8032 §5.1.5), little-endian.
fn clamped(seed: &[u8]) -> Vec<u8> {
    let mut scalar = digest(&SHA512, seed).as_ref()[..32].to_vec();
    scalar[0] &= 0xf8;
    scalar[31] = scalar[31] & 0x7f | 0x40;
    scalar
}

/// A little-endian number modulo the order of Ed25519's group, big-endian: by Horner's rule, byte by byte.
fn reduced(number: &[u8]) -> Vec<u8> {
    let mut base = vec![0; 32];
    base[30] = 1;
    number.iter().rev().fold(vec![0; 32], |sum, byte| {
        let shifted = big::multiply_mod(&sum, &base, &ED25519_ORDER);
        let sum = big::add(&shifted, &[*byte], 32);
        if sum.as_slice() < ED25519_ORDER.as_slice() { sum } else { big::subtract(&sum, &ED25519_ORDER, 32) }
    })
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

fn seed(name: &str) -> Vec<u8> {
    digest(&SHA256, format!("countersign forge key {name}").as_bytes()).as_ref().to_vec()
}

fn okp(curve: &str, public: &[u8]) -> RawObject {
    let mut jwk = RawObject::new();
    jwk.set_text("crv", curve);
    jwk.set_text("kty", "OKP");
    jwk.set_text("x", &encode_base64url(public));
    jwk
}

fn one_member(name: &str, bytes: &[u8]) -> RawObject {
    let mut object = RawObject::new();
    object.set(name, quoted(&encode_base64url(bytes)));
    object
}
