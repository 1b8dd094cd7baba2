//! `countersign login`: from the URL of an API to a session.

mod flow;
mod plan;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_client::login::LoginTools;
use countersign_client::{ClientConfig, DiscoveryError, Login, LoginError, Session, TokenError};
use countersign_dpop::jose::Algorithm;
use countersign_dpop::time::SystemClock;
use serde_json::json;

use self::flow::Flow;
use crate::commands::call::tell;
use crate::error::CommandError;
use crate::input;
use crate::keys::{self, Keys, Sealing};
use crate::render::{self, NAME, styled};
use crate::sessions::{Sessions, session_error};

/// Logs in to an API: finds its issuer, opens the browser, and keeps tokens that are bound to a key
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag")]
#[command(after_help = "Examples:\n  countersign login https://api.example.com && countersign call GET \
https://api.example.com/orders\n  countersign login https://api.example.com --device\n  countersign login \
https://api.example.com --issuer https://idp.example.com --client-id my-app --scope 'read write'\n  countersign login \
--config client.toml --client-credentials\n  countersign login https://api.example.com --exchange token.txt \
--keys secret-service\n\nExit code 0 for a session, 1 when issuer or person say no, 2 when it could not be tried.")]
pub(crate) struct LoginCommand {
    /// URL of the API, or of anything in it; with --config that of the configuration
    #[arg(required_unless_present = "config")]
    url: Option<String>,
    /// File that describes a client which the issuer knows
    #[arg(long, value_name = "FILE", conflicts_with_all = ["issuer", "client_id", "client_metadata", "scope"])]
    config: Option<PathBuf>,
    /// Issuer, where the API names none or more than one
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Identifier of a public client which the issuer knows [default: one registered now, once for each issuer]
    #[arg(long, value_name = "ID", conflicts_with = "client_metadata")]
    client_id: Option<String>,
    /// URL of a client metadata document, which is the client's identifier
    #[arg(long, value_name = "URL")]
    client_metadata: Option<String>,
    /// Scopes to ask for, with blanks between them [default: those that the API asks for]
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// A name for this session, so that there can be several for one API
    #[arg(long, value_name = "NAME", default_value = "")]
    label: String,
    #[command(flatten)]
    flow: Flow,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    sealing: Sealing,
    /// Algorithm of a key that is made now: ES256, Ed25519, ES384, ES512, PS256, RS256
    #[arg(long, value_name = "ALG", default_value = "ES256")]
    alg: Algorithm,
    /// Go on with a token that is not bound to the key, where the issuer binds none
    #[arg(long)]
    allow_bearer: bool,
    /// Go on with an issuer that does not announce DPoP
    #[arg(long)]
    assume_dpop: bool,
    #[command(flatten)]
    sessions: Sessions,
    /// Print the session as JSON
    #[arg(long)]
    json: bool,
    /// Say on stderr what happens, step by step, without secrets
    #[arg(long, short)]
    verbose: bool,
}

impl LoginCommand {
    /// Logs in and keeps the session.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let prepared = self.prepare().await;
        let session = match prepared {
            Ok(login) => self.flow.run(&login).await?,
            Err(Failure::Command(error)) => return Err(error),
            Err(Failure::Login(fault)) => Err(fault),
        };
        match session {
            Ok(session) => {
                self.sessions.store()?.save(&session).map_err(session_error)?;
                self.show(&session)?;
                Ok(ExitCode::SUCCESS)
            }
            Err(fault) => refused(&fault),
        }
    }

    async fn prepare(&self) -> Result<Login, Failure> {
        let config = self.config.as_deref().map(read_config).transpose()?;
        let place = match &config {
            Some(config) => config.keys().store.clone(),
            None => self.keys.place()?,
        };
        let secret = self.sealing.passphrase_for_kept_key()?;
        let keys = place.open(secret, Arc::new(SystemClock)).map_err(keys::store_error)?;
        let mut tools = LoginTools::new(keys, self.sessions.store()?, Arc::new(SystemClock));
        if self.verbose {
            tools = tools.with_observer(tell);
        }
        let login = match config {
            Some(config) => Login::with_client(self.allowing(config)?, &self.label, &tools).await,
            None => Login::prepare(&self.plan(place)?, &tools).await,
        };
        login.map_err(Failure::Login)
    }

    /// The configuration with what the flags add to it. Relative paths in it would mean nothing in a session.
    fn allowing(&self, config: ClientConfig) -> Result<ClientConfig, CommandError> {
        let config = if self.allow_bearer { config.with_bearer_allowed() } else { config };
        let config = if self.assume_dpop { config.with_dpop_assumed() } else { config };
        match (config.resource(), &self.url) {
            (None, Some(url)) => config.with_resource(url).map_err(CommandError::configuration),
            (None, None) => Err(CommandError::configuration("the configuration names no resource")
                .with_hint("set `resource`, or give the URL of the API")),
            (Some(_), _) => Ok(config),
        }
    }

    fn show(&self, session: &Session) -> Result<(), CommandError> {
        let (config, access) = (&session.config, &session.tokens.access);
        if self.json {
            return render::json(&json!({
                "session": session.id().to_string(),
                "issuer": config.issuer(),
                "client_id": config.client_id(),
                "resource": config.resource(),
                "scope": access.scope().or(config.scope()),
                "grant": session.grant.name(),
                "bound": access.kind() == countersign_client::TokenKind::Dpop,
                "jkt": session.jkt.to_string(),
                "key": config.keys().dpop.as_str(),
                "expires_at": access.expires_at().map(countersign_dpop::time::Timestamp::seconds),
                "renewed_by_itself": session.can_renew(),
            }));
        }
        let resource = config.resource().unwrap_or_default();
        render::line(format_args!("logged in to {} at {}", styled(NAME, resource), config.issuer()));
        render::line(format_args!("client   {}", config.client_id()));
        render::line(format_args!("scope    {}", access.scope().or(config.scope()).unwrap_or("not said")));
        render::line(format_args!("key      {} (jkt {})", config.keys().dpop, session.jkt));
        if access.kind() == countersign_client::TokenKind::Bearer {
            render::line("token    NOT bound to the key: whoever gets hold of it can use it");
        }
        let renewal =
            if session.can_renew() { "renewed by itself" } else { "not renewable: log in again when it ends" };
        render::line(format_args!("session  {}, {renewal}", session.id()));
        let command = format!("countersign call GET {}", self.url.as_deref().unwrap_or(resource));
        render::line(format_args!("\ntype next:\n  {}", styled(NAME, command)));
        Ok(())
    }
}

/// Why nothing was prepared.
enum Failure {
    Command(CommandError),
    Login(LoginError),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

pub(crate) fn read_config(path: &std::path::Path) -> Result<ClientConfig, CommandError> {
    let text = input::read_private_text(path, "the client's configuration")?;
    let directory = path.parent().unwrap_or(std::path::Path::new("."));
    let directory = std::path::absolute(directory).map_err(CommandError::configuration)?;
    let wrong = |fault| CommandError::configuration(format!("{}: {fault}", path.display()));
    ClientConfig::parse(&text, &directory).map_err(wrong)
}

/// An answer that says no is exit code 1; what could not be tried is 2.
fn refused(fault: &LoginError) -> Result<ExitCode, CommandError> {
    let hint = match fault {
        LoginError::ClientUnknown { .. } => "countersign login URL --client-id ID, or --config FILE",
        LoginError::Token(TokenError::Downgraded { .. }) => {
            "have DPoP switched on for this client, or go on with --allow-bearer"
        }
        LoginError::Discovery(DiscoveryError::DpopNotAnnounced { .. }) => {
            "--assume-dpop goes on if it binds tokens all the same, --allow-bearer if it does not"
        }
        LoginError::Discovery(DiscoveryError::NoResourceMetadata { .. }) => "countersign login URL --issuer ISSUER",
        LoginError::Discovery(DiscoveryError::EndpointMissing { .. }) => {
            "try --device, or --client-credentials with a client that has a secret or key"
        }
        LoginError::TimeOut => "--timeout SECONDS waits longer; --device needs no browser on this machine",
        _ => "-v shows every step up to here",
    };
    match fault {
        LoginError::Authorization(_)
        | LoginError::Token(TokenError::Refused { .. } | TokenError::Downgraded { .. }) => {
            render::error_line("refused", &fault.to_string());
            render::error_line("hint", hint);
            Ok(ExitCode::from(1))
        }
        fault => Err(CommandError::configuration(format!("not logged in: {fault}")).with_hint(hint)),
    }
}
