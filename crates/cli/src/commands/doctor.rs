//! `countersign doctor`: everything between a person and an API that can be wrong, looked at one by one.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_client::keys::ListedKey;
use countersign_client::{Endpoint, Inspection, Session, SessionStore, TimeLimits, TokenError};
use countersign_dpop::jose::Algorithm;
use countersign_dpop::time::SystemClock;
use serde::Serialize;

use super::agent::health;
use crate::error::CommandError;
use crate::keys::{self, Keys, Sealing};
use crate::render::{self, BAD, GOOD, NAME, styled};
use crate::sessions::{self, Which, session_error};

/// Looks at clock, keys, sessions, issuers, APIs and agents, and says what to do about what is wrong
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign doctor\n  countersign doctor https://api.example.com --json\n\nExit code 0 \
when all is well, 1 when something is not."
)]
pub(crate) struct DoctorCommand {
    /// URL of an API, logged in to or not [default: all sessions]
    url: Option<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    sealing: Sealing,
    /// Print the findings as a JSON array
    #[arg(long)]
    json: bool,
}

/// One finding.
#[derive(Serialize)]
struct Finding {
    what: String,
    fine: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    todo: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, what: impl Into<String>, found: impl Into<String>) {
        self.0.push(Finding { what: what.into(), fine: true, found: found.into(), todo: None });
    }

    fn wrong(&mut self, what: impl Into<String>, found: impl Into<String>, todo: impl Into<String>) {
        self.0.push(Finding { what: what.into(), fine: false, found: found.into(), todo: Some(todo.into()) });
    }

    fn failed(&mut self, what: impl Into<String>, error: &CommandError) {
        self.wrong(what, error.message(), error.hint().unwrap_or("the message says it"));
    }
}

/// A clock that is off by more is refused by strict servers, in seconds.
const MAX_OFFSET: u64 = 5;

impl DoctorCommand {
    /// Looks.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let inspection = Inspection::new(TimeLimits::default(), Arc::new(SystemClock))
            .map_err(|fault| CommandError::internal(format!("the HTTP client could not be set up: {fault}")))?;
        let mut findings = Findings::default();
        self.key_storage(&mut findings);
        let store = self.which.store()?;
        for session in self.sessions(&store, &mut findings)? {
            self.session(&session, &store, &mut findings).await;
            issuer(&inspection, session.config.issuer(), &mut findings).await;
            if let Some(reach) = session.reach() {
                clock(&inspection, &reach, &mut findings).await;
            }
        }
        if let Some(url) = &self.url {
            self.resource(&inspection, url, &mut findings).await?;
        }
        for agent in health::agents().await {
            let what = format!("agent in {}", agent.directory.display());
            match agent.found {
                Ok(found) => findings.fine(what, found),
                Err((found, todo)) => findings.wrong(what, found, todo),
            }
        }
        show(&findings.0, self.json)
    }

    fn key_storage(&self, findings: &mut Findings) {
        let opened = self.keys.place().and_then(|place| {
            let secret = self.sealing.passphrase_for_kept_key()?;
            let keys = keys::open(&place, secret)?.list().map_err(keys::store_error)?;
            Ok((place, keys))
        });
        match opened {
            Err(fault) => findings.failed("key storage", &fault),
            Ok((place, keys)) => {
                findings.fine("key storage", format!("{place}, {} keys", keys.len()));
                for ListedKey { name, key } in keys {
                    if let Err(fault) = key {
                        let todo = fault.remedy().unwrap_or("see the message");
                        findings.wrong(format!("key {name}"), format!("A04 {fault}"), todo);
                    }
                }
            }
        }
    }

    /// The sessions to look at; those that cannot be read are findings.
    fn sessions(&self, store: &SessionStore, findings: &mut Findings) -> Result<Vec<Session>, CommandError> {
        if self.url.is_some() || self.which.is_named() {
            return Ok(self.which.find(store, self.url.as_deref()).into_iter().collect());
        }
        let listed = store.list().map_err(session_error)?;
        if listed.is_empty() {
            findings.fine("sessions", "none; countersign login URL makes one");
        }
        let mut sessions = Vec::new();
        for line in listed {
            match line.session {
                Ok(session) => sessions.push(session),
                Err(fault) => findings.failed(format!("session {}", line.id), &session_error(fault)),
            }
        }
        Ok(sessions)
    }

    async fn session(&self, session: &Session, store: &SessionStore, findings: &mut Findings) {
        let resource = session.config.resource().unwrap_or("?");
        let what = format!("session for {resource}");
        let client = match sessions::client(session, store.clone(), &self.sealing) {
            Err(fault) => return findings.failed(what, &fault),
            Ok(client) => client,
        };
        match client.token().await {
            Ok(token) if token.kind() == countersign_client::TokenKind::Dpop => {
                findings.fine(what, format!("a token that is good, bound to {}", session.jkt));
            }
            Ok(_) => {
                findings.wrong(what, "its token is not bound to the key", "have DPoP switched on, and log in again");
            }
            Err(fault @ TokenError::LoginNeeded { .. }) => {
                findings.wrong(what, fault.to_string(), format!("countersign login {resource}"));
            }
            Err(fault) => findings.wrong(what, fault.to_string(), "see the lines about its issuer"),
        }
    }

    async fn resource(&self, inspection: &Inspection, url: &str, findings: &mut Findings) -> Result<(), CommandError> {
        let endpoint = Endpoint::parse(url)
            .map_err(|fault| CommandError::configuration(format!("the URL cannot be called: {fault}")))?;
        clock(inspection, &endpoint, findings).await;
        match inspection.resource(&endpoint).await {
            Err(fault) => {
                findings.wrong("resource", fault.to_string(), "countersign login URL --issuer ISSUER names it");
            }
            Ok(metadata) => {
                findings.fine("resource", format!("{}, by {}", metadata.resource, metadata.url));
                let es256 = Algorithm::Es256.name();
                if !metadata.dpop_algorithms.is_empty() && !metadata.dpop_algorithms.iter().any(|name| name == es256) {
                    let found = format!("takes proofs by {}", metadata.dpop_algorithms.join(", "));
                    findings.wrong("algorithms", found, "countersign login URL --alg with one of those");
                }
                for name in &metadata.authorization_servers {
                    issuer(inspection, name, findings).await;
                }
            }
        }
        Ok(())
    }
}

async fn issuer(inspection: &Inspection, name: &str, findings: &mut Findings) {
    let what = format!("issuer {name}");
    match inspection.issuer(name).await {
        Err(fault) => {
            findings.wrong(what, fault.to_string(), "see that it runs and that its name is written letter by letter");
        }
        Ok(facts) if facts.dpop_algorithms.is_empty() => findings.wrong(
            what,
            "does not announce DPoP (dpop_signing_alg_values_supported)",
            "switch DPoP on there, or put countersign authserver with token exchange in front of it",
        ),
        Ok(facts) => {
            let algorithms = facts.dpop_algorithms.join(" ");
            findings.fine(what, format!("proofs by {algorithms}; offers {}", facts.offers.join(", ")));
            if let Ok(endpoint) = Endpoint::parse(&facts.url) {
                clock(inspection, &endpoint, findings).await;
            }
        }
    }
}

async fn clock(inspection: &Inspection, url: &Endpoint, findings: &mut Findings) {
    let what = format!("clock against {}", url.origin());
    match inspection.clock_offset(url).await {
        Err(fault) => findings.wrong(what, fault.to_string(), "see that it runs and can be reached from here"),
        Ok(None) => findings.fine(what, "it does not tell the time"),
        Ok(Some(offset)) if offset.unsigned_abs() <= MAX_OFFSET => findings.fine(what, format!("{offset} s apart")),
        Ok(Some(offset)) => {
            let found = format!("it is {} s {}", offset.unsigned_abs(), if offset < 0 { "behind" } else { "ahead" });
            findings.wrong(what, found, "set this machine's clock by NTP; if it is right, the server's is wrong");
        }
    }
}

fn show(findings: &[Finding], json: bool) -> Result<ExitCode, CommandError> {
    if json {
        render::json(&findings)?;
    }
    for finding in findings.iter().filter(|_| !json) {
        let (mark, style) = if finding.fine { ("ok   ", GOOD) } else { ("WRONG", BAD) };
        render::line(format_args!("{}  {}: {}", styled(style, mark), styled(NAME, &finding.what), finding.found));
        if let Some(todo) = &finding.todo {
            render::line(format_args!("       to do: {todo}"));
        }
    }
    let all_fine = findings.iter().all(|finding| finding.fine);
    Ok(if all_fine { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
