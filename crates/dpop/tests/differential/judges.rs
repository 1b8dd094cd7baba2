//! Three judges of one proof: ours, and what a careful program makes of jsonwebtoken and of jwt-compact.

use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};
use countersign_dpop::error::{KeyError, MalformedProof};
use countersign_dpop::jose::{Algorithms, CompactJws, JwsBuffer, encode_base64url};
use countersign_dpop::time::NumericDate;
use countersign_dpop::{MAX_PROOF_LENGTH, Proof, Rejection};
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::{DecodingKey, Validation};
use jwt_compact::alg::{Ed25519, Es256};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm, AlgorithmExt, UntrustedToken};
use serde::Deserialize;

/// What a judge read from a proof that it accepts.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Read {
    pub(crate) algorithm: String,
    jkt: String,
    jti: String,
    htm: String,
    htu: String,
    iat: NumericDate,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Parses and verifies; the error is the kind of the fault.
pub(crate) fn ours(text: &str, accepted: &Algorithms) -> Result<Read, String> {
    let mut buffer = JwsBuffer::new();
    let proof = Proof::parse(text, &mut buffer, accepted).map_err(|rejection| kind(&rejection))?;
    let mut again = JwsBuffer::new();
    let jws = CompactJws::split(text.as_bytes(), &mut again, MAX_PROOF_LENGTH).map_err(|_| "split")?;
    let verified = accepted.verify(proof.algorithm(), proof.key(), jws.signing_input(), jws.signature());
    verified.map_err(|_| if proof.key().is_on_curve() { "BadSignature" } else { "NotOnCurve" })?;
    Ok(Read {
        algorithm: proof.algorithm().to_string(),
        jkt: proof.jkt().to_string(),
        jti: proof.jti().to_owned(),
        htm: proof.htm().to_owned(),
        htu: proof.htu().to_owned(),
        iat: proof.iat(),
        ath: proof.ath().map(str::to_owned),
        nonce: proof.nonce().map(str::to_owned),
    })
}

/// The names of the variants, without what they hold.
fn kind(rejection: &Rejection) -> String {
    let name = |fault: &dyn std::fmt::Debug| {
        let text = format!("{fault:?}");
        text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
    };
    match rejection {
        Rejection::Malformed(MalformedProof::Jws(fault)) => name(fault),
        Rejection::Malformed(MalformedProof::Json { fault, .. }) => format!("Json {}", name(fault)),
        Rejection::Malformed(MalformedProof::ClaimMissing { claim }) => format!("ClaimMissing {claim}"),
        Rejection::Malformed(MalformedProof::ClaimWrongType { claim }) => format!("ClaimWrongType {claim}"),
        Rejection::Malformed(MalformedProof::ClaimLength { claim, .. }) => format!("ClaimLength {claim}"),
        Rejection::Key(KeyError::BadMember { member }) => format!("BadMember {member}"),
        Rejection::Key(fault) => name(fault),
        Rejection::Proof(fault) => name(fault),
        other => panic!("parsing does not give {other:?}"),
    }
}

#[derive(Clone, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: serde_json::Number,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Verifies with the key in the header, as its documentation shows, with `typ` and the type of `alg` looked at.
pub(crate) fn jsonwebtoken(text: &str) -> Option<Read> {
    let header = jsonwebtoken::decode_header(text).ok()?;
    let jwk = header.jwk?;
    let is_symmetric = header.alg.family() == jsonwebtoken::AlgorithmFamily::Hmac;
    if header.typ.as_deref() != Some("dpop+jwt") || is_symmetric {
        return None;
    }
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims = HashSet::new();
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let claims = jsonwebtoken::decode::<Claims>(text, &key, &validation).ok()?.claims;
    let whole = claims.iat.as_i64().map(NumericDate::from_seconds);
    Some(Read {
        algorithm: format!("{:?}", header.alg),
        jkt: jwk.thumbprint(ThumbprintHash::SHA256).ok()?,
        jti: claims.jti,
        htm: claims.htm,
        htu: claims.htu,
        iat: whole.or_else(|| NumericDate::from_f64(claims.iat.as_f64()?))?,
        ath: claims.ath,
        nonce: claims.nonce,
    })
}

#[derive(Clone, Deserialize)]
struct HeaderWithKey {
    jwk: JsonWebKey<'static>,
}

/// `iat` is one of the claims that jwt-compact reads itself.
#[derive(Clone, Deserialize)]
struct CustomClaims {
    jti: String,
    htm: String,
    htu: String,
    ath: Option<String>,
    nonce: Option<String>,
}

/// Verifies with the key in the header; of the algorithms it has ES256 and Ed25519, by both names.
pub(crate) fn jwt_compact(text: &str) -> Option<Read> {
    let token: UntrustedToken<'_, HeaderWithKey> = UntrustedToken::try_from(text).ok()?;
    let header = token.header();
    let jwk = &header.other_fields.jwk;
    if header.token_type.as_deref() != Some("dpop+jwt") || jwk.is_signing_key() {
        return None;
    }
    let claims = match token.algorithm() {
        "ES256" => verified(&Es256, &token)?,
        "EdDSA" => verified(&Ed25519, &token)?,
        "Ed25519" => verified(&Ed25519::with_specific_name(), &token)?,
        _ => return None,
    };
    let custom = claims.custom;
    Some(Read {
        algorithm: token.algorithm().to_owned(),
        jkt: encode_base64url(digest(&SHA256, jwk.to_string().as_bytes())),
        jti: custom.jti,
        htm: custom.htm,
        htu: custom.htu,
        iat: NumericDate::from_seconds(claims.issued_at?.timestamp()),
        ath: custom.ath,
        nonce: custom.nonce,
    })
}

fn verified<A>(algorithm: &A, token: &UntrustedToken<'_, HeaderWithKey>) -> Option<jwt_compact::Claims<CustomClaims>>
where
    A: Algorithm,
    A::VerifyingKey: for<'j> TryFrom<&'j JsonWebKey<'static>>,
{
    let key = A::VerifyingKey::try_from(&token.header().other_fields.jwk).ok()?;
    Some(algorithm.validator::<CustomClaims>(&key).validate(token).ok()?.claims().clone())
}
