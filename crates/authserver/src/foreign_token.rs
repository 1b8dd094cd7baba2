//! Tokens of trusted issuers, read before anything in them is believed: what the text alone refuses first, the signature
//! last, since its key may have to be fetched.

use aws_lc_rs::digest;
use countersign_dpop::Confirmation;
use countersign_dpop::jose::{
    Algorithm, Algorithms, CompactJws, JsonLimits, JwsBuffer, encode_base64url, from_strict_json,
};
use countersign_dpop::time::{NumericDate, Timestamp};
use serde_json::{Map, Value};

use crate::error::SubjectError;
use crate::keys::{Signed, Unverified};
use crate::scope::Scope;
use crate::server::Shared;
use crate::storage::EntryId;
use crate::trusted_issuer::TrustedIssuer;

/// The longest token that is read, in bytes.
const MAX_LENGTH: usize = 16_384;
/// The longest `sub`, `jti` and `kid`, in bytes.
const MAX_NAME: usize = 512;
/// Seconds by which the issuer's clock may be ahead of ours.
const MAX_AHEAD: i64 = 60;

/// A token of a trusted issuer that is good for us and for the client that presents it.
#[derive(Debug)]
pub(crate) struct ForeignToken<'a> {
    pub(crate) issuer: &'a TrustedIssuer,
    pub(crate) subject: String,
    /// Whether it says that it is an access token (RFC 9068).
    pub(crate) is_access_token: bool,
    /// As the issuer says it, if it does.
    pub(crate) scope: Option<Scope>,
    pub(crate) ends_at: Timestamp,
    pub(crate) confirmation: Confirmation,
    /// By what its uses are counted.
    pub(crate) uses: EntryId,
}

impl<'a> ForeignToken<'a> {
    /// Reads and verifies `text`, which `client_id` presents.
    pub(crate) async fn read(
        server: &'a Shared,
        text: &str,
        client_id: &str,
        now: Timestamp,
    ) -> Result<Self, SubjectError> {
        let mut buffer = JwsBuffer::new();
        let jws = CompactJws::split(text.as_bytes(), &mut buffer, MAX_LENGTH).map_err(|_| SubjectError::Malformed)?;
        let header = Members::read(jws.header())?;
        let claims = Members::read(jws.payload())?;
        let (algorithm, is_access_token) = read_header(&header, &claims)?;
        let issuer = find_issuer(server, &claims, client_id)?;
        let token = Self { is_access_token, ..claims.check(issuer, text, now)? };
        let signed = Signed { jws: &jws, kid: header.text("kid")?, algorithm };
        let verified = issuer.keys.verify(&signed, &Algorithms::all(), server.fetch.as_ref(), now).await;
        verified.map_err(|fault| match fault {
            Unverified::KeyUnknown => SubjectError::KeyUnknown,
            Unverified::BadSignature => SubjectError::BadSignature,
            Unverified::KeysAway(away) => SubjectError::KeysAway(away),
        })?;
        Ok(token)
    }
}

/// `iss` of a token that may be anything, to tell ours from others.
pub(crate) fn peek_issuer(text: &str) -> Option<String> {
    let mut buffer = JwsBuffer::new();
    let jws = CompactJws::split(text.as_bytes(), &mut buffer, MAX_LENGTH).ok()?;
    let claims = Members::read(jws.payload()).ok()?;
    claims.text("iss").ok().flatten().map(str::to_owned)
}

fn find_issuer<'a>(server: &'a Shared, claims: &Members, client_id: &str) -> Result<&'a TrustedIssuer, SubjectError> {
    let name = claims.text("iss")?.ok_or(SubjectError::IssuerNotTrusted)?;
    let issuers = &server.settings.trusted_issuers;
    let issuer = issuers.iter().find(|issuer| issuer.issuer == name).ok_or(SubjectError::IssuerNotTrusted)?;
    if issuer.clients.iter().any(|id| id == client_id) { Ok(issuer) } else { Err(SubjectError::ClientNotAllowed) }
}

/// The algorithm, and whether it says that it is an access token.
///
/// A proof, an ID token or a logout token must not pass as an access token or an assertion (RFC 8725 §3.11).
fn read_header(header: &Members, claims: &Members) -> Result<(Algorithm, bool), SubjectError> {
    let typ = header.text("typ")?.unwrap_or("JWT").to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    let of_an_id_token = ["nonce", "at_hash", "c_hash", "events"].iter().any(|name| claims.0.contains_key(*name));
    if !["jwt", "at+jwt"].contains(&typ) || (typ == "jwt" && of_an_id_token) {
        return Err(SubjectError::TypMismatch);
    }
    if header.0.contains_key("crit") {
        return Err(SubjectError::CritNotUnderstood);
    }
    let algorithm: Option<Algorithm> = header.text("alg")?.and_then(|name| name.parse().ok());
    let algorithm = algorithm.filter(|algorithm| Algorithms::all().contains(*algorithm));
    Ok((algorithm.ok_or(SubjectError::AlgNotAccepted)?, typ == "at+jwt"))
}

/// The members of a JSON object, none of them twice.
struct Members(Map<String, Value>);

impl Members {
    fn read(json: &[u8]) -> Result<Self, SubjectError> {
        from_strict_json(json, JsonLimits::DOCUMENT).map(Self).map_err(|_| SubjectError::Malformed)
    }

    /// A member that is a text of reasonable length, if it is there.
    fn text(&self, name: &str) -> Result<Option<&str>, SubjectError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=MAX_NAME).contains(&text.len()) => Ok(Some(text)),
            Some(_) => Err(SubjectError::Malformed),
        }
    }

    /// A date in whole seconds, rounded down; fractions are legal (RFC 7519 §2).
    fn date(&self, name: &str) -> Result<Option<Timestamp>, SubjectError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let whole = value.as_i64().map(Timestamp::from_seconds);
        let date = whole.or_else(|| value.as_f64().and_then(NumericDate::from_f64).map(NumericDate::floor));
        date.map(Some).ok_or(SubjectError::Malformed)
    }

    fn check<'a>(
        &self,
        issuer: &'a TrustedIssuer,
        text: &str,
        now: Timestamp,
    ) -> Result<ForeignToken<'a>, SubjectError> {
        if !self.has_audience(&issuer.audience) {
            return Err(SubjectError::AudienceMismatch);
        }
        let ends_at = self.date("exp")?.ok_or(SubjectError::Malformed)?;
        if now >= ends_at {
            return Err(SubjectError::Expired { ago: now.since(ends_at) });
        }
        for name in ["nbf", "iat"] {
            let ahead = self.date(name)?.map_or(0, |date| date.since(now));
            if ahead > MAX_AHEAD {
                return Err(SubjectError::FromFuture { ahead });
            }
        }
        let subject = self.text("sub")?.ok_or(SubjectError::SubjectNotAllowed)?;
        if !issuer.takes_subject(subject) {
            return Err(SubjectError::SubjectNotAllowed);
        }
        let confirmation = self.0.get("cnf").map_or_else(|| Ok(Confirmation::unbound()), Confirmation::parse);
        Ok(ForeignToken {
            issuer,
            subject: format!("{}{subject}", issuer.subject_prefix),
            scope: self.scope()?,
            ends_at,
            is_access_token: false,
            confirmation: confirmation.map_err(|_| SubjectError::BoundOtherwise)?,
            uses: self.identity(&issuer.issuer, text)?,
        })
    }

    fn has_audience(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(audience)),
            Some(_) | None => false,
        }
    }

    /// `scope` as RFC 9068 has it; `scp` as a text or an array as others do.
    fn scope(&self) -> Result<Option<Scope>, SubjectError> {
        let scope = match self.0.get("scope").or_else(|| self.0.get("scp")) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(Some(Scope::default())),
            Some(Value::String(text)) => Scope::parse(text),
            Some(Value::Array(tokens)) => {
                Scope::from_tokens(tokens.iter().map(|token| token.as_str().unwrap_or_default()))
            }
            Some(_) => return Err(SubjectError::Malformed),
        };
        scope.map(Some).map_err(|_| SubjectError::Malformed)
    }

    /// The token's own identifier, or what it says and is signed with when it has none.
    fn identity(&self, issuer: &str, text: &str) -> Result<EntryId, SubjectError> {
        let (kind, name) = match self.text("jti")? {
            Some(jti) => ("jti", jti.to_owned()),
            // Signatures can be written in more ways than one, so it is not they that count.
            None => ("hash", encode_base64url(digest::digest(&digest::SHA256, signing_input(text).as_bytes()))),
        };
        Ok(EntryId::of(&format!("{kind} {} {issuer} {name}", issuer.len())))
    }
}

fn signing_input(text: &str) -> &str {
    text.rsplit_once('.').map_or(text, |(input, _)| input)
}
