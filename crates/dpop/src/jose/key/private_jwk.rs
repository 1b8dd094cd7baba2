//! Private keys as JWK (RFC 7518 §6, RFC 8037 §2, RFC 9964 §4): a person's own key file, never anything from the wire.

use std::borrow::Cow;

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
#[cfg(feature = "ml-dsa")]
use aws_lc_rs::signature::{KeyPair, PqdsaKeyPair};
use zeroize::Zeroizing;

use crate::jose::base64url::{decode_into, room};
use crate::jose::json::{Member, Reader};
use crate::jose::jwk::uncompressed_point;
use crate::jose::key::secret::{Kind, Secret};
use crate::jose::{Algorithm, JsonLimits, KeyFormatError};

/// Reads a private JWK for `algorithm`, or for the one that it names, or for the first that fits.
pub(super) fn read(json: &[u8], algorithm: Option<Algorithm>) -> Result<(Secret, Algorithm), KeyFormatError> {
    let members = PrivateMembers::read(json).ok_or(KeyFormatError::NotAKey)?;
    let algorithm = members.algorithm(algorithm)?;
    if members.is_public_only() {
        return Err(KeyFormatError::PublicOnly);
    }
    let secret = match Kind::of(algorithm) {
        Kind::Ecdsa(curve) => members.ec_key(curve),
        Kind::Ed25519 => members.ed25519_key(),
        Kind::Rsa => members.rsa_key(),
        #[cfg(feature = "ml-dsa")]
        Kind::MlDsa(set) => members.ml_dsa_key(set),
    };
    Ok((secret.ok_or(KeyFormatError::NotFit(algorithm))?, algorithm))
}

/// The names whose values are read, as text only.
const NAMES: [&str; 16] =
    ["kty", "crv", "alg", "use", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "pub", "priv"];

struct PrivateMembers<'a> {
    /// In the order of [`NAMES`].
    values: [Option<&'a str>; NAMES.len()],
}

impl<'a> PrivateMembers<'a> {
    /// Takes text without escapes only: base64url needs none, and what has been unescaped would be a copy of the
    /// secret that nobody wipes.
    fn read(json: &'a [u8]) -> Option<Self> {
        let mut members = Self { values: [None; NAMES.len()] };
        let mut odd = false;
        let mut reader = Reader::new(json, JsonLimits::PROOF).ok()?;
        let read = reader.object(|reader, name| {
            let value = reader.value()?;
            if let Some(place) = NAMES.iter().position(|known| *known == name) {
                match value.into_text() {
                    Member::Present(Cow::Borrowed(text)) => members.values[place] = Some(text),
                    Member::Present(Cow::Owned(text)) => drop(Zeroizing::new(text)),
                    Member::Absent | Member::WrongType => {}
                }
                odd |= members.values[place].is_none();
            }
            odd |= name == "oth";
            Ok(())
        });
        read.ok()?;
        reader.finish().ok()?;
        (!odd).then_some(members)
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let place = NAMES.iter().position(|known| *known == name)?;
        self.values[place]
    }

    fn algorithm(&self, wanted: Option<Algorithm>) -> Result<Algorithm, KeyFormatError> {
        let of_type = match (self.get("kty"), self.get("crv")) {
            (Some("EC"), Some("P-256")) => Some(Algorithm::Es256),
            (Some("EC"), Some("P-384")) => Some(Algorithm::Es384),
            (Some("EC"), Some("P-521")) => Some(Algorithm::Es512),
            (Some("OKP"), Some("Ed25519")) => Some(Algorithm::Ed25519),
            (Some("RSA"), _) => Some(Algorithm::Ps256),
            _ => None,
        };
        let named = match self.get("alg") {
            Some(name) => Some(name.parse().map_err(|_| KeyFormatError::Unusable)?),
            None => None,
        };
        let nothing = if self.get("kty").is_some() { KeyFormatError::Unusable } else { KeyFormatError::NotAKey };
        let algorithm = wanted.or(named).or(of_type).ok_or(nothing)?;
        let for_something_else = self.get("use").is_some_and(|intended_use| intended_use != "sig");
        if for_something_else || named.is_some_and(|named| named != algorithm) {
            return Err(KeyFormatError::NotFit(algorithm));
        }
        Ok(algorithm)
    }

    fn is_public_only(&self) -> bool {
        self.get("d").is_none() && self.get("priv").is_none()
    }

    fn ec_key(&self, curve: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> Option<Secret> {
        (self.get("kty") == Some("EC")).then_some(())?;
        let point = uncompressed_point(&self.bytes("x")?, &self.bytes("y")?);
        EcdsaKeyPair::from_private_key_and_public_key(curve, &self.bytes("d")?, &point).map(Secret::Ecdsa).ok()
    }

    fn ed25519_key(&self) -> Option<Secret> {
        (self.get("kty") == Some("OKP") && self.get("crv") == Some("Ed25519")).then_some(())?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&self.bytes("d")?, &self.bytes("x")?);
        pair.map(Secret::Ed25519).ok()
    }

    fn rsa_key(&self) -> Option<Secret> {
        (self.get("kty") == Some("RSA")).then_some(())?;
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: self.bytes("n")?, e: self.bytes("e")? },
            d: self.bytes("d")?,
            p: self.bytes("p")?,
            q: self.bytes("q")?,
            dP: self.bytes("dp")?,
            dQ: self.bytes("dq")?,
            qInv: self.bytes("qi")?,
        };
        RsaKeyPair::from_components(&components).map(Secret::Rsa).ok()
    }

    #[cfg(feature = "ml-dsa")]
    fn ml_dsa_key(&self, set: &'static aws_lc_rs::signature::PqdsaSigningAlgorithm) -> Option<Secret> {
        (self.get("kty") == Some("AKP")).then_some(())?;
        let pair = PqdsaKeyPair::from_seed(set, &self.bytes("priv")?).ok()?;
        (pair.public_key().as_ref() == self.bytes("pub")?.as_slice()).then_some(Secret::MlDsa(pair))
    }

    fn bytes(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        let text = self.get(name)?;
        let mut bytes = Zeroizing::new(vec![0; room(text.len())]);
        let length = decode_into(text.as_bytes(), &mut bytes).ok()?;
        bytes.truncate(length);
        Some(bytes)
    }
}
