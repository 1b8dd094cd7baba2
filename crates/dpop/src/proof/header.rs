//! The header of a proof (RFC 9449 §4.2).

use std::borrow::Cow;

use super::{ProofHeader, plain};
use crate::error::{KeyError, MalformedProof, ProofError, Rejection, shorten};
use crate::jose::json::{Member, Reader, Value};
use crate::jose::jwk::JwkMembers;
use crate::jose::{Algorithm, Algorithms, JsonError, JsonLimits, JwsPart, PublicJwk};

/// The members that matter, unjudged.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct HeaderMembers<'a> {
    pub(super) typ: Member<Cow<'a, str>>,
    pub(super) alg: Member<Cow<'a, str>>,
    crit: bool,
    unencoded: bool,
    pub(super) jwk: Member<JwkMembers<'a>>,
}

impl<'a> HeaderMembers<'a> {
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, MalformedProof> {
        let plain = simdutf8::basic::from_utf8(json).ok().and_then(plain::header);
        plain.map_or_else(|| Self::read_any(json), Ok)
    }

    /// Reads JSON of any form.
    pub(super) fn read_any(json: &'a [u8]) -> Result<Self, MalformedProof> {
        Self::read_object(json).map_err(|fault| MalformedProof::Json { part: JwsPart::Header, fault })
    }

    /// Every check of the header, in their order.
    pub(super) fn checked(&self, accepted: &Algorithms) -> Result<ProofHeader, Rejection> {
        self.check_typ()?;
        let algorithm = self.algorithm(accepted)?;
        self.check_extensions()?;
        let key = self.key(Some(algorithm))?;
        Ok(ProofHeader { algorithm, key })
    }

    /// Check 4.
    pub(crate) fn check_typ(&self) -> Result<(), ProofError> {
        match &self.typ {
            Member::Present(typ) if is_dpop_jwt(typ) => Ok(()),
            Member::Present(typ) => Err(ProofError::TypMismatch { found: Some(shorten(typ)) }),
            Member::Absent | Member::WrongType => Err(ProofError::TypMismatch { found: None }),
        }
    }

    /// Check 5.
    pub(crate) fn algorithm(&self, accepted: &Algorithms) -> Result<Algorithm, ProofError> {
        let found = match &self.alg {
            Member::Present(name) => {
                let algorithm = name.parse().ok().filter(|&algorithm| accepted.contains(algorithm));
                if let Some(algorithm) = algorithm {
                    return Ok(algorithm);
                }
                Some(shorten(name))
            }
            Member::Absent | Member::WrongType => None,
        };
        Err(ProofError::AlgNotAccepted { found, accepted: accepted.names() })
    }

    /// RFC 7515 §4.1.11, RFC 7797 §6.
    pub(crate) fn check_extensions(&self) -> Result<(), ProofError> {
        if self.crit || self.unencoded { Err(ProofError::CritNotUnderstood) } else { Ok(()) }
    }

    /// Check 7, and that the key can make signatures of `algorithm`, if that is known.
    pub(crate) fn key(&self, algorithm: Option<Algorithm>) -> Result<PublicJwk, KeyError> {
        match &self.jwk {
            Member::Absent => Err(KeyError::Missing),
            Member::WrongType => Err(KeyError::NotAnObject),
            Member::Present(members) => members.public_key(algorithm),
        }
    }

    fn read_object(json: &'a [u8]) -> Result<Self, JsonError> {
        let mut reader = Reader::new(json, JsonLimits::PROOF)?;
        let mut members = Self::default();
        if reader.at_object() {
            reader.object(|reader, name| members.read_member(reader, name))?;
            reader.finish()?;
            return Ok(members);
        }
        reader.value()?;
        reader.finish()?;
        Err(JsonError::Shape)
    }

    fn read_member(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<(), JsonError> {
        match name {
            "typ" => self.typ = reader.value()?.into_text(),
            "alg" => self.alg = reader.value()?.into_text(),
            "jwk" if reader.at_object() => self.jwk = Member::Present(JwkMembers::read(reader)?),
            "jwk" => {
                reader.value()?;
                self.jwk = Member::WrongType;
            }
            "crit" => {
                reader.value()?;
                self.crit = true;
            }
            "b64" => self.unencoded |= reader.value()? != Value::Bool(true),
            _ => {
                reader.value()?;
            }
        }
        Ok(())
    }
}

fn is_dpop_jwt(typ: &str) -> bool {
    const PREFIX: &str = "application/";
    let subtype = match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, subtype)) if prefix.eq_ignore_ascii_case(PREFIX) => subtype,
        Some(_) | None => typ,
    };
    subtype.eq_ignore_ascii_case("dpop+jwt")
}
