//! The MCP server: an ordinary one by the official SDK, with two tools and no idea of OAuth.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{ServerCapabilities, ServerConfig};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use tokio_util::sync::CancellationToken;

use crate::chain::Place;

#[derive(Clone)]
struct Ledger {
    entries: Arc<Mutex<Vec<String>>>,
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Ledger {
    #[tool(description = "Reads the ledger")]
    fn read_ledger(&self) -> String {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).join(", ")
    }

    #[tool(description = "Writes a line into the ledger")]
    fn write_ledger(&self) -> String {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("line {}", entries.len() + 1);
        entries.push(line.clone());
        line
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Ledger {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

/// Serves it at `/mcp`.
pub(super) fn serve(place: Place, ended: CancellationToken) {
    let entries = Arc::new(Mutex::new(vec!["line 1".to_owned()]));
    let config = StreamableHttpServerConfig::default().with_cancellation_token(ended.child_token());
    let service = StreamableHttpService::<Ledger, LocalSessionManager>::new(
        move || Ok(Ledger { entries: Arc::clone(&entries), tool_router: Ledger::tool_router() }),
        Arc::default(),
        config,
    );
    let router = axum::Router::new().nest_service("/mcp", service);
    tokio::spawn(async move {
        let serving = axum::serve(place.into_listener(), router);
        if let Err(fault) = serving.with_graceful_shutdown(async move { ended.cancelled().await }).await {
            tracing::error!(%fault, "the ledger is served no more");
        }
    });
}
