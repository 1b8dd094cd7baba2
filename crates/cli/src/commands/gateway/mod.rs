//! `countersign gateway`: the guard in front of any API.

mod check;
mod file;
mod init;
mod log;
mod report;
mod simulate;
mod through;
mod watch;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use countersign_dpop::time::SystemClock;
use countersign_gateway::{Gateway, GatewayConfig, GatewayError, Logs, Settings};
use tracing_subscriber::filter::LevelFilter;

use self::file::ConfigFile;
use crate::engine::KeyFlags;
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::{render, serving};

/// Guards an API: checks token, proof and binding of every request, and forwards what is right
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  countersign gateway --listen 127.0.0.1:8080 --public-origin https://api.example.com \
\\\n    --upstream http://127.0.0.1:9000 --issuer https://idp.example.com --audience https://api.example.com\n\n\
Every flag is also a key of the configuration file (public_origin = \"…\") and a COUNTERSIGN_* variable; a flag wins \
over a variable, a variable over the file. Verdicts go to stdout, one JSON line each."
)]
pub(crate) struct GatewayCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    flags: ServeFlags,
}

/// What else to do with a gateway.
#[derive(Debug, Subcommand)]
enum Action {
    /// Tries a configuration: file, issuers, upstream, store, clock; with --through also the way to the gateway
    Check(check::CheckCommand),
    /// Writes a commented configuration to start from; an existing file is left as it is
    Init(init::InitCommand),
    /// Says from the decision log how far clients have moved to DPoP, and who is ready for which stage
    Report(report::ReportCommand),
    /// Says from the decision log who would break at a stage
    Simulate(simulate::SimulateCommand),
}

/// What a serving gateway is told.
#[derive(Clone, Debug, Args)]
struct ServeFlags {
    /// TOML file with the same keys as the flags
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    /// What to do with a request that may pass: proxy it; forward-auth, to answer another proxy; ext-authz, to answer
    /// Envoy over gRPC [default: proxy]
    #[arg(long, value_name = "MODE", env = "COUNTERSIGN_MODE")]
    mode: Option<String>,
    /// With --mode forward-auth, the proxy that asks: nginx, caddy, traefik
    #[arg(long, value_name = "PROXY", env = "COUNTERSIGN_PROXY")]
    proxy: Option<String>,
    /// With --mode ext-authz, let token and proof go on to an API that checks proofs itself
    #[arg(long, env = "COUNTERSIGN_KEEP_CREDENTIALS")]
    keep_credentials: bool,
    /// Network or address that this proxy asks from; may be given more than once [default: loopback]
    #[arg(long = "trusted-proxy", value_name = "NETWORK", env = "COUNTERSIGN_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// Address to listen on; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "COUNTERSIGN_LISTEN")]
    listen: Option<String>,
    /// Let another process be bound to the same address, so that two versions can overlap (SO_REUSEPORT)
    #[arg(long, env = "COUNTERSIGN_REUSE_PORT")]
    reuse_port: bool,
    /// File with the certificate (PEM) for TLS towards clients; read again when it changes [default: plain HTTP]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_TLS_CERTIFICATE")]
    tls_certificate: Option<String>,
    /// File with its private key (PEM)
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_TLS_KEY")]
    tls_key: Option<String>,
    /// URL under which clients know the API; proofs must be for it
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_PUBLIC_ORIGIN")]
    public_origin: Option<String>,
    /// URL of the API to guard
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_UPSTREAM", hide_env_values = true)]
    upstream: Option<String>,
    /// File with the certificates (PEM) to trust the API by, for https [default: what the system trusts]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_UPSTREAM_CA_FILE")]
    upstream_ca_file: Option<String>,
    /// File with the certificate (PEM) to show to the API
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_UPSTREAM_CERTIFICATE")]
    upstream_certificate: Option<String>,
    /// File with its private key (PEM)
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_UPSTREAM_KEY")]
    upstream_key: Option<String>,
    /// Issuer of the access tokens
    #[arg(long, value_name = "URL", env = "COUNTERSIGN_ISSUER")]
    issuer: Option<String>,
    /// Audience that tokens must name: the resource identifier, a URL
    #[arg(long, value_name = "AUD", env = "COUNTERSIGN_AUDIENCE")]
    audience: Option<String>,
    /// The issuer's keys [default: found through its metadata]
    #[arg(long, value_name = "FILE-or-URL", env = "COUNTERSIGN_JWKS")]
    jwks: Option<String>,
    /// How far enforcement goes: observe, accept, prefer, require [default: require]
    #[arg(long, value_name = "STAGE", env = "COUNTERSIGN_STAGE")]
    stage: Option<String>,
    /// When proofs must carry a nonce: never, optional, required [default: optional]
    #[arg(long, value_name = "WHEN", env = "COUNTERSIGN_NONCE")]
    nonce: Option<String>,
    /// How long a proof is good: rfc, strict, fapi2, mcp, atproto [default: rfc]
    #[arg(long, value_name = "PRESET", env = "COUNTERSIGN_WINDOW")]
    window: Option<String>,
    /// Accepted proof algorithms, separated by commas [default: all that are implemented]
    #[arg(long, value_name = "LIST", env = "COUNTERSIGN_ALGS")]
    algs: Option<String>,
    /// Where used proofs are remembered: memory (one process), node (many, each with its own nonces), or
    /// redis://HOST:PORT, rediss://HOST:PORT for many that share one [default: memory]
    #[arg(long, value_name = "STORE", env = "COUNTERSIGN_REPLAY", hide_env_values = true)]
    replay: Option<String>,
    /// File with the password of that server; COUNTERSIGN_REPLAY may also hold it, as redis://:PASSWORD@HOST
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_REPLAY_PASSWORD_FILE")]
    replay_password_file: Option<String>,
    /// File with the certificates (PEM) to trust that server by [default: what the system trusts]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_REPLAY_CA_FILE")]
    replay_ca_file: Option<String>,
    /// How many used proofs are remembered at a time [default: 2000000]
    #[arg(long, value_name = "NUMBER", env = "COUNTERSIGN_REPLAY_CAPACITY")]
    replay_capacity: Option<u32>,
    #[command(flatten)]
    keys: KeyFlags,
    /// Of so many ES256 signatures that a table's engine accepted, aws-lc-rs checks one; 0 for none [default: 1024]
    #[arg(long, value_name = "NUMBER", env = "COUNTERSIGN_ES256_CHECK_ACCEPTED")]
    es256_check_accepted: Option<u32>,
    /// Of so many that it refused, aws-lc-rs checks one; 0 for none [default: 64]
    #[arg(long, value_name = "NUMBER", env = "COUNTERSIGN_ES256_CHECK_REFUSED")]
    es256_check_refused: Option<u32>,
    /// Origin whose pages may call the API; may be given more than once
    #[arg(long = "cors-origin", value_name = "URL", env = "COUNTERSIGN_CORS_ORIGINS", value_delimiter = ',')]
    cors_origins: Vec<String>,
    /// Address for /healthz, /readyz and /metrics [default: none]
    #[arg(long, value_name = "ADDR", env = "COUNTERSIGN_ADMIN")]
    admin: Option<String>,
    #[command(flatten)]
    log: LogFlags,
}

impl GatewayCommand {
    /// Does what is asked, or serves until a signal comes.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        match self.action {
            None => self.flags.serve().await,
            Some(Action::Check(command)) => command.run().await,
            Some(Action::Init(command)) => command.run(),
            Some(Action::Report(command)) => command.run(),
            Some(Action::Simulate(command)) => command.run(),
        }
    }
}

impl ServeFlags {
    async fn serve(self) -> Result<ExitCode, CommandError> {
        logging::start(&self.log, LevelFilter::INFO);
        refuse_passwords_as_arguments()?;
        let (settings, files) = self.settings()?;
        logging::set_level(self.level(&settings));
        for warning in &settings.warnings {
            render::error_line("warning", warning);
        }
        serving::raise_file_limit();
        let shutdown = serving::shutdown_signal()?;
        let decisions = Arc::new(logs(&settings)?);
        let gateway = Gateway::bind(settings, Arc::new(SystemClock), decisions).await.map_err(cannot_start)?;
        // One for each core that this process may use.
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let gateway = gateway.with_workers(cores).map_err(cannot_start)?;
        let watching = tokio::spawn(watch::Watch::new(self, files, gateway.reloader())?.run());
        serving::ready(gateway.local_addr(), gateway.admin_addr());
        gateway.serve(shutdown).await;
        watching.abort();
        Ok(ExitCode::SUCCESS)
    }

    /// Flags and variables over the file; files that are named count from the file's directory or from here.
    fn settings(&self) -> Result<(Settings, Vec<PathBuf>), CommandError> {
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let said = self.clone().said();
        let (config, directory) = match &file {
            Some(file) => (said.over(file.config().clone()), file.directory()),
            None => (said, Path::new(".")),
        };
        let files = self.config.iter().cloned().chain(config.files(directory)).collect();
        let settings = config.resolve(directory).map_err(|faults| {
            let faults = file.as_ref().map_or_else(|| faults.to_string(), |file| file.explain(&faults));
            CommandError::configuration(format!("the gateway cannot start like this:\n{faults}"))
                .with_hint("countersign gateway --help shows every setting with an example")
        })?;
        Ok((settings, files))
    }

    /// A flag or variable wins over the file.
    fn level(&self, settings: &Settings) -> LevelFilter {
        let of_file = settings.log.level.as_deref().and_then(|level| level.parse().ok());
        self.log.log.or(of_file).unwrap_or(LevelFilter::INFO)
    }

    fn said(self) -> GatewayConfig {
        GatewayConfig {
            mode: self.mode,
            proxy: self.proxy,
            keep_credentials: self.keep_credentials.then_some(true),
            trusted_proxies: self.trusted_proxies,
            listen: self.listen,
            reuse_port: self.reuse_port.then_some(true),
            tls_certificate: self.tls_certificate.map(from_here),
            tls_key: self.tls_key.map(from_here),
            public_origin: self.public_origin,
            upstream: self.upstream,
            upstream_ca_file: self.upstream_ca_file.map(from_here),
            upstream_certificate: self.upstream_certificate.map(from_here),
            upstream_key: self.upstream_key.map(from_here),
            issuer: self.issuer,
            audience: self.audience,
            jwks: self.jwks.map(from_here),
            stage: self.stage,
            nonce: self.nonce,
            window: self.window,
            algs: self.algs,
            replay: self.replay,
            replay_password_file: self.replay_password_file.map(from_here),
            replay_ca_file: self.replay_ca_file.map(from_here),
            replay_capacity: self.replay_capacity,
            es256_check_accepted: self.es256_check_accepted,
            es256_check_refused: self.es256_check_refused,
            cors_origins: self.cors_origins,
            admin: self.admin,
            ..self.keys.said()
        }
    }
}

/// Every user of the machine can read the arguments of a process.
fn refuse_passwords_as_arguments() -> Result<(), CommandError> {
    let has_password =
        |argument: String| argument.contains("redis") && argument.contains("://") && argument.contains('@');
    if std::env::args().any(has_password) {
        let fault = CommandError::configuration(
            "the URL of the replay store has a password in it, and stands where all can read it",
        );
        return Err(fault.with_hint("use --replay-password-file, or set COUNTERSIGN_REPLAY instead"));
    }
    Ok(())
}

/// Opens the logs of requests.
fn logs(settings: &Settings) -> Result<Logs, CommandError> {
    let log = &settings.log;
    Logs::open((&log.decisions, log.decisions_format), (&log.access, log.access_format))
        .map_err(|fault| CommandError::configuration(format!("a log cannot be opened: {fault}")))
}

/// A file named on the command line counts from here, not from the configuration's directory.
fn from_here(place: String) -> String {
    if place.contains("://") {
        return place;
    }
    std::path::absolute(&place).ok().and_then(|path| path.into_os_string().into_string().ok()).unwrap_or(place)
}

/// Says why a gateway cannot start.
pub(crate) fn cannot_start(fault: GatewayError) -> CommandError {
    match fault {
        GatewayError::Listen { address, fault } => serving::cannot_listen(address, &fault),
        fault => CommandError::configuration(fault),
    }
}
