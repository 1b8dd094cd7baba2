//! `countersign up`: authorization server and gateway for development, in one process, with a client to try it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_dpop::time::SystemClock;
use countersign_gateway::{DecisionLines, GatewayConfig};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;

use crate::chain::{self, DataDirectory, Place};
use crate::commands::demo::upstream;
use crate::engine::KeyFlags;
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::render::{self, BOLD, NAME, styled};
use crate::serving;

/// Runs an authorization server and a gateway for development, and makes a client for them
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  countersign up --upstream http://127.0.0.1:9000\n\nKeys, database and client.toml are \
kept in the data directory, so the next start goes on with them. For development: plain http on loopback, and \
everything in one process."
)]
pub(crate) struct UpCommand {
    /// URL of the API to guard [default: a small API of its own]
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_UPSTREAM", hide_env_values = true)]
    upstream: Option<String>,
    /// Directory for keys, database and client.toml
    #[arg(long, value_name = "DIR", default_value = "countersign-data")]
    data: PathBuf,
    /// Address of the gateway; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = loopback)]
    listen: SocketAddr,
    /// Address of the authorization server; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090", value_parser = loopback)]
    authserver_listen: SocketAddr,
    /// Address for /healthz, /readyz and /metrics of the gateway [default: none]
    #[arg(long, value_name = "ADDR", env = "COUNTERSIGN_ADMIN")]
    admin: Option<SocketAddr>,
    /// Print one JSON line for every verdict of the gateway
    #[arg(long)]
    decisions: bool,
    #[command(flatten)]
    keys: KeyFlags,
    #[command(flatten)]
    log: LogFlags,
}

impl UpCommand {
    /// Serves until a signal comes.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        logging::start(&self.log, LevelFilter::WARN);
        serving::raise_file_limit();
        let shutdown = serving::shutdown_signal()?;
        let data = DataDirectory::open(&self.data)?;
        let upstream = match &self.upstream {
            Some(upstream) => upstream.clone(),
            None => upstream::start().await?,
        };
        let (front, back) = (Place::bind(self.listen).await?, Place::bind(self.authserver_listen).await?);
        let (origin, issuer) = (front.url(), back.url());
        let client = chain::client(&data, &issuer, &origin)?;
        let authserver = chain::authserver(back, &data, &[&origin], Arc::new(SystemClock)).await?;
        let writer: Box<dyn std::io::Write + Send> =
            if self.decisions { Box::new(std::io::stdout()) } else { Box::new(std::io::sink()) };
        let decisions = Arc::new(DecisionLines::new(writer));
        let extra = GatewayConfig { admin: self.admin.map(|admin| admin.to_string()), ..self.keys.said() };
        let gateway = chain::gateway(front, &upstream, &issuer, decisions, extra).await?;
        data.write_client(&client)?;

        tell(&origin, &issuer, &upstream, &data.client_file(), self.upstream.is_none());
        let (address, admin, state) = (gateway.local_addr(), gateway.admin_addr(), gateway.reloader());
        tokio::spawn(async move {
            serving::until_ready(&state).await;
            serving::ready(address, admin);
        });
        let ended = CancellationToken::new();
        let stop = ended.clone();
        tokio::spawn(async move {
            shutdown.await;
            stop.cancel();
        });
        tokio::join!(gateway.serve(ended.cancelled()), authserver.serve(ended.cancelled()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Says where everything is and what to type next.
fn tell(origin: &str, issuer: &str, upstream: &str, client: &Path, own_upstream: bool) {
    let label = |text: &str| styled(BOLD, format_args!("{text:21}"));
    render::line(format_args!("{} {origin}", label("gateway")));
    render::line(format_args!("{} {issuer}", label("authorization server")));
    render::line(format_args!("{} {upstream}", label("guarded API")));
    render::line(format_args!("{} {}", label("client"), client.display()));
    let path = if own_upstream { "/orders" } else { "/" };
    let command =
        format!("{} call --config {} GET {origin}{path}", chain::program(), chain::quoted(&client.to_string_lossy()));
    render::line(format_args!("\ntype in another terminal:\n  {}", styled(NAME, command)));
}

/// Plain http is for this machine only, so nothing else may be listened on.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "an address is written 127.0.0.1:8080".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("up speaks plain http, so it listens on loopback only; for more use gateway and authserver".to_owned())
    }
}
