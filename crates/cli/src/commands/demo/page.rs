//! The page of the demonstration: who is where, what to type, what the gateway said last, what the thief tried.

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use countersign_probe::battery::AttackRow;
use countersign_resource::{Decision, DecisionOutcome};

use super::stage::Stage;
use super::story::said;
use super::verdicts::LastVerdicts;
use crate::chain::{self, Place};
use crate::error::CommandError;
use crate::render::{self, NAME, styled};
use crate::serving;

/// Takes the port of the page; before the story, so that a port in use is not found at its end.
pub(super) async fn place(port: u16) -> Result<Place, CommandError> {
    Place::bind(SocketAddr::from(([127, 0, 0, 1], port))).await
}

/// Serves the page until `shutdown` ends.
pub(super) async fn serve(
    place: Place,
    stage: &Stage,
    rows: &[AttackRow],
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), CommandError> {
    let page = Arc::new(Page::new(stage, rows));
    render::line("");
    render::line("everything keeps running; type in another terminal:");
    for command in &page.commands {
        render::line(format_args!("  {}", styled(NAME, &command.line)));
    }
    render::line(format_args!("the last verdicts are at {}; Ctrl-C ends it all", styled(NAME, place.url())));
    serving::ready(place.address(), None);
    let router = Router::new().route("/", get(show)).route("/style.css", get(style)).with_state(page);
    axum::serve(place.into_listener(), router)
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(|fault| CommandError::internal(format!("the page cannot be served: {fault}")))
}

/// What stays the same on the page, and where the rest comes from.
struct Page {
    jkt: String,
    issuer: String,
    gateway: String,
    upstream: String,
    commands: Vec<CommandToType>,
    attacks: Vec<AttackShown>,
    verdicts: Arc<LastVerdicts>,
}

#[derive(Clone)]
struct CommandToType {
    says: &'static str,
    line: String,
}

#[derive(Clone)]
struct AttackShown {
    tried: &'static str,
    status: String,
    code: &'static str,
    says: &'static str,
    right: bool,
}

struct VerdictShown {
    time: String,
    client: String,
    code: String,
    jkt: String,
    reason: String,
    accepted: bool,
}

#[derive(Template)]
#[template(path = "demo.html")]
struct PageTemplate<'a> {
    jkt: &'a str,
    issuer: &'a str,
    gateway: &'a str,
    upstream: &'a str,
    commands: &'a [CommandToType],
    attacks: &'a [AttackShown],
    verdicts: Vec<VerdictShown>,
}

impl Page {
    fn new(stage: &Stage, rows: &[AttackRow]) -> Self {
        Self {
            jkt: stage.client.jkt().to_string(),
            issuer: stage.issuer.clone(),
            gateway: stage.gateway.clone(),
            upstream: stage.upstream.clone(),
            commands: commands(stage),
            attacks: rows.iter().map(AttackShown::from).collect(),
            verdicts: Arc::clone(&stage.verdicts),
        }
    }
}

fn commands(stage: &Stage) -> Vec<CommandToType> {
    let (program, gateway) = (chain::program(), &stage.gateway);
    let client = chain::quoted(&stage.data.client_file().to_string_lossy());
    vec![
        CommandToType {
            says: "a call by the honest client, every step shown",
            line: format!("{program} call -v --config {client} GET {gateway}/orders"),
        },
        CommandToType {
            says: "something is added through the gateway",
            line: format!("{program} call --config {client} POST {gateway}/orders --data '{{\"item\":\"ink\"}}'"),
        },
        CommandToType { says: "anybody without key and token", line: format!("curl -i {gateway}/orders") },
    ]
}

impl From<&AttackRow> for AttackShown {
    fn from(row: &AttackRow) -> Self {
        Self {
            tried: row.tried,
            status: row.status.map_or_else(|| "none".to_owned(), |status| status.to_string()),
            code: row.code.unwrap_or("-"),
            says: said(row.verdict),
            right: row.is_right(),
        }
    }
}

impl From<&Decision> for VerdictShown {
    fn from(decision: &Decision) -> Self {
        let seconds = decision.time.rem_euclid(86_400);
        Self {
            time: format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60),
            client: decision.client.as_deref().unwrap_or("-").to_owned(),
            code: decision.error.unwrap_or(decision.code).to_owned(),
            jkt: decision.jkt.map_or_else(|| "-".to_owned(), |jkt| jkt.to_string().chars().take(12).collect()),
            reason: decision.reason.clone().unwrap_or_default(),
            accepted: decision.outcome == DecisionOutcome::Granted,
        }
    }
}

async fn show(State(page): State<Arc<Page>>) -> Response {
    let template = PageTemplate {
        jkt: &page.jkt,
        issuer: &page.issuer,
        gateway: &page.gateway,
        upstream: &page.upstream,
        commands: &page.commands,
        attacks: &page.attacks,
        verdicts: page.verdicts.newest_first().iter().map(VerdictShown::from).collect(),
    };
    match template.render() {
        Ok(html) => (GUARDS, Html(html)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Nothing but this page's own style may be loaded, and nobody may frame it.
const GUARDS: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../../templates/demo.css"))
}
