use std::fmt;

use aws_lc_rs::rand;
use countersign_dpop::Ath;
use countersign_dpop::jose::{ProofSigner, SignError, encode_base64url};
use countersign_dpop::time::Timestamp;
use serde::Deserialize;

use crate::forge::{ForgeError, ForgeKey, RawObject, SignatureForm};

/// A compact JWS in the making, a proof or a token: right at first, and open to any change before it is signed.
#[derive(Clone)]
pub struct JwsForge {
    /// The JOSE header; the `jwk` of a proof is an object of its own.
    pub header: RawObject,
    /// The claims; the `cnf` of a token is an object of its own.
    pub claims: RawObject,
    /// A text to stand in the place of the header's.
    pub header_text: Option<String>,
    /// A text to stand in the place of the claims'.
    pub claims_text: Option<String>,
    /// How the header is written.
    pub header_encoding: Encoding,
    /// How the claims are written.
    pub payload_encoding: Encoding,
    /// How the signature is written.
    pub signature_encoding: Encoding,
}

/// How a part of a compact JWS is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// base64url without padding, as it should be.
    #[default]
    Base64url,
    /// With padding.
    Padded,
    /// In the alphabet of plain base64.
    StandardAlphabet,
    /// With a line feed in the middle.
    LineFeed,
    /// With stray bits in the last character.
    StrayBits,
    /// Not encoded at all.
    Plain,
}

/// What a right proof says (RFC 9449 §4.2).
#[derive(Clone, Copy)]
pub struct ProofClaims<'a> {
    /// `jti`.
    pub jti: &'a str,
    /// `htm`.
    pub method: &'a str,
    /// The URL of the request; query and fragment are left out of `htu`.
    pub url: &'a str,
    /// `iat`.
    pub iat: Timestamp,
    /// The access token that `ath` is the hash of.
    pub token: Option<&'a str>,
    /// `nonce`.
    pub nonce: Option<&'a str>,
}

/// What a right access token says (RFC 9068 §2.2, RFC 9449 §6.1).
#[derive(Clone, Copy, Debug)]
pub struct TokenClaims<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`.
    pub audience: &'a str,
    /// `sub` and `client_id`.
    pub client: &'a str,
    /// `scope`.
    pub scope: &'a str,
    /// `jti`.
    pub jti: &'a str,
    /// `iat`; the token lives for five minutes.
    pub iat: Timestamp,
    /// `cnf.jkt`.
    pub jkt: &'a str,
}

impl JwsForge {
    /// A right proof for a key given as the name of its algorithm and its public JWK.
    pub fn proof(alg: &str, jwk: RawObject, claims: &ProofClaims<'_>) -> Self {
        let mut header = RawObject::new();
        header.set_text("typ", "dpop+jwt");
        header.set_text("alg", alg);
        header.set_object("jwk", jwk);
        Self::of(header, claims.to_object())
    }

    /// A right proof for the key of `signer`.
    ///
    /// # Errors
    /// [`SignError::Failed`] when the signer's JWK is not a JSON object.
    pub fn proof_for(signer: &dyn ProofSigner, claims: &ProofClaims<'_>) -> Result<Self, SignError> {
        let jwk = RawObject::from_json(&signer.public_jwk().to_json()).ok_or(SignError::Failed)?;
        Ok(Self::proof(signer.algorithm().name(), jwk, claims))
    }

    /// A right access token, to be signed by the issuer's key called `kid` with `alg`.
    pub fn access_token(alg: &str, kid: &str, claims: &TokenClaims<'_>) -> Self {
        let mut header = RawObject::new();
        for (name, value) in [("typ", "at+jwt"), ("alg", alg), ("kid", kid)] {
            header.set_text(name, value);
        }
        Self::of(header, claims.to_object())
    }

    /// The `jwk` in the header; `None` when there is none or it was replaced by text.
    pub fn jwk_mut(&mut self) -> Option<&mut RawObject> {
        self.header.object_mut("jwk")
    }

    /// Header and claims, encoded, with the dot: what is signed.
    ///
    /// # Errors
    /// [`ForgeError::NoEffect`] when an encoding makes no difference.
    pub fn signing_input(&self) -> Result<String, ForgeError> {
        Ok(self.segments()?.join("."))
    }

    /// Header and claims, encoded.
    ///
    /// # Errors
    /// [`ForgeError::NoEffect`] when an encoding makes no difference.
    pub fn segments(&self) -> Result<[String; 2], ForgeError> {
        let header = self.header_text.clone().unwrap_or_else(|| self.header.to_string());
        let claims = self.claims_text.clone().unwrap_or_else(|| self.claims.to_string());
        Ok([self.header_encoding.write_json(header)?, self.payload_encoding.write_json(claims)?])
    }

    /// `signature`, encoded.
    ///
    /// # Errors
    /// [`ForgeError::NoEffect`] when the encoding makes no difference.
    pub fn signature_segment(&self, signature: &[u8]) -> Result<String, ForgeError> {
        self.signature_encoding.write(signature)
    }

    /// The compact form with `signature`, whatever that is.
    ///
    /// # Errors
    /// [`ForgeError::NoEffect`] when an encoding makes no difference.
    pub fn with_signature(&self, signature: &[u8]) -> Result<String, ForgeError> {
        Ok(format!("{}.{}", self.signing_input()?, self.signature_segment(signature)?))
    }

    /// The signature of `key` in `form`.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub fn signature(&self, key: &ForgeKey, form: &SignatureForm) -> Result<Vec<u8>, ForgeError> {
        let jwk = self.header.get("jwk").unwrap_or_default();
        key.sign(self.signing_input()?.as_bytes(), form, &jwk)
    }

    /// The compact form, signed by `key` as it should be.
    ///
    /// # Errors
    /// See [`ForgeError`].
    pub fn sign(&self, key: &ForgeKey) -> Result<String, ForgeError> {
        self.with_signature(&self.signature(key, &SignatureForm::Right)?)
    }

    fn of(header: RawObject, claims: RawObject) -> Self {
        Self {
            header,
            claims,
            header_text: None,
            claims_text: None,
            header_encoding: Encoding::Base64url,
            payload_encoding: Encoding::Base64url,
            signature_encoding: Encoding::Base64url,
        }
    }
}

impl fmt::Debug for JwsForge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwsForge").finish_non_exhaustive()
    }
}

impl Encoding {
    /// Writes a JSON text; where stray bits have no room, a blank is added, which JSON does not mind.
    fn write_json(self, mut json: String) -> Result<String, ForgeError> {
        if self == Self::StrayBits && json.len().is_multiple_of(3) {
            json.push(' ');
        }
        match self {
            Self::Plain => Ok(json),
            Self::Base64url | Self::Padded | Self::StandardAlphabet | Self::LineFeed | Self::StrayBits => {
                self.write(json.as_bytes())
            }
        }
    }

    fn write(self, bytes: &[u8]) -> Result<String, ForgeError> {
        let right = encode_base64url(bytes);
        let written = match self {
            Self::Base64url => return Ok(right),
            Self::Padded => format!("{right}{}", "=".repeat((4 - right.len() % 4) % 4)),
            Self::StandardAlphabet => right.replace('-', "+").replace('_', "/"),
            Self::LineFeed => {
                let (before, after) = right.split_at(right.len() / 2);
                format!("{before}\n{after}")
            }
            Self::StrayBits => with_stray_bits(&right).unwrap_or_else(|| right.clone()),
            Self::Plain => return Err(ForgeError::NoEffect { what: "bytes that are not text, not encoded" }),
        };
        if written == right {
            return Err(ForgeError::NoEffect { what: "an encoding" });
        }
        Ok(written)
    }
}

/// Raises the last character by one step, which changes only bits that are not decoded; `None` where there are none.
pub(crate) fn with_stray_bits(right: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if !matches!(right.len() % 4, 2 | 3) {
        return None;
    }
    let last = ALPHABET.find(right.chars().last()?)?;
    Some(format!("{}{}", &right[..right.len() - 1], ALPHABET.chars().nth(last + 1)?))
}

impl ProofClaims<'_> {
    fn to_object(self) -> RawObject {
        let mut object = RawObject::new();
        object.set_text("jti", self.jti);
        object.set_text("htm", self.method);
        object.set_text("htu", self.url.split(['?', '#']).next().unwrap_or(self.url));
        object.set("iat", self.iat.to_string());
        if let Some(token) = self.token {
            object.set_text("ath", &Ath::of(token).to_string());
        }
        if let Some(nonce) = self.nonce {
            object.set_text("nonce", nonce);
        }
        object
    }
}

impl fmt::Debug for ProofClaims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofClaims").field("method", &self.method).field("iat", &self.iat).finish_non_exhaustive()
    }
}

impl TokenClaims<'_> {
    fn to_object(self) -> RawObject {
        let mut object = RawObject::new();
        let texts = [("iss", self.issuer), ("aud", self.audience), ("sub", self.client), ("client_id", self.client)];
        for (name, value) in texts.into_iter().chain([("scope", self.scope), ("jti", self.jti)]) {
            object.set_text(name, value);
        }
        object.set("iat", self.iat.to_string());
        object.set("exp", self.iat.plus(300).to_string());
        let mut cnf = RawObject::new();
        cnf.set_text("jkt", self.jkt);
        object.set_object("cnf", cnf);
        object
    }
}

/// A `jti` of 128 random bits.
///
/// # Errors
/// [`SignError::Failed`] when the system gives no random bytes.
pub fn random_jti() -> Result<String, SignError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| SignError::Failed)?;
    Ok(encode_base64url(bytes))
}
