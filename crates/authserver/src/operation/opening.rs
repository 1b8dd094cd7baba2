//! Beginning to serve while the database is out of reach: requests are answered with 503 until it is there.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use countersign_dpop::time::Clock;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use tower::ServiceExt;

use crate::config::Settings;
use crate::server::{AuthServer, OpenError};
use crate::storage::StorageOpenError;

/// A server that may not be open yet.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    opened: Arc<OnceLock<Opened>>,
}

#[derive(Clone, Debug)]
struct Opened {
    server: AuthServer,
    main: Router,
    admin: Router,
}

/// How long to wait before the next try, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl Opening {
    pub(crate) fn of(server: AuthServer) -> Self {
        let (settings, clock) = (server.shared.settings.clone(), server.shared.clock.clone());
        let opening = Self { settings, clock, opened: Arc::default() };
        opening.take(server);
        opening
    }

    /// Opens the server, or leaves that to [`Opening::run`] if it only is the database that cannot be reached.
    pub(crate) async fn begin(settings: Arc<Settings>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let opening = Self { settings, clock, opened: Arc::default() };
        match opening.open().await {
            Err(fault) if is_out_of_reach(&fault) => {
                tracing::warn!(%fault, "requests are refused until the database can be reached");
            }
            opened => opening.take(opened?),
        }
        Ok(opening)
    }

    /// Tries again until the server is open.
    pub(crate) async fn run(&self) {
        let mut wait = FIRST_WAIT;
        while self.opened.get().is_none() {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            match self.open().await {
                Ok(server) => {
                    self.take(server);
                    tracing::info!("the database can be reached; requests are served");
                }
                Err(fault) => tracing::warn!(%fault, "the database still cannot be used"),
            }
        }
    }

    pub(crate) fn server(&self) -> Option<&AuthServer> {
        self.opened.get().map(|opened| &opened.server)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn router(&self) -> Router {
        match self.opened.get() {
            Some(opened) => opened.main.clone(),
            None => Router::new().fallback(answer).with_state(self.clone()),
        }
    }

    pub(crate) fn admin_router(&self) -> Router {
        match self.opened.get() {
            Some(opened) => opened.admin.clone(),
            None => {
                Router::new().route("/healthz", get(async || "ok\n")).fallback(answer_admin).with_state(self.clone())
            }
        }
    }

    async fn open(&self) -> Result<AuthServer, OpenError> {
        AuthServer::open(self.settings.clone(), self.clock.clone()).await
    }

    fn take(&self, server: AuthServer) {
        let (main, admin) = (server.router(), server.admin_router());
        let _ = self.opened.set(Opened { server, main, admin });
    }
}

async fn answer(State(opening): State<Opening>, request: Request) -> Response {
    pass_on(opening.opened.get().map(|opened| &opened.main), request).await
}

async fn answer_admin(State(opening): State<Opening>, request: Request) -> Response {
    pass_on(opening.opened.get().map(|opened| &opened.admin), request).await
}

/// A connection that was taken before the server was open is served afterwards too.
async fn pass_on(router: Option<&Router>, request: Request) -> Response {
    let Some(router) = router else { return not_yet() };
    router.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
}

fn not_yet() -> Response {
    let body = json!({ "ready": false, "waiting_for": ["storage"], "error_description": "the server cannot judge requests now" });
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response();
    let fields = response.headers_mut();
    fields.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether waiting may help: a database on this machine is there or is not, one elsewhere may come back.
fn is_out_of_reach(fault: &OpenError) -> bool {
    matches!(fault, OpenError::Storage(StorageOpenError::Postgres { .. }) | OpenError::StorageAway(_))
}
