//! The members of a JWK as they stand in JSON, and the public key that they make.

use std::borrow::Cow;

use crate::error::KeyError;
use crate::jose::base64url::decode_array;
use crate::jose::json::{JsonError, Member, Reader, Value};
use crate::jose::jwk::{ed25519_key, rsa_key};
use crate::jose::{Algorithm, PublicJwk, decode_base64url};

/// What only a private or symmetric key has, of any key type (RFC 7518 §6.2.2, §6.3.2, §6.4.1; RFC 8037 §2;
/// RFC 9964 §4).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The members that matter, unjudged.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct JwkMembers<'a> {
    private: Option<&'static str>,
    kty: Member<Cow<'a, str>>,
    crv: Member<Cow<'a, str>>,
    x: Member<Cow<'a, str>>,
    y: Member<Cow<'a, str>>,
    n: Member<Cow<'a, str>>,
    e: Member<Cow<'a, str>>,
    #[cfg(feature = "ml-dsa")]
    public: Member<Cow<'a, str>>,
    alg: Member<Cow<'a, str>>,
    kid: Member<Cow<'a, str>>,
    intended_use: Member<Cow<'a, str>>,
    /// Whether `key_ops` has `verify`.
    key_ops: Member<bool>,
}

impl<'a> JwkMembers<'a> {
    /// Reads one object.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, JsonError> {
        let mut members = Self::default();
        reader.object(|reader, name| members.read_member(reader, name))?;
        Ok(members)
    }

    /// The first private member that was found.
    pub(crate) fn private_member(&self) -> Option<&'static str> {
        self.private
    }

    /// The key, if it is public, strong, and may verify signatures, of `algorithm` if that is given.
    pub(crate) fn public_key(&self, algorithm: Option<Algorithm>) -> Result<PublicJwk, KeyError> {
        if let Some(member) = self.private {
            return Err(KeyError::PrivateMember { member });
        }
        let key = self.key_of_type()?;
        self.check_purpose()?;
        let named = match &self.alg {
            Member::Absent => None,
            Member::WrongType => return Err(KeyError::BadMember { member: "alg" }),
            Member::Present(name) => Some(name.parse().map_err(|_| KeyError::AlgMismatch)?),
        };
        let all_fit = named.into_iter().chain(algorithm).all(|algorithm| key.fits(algorithm));
        let agree = named.zip(algorithm).is_none_or(|(named, wanted)| named.is_same_as(wanted));
        if all_fit && agree { Ok(key) } else { Err(KeyError::AlgMismatch) }
    }

    /// `kid`, if it is text.
    pub(crate) fn kid(&self) -> Option<&str> {
        text(&self.kid)
    }

    /// `alg`, if it is implemented here.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        text(&self.alg)?.parse().ok()
    }

    fn read_member(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<(), JsonError> {
        if let Some(member) = self.text(name) {
            *member = reader.value()?.into_text();
        } else if name == "key_ops" {
            self.key_ops = read_key_ops(reader)?;
        } else {
            self.private = self.private.or(PRIVATE_MEMBERS.into_iter().find(|private| *private == name));
            reader.value()?;
        }
        Ok(())
    }

    /// The member `name`, if it is one that matters and should be a text.
    pub(crate) fn text(&mut self, name: &str) -> Option<&mut Member<Cow<'a, str>>> {
        Some(match name {
            "kty" => &mut self.kty,
            "crv" => &mut self.crv,
            "x" => &mut self.x,
            "y" => &mut self.y,
            "n" => &mut self.n,
            "e" => &mut self.e,
            #[cfg(feature = "ml-dsa")]
            "pub" => &mut self.public,
            "alg" => &mut self.alg,
            "kid" => &mut self.kid,
            "use" => &mut self.intended_use,
            _ => return None,
        })
    }

    fn key_of_type(&self) -> Result<PublicJwk, KeyError> {
        match (text(&self.kty), text(&self.crv)) {
            (Some("EC"), Some("P-256")) => Ok(PublicJwk::P256 { x: self.x_of()?, y: self.y_of()? }),
            (Some("EC"), Some("P-384")) => Ok(PublicJwk::P384 { x: self.x_of()?, y: self.y_of()? }),
            (Some("EC"), Some("P-521")) => Ok(PublicJwk::P521 { x: Box::new(self.x_of()?), y: Box::new(self.y_of()?) }),
            (Some("OKP"), Some("Ed25519")) => ed25519_key(self.x_of()?),
            (Some("RSA"), _) => rsa_key(bytes("n", &self.n)?, bytes("e", &self.e)?),
            #[cfg(feature = "ml-dsa")]
            (Some("AKP"), _) => self.ml_dsa_key(),
            _ => Err(KeyError::UnsupportedType),
        }
    }

    #[cfg(feature = "ml-dsa")]
    fn ml_dsa_key(&self) -> Result<PublicJwk, KeyError> {
        let (algorithm, length) = match self.algorithm() {
            Some(algorithm @ Algorithm::MlDsa44) => (algorithm, 1_312),
            Some(algorithm @ Algorithm::MlDsa65) => (algorithm, 1_952),
            _ => return Err(KeyError::UnsupportedType),
        };
        let public = bytes("pub", &self.public)?;
        if public.len() != length {
            return Err(KeyError::BadMember { member: "pub" });
        }
        Ok(PublicJwk::MlDsa { algorithm, public })
    }

    fn x_of<const N: usize>(&self) -> Result<[u8; N], KeyError> {
        array("x", &self.x)
    }

    fn y_of<const N: usize>(&self) -> Result<[u8; N], KeyError> {
        array("y", &self.y)
    }

    /// A key that is said to be for something else is not taken for signatures (RFC 7517 §4.2, §4.3).
    fn check_purpose(&self) -> Result<(), KeyError> {
        match &self.intended_use {
            Member::Absent => {}
            Member::WrongType => return Err(KeyError::BadMember { member: "use" }),
            Member::Present(intended_use) if intended_use == "sig" => {}
            Member::Present(_) => return Err(KeyError::AlgMismatch),
        }
        match self.key_ops {
            Member::Absent | Member::Present(true) => Ok(()),
            Member::WrongType => Err(KeyError::BadMember { member: "key_ops" }),
            Member::Present(false) => Err(KeyError::AlgMismatch),
        }
    }
}

fn read_key_ops(reader: &mut Reader<'_>) -> Result<Member<bool>, JsonError> {
    if !reader.at_array() {
        reader.value()?;
        return Ok(Member::WrongType);
    }
    let mut verify = false;
    reader.array(|reader| {
        let operation = reader.value()?;
        verify |= operation == Value::Text(Cow::Borrowed("verify"));
        Ok(())
    })?;
    Ok(Member::Present(verify))
}

fn text<'m>(member: &'m Member<Cow<'_, str>>) -> Option<&'m str> {
    match member {
        Member::Present(text) => Some(text),
        Member::Absent | Member::WrongType => None,
    }
}

fn bytes(name: &'static str, member: &Member<Cow<'_, str>>) -> Result<Vec<u8>, KeyError> {
    let bad = KeyError::BadMember { member: name };
    text(member).and_then(|text| decode_base64url(text).ok()).ok_or(bad)
}

fn array<const N: usize>(name: &'static str, member: &Member<Cow<'_, str>>) -> Result<[u8; N], KeyError> {
    let bad = KeyError::BadMember { member: name };
    text(member).and_then(|text| decode_array(text).ok()).ok_or(bad)
}
