//! The ordinary API of the demonstration. It knows nothing of DPoP: it reads who is calling from the fields that the
//! gateway sets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::chain::Place;
use crate::error::CommandError;

/// The most orders it keeps; it forgets the oldest.
const MAX_ORDERS: usize = 100;

type Orders = Arc<Mutex<Vec<Value>>>;

/// The API: `/orders` to read and add to, `/whoami` to see what the gateway says of the caller.
fn router() -> Router {
    let orders: Orders = Arc::new(Mutex::new(vec![
        json!({ "id": 1, "item": "tea", "boxes": 3 }),
        json!({ "id": 2, "item": "paper", "boxes": 12 }),
    ]));
    Router::new()
        .route("/orders", get(list).post(add))
        .route("/whoami", get(whoami))
        .layer(DefaultBodyLimit::max(64 * 1024))
        .with_state(orders)
}

/// Serves the API on a free port of this machine for as long as the process lives, and says where.
///
/// # Errors
/// When no port can be had.
pub(crate) async fn start() -> Result<String, CommandError> {
    let place = Place::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = place.url();
    tokio::spawn(async move {
        if let Err(fault) = axum::serve(place.into_listener(), router()).await {
            tracing::error!(%fault, "the small API is served no more");
        }
    });
    Ok(url)
}

async fn list(State(orders): State<Orders>) -> Json<Value> {
    let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    Json(json!({ "orders": *orders }))
}

async fn add(State(orders): State<Orders>, Json(order): Json<Value>) -> (StatusCode, Json<Value>) {
    let mut orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
    if orders.len() >= MAX_ORDERS {
        orders.remove(0);
    }
    orders.push(order.clone());
    (StatusCode::CREATED, Json(order))
}

async fn whoami(headers: HeaderMap) -> Json<Value> {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Json(json!({
        "subject": field("countersign-subject"),
        "client": field("countersign-client"),
        "scope": field("countersign-scope"),
        "jkt": field("countersign-jkt"),
        "token_seen": headers.contains_key("authorization") || headers.contains_key("dpop"),
    }))
}
