//! `countersign agent`: serving.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use countersign_agent::config::{AgentConfig, BindingConfig};
use countersign_agent::{AgentSettings, BindingName, BindingSettings, Listen, Running};
use tracing_subscriber::filter::LevelFilter;

use super::home::{CONTROL, Home};
use super::identity::{Identity, log_in, of_file};
use super::quick::{self, Quick};
use crate::error::CommandError;
use crate::logging::{self, LogFlags};
use crate::{input, render, serving};

/// What to serve.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// File that describes the bindings
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_AGENT", conflicts_with = "resource")]
    config: Option<PathBuf>,
    /// URL that the local address stands for
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// Loopback address and port to listen on; port 0 picks one
    #[arg(long, value_name = "ADDR", conflicts_with = "socket")]
    listen: Option<SocketAddr>,
    /// Unix socket to listen on instead of a port
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// How long a request waits for a person, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    approval_wait: u32,
    /// Lock after so many seconds without a request
    #[arg(long, value_name = "SECONDS")]
    idle_lock: Option<u32>,
    /// Command that tells a person that something waits; the text is added to it
    #[arg(long, value_name = "CMD")]
    notify: Option<String>,
    #[command(flatten)]
    quick: Quick,
    #[command(flatten)]
    log: LogFlags,
}

impl Serve {
    /// Serves until a signal comes.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        logging::start(&self.log, LevelFilter::WARN);
        serving::raise_file_limit();
        let shutdown = serving::shutdown_signal()?;
        let home = match (&self.config, &self.resource) {
            (Some(file), _) => self.of_file(file).await?,
            (None, Some(resource)) => self.of_flags(resource).await?,
            (None, None) => {
                return Err(CommandError::configuration("nothing to sign for")
                    .with_hint("say --resource URL, or --config FILE for more than one"));
            }
        };
        shutdown.await;
        home.agent.stop().await;
        Ok(ExitCode::SUCCESS)
    }

    async fn of_flags(&self, resource: &str) -> Result<Home, CommandError> {
        let notify = self.notify.iter().map(|line| format!("{line} \"$0\""));
        let notify: Vec<String> = notify.flat_map(|line| ["sh".into(), "-c".into(), line, "{text}".into()]).collect();
        let settings = AgentSettings {
            approval_wait: Duration::from_secs(self.approval_wait.into()),
            idle_lock: self.idle_lock,
            notify,
            ..AgentSettings::default()
        };
        let place = quick::listen(self.listen, self.socket.clone());
        let listen = |directory: &Path, name: &BindingName| kept(place, directory, name);
        let (home, running) = self.quick.open(resource, listen, settings).await?;
        render::status(format_args!("journal and control socket in {}", home.directory.display()));
        render::status(format_args!("ready {}", address(&running)));
        Ok(home)
    }

    async fn of_file(&self, file: &Path) -> Result<Home, CommandError> {
        let text = input::read_text(file, "the agent's configuration")?;
        let directory = file.parent().unwrap_or(Path::new("."));
        let config = AgentConfig::parse(&text, directory)
            .map_err(|fault| CommandError::configuration(format!("{}: {fault}", file.display())))?;
        quick::harden();
        let given = self.quick.directory.clone().or(config.directory);
        let home = Home::open(given.as_deref(), "main", config.settings).await?;
        let mut identities = Vec::new();
        for binding in config.bindings {
            let (running, identity) = self.binding(&home, binding).await?;
            render::status(format_args!(
                "binding {} {} for {}",
                running.binding.name(),
                address(&running),
                running.binding.resource()
            ));
            identities.push(identity);
        }
        home.revoke_with(identities);
        render::status(format_args!("ready {}", home.directory.join(CONTROL).display()));
        Ok(home)
    }

    async fn binding(&self, home: &Home, config: BindingConfig) -> Result<(Running, Identity), CommandError> {
        let identity = self.identity(&config).await?;
        let own_socket = || Listen::Socket(home.directory.join(format!("{}.sock", config.name)));
        let settings = BindingSettings {
            listen: kept(config.listen.unwrap_or_else(own_socket), &home.directory, &config.name),
            name: config.name,
            resource: config.resource,
            client: identity.client.clone(),
            policy: config.policy,
            scope: config.scope,
            reason: config.reason,
            lifetime: config.lifetime,
        };
        let running = home.agent.open(settings).await.map_err(CommandError::configuration)?;
        Ok((running, identity))
    }
}

impl Serve {
    async fn identity(&self, config: &BindingConfig) -> Result<Identity, CommandError> {
        if let Some(file) = &config.client {
            return of_file(file, &self.quick.sealing);
        }
        let plan = self.quick.plan(config)?;
        log_in(&plan, &self.quick.desk()).await
    }
}

/// A port keeps its address in the agent's directory: programs are told it once.
fn kept(listen: Listen, directory: &Path, name: &BindingName) -> Listen {
    match listen {
        Listen::Port(address) => Listen::KeptPort { address, file: directory.join(format!("{name}.port")) },
        Listen::Socket(_) | Listen::KeptPort { .. } | Listen::Nowhere => listen,
    }
}

/// The address as the ready line says it.
fn address(running: &Running) -> String {
    match (&running.socket, &running.url) {
        (Some(socket), _) => format!("unix:{}", socket.display()),
        (None, Some(url)) => url.clone(),
        (None, None) => "nowhere".to_owned(),
    }
}
