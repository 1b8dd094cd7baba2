//! The device authorization endpoint (RFC 8628 §3.1): a device without a browser asks, and gets a code to show.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::{Value, json};

use super::{DEVICE_PATH, Endpoint, Exchange};
use crate::client::Client;
use crate::device::{DeviceRequest, DeviceState, UserCode, draw_user_code, write_user_code};
use crate::error::{GrantError, Refusal};
use crate::form::Form;
use crate::grant::GrantType;
use crate::random::random_secret;
use crate::scope::Scope;
use crate::server::Shared;
use crate::storage;

pub(super) async fn authorize(State(server): State<Arc<Shared>>, request: Request) -> Response {
    let mut exchange = Exchange::begin(&server, Endpoint::DeviceAuthorization);
    match answer(&mut exchange, request).await {
        Ok(body) => {
            exchange.decision.log_answered("device_code_issued");
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            let mut response = ([no_store], axum::Json(body)).into_response();
            exchange.add_nonce(&mut response);
            response
        }
        Err(refusal) => exchange.refuse(&refusal),
    }
}

async fn answer(exchange: &mut Exchange<'_>, request: Request) -> Result<Value, Refusal> {
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await?;
    let proof = exchange.check_proof(&parts)?;
    let client = exchange.authenticate(&parts, &form, proof.as_ref()).await?;
    if !client.client.grants.contains(&GrantType::DeviceCode) {
        return Err(GrantError::ClientNotRegisteredForGrant.into());
    }
    let (server, now) = (exchange.server, exchange.now);
    let resources = read_resources(server, &form)?;
    let request = DeviceRequest {
        client_id: client.client.id.clone(),
        scope: read_scope(server, &client.client, &form, &resources)?,
        resources,
        jkt: proof.as_ref().map(|proof| *proof.jkt()),
        until: now.plus(DeviceRequest::LIFE),
        polled_at: now.plus(-DeviceRequest::INTERVAL),
        interval: DeviceRequest::INTERVAL,
        state: DeviceState::Pending,
    };
    let (device_code, user_code) = (random_secret()?, draw_user_code()?);
    let pointer = UserCode { request: storage::kept_as(&device_code), until: request.until };
    let changes = [storage::add(&device_code, &request)?, storage::add(&user_code, &pointer)?];
    server.commit(&client, proof, &changes, now).await?;
    let page = server.settings.issuer.endpoint(DEVICE_PATH);
    let user_code = write_user_code(&user_code);
    Ok(json!({
        "device_code": device_code.as_str(),
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": DeviceRequest::LIFE,
        "interval": DeviceRequest::INTERVAL,
    }))
}

/// The most resources in one request.
const MAX_RESOURCES: usize = 16;

fn read_resources(server: &Shared, form: &Form) -> Result<Vec<String>, GrantError> {
    let known = &server.settings.resources;
    let mut named: Vec<String> = Vec::new();
    for name in form.all("resource") {
        if !known.iter().any(|resource| resource.identifier == name) || named.len() == MAX_RESOURCES {
            return Err(GrantError::ResourceUnknown);
        }
        if !named.iter().any(|other| other == name) {
            named.push(name.to_owned());
        }
    }
    match (named.is_empty(), known.as_slice()) {
        (false, _) => Ok(named),
        (true, [only]) => Ok(vec![only.identifier.clone()]),
        (true, _) => Err(GrantError::ResourceNotNamed),
    }
}

/// What is asked for, if the client and one of the resources have it, else all that they share.
fn read_scope(server: &Shared, client: &Client, form: &Form, resources: &[String]) -> Result<Scope, GrantError> {
    let known = server.settings.resources.iter().filter(|resource| resources.contains(&resource.identifier));
    let known = Scope::from_tokens(known.flat_map(|resource| resource.scopes.iter())).unwrap_or_default();
    let available = client.scopes.shared_with(&known);
    let Some(asked) = form.get("scope") else { return Ok(available) };
    let asked = Scope::parse(asked).map_err(|_| GrantError::ScopeMalformed)?;
    if asked.is_subset_of(&available) { Ok(asked) } else { Err(GrantError::ScopeNotAllowed) }
}
