//! Dynamic client registration (RFC 7591): off unless the configuration has an initial access token, and then for whoever
//! presents it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use countersign_dpop::error::ErrorCode;
use countersign_dpop::jose::{JsonLimits, encode_base64url, from_strict_json};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use crate::config::{AuthSetting, Registration, sha256};
use crate::decision::PageDecision;
use crate::error::OAuthError;
use crate::registered::{AddClientError, AddedClient, RegisteredClient, Registrar};
use crate::server::Shared;

/// Why a client is not registered. `Display` is for the log.
#[derive(Debug, thiserror::Error)]
enum RegistrationError {
    #[error("no initial access token")]
    TokenMissing,
    #[error("not the initial access token")]
    TokenWrong,
    #[error("the body is not a JSON object of at most {MAX_LENGTH} bytes")]
    Body,
    #[error("{0}")]
    Metadata(String),
    #[error("{0}")]
    RedirectUri(String),
    #[error("{0}")]
    Away(String),
}

/// The longest body, in bytes.
const MAX_LENGTH: usize = 64 * 1_024;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn register(State(server): State<Arc<Shared>>, request: Request) -> Response {
    let Some(registration) = &server.settings.registration else { return StatusCode::NOT_FOUND.into_response() };
    let mut decision = PageDecision::at("registration", &server.metrics);
    let answered = answer(&server, registration, request, &mut decision).await;
    match answered {
        Ok(body) => {
            decision.note("registered");
            decision.log(StatusCode::CREATED);
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            (StatusCode::CREATED, [no_store], axum::Json(body)).into_response()
        }
        Err(error) => {
            decision.refuse(error.name(), &error);
            let response = error.answer();
            decision.log(response.status());
            response
        }
    }
}

async fn answer(
    server: &Shared,
    registration: &Registration,
    request: Request,
    decision: &mut PageDecision,
) -> Result<Map<String, Value>, RegistrationError> {
    let (parts, body) = request.into_parts();
    check_token(registration, &parts.headers)?;
    let members = read_body(&parts.headers, body).await?;
    let now = server.clock.now();
    let auth = read_auth(&members)?;
    let client_id = draw_id().ok_or_else(|| RegistrationError::Away("no random bytes".to_owned()))?;
    let described = registration.strangers.describe(&members, client_id, auth, Registrar::Itself, now);
    let client = described.map_err(RegistrationError::Metadata)?;
    let added = server.add_client(client.clone()).await?;
    decision.client = Some(client.client_id.clone());
    Ok(describe(&client, &added))
}

/// Compared as a hash and in constant time.
fn check_token(registration: &Registration, headers: &HeaderMap) -> Result<(), RegistrationError> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(RegistrationError::TokenMissing) };
    let text = field.to_str().map_err(|_| RegistrationError::TokenMissing)?;
    let (scheme, token) = text.split_once(' ').ok_or(RegistrationError::TokenMissing)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(RegistrationError::TokenMissing);
    }
    let is_right = sha256(token.trim_matches(' ').as_bytes()).ct_eq(&registration.token_sha256);
    if is_right.into() { Ok(()) } else { Err(RegistrationError::TokenWrong) }
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, RegistrationError> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|field| field.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(RegistrationError::Body);
    }
    let bytes = tokio::time::timeout(PATIENCE, to_bytes(body, MAX_LENGTH)).await;
    let bytes = bytes.map_err(|_| RegistrationError::Body)?.map_err(|_| RegistrationError::Body)?;
    from_strict_json(&bytes, JsonLimits::DOCUMENT).map_err(|_| RegistrationError::Body)
}

fn read_auth(members: &Map<String, Value>) -> Result<AuthSetting, RegistrationError> {
    match members.get("token_endpoint_auth_method").map(Value::as_str) {
        None | Some(Some("client_secret_basic")) => Ok(AuthSetting::ClientSecretBasic),
        Some(Some("client_secret_post")) => Ok(AuthSetting::ClientSecretPost),
        Some(Some("private_key_jwt")) => Ok(AuthSetting::PrivateKeyJwt),
        Some(Some("none")) => Ok(AuthSetting::None),
        Some(_) => Err(RegistrationError::Metadata("token_endpoint_auth_method is not known here".to_owned())),
    }
}

fn draw_id() -> Option<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(encode_base64url(bytes))
}

/// Everything that was registered (RFC 7591 §3.2.1), which may be less than was asked for.
fn describe(client: &RegisteredClient, added: &AddedClient) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("client_id", json!(client.client_id));
    add("client_id_issued_at", json!(client.registered_at));
    if let Some(secret) = &added.secret {
        add("client_secret", json!(secret.expose_secret()));
        add("client_secret_expires_at", json!(0));
    }
    add("token_endpoint_auth_method", json!(crate::client::AuthMethod::from(client.auth).as_str()));
    add("grant_types", json!(client.grants));
    add("scope", json!(client.scopes.join(" ")));
    if !client.redirect_uris.is_empty() {
        add("redirect_uris", json!(client.redirect_uris));
        add("response_types", json!(["code"]));
    }
    let optional = [
        ("client_name", client.name.as_ref().map(|name| json!(name))),
        ("jwks", client.jwks.clone()),
        ("jwks_uri", client.jwks_uri.as_ref().map(|uri| json!(uri))),
        ("dpop_bound_access_tokens", client.dpop_bound_access_tokens.map(|bound| json!(bound))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            add(name, value);
        }
    }
    members
}

impl From<AddClientError> for RegistrationError {
    fn from(error: AddClientError) -> Self {
        match error {
            AddClientError::Wrong(faults) if faults.0.iter().any(|fault| fault.key.name == "redirect_uris") => {
                Self::RedirectUri(faults.to_string())
            }
            AddClientError::Wrong(faults) => Self::Metadata(faults.to_string()),
            // The identifier is random.
            AddClientError::Taken => Self::Away("the identifier is taken".to_owned()),
            AddClientError::Storage(fault) => Self::Away(fault.to_string()),
            AddClientError::NoRandomness(fault) => Self::Away(fault.to_string()),
        }
    }
}

impl RegistrationError {
    /// The stable name, for logs and metrics.
    const fn name(&self) -> &'static str {
        match self {
            Self::TokenMissing => "registration_token_missing",
            Self::TokenWrong => "registration_token_wrong",
            Self::Body => "registration_body",
            Self::Metadata(_) => "registration_metadata",
            Self::RedirectUri(_) => "registration_redirect_uri",
            Self::Away(_) => "registration_away",
        }
    }

    fn answer(&self) -> Response {
        let (status, code, description) = match self {
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, None, "an initial access token is required"),
            Self::TokenWrong => {
                (StatusCode::UNAUTHORIZED, Some(ErrorCode::InvalidToken), "the initial access token is wrong")
            }
            Self::Body => {
                (StatusCode::BAD_REQUEST, Some(ErrorCode::InvalidClientMetadata), "the body must be a JSON object")
            }
            Self::Metadata(_) => (
                StatusCode::BAD_REQUEST,
                Some(ErrorCode::InvalidClientMetadata),
                "the metadata is not acceptable; the log of the server says why",
            ),
            Self::RedirectUri(_) => {
                (StatusCode::BAD_REQUEST, Some(ErrorCode::InvalidRedirectUri), "a redirect URI is not acceptable")
            }
            Self::Away(_) => (StatusCode::SERVICE_UNAVAILABLE, None, "the server cannot register clients now"),
        };
        let wait = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1));
        let error = OAuthError { status, code, description, challenge: false, retry_after: wait, nonce: None };
        let mut response = error.into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = match self {
                Self::TokenWrong => r#"Bearer realm="registration", error="invalid_token""#,
                _ => r#"Bearer realm="registration""#,
            };
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
