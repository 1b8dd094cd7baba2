//! Pushed authorization requests (RFC 9126): checked as if they came by the browser, by a client that is known, bound to
//! the key of the proof that comes with them (RFC 9449 §10.1).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use countersign_dpop::CheckedProof;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{Endpoint, Exchange};
use crate::authorization::{
    AuthorizationError, AuthorizationRequest, PushedRequest, read_request_object, redirect_target,
};
use crate::error::Refusal;
use crate::form::Form;
use crate::grant::GrantContext;
use crate::random::random_secret;
use crate::server::Shared;
use crate::storage;

/// Seconds that a pushed request waits for its user. FAPI 2.0 (§5.3.2.2) wants less than 600.
pub(crate) const REQUEST_LIFE: i64 = 590;

pub(super) async fn push(State(server): State<Arc<Shared>>, request: Request) -> Response {
    let mut exchange = Exchange::begin(&server, Endpoint::PushedRequest);
    match answer(&mut exchange, request).await {
        Ok(request_uri) => {
            exchange.decision.log_done(StatusCode::CREATED);
            let body = json!({ "request_uri": request_uri, "expires_in": REQUEST_LIFE });
            let mut response = (StatusCode::CREATED, axum::Json(body)).into_response();
            let fields = response.headers_mut();
            fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            fields.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
            exchange.add_nonce(&mut response);
            response
        }
        Err(refusal) => exchange.refuse(&refusal),
    }
}

async fn answer(exchange: &mut Exchange<'_>, request: Request) -> Result<String, Refusal> {
    let server = exchange.server;
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await?;
    let proof = exchange.check_proof(&parts)?;
    let client = exchange.authenticate(&parts, &form, proof.as_ref()).await?;
    let context = GrantContext { server, form: &form, client: &client, proof, now: exchange.now };
    let request = check(&context, &form).await?;
    let until = exchange.now.plus(REQUEST_LIFE);
    let pushed = PushedRequest { request, until, answered: false };
    let name = format!("{}{}", PushedRequest::PREFIX, random_secret()?.as_str());
    server.commit(&client, context.proof, &[storage::add(&name, &pushed)?], exchange.now).await?;
    Ok(name)
}

/// The request of the form, or of the signed request object in it, which then is the whole request.
async fn check(context: &GrantContext<'_>, form: &Form) -> Result<AuthorizationRequest, AuthorizationError> {
    let client = context.client();
    if form.get("request_uri").is_some() {
        return Err(AuthorizationError::RequestUriPushed);
    }
    match form.get("request") {
        Some(object) => {
            let signed = read_request_object(context.server, client, object, context.now).await?;
            check_parameters(context, &signed)
        }
        None if client.signature_demanded => Err(AuthorizationError::SignatureRequired),
        None => check_parameters(context, form),
    }
}

fn check_parameters(context: &GrantContext<'_>, form: &Form) -> Result<AuthorizationRequest, AuthorizationError> {
    let (settings, client) = (&context.server.settings, context.client());
    let target = redirect_target(settings, client, form)?;
    let mut request = AuthorizationRequest::check(settings, client, form, target)?;
    request.bind(context.proof.as_ref().map(CheckedProof::jkt))?;
    Ok(request)
}
