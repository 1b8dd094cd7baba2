//! The checked authorization request.

use countersign_dpop::jose::{Jkt, decode_base64url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AuthorizationError;
use crate::client::Client;
use crate::config::Settings;
use crate::form::Form;
use crate::grant::GrantType;
use crate::plain;
use crate::scope::Scope;

/// A request with nothing wrong about it; the user has not been asked yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client_id: String,
    /// Where the answer goes.
    pub(crate) redirect_uri: String,
    /// Whether the request named it, so that the token request has to as well (RFC 6749 §4.1.3).
    pub(crate) redirect_uri_named: bool,
    pub(crate) state: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) resources: Vec<String>,
    pub(crate) code_challenge: String,
    #[serde(with = "plain::optional_jkt")]
    pub(crate) jkt: Option<Jkt>,
    pub(crate) prompt: Option<Prompt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_details: Option<Value>,
}

/// What the client wants the user to be asked, beyond what is always asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Prompt {
    /// Nothing: consent is always asked for, so this is always refused.
    None,
    /// To sign in again.
    Login,
}

/// Why an answer cannot be sent back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum RedirectError {
    #[error("missing")]
    Missing,
    #[error("not one that the client has registered")]
    NotRegistered,
}

/// Where the answer to a request goes, and whether the request says so.
pub(crate) fn redirect_target(
    settings: &Settings,
    client: &Client,
    form: &Form,
) -> Result<(String, bool), RedirectError> {
    match (form.get("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(asked), registered) if registered.iter().any(|own| own.is(asked)) => Ok((asked.to_owned(), true)),
        (Some(_), _) => Err(RedirectError::NotRegistered),
        (None, [only]) if !settings.profile.rules().redirect_uri_demanded => Ok((only.as_str().to_owned(), false)),
        (None, _) => Err(RedirectError::Missing),
    }
}

impl AuthorizationRequest {
    /// The longest `state` that is returned, in bytes.
    pub(crate) const MAX_STATE: usize = 2_048;
    /// The most resources in one request.
    const MAX_RESOURCES: usize = 16;
    /// The longest `authorization_details` that are carried, in bytes.
    const MAX_DETAILS: usize = 8_192;

    /// Checks everything but who the client is and where the answer goes, which is known.
    pub(crate) fn check(
        settings: &Settings,
        client: &Client,
        form: &Form,
        (redirect_uri, redirect_uri_named): (String, bool),
    ) -> Result<Self, AuthorizationError> {
        if !client.grants.contains(&GrantType::AuthorizationCode) {
            return Err(AuthorizationError::ClientNotRegistered);
        }
        check_response(form)?;
        let state = read_state(form)?;
        let code_challenge = read_challenge(form)?;
        let resources = read_resources(settings, form)?;
        let scope = read_scope(settings, client, form, &resources)?;
        Ok(Self {
            client_id: client.id.clone(),
            redirect_uri,
            redirect_uri_named,
            state,
            scope,
            resources,
            code_challenge,
            jkt: read_jkt(form)?,
            prompt: read_prompt(form)?,
            authorization_details: read_details(client, form)?,
        })
    }

    /// Binds the code to the key of the proof that came with the request; it must be the one that `dpop_jkt` names
    /// (RFC 9449 §10.1).
    pub(crate) fn bind(&mut self, proof: Option<&Jkt>) -> Result<(), AuthorizationError> {
        match (self.jkt, proof) {
            (Some(named), Some(proof)) if named != *proof => Err(AuthorizationError::JktMismatch),
            (None, Some(proof)) => {
                self.jkt = Some(*proof);
                Ok(())
            }
            (_, None) | (Some(_), Some(_)) => Ok(()),
        }
    }
}

fn check_response(form: &Form) -> Result<(), AuthorizationError> {
    match form.get("response_type") {
        None => return Err(AuthorizationError::ResponseTypeMissing),
        Some("code") => {}
        Some(_) => return Err(AuthorizationError::ResponseTypeUnsupported),
    }
    match form.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(AuthorizationError::ResponseModeUnsupported),
    }
}

fn read_state(form: &Form) -> Result<Option<String>, AuthorizationError> {
    match form.get("state") {
        Some(state) if state.len() > AuthorizationRequest::MAX_STATE => Err(AuthorizationError::StateLength),
        state => Ok(state.map(str::to_owned)),
    }
}

/// PKCE (RFC 7636) is always demanded, and of its methods the one that hides the verifier.
fn read_challenge(form: &Form) -> Result<String, AuthorizationError> {
    let challenge = form.get("code_challenge").ok_or(AuthorizationError::ChallengeMissing)?;
    if form.get("code_challenge_method") != Some("S256") {
        return Err(AuthorizationError::ChallengeMethod);
    }
    let is_hash = decode_base64url(challenge).is_ok_and(|hash| hash.len() == 32);
    if is_hash { Ok(challenge.to_owned()) } else { Err(AuthorizationError::ChallengeMalformed) }
}

fn read_jkt(form: &Form) -> Result<Option<Jkt>, AuthorizationError> {
    let parse = |text: &str| text.parse().map_err(|_| AuthorizationError::JktMalformed);
    form.get("dpop_jkt").map(parse).transpose()
}

/// The values of OpenID Connect that make sense without it.
fn read_prompt(form: &Form) -> Result<Option<Prompt>, AuthorizationError> {
    let Some(text) = form.get("prompt") else { return Ok(None) };
    let values: Vec<&str> = text.split(' ').collect();
    match values.as_slice() {
        ["none"] => Ok(Some(Prompt::None)),
        ["consent"] => Ok(None),
        ["login" | "select_account"] | ["login", "consent"] | ["consent", "login"] => Ok(Some(Prompt::Login)),
        _ => Err(AuthorizationError::PromptUnknown),
    }
}

fn read_resources(settings: &Settings, form: &Form) -> Result<Vec<String>, AuthorizationError> {
    let mut named: Vec<String> = Vec::new();
    for name in form.all("resource") {
        if !settings.resources.iter().any(|resource| resource.identifier == name)
            || named.len() == AuthorizationRequest::MAX_RESOURCES
        {
            return Err(AuthorizationError::ResourceUnknown);
        }
        if !named.iter().any(|other| other == name) {
            named.push(name.to_owned());
        }
    }
    match (named.is_empty(), settings.resources.as_slice()) {
        (false, _) => Ok(named),
        (true, [only]) => Ok(vec![only.identifier.clone()]),
        (true, _) => Err(AuthorizationError::ResourceNotNamed),
    }
}

/// What is asked for, if the client and at least one of the resources have it, else all that they share.
fn read_scope(
    settings: &Settings,
    client: &Client,
    form: &Form,
    resources: &[String],
) -> Result<Scope, AuthorizationError> {
    let known = settings.resources.iter().filter(|resource| resources.contains(&resource.identifier));
    let tokens = known.flat_map(|resource| resource.scopes.iter());
    let known = Scope::from_tokens(tokens).map_err(|_| AuthorizationError::ScopeNotAllowed)?;
    let available = client.scopes.shared_with(&known);
    let Some(asked) = form.get("scope") else { return Ok(available) };
    let asked = Scope::parse(asked).map_err(|_| AuthorizationError::ScopeMalformed)?;
    if asked.is_subset_of(&available) { Ok(asked) } else { Err(AuthorizationError::ScopeNotAllowed) }
}

/// RFC 9396 §2: an array of objects, each with a `type` that the client is registered for.
fn read_details(client: &Client, form: &Form) -> Result<Option<Value>, AuthorizationError> {
    let Some(text) = form.get("authorization_details") else { return Ok(None) };
    if text.len() > AuthorizationRequest::MAX_DETAILS {
        return Err(AuthorizationError::Details);
    }
    let details: Value =
        countersign_dpop::jose::from_strict_json(text.as_bytes(), countersign_dpop::jose::JsonLimits::DOCUMENT)
            .map_err(|_| AuthorizationError::Details)?;
    let may_use = |item: &Value| {
        let kind = item.as_object().and_then(|item| item.get("type")).and_then(Value::as_str);
        kind.is_some_and(|kind| client.authorization_details_types.iter().any(|own| own == kind))
    };
    match details.as_array() {
        Some(items) if !items.is_empty() && items.iter().all(may_use) => Ok(Some(details)),
        Some(_) | None => Err(AuthorizationError::Details),
    }
}
