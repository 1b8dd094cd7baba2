//! The claims of a proof (RFC 9449 §4.2).

use std::borrow::Cow;

use crate::error::{Claim, MalformedProof};
use crate::htu::Htu;
use crate::jose::json::{Member, Reader};
use crate::jose::{JsonError, JsonLimits, JwsPart};
use crate::proof::{MAX_JTI_LENGTH, MAX_PROOF_LENGTH, plain};
use crate::time::NumericDate;

/// The claims, each of its type and within its length.
pub(crate) struct Claims<'a> {
    pub(crate) jti: Cow<'a, str>,
    pub(crate) htm: Cow<'a, str>,
    pub(crate) htu: Cow<'a, str>,
    pub(crate) iat: NumericDate,
    pub(crate) ath: Option<Cow<'a, str>>,
    pub(crate) nonce: Option<Cow<'a, str>>,
    pub(crate) exp: Option<NumericDate>,
    pub(crate) nbf: Option<NumericDate>,
}

/// The members that matter, unjudged.
#[derive(Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) struct ClaimMembers<'a> {
    pub(super) jti: Member<Cow<'a, str>>,
    pub(super) htm: Member<Cow<'a, str>>,
    pub(super) htu: Member<Cow<'a, str>>,
    pub(super) iat: Member<NumericDate>,
    pub(super) ath: Member<Cow<'a, str>>,
    pub(super) nonce: Member<Cow<'a, str>>,
    pub(super) exp: Member<NumericDate>,
    pub(super) nbf: Member<NumericDate>,
}

impl<'a> ClaimMembers<'a> {
    pub(crate) fn read(json: &'a [u8]) -> Result<Self, MalformedProof> {
        let plain = simdutf8::basic::from_utf8(json).ok().and_then(plain::claims);
        plain.map_or_else(|| Self::read_any(json), Ok)
    }

    /// Reads JSON of any form.
    pub(super) fn read_any(json: &'a [u8]) -> Result<Self, MalformedProof> {
        Self::read_object(json).map_err(|fault| MalformedProof::Json { part: JwsPart::Payload, fault })
    }

    /// Check 3, and the type and length of each claim.
    pub(crate) fn typed(self) -> Result<Claims<'a>, MalformedProof> {
        Ok(Claims {
            jti: required_text(self.jti, Claim::Jti, MAX_JTI_LENGTH)?,
            htm: required_text(self.htm, Claim::Htm, MAX_PROOF_LENGTH)?,
            htu: required_text(self.htu, Claim::Htu, Htu::MAX_LENGTH)?,
            iat: required(self.iat, Claim::Iat)?,
            ath: optional(self.ath, Claim::Ath)?,
            nonce: optional(self.nonce, Claim::Nonce)?,
            exp: optional(self.exp, Claim::Exp)?,
            nbf: optional(self.nbf, Claim::Nbf)?,
        })
    }

    /// [`ClaimMembers::typed`] for `examine`: every claim for itself. A faulty one is empty or zero, and listed.
    pub(crate) fn typed_one_by_one(self) -> (Claims<'a>, Vec<(Claim, MalformedProof)>) {
        let mut faults = Faults(Vec::new());
        let claims = Claims {
            jti: faults.kept(Claim::Jti, required_text(self.jti, Claim::Jti, MAX_JTI_LENGTH)).unwrap_or_default(),
            htm: faults.kept(Claim::Htm, required_text(self.htm, Claim::Htm, MAX_PROOF_LENGTH)).unwrap_or_default(),
            htu: faults.kept(Claim::Htu, required_text(self.htu, Claim::Htu, Htu::MAX_LENGTH)).unwrap_or_default(),
            iat: faults.kept(Claim::Iat, required(self.iat, Claim::Iat)).unwrap_or(NumericDate::from_seconds(0)),
            ath: faults.kept(Claim::Ath, optional(self.ath, Claim::Ath)).flatten(),
            nonce: faults.kept(Claim::Nonce, optional(self.nonce, Claim::Nonce)).flatten(),
            exp: faults.kept(Claim::Exp, optional(self.exp, Claim::Exp)).flatten(),
            nbf: faults.kept(Claim::Nbf, optional(self.nbf, Claim::Nbf)).flatten(),
        };
        (claims, faults.0)
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
        let value = reader.value()?;
        match name {
            "jti" => self.jti = value.into_text(),
            "htm" => self.htm = value.into_text(),
            "htu" => self.htu = value.into_text(),
            "iat" => self.iat = date(value.into_number()),
            "ath" => self.ath = value.into_text(),
            "nonce" => self.nonce = value.into_text(),
            "exp" => self.exp = date(value.into_number()),
            "nbf" => self.nbf = date(value.into_number()),
            _ => {}
        }
        Ok(())
    }
}

fn date(number: Member<&str>) -> Member<NumericDate> {
    match number {
        Member::Absent => Member::Absent,
        Member::WrongType => Member::WrongType,
        Member::Present(number) => NumericDate::from_json_number(number).map_or(Member::WrongType, Member::Present),
    }
}

fn required<T>(member: Member<T>, claim: Claim) -> Result<T, MalformedProof> {
    optional(member, claim)?.ok_or(MalformedProof::ClaimMissing { claim })
}

fn optional<T>(member: Member<T>, claim: Claim) -> Result<Option<T>, MalformedProof> {
    match member {
        Member::Absent => Ok(None),
        Member::WrongType => Err(MalformedProof::ClaimWrongType { claim }),
        Member::Present(value) => Ok(Some(value)),
    }
}

fn required_text(member: Member<Cow<'_, str>>, claim: Claim, limit: usize) -> Result<Cow<'_, str>, MalformedProof> {
    let text = required(member, claim)?;
    let length = text.len();
    if (1..=limit).contains(&length) { Ok(text) } else { Err(MalformedProof::ClaimLength { claim, length, limit }) }
}

struct Faults(Vec<(Claim, MalformedProof)>);

impl Faults {
    fn kept<T>(&mut self, claim: Claim, result: Result<T, MalformedProof>) -> Option<T> {
        result.map_err(|fault| self.0.push((claim, fault))).ok()
    }
}
