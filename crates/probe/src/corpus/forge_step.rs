//! From a step's changes to a request.

use countersign_dpop::time::Timestamp;

use super::case::Step;
use super::change::{Change, ChangeError};
use super::request::ForgedRequest;
use super::template::Template;
use crate::forge::{ForgeKey, JwsForge, ProofClaims, SignatureForm, TokenClaims};

/// The issuer of every right token.
pub const ISSUER: &str = "https://as.example";
/// The name of the issuer's key in the forge.
pub const ISSUER_KEY: &str = "es256_issuer";
/// The `kid` of the issuer's key.
pub const ISSUER_KID: &str = "issuer-1";
/// The client of every right token.
pub const CLIENT: &str = "client-1";
/// The scope of every right token.
pub const SCOPE: &str = "read";

/// What a step is forged in.
pub(super) struct Surroundings<'a> {
    /// Which step, from 0.
    pub(super) index: usize,
    pub(super) now: Timestamp,
    pub(super) origin: String,
    pub(super) nonce: Option<&'a str>,
}

pub(super) fn forge_request(step: &Step, around: &Surroundings<'_>) -> Result<ForgedRequest, ChangeError> {
    let key = key_of(&step.proof)?.unwrap_or(named("es256")?);
    let change = &step.request;
    let method = change.method.clone().unwrap_or_else(|| "GET".to_owned());
    let template = Template::new(around.now.seconds(), &key)
        .with("origin", &around.origin)
        .with("nonce", around.nonce.unwrap_or_default())
        .with("plain_proof", plain_proof(&method, around)?);
    let token = forge_token(step, around, &key, &template)?;
    let template = template.with("token", &token);
    let target = template.fill(change.target.as_deref().unwrap_or("/a/b"))?;
    let url = format!("{}{target}", around.origin);
    let claims = ProofClaims { jti: "", method: &method, url: &url, iat: around.now, token: Some(&token), nonce: None };
    let template = with_proofs(step, around.index, &key, &claims, template)?;
    Ok(ForgedRequest {
        authority: change.authority.clone().unwrap_or_else(|| authority_of(&around.origin)),
        fields: fields(step, &template)?,
        body: change.body.clone().unwrap_or_default(),
        trailers: filled(&change.trailers, &template)?,
        http2: change.http2,
        method,
        target,
    })
}

/// Adds the step's proof and, only where it is asked for because some keys sign slowly, a second, right one.
fn with_proofs<'a>(
    step: &Step,
    index: usize,
    key: &ForgeKey,
    claims: &ProofClaims<'_>,
    template: Template<'a>,
) -> Result<Template<'a>, ChangeError> {
    let forge = |jti: String, changes: &[Change]| {
        let forge = JwsForge::proof(key.alg(), key.jwk().clone(), &ProofClaims { jti: &jti, ..*claims });
        finish(forge, changes, key, &template)
    };
    let proof = forge(format!("proof-{index}"), &step.proof)?;
    let mut dpop = step.request.dpop.iter().flatten();
    let other_proof = if dpop.any(|value| value.contains("${other_proof}")) {
        forge(format!("other-{index}"), &[])?
    } else {
        String::new()
    };
    Ok(template.with("proof", proof).with("other_proof", other_proof))
}

fn fields(step: &Step, template: &Template<'_>) -> Result<Vec<(String, String)>, ChangeError> {
    let change = &step.request;
    let values = |name: &str, values: Option<&Vec<String>>, usual: &str| {
        let values = values.cloned().unwrap_or_else(|| vec![usual.to_owned()]);
        values.into_iter().map(|value| (name.to_owned(), value)).collect::<Vec<_>>()
    };
    let mut fields = values("Authorization", change.authorization.as_ref(), "DPoP ${token}");
    fields.extend(values("DPoP", change.dpop.as_ref(), "${proof}"));
    fields.extend(change.fields.iter().cloned());
    filled(&fields, template)
}

fn filled(fields: &[(String, String)], template: &Template<'_>) -> Result<Vec<(String, String)>, ChangeError> {
    fields.iter().map(|(name, value)| Ok((name.clone(), template.fill(value)?))).collect()
}

fn plain_proof(method: &str, around: &Surroundings<'_>) -> Result<String, ChangeError> {
    let key = named("es256")?;
    let claims = ProofClaims {
        jti: "plain",
        method,
        url: &format!("{}/a/b", around.origin),
        iat: around.now,
        token: None,
        nonce: None,
    };
    Ok(JwsForge::proof(key.alg(), key.jwk().clone(), &claims).sign(&key)?)
}

fn forge_token(
    step: &Step,
    around: &Surroundings<'_>,
    proof_key: &ForgeKey,
    template: &Template<'_>,
) -> Result<String, ChangeError> {
    let key = key_of(&step.token)?.unwrap_or(named(ISSUER_KEY)?);
    let claims = TokenClaims {
        issuer: ISSUER,
        audience: &around.origin,
        client: CLIENT,
        scope: SCOPE,
        jti: "token",
        iat: around.now.plus(-60),
        jkt: &proof_key.jkt(),
    };
    finish(JwsForge::access_token(key.alg(), ISSUER_KID, &claims), &step.token, &key, template)
}

/// Makes the changes, signs, and puts the text together.
fn finish(
    mut forge: JwsForge,
    changes: &[Change],
    key: &ForgeKey,
    template: &Template<'_>,
) -> Result<String, ChangeError> {
    let (mut form, mut signer, mut compact) = (SignatureForm::Right, None, "${header}.${payload}.${signature}");
    let mut late: &[Change] = &[];
    for change in changes {
        match change {
            Change::Signature(given) => form = given.clone(),
            Change::SignedBy(name) => signer = Some(named(name)?),
            Change::Compact(text) => compact = text,
            Change::Late(changes) => late = changes,
            Change::Literal(text) => return Ok(template.fill(text)?),
            Change::Key(_)
            | Change::Set(..)
            | Change::Remove(..)
            | Change::First(..)
            | Change::Last(..)
            | Change::Spell(..)
            | Change::Reverse(_)
            | Change::Text(..)
            | Change::Encoding(..)
            | Change::Length(_) => change.apply(&mut forge, template)?,
        }
    }
    let signature = forge.signature(signer.as_ref().unwrap_or(key), &form)?;
    for change in late {
        change.apply(&mut forge, template)?;
    }
    let [header, payload] = forge.segments()?;
    let parts = template.clone().with("header", header).with("payload", payload);
    Ok(parts.with("signature", forge.signature_segment(&signature)?).fill(compact)?)
}

fn key_of(changes: &[Change]) -> Result<Option<ForgeKey>, ChangeError> {
    let name = changes.iter().rev().find_map(|change| match change {
        Change::Key(name) => Some(name),
        Change::SignedBy(_)
        | Change::Signature(_)
        | Change::Set(..)
        | Change::Remove(..)
        | Change::First(..)
        | Change::Last(..)
        | Change::Spell(..)
        | Change::Reverse(_)
        | Change::Text(..)
        | Change::Encoding(..)
        | Change::Late(_)
        | Change::Compact(_)
        | Change::Length(_)
        | Change::Literal(_) => None,
    });
    name.map(|name| named(name)).transpose()
}

fn named(name: &str) -> Result<ForgeKey, ChangeError> {
    ForgeKey::named(name).ok_or_else(|| ChangeError::Absent(name.to_owned()))
}

fn authority_of(origin: &str) -> String {
    let rest = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest).to_owned()
}
