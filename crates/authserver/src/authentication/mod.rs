//! Client authentication (RFC 6749 §2.3, RFC 7523 §3). Writes nothing: that an assertion is used once is recorded
//! later, with everything else.

mod assertion;
mod secret;

use std::sync::Arc;

use countersign_dpop::CheckedProof;
use countersign_dpop::jose::Jkt;
use countersign_dpop::time::Timestamp;
use http::{HeaderMap, HeaderValue, header};

pub(crate) use self::assertion::{AssertionError, MAX_LIFE};
use crate::client::{AuthMethod, Client, Credential};
use crate::error::Refusal;
use crate::form::Form;
use crate::keys::KeysAway;
use crate::server::Shared;
use crate::storage::AssertionEntry;

/// A client that has proved who it is.
#[derive(Debug)]
pub(crate) struct AuthenticatedClient {
    pub(crate) client: Arc<Client>,
    /// What is to be recorded so that its assertion is good once.
    pub(crate) assertion: Option<AssertionEntry>,
    /// The key that signed the assertion.
    pub(crate) key: Option<Jkt>,
}

/// Why a client is not authenticated. Carries nothing that the client sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("no client authentication")]
    Missing,
    #[error("more than one client authentication method")]
    SeveralMethods,
    #[error("more than one Authorization field")]
    AuthorizationRepeated,
    #[error("an Authorization scheme other than Basic")]
    SchemeUnknown,
    #[error("the Basic credentials cannot be read")]
    BasicMalformed,
    #[error("client_assertion and client_assertion_type are not both there")]
    AssertionIncomplete,
    #[error("client_assertion_type is not jwt-bearer")]
    AssertionTypeUnknown,
    #[error("the client is not registered")]
    ClientUnknown {
        /// Whether the client used the `Authorization` field.
        basic: bool,
    },
    #[error("the client is registered for {registered}, not for {used}")]
    MethodNotRegistered { registered: AuthMethod, used: AuthMethod, basic: bool },
    #[error("client_id is not the authenticated client")]
    ClientIdMismatch,
    #[error("a public client, where one that authenticates is wanted")]
    Public,
    #[error("wrong secret")]
    SecretWrong { basic: bool },
    #[error("client assertion: {0}")]
    Assertion(#[from] AssertionError),
    #[error("the client's keys cannot be had: {0}")]
    KeysAway(#[from] KeysAway),
}

/// Authenticates the client of a request by the one method it uses, which must be the one it is registered for. Warns
/// when it signs its assertion with the key of its proof.
pub(crate) async fn authenticate(
    server: &Shared,
    headers: &HeaderMap,
    form: &Form,
    proof: Option<&CheckedProof>,
    now: Timestamp,
) -> Result<AuthenticatedClient, Refusal> {
    let authenticated = match Presented::read(headers, form)? {
        Presented::Basic(field) => secret::authenticate_basic(server, field).await?,
        Presented::SecretInForm => secret::authenticate_post(server, form).await?,
        Presented::Assertion(text) => assertion::authenticate(server, text, now).await?,
        Presented::IdOnly => authenticate_public(server, form).await?,
    };
    if form.get("client_id").is_some_and(|id| id != authenticated.client.id) {
        return Err(ClientError::ClientIdMismatch.into());
    }
    if authenticated.key.is_some() && authenticated.key.as_ref() == proof.map(CheckedProof::jkt) {
        tracing::warn!(client = authenticated.client.id, "the client signs assertions and proofs with one key");
    }
    Ok(authenticated)
}

/// A public client is who it says it is; what it gets is bound to what it holds, a code or a refresh token.
async fn authenticate_public(server: &Shared, form: &Form) -> Result<AuthenticatedClient, Refusal> {
    let id = form.get("client_id").ok_or(ClientError::Missing)?;
    let client = server.client(id).await?.ok_or(ClientError::ClientUnknown { basic: false })?;
    match &client.credential {
        Credential::None => Ok(AuthenticatedClient { client, assertion: None, key: None }),
        other => Err(wrong_method(other, AuthMethod::None, false).into()),
    }
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The one method that a request uses.
enum Presented<'a> {
    Basic(&'a HeaderValue),
    Assertion(&'a str),
    SecretInForm,
    IdOnly,
}

impl<'a> Presented<'a> {
    fn read(headers: &'a HeaderMap, form: &'a Form) -> Result<Self, ClientError> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let field = fields.next();
        if fields.next().is_some() {
            return Err(ClientError::AuthorizationRepeated);
        }
        let assertion = form.get("client_assertion");
        let assertion_type = form.get("client_assertion_type");
        let asserted = assertion.is_some() || assertion_type.is_some();
        match (field, asserted, form.get("client_secret").is_some()) {
            (Some(_), true, _) | (Some(_), _, true) | (_, true, true) => Err(ClientError::SeveralMethods),
            (Some(field), false, false) => Ok(Self::Basic(field)),
            (None, true, false) => Self::assertion(assertion, assertion_type),
            (None, false, true) => Ok(Self::SecretInForm),
            (None, false, false) if form.get("client_id").is_some() => Ok(Self::IdOnly),
            (None, false, false) => Err(ClientError::Missing),
        }
    }

    fn assertion(assertion: Option<&'a str>, assertion_type: Option<&str>) -> Result<Self, ClientError> {
        let (Some(assertion), Some(assertion_type)) = (assertion, assertion_type) else {
            return Err(ClientError::AssertionIncomplete);
        };
        if assertion_type == JWT_BEARER {
            Ok(Self::Assertion(assertion))
        } else {
            Err(ClientError::AssertionTypeUnknown)
        }
    }
}

fn wrong_method(credential: &Credential, used: AuthMethod, basic: bool) -> ClientError {
    ClientError::MethodNotRegistered { registered: credential.method(), used, basic }
}
