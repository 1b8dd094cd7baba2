//! A guarded axum service. Tokens come from the issuer named on the command line, for instance:
//!
//! ```text
//! cargo run -p countersign-resource --example axum --features axum -- http://127.0.0.1:8080
//! ```
//!
//! Then call `http://127.0.0.1:3000/hello` with a token for the audience `http://127.0.0.1:3000`.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use countersign_dpop::time::{Clock, SystemClock};
use countersign_dpop::{NonceKey, PublicOrigin};
use countersign_replay::{MemoryReplayConfig, MemoryReplayStore};
use countersign_resource::fetch::{Fetch, ReqwestFetch};
use countersign_resource::{Access, DpopLayer, IssuerConfig, Issuers, ResourceConfig, ResourceServer};

async fn hello(access: Access) -> String {
    let who = access.subject().unwrap_or("somebody");
    let scopes: Vec<_> = access.scopes().collect();
    format!("Hello {who}, you may {scopes:?}; this request was signed by {:?}.\n", access.jkt())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let issuer = std::env::args().nth(1).ok_or("name the issuer: its URL")?;
    let origin = PublicOrigin::parse("http://127.0.0.1:3000")?;
    let fetch: Arc<dyn Fetch> = Arc::new(ReqwestFetch::new()?);
    let issuers = Issuers::new(vec![IssuerConfig::discovered(issuer)?], &fetch)?;
    let config = ResourceConfig::new("http://127.0.0.1:3000", origin, issuers)?;
    let replay = Arc::new(MemoryReplayStore::new(MemoryReplayConfig::default(), SystemClock.now())?);
    let server = ResourceServer::new(config, replay, Arc::new(SystemClock), NonceKey::generate()?);

    let app = Router::new().route("/hello", get(hello)).layer(DpopLayer::new(server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
