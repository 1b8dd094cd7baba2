//! Key sets of issuers and clients (RFC 7517 §5).

#[cfg(test)]
mod tests;

use crate::error::KeyError;
use crate::jose::json::{Member, Reader};
use crate::jose::jwk::JwkMembers;
use crate::jose::{Algorithm, JsonError, JsonLimits, PublicJwk};

/// One key of a set that can verify signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerificationKey {
    /// `kid`, if it has one.
    pub kid: Option<String>,
    /// `alg`, if it names one that is implemented; a key is used with this algorithm only.
    pub alg: Option<Algorithm>,
    /// The key.
    pub key: PublicJwk,
}

/// The usable keys of a JWK Set. Keys of unknown type, for encryption, or unfit are left out and counted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct JwkSet {
    keys: Vec<VerificationKey>,
    left_out: usize,
}

/// Why a JWK Set cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JwkSetError {
    /// Not a JSON object with an array `keys`.
    #[error("not a JWK Set: {0}")]
    Json(#[from] JsonError),
    /// More than [`JwkSet::MAX_KEYS`] keys.
    #[error("a JWK Set of more than {limit} keys")]
    TooManyKeys {
        /// The most keys taken.
        limit: usize,
    },
    /// A private or symmetric key in a set that is published.
    #[error("key {index} of the JWK Set: {fault}")]
    Private {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        fault: KeyError,
    },
    /// No key that can verify a signature is left.
    #[error("no usable key in the JWK Set ({left_out} left out)")]
    Empty {
        /// How many keys were left out.
        left_out: usize,
    },
}

impl JwkSet {
    /// The most keys taken from one set.
    pub const MAX_KEYS: usize = 64;

    /// Reads a JWK Set.
    ///
    /// A key that is merely unfit is left out, as RFC 7517 §5 wants; a private or symmetric one in a set that is
    /// published spoils the whole set.
    ///
    /// # Errors
    /// See [`JwkSetError`].
    pub fn parse(json: &[u8]) -> Result<Self, JwkSetError> {
        let mut reader = Reader::new(json, JsonLimits::DOCUMENT)?;
        let mut keys = Member::Absent;
        if !reader.at_object() {
            return Err(JsonError::Shape.into());
        }
        reader.object(|reader, name| {
            if name == "keys" {
                keys = read_keys(reader)?;
                return Ok(());
            }
            reader.value().map(drop)
        })?;
        reader.finish()?;
        Self::from_members(&keys.present().ok_or(JsonError::Shape)?)
    }

    fn from_members(found: &[JwkMembers<'_>]) -> Result<Self, JwkSetError> {
        if found.len() > Self::MAX_KEYS {
            return Err(JwkSetError::TooManyKeys { limit: Self::MAX_KEYS });
        }
        for (index, members) in found.iter().enumerate() {
            if let Some(member) = members.private_member() {
                return Err(JwkSetError::Private { index, fault: KeyError::PrivateMember { member } });
            }
        }
        let usable = |members: &JwkMembers<'_>| {
            let key = members.public_key(None).ok()?;
            Some(VerificationKey { kid: members.kid().map(str::to_owned), alg: members.algorithm(), key })
        };
        let keys: Vec<_> = found.iter().filter_map(usable).collect();
        let left_out = found.len() - keys.len();
        if keys.is_empty() { Err(JwkSetError::Empty { left_out }) } else { Ok(Self { keys, left_out }) }
    }

    /// A set of these keys.
    pub fn from_keys(keys: Vec<VerificationKey>) -> Self {
        Self { keys, left_out: 0 }
    }

    /// The keys that may have made a signature with this `kid` and `alg`: those with the same `kid` or, when `kid`
    /// is absent, all; of a type and `alg` that fit.
    pub fn candidates<'a>(
        &'a self,
        kid: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a VerificationKey> {
        self.keys.iter().filter(move |key| {
            kid.is_none_or(|kid| key.kid.as_deref() == Some(kid))
                && key.alg.is_none_or(|alg| alg.is_same_as(algorithm))
                && key.key.fits(algorithm)
        })
    }

    /// All usable keys.
    pub fn keys(&self) -> &[VerificationKey] {
        &self.keys
    }

    /// How many keys of the set were left out.
    pub const fn left_out(&self) -> usize {
        self.left_out
    }
}

fn read_keys<'a>(reader: &mut Reader<'a>) -> Result<Member<Vec<JwkMembers<'a>>>, JsonError> {
    if !reader.at_array() {
        reader.value()?;
        return Ok(Member::WrongType);
    }
    let mut keys = Vec::new();
    reader.array(|reader| {
        if !reader.at_object() {
            return Err(JsonError::Shape);
        }
        keys.push(JwkMembers::read(reader)?);
        Ok(())
    })?;
    Ok(Member::Present(keys))
}
