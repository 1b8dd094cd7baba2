//! Introspection (RFC 7662, RFC 9449 §6.2): what a token says and whether it is good now. Asked by clients that
//! authenticate; about a token that is none of their business they learn as much as about one that does not exist.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::{Map, Value, json};

use super::{Endpoint, Exchange};
use crate::access_token::Claims;
use crate::authentication::ClientError;
use crate::client::{AuthMethod, Client};
use crate::error::Refusal;
use crate::form::Form;
use crate::server::Shared;

pub(super) async fn introspect(State(server): State<Arc<Shared>>, request: Request) -> Response {
    let mut exchange = Exchange::begin(&server, Endpoint::Introspection);
    match answer(&mut exchange, request).await {
        Ok(found) => {
            exchange.decision.log_answered(if found.is_some() { "active" } else { "inactive" });
            let body = found.map_or_else(|| json!({ "active": false }), |claims| describe(&claims));
            let mut response = axum::Json(body).into_response();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            exchange.add_nonce(&mut response);
            response
        }
        Err(refusal) => exchange.refuse(&refusal),
    }
}

/// The token's claims, if it is good and the client may know.
async fn answer(exchange: &mut Exchange<'_>, request: Request) -> Result<Option<Claims>, Refusal> {
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await?;
    let token = form.required("token")?;
    let proof = exchange.check_proof(&parts)?;
    let client = exchange.authenticate(&parts, &form, proof.as_ref()).await?;
    if client.client.credential.method() == AuthMethod::None {
        return Err(ClientError::Public.into());
    }
    let server = exchange.server;
    let known = Claims::read(token, server, exchange.now).filter(|claims| may_ask(server, &client.client, claims));
    let live = match known {
        Some(claims) if server.is_live(&claims, exchange.now).await? => Some(claims),
        Some(_) | None => None,
    };
    server.commit(&client, proof, &[], exchange.now).await?;
    Ok(live)
}

/// The client it was issued to, and those that serve the resource it is for.
fn may_ask(server: &Shared, client: &Client, claims: &Claims) -> bool {
    let resource = server.settings.resources.iter().find(|resource| resource.identifier == claims.aud);
    claims.client_id == client.id || resource.is_some_and(|resource| resource.may_be_introspected_by(&client.id))
}

fn describe(claims: &Claims) -> Value {
    let mut members = match serde_json::to_value(claims) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    };
    members.insert("active".to_owned(), json!(true));
    members.insert("token_type".to_owned(), json!(if claims.cnf.is_some() { "DPoP" } else { "Bearer" }));
    Value::Object(members)
}
