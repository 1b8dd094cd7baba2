//! Access tokens (RFC 9068): what is read from them and what is judged at each request.

mod parse;

use std::fmt;
use std::sync::Arc;

use countersign_dpop::error::TokenError;
use countersign_dpop::replay::QuotaKey;
use countersign_dpop::time::{NumericDate, Timestamp};
use countersign_dpop::{Ath, Confirmation};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(crate) use self::parse::{JwtLimits, UnverifiedToken};

/// What is remembered of tokens whose hash is known: bounded, least used ones out first. Forgetting is harmless here, which is
/// why this is no place for replay records.
pub(crate) type TokenCache<V> = quick_cache::sync::Cache<Ath, V>;

/// The longest access token that is read, in bytes.
pub const MAX_TOKEN_LENGTH: usize = 8_192;

/// Seconds by which an issuer's clock may be ahead of ours: `iat` and `nbf` may lie that far in the future. `exp`
/// gets none.
pub const ISSUER_LEEWAY: i64 = 10;

/// The claims of an access token. `Debug` shows neither them nor the token.
#[derive(Clone)]
pub struct AccessToken {
    issuer: Arc<str>,
    audiences: Vec<String>,
    subject: Option<String>,
    client_id: Option<Arc<str>>,
    scope: String,
    expires: NumericDate,
    not_before: Option<NumericDate>,
    issued: Option<NumericDate>,
    confirmation: Confirmation,
    quota: QuotaKey,
    payload: Box<str>,
}

impl AccessToken {
    /// The issuer, as configured.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `client_id` (RFC 9068 §2.2), or `azp` where an issuer has that instead.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `scope`, values separated by blanks; empty when the token has none.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The single values of `scope`.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ').filter(|value| !value.is_empty())
    }

    /// True when `scope` holds `value`.
    pub fn has_scope(&self, value: &str) -> bool {
        self.scopes().any(|scope| scope == value)
    }

    /// The first second at which the token is no longer good.
    pub const fn expires(&self) -> Timestamp {
        self.expires.ceil()
    }

    /// What the token is bound to.
    pub const fn confirmation(&self) -> &Confirmation {
        &self.confirmation
    }

    /// All claims, read into a type of the application's.
    ///
    /// # Errors
    /// The claims are not of that shape.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.payload)
    }

    /// Whose share of the replay store its proofs count against: the client's, else the subject's.
    pub(crate) const fn quota(&self) -> QuotaKey {
        self.quota
    }

    pub(crate) fn shared_issuer(&self) -> Arc<str> {
        Arc::clone(&self.issuer)
    }

    pub(crate) fn shared_client_id(&self) -> Option<Arc<str>> {
        self.client_id.clone()
    }

    /// Reads the claims; every one that is there must have its type.
    pub(crate) fn from_claims(
        issuer: &Arc<str>,
        claims: &Map<String, Value>,
        payload: Box<str>,
    ) -> Result<Self, TokenError> {
        let confirmation = match claims.get("cnf") {
            None => Confirmation::unbound(),
            Some(cnf) => Confirmation::parse(cnf).map_err(|_| TokenError::BadClaim { claim: "cnf" })?,
        };
        let subject = text(claims, "sub")?;
        let client_id = text(claims, "client_id")?.or(text(claims, "azp")?);
        let party = client_id.as_deref().or(subject.as_deref()).unwrap_or_default();
        Ok(Self {
            quota: QuotaKey::new(&[issuer, party]),
            // The token's own, so that requests with other tokens do not count at the same place.
            issuer: Arc::from(issuer.as_ref()),
            audiences: strings(claims, "aud")?.ok_or(TokenError::BadClaim { claim: "aud" })?,
            subject,
            client_id: client_id.map(Into::into),
            scope: scope(claims)?,
            expires: date(claims, "exp")?.ok_or(TokenError::BadClaim { claim: "exp" })?,
            not_before: date(claims, "nbf")?,
            issued: date(claims, "iat")?,
            confirmation,
            payload,
        })
    }

    /// Judges what depends on place and time.
    pub(crate) fn judge<S: AsRef<str>>(&self, accepted: &[S], now: Timestamp) -> Result<(), TokenError> {
        let is_accepted = |audience: &String| accepted.iter().any(|accepted| accepted.as_ref() == audience);
        if !self.audiences.iter().any(is_accepted) {
            return Err(TokenError::AudienceMismatch {
                expected: accepted.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "),
                found: self.audiences.iter().take(4).map(|audience| shorten(audience)).collect(),
            });
        }
        if self.expires() <= now {
            return Err(TokenError::Expired { ago: now.since(self.expires()) });
        }
        let starts = [self.not_before, self.issued].into_iter().flatten().map(NumericDate::ceil).max();
        match starts.map(|start| start.since(now)) {
            Some(ahead) if ahead > ISSUER_LEEWAY => Err(TokenError::NotYetValid { ahead }),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// At most 64 characters of a text from the wire, for evidence in a log: control characters and what is not ASCII
/// shown as escapes.
pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_default).collect()
}

fn text(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<String>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::BadClaim { claim }),
    }
}

fn strings(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<Vec<String>>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(one)) => Ok(Some(vec![one.clone()])),
        Some(Value::Array(many)) => {
            let each = |value: &Value| value.as_str().map(ToOwned::to_owned);
            many.iter().map(each).collect::<Option<_>>().map(Some).ok_or(TokenError::BadClaim { claim })
        }
        Some(_) => Err(TokenError::BadClaim { claim }),
    }
}

/// `scope` (RFC 8693 §4.2), or the `scp` that some issuers have instead, as text or array.
fn scope(claims: &Map<String, Value>) -> Result<String, TokenError> {
    match text(claims, "scope")? {
        Some(scope) => Ok(scope),
        None => Ok(strings(claims, "scp")?.map(|values| values.join(" ")).unwrap_or_default()),
    }
}

fn date(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<NumericDate>, TokenError> {
    let Some(value) = claims.get(claim) else {
        return Ok(None);
    };
    let whole = value.as_i64().map(NumericDate::from_seconds);
    whole.or_else(|| value.as_f64().and_then(NumericDate::from_f64)).map(Some).ok_or(TokenError::BadClaim { claim })
}
