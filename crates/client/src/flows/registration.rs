//! Dynamic client registration (RFC 7591).

use bytes::Bytes;
use countersign_dpop::ErrorCode;
use countersign_dpop::jose::{JsonLimits, from_strict_json};
use http::{HeaderValue, Method, StatusCode, header};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use crate::discovery::IssuerMetadata;
use crate::flows::TokenError;
use crate::http::Http;
use crate::sessions::KeptRegistration;
use crate::shown::shown;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct NewClient<'a> {
    pub(crate) name: &'a str,
    pub(crate) redirect_uri: Option<&'a str>,
    pub(crate) grants: &'a [&'a str],
    pub(crate) scope: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    client_id: String,
    client_secret: Option<String>,
    token_endpoint_auth_method: Option<String>,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    error_description: Option<String>,
}

/// Registers a public client whose tokens are to be bound.
pub(crate) async fn register(
    http: &Http,
    issuer: &str,
    metadata: &IssuerMetadata,
    client: &NewClient<'_>,
) -> Result<KeptRegistration, TokenError> {
    let endpoint = metadata.require_registration_endpoint()?;
    let mut request = http::Request::new(Bytes::from(client.to_json()));
    *request.method_mut() = Method::POST;
    for name in [header::CONTENT_TYPE, header::ACCEPT] {
        request.headers_mut().insert(name, HeaderValue::from_static("application/json"));
    }
    let failed = |fault| TokenError::Transport { endpoint: endpoint.to_string(), fault };
    let answer = http.fetch(endpoint, request).await.map_err(failed)?;
    if !matches!(answer.status, StatusCode::OK | StatusCode::CREATED) {
        return Err(refused(endpoint.to_string(), answer.status, &answer.body));
    }
    let malformed = |reason| TokenError::Malformed { reason };
    let said: Answer = from_strict_json(&answer.body, JsonLimits::DOCUMENT)
        .map_err(|_| malformed("the registration's answer is not a JSON object with client_id"))?;
    let plain = said.client_id.bytes().all(|b| b.is_ascii_graphic());
    if !plain || said.client_id.is_empty() || said.client_id.len() > 1_024 {
        return Err(malformed("the registration's client_id is empty, too long, or not text"));
    }
    // A public client was asked for: a secret counts only where the issuer wants to see it again.
    let is_public = match said.token_endpoint_auth_method.as_deref() {
        Some(method) => method == "none",
        None => metadata.require_method("client_secret_basic").is_err(),
    };
    let client_secret = said.client_secret.filter(|secret| !secret.is_empty() && !is_public).map(SecretString::from);
    Ok(KeptRegistration { issuer: issuer.to_owned(), client_id: said.client_id, client_secret })
}

impl NewClient<'_> {
    fn to_json(&self) -> String {
        let mut members = json!({
            "client_name": self.name,
            "application_type": "native",
            "token_endpoint_auth_method": "none",
            "grant_types": self.grants,
            "dpop_bound_access_tokens": true,
        });
        if let Some(redirect_uri) = self.redirect_uri {
            members["redirect_uris"] = json!([redirect_uri]);
            members["response_types"] = json!(["code"]);
        }
        if let Some(scope) = self.scope {
            members["scope"] = json!(scope);
        }
        members.to_string()
    }
}

fn refused(endpoint: String, status: StatusCode, body: &[u8]) -> TokenError {
    let said: Option<ErrorAnswer> = from_strict_json(body, JsonLimits::DOCUMENT).ok();
    let error: Option<ErrorCode> = said.as_ref().and_then(|said| said.error.parse().ok());
    let description = said.and_then(|said| said.error_description).map(|text| shown(&text));
    TokenError::Refused { endpoint, status: status.as_u16(), error, description }
}
