//! `countersign token`: what is known of the tokens there are, never the tokens.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use clap::Args;
use countersign_client::{AccessToken, Session, SessionStore, TokenKind};
use countersign_dpop::jose::{JsonLimits, decode_base64url, from_strict_json};
use countersign_dpop::time::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::keys::Sealing;
use crate::render::{self, BAD, BOLD, GOOD, NAME, styled};
use crate::sessions::{self, Which, session_error, token_error};

/// Shows claims and state of a session's token, or lists the sessions; never the token itself
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign token\n  countersign token https://api.example.com\n  countersign token \
https://api.example.com --json\n\nClaims are shown as they stand in the token; only the resource server checks its \
signature. Exit code 1 when the session has ended."
)]
pub(crate) struct TokenCommand {
    /// URL of the API [default: all sessions]
    url: Option<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    sealing: Sealing,
    /// Renew the token first, if that is due
    #[arg(long)]
    renew: bool,
    /// Print the token itself; on a terminal only, so that it ends up in no file and no pipe
    #[arg(long, conflicts_with = "json")]
    reveal: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl TokenCommand {
    /// Shows.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        if self.reveal && !stdout().is_terminal() {
            return Err(CommandError::configuration("a token is shown on a terminal only")
                .with_hint("programs do not need it: countersign call, agent and run send it for them"));
        }
        let store = self.which.store()?;
        if self.url.is_none() && !self.which.is_named() && !self.reveal && !self.renew {
            return self.list(&store);
        }
        let mut session = self.which.find(&store, self.url.as_deref())?;
        if self.renew {
            let client = sessions::client(&session, store.clone(), &self.sealing)?;
            let resource = session.config.resource().unwrap_or("URL").to_owned();
            client.token().await.map_err(|fault| token_error(&fault, &resource))?;
            session = store.load(&session.id()).map_err(session_error)?;
        }
        self.show(&session)
    }

    fn list(&self, store: &SessionStore) -> Result<ExitCode, CommandError> {
        let listed = store.list().map_err(session_error)?;
        let now = SystemClock.now();
        if self.json {
            let rows: Vec<_> = listed
                .iter()
                .map(|line| match &line.session {
                    Ok(session) => facts(session, now),
                    Err(fault) => json!({ "session": line.id.to_string(), "fault": fault.to_string() }),
                })
                .collect();
            render::json(&rows)?;
        } else if listed.is_empty() {
            render::line("nobody is logged in; countersign login URL does that");
        }
        for line in listed.iter().filter(|_| !self.json) {
            match &line.session {
                Ok(session) => row(session, now),
                Err(fault) => render::line(format_args!("{}  {}", line.id, styled(BAD, fault))),
            }
        }
        let all_readable = listed.iter().all(|line| line.session.is_ok());
        Ok(if all_readable { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn show(&self, session: &Session) -> Result<ExitCode, CommandError> {
        let (now, access) = (SystemClock.now(), &session.tokens.access);
        if self.json {
            render::json(&facts(session, now))?;
        } else {
            row(session, now);
            for (name, value) in claims(access).iter().filter_map(Value::as_object).flatten() {
                let name = styled(BOLD, format_args!("{name:14}"));
                render::line(format_args!("  {name} {}", printable(&value.to_string())));
            }
            if claims(access).is_none() {
                render::line("  the token is opaque: only its issuer knows what is in it");
            }
            if self.reveal {
                render::line(format_args!("\n{} {}", access.kind().scheme(), access.expose_secret()));
            }
        }
        let usable = access.is_usable(now) || session.can_renew();
        Ok(if usable { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn row(session: &Session, now: Timestamp) {
    let resource = styled(NAME, session.config.resource().unwrap_or("?"));
    let state = state(session, now);
    let state = if state.1 { styled(GOOD, state.0) } else { styled(BAD, state.0) };
    let label = if session.label.is_empty() { String::new() } else { format!(" ({})", session.label) };
    render::line(format_args!("{resource}{label}  {state}"));
    render::line(format_args!("  session        {}", session.id()));
    render::line(format_args!("  issuer         {}", session.config.issuer()));
    render::line(format_args!("  client         {}, by {}", session.config.client_id(), session.grant));
    let key = &session.config.keys().dpop;
    render::line(format_args!("  key            {key} in {}, jkt {}", session.config.keys().store, session.jkt));
}

/// The state in words, and whether it is good.
fn state(session: &Session, now: Timestamp) -> (String, bool) {
    let access = &session.tokens.access;
    let bound = if access.kind() == TokenKind::Dpop { "bound" } else { "NOT bound" };
    let life = match access.expires_at() {
        None => "no end said".to_owned(),
        Some(end) if end > now => format!("ends in {} s", end.since(now)),
        Some(end) => format!("ended {} s ago", now.since(end)),
    };
    let renewal = if session.can_renew() { "renewed by itself" } else { "not renewable" };
    let good = access.is_usable(now) || session.can_renew();
    (format!("{bound}, {life}, {renewal}"), good && access.kind() == TokenKind::Dpop)
}

fn facts(session: &Session, now: Timestamp) -> Value {
    let access = &session.tokens.access;
    let claims = claims(access);
    let binding = claims.as_ref().and_then(|claims| claims.pointer("/cnf/jkt")).and_then(Value::as_str);
    json!({
        "session": session.id().to_string(),
        "label": session.label,
        "issuer": session.config.issuer(),
        "client_id": session.config.client_id(),
        "resource": session.config.resource(),
        "scope": access.scope().or(session.config.scope()),
        "grant": session.grant.name(),
        "bound": access.kind() == TokenKind::Dpop,
        "usable": access.is_usable(now),
        "expires_at": access.expires_at().map(Timestamp::seconds),
        "renewed_by_itself": session.can_renew(),
        "key": session.config.keys().dpop.as_str(),
        "jkt": session.jkt.to_string(),
        "bound_to_this_key": binding.map(|jkt| jkt == session.jkt.to_string()),
        "claims": claims,
    })
}

/// The claims of a token that is a JWT, not checked; `None` for one that is opaque.
fn claims(access: &AccessToken) -> Option<Value> {
    let payload =
        access.expose_secret().split('.').nth(1).filter(|_| access.expose_secret().matches('.').count() == 2)?;
    let claims: Value = from_strict_json(&decode_base64url(payload).ok()?, JsonLimits::DOCUMENT).ok()?;
    claims.is_object().then_some(claims)
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(512).collect()
}
