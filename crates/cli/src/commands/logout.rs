//! `countersign logout`: tokens revoked, session and key gone.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use countersign_client::{Session, SessionStore};
use countersign_dpop::time::SystemClock;
use serde_json::json;

use crate::error::CommandError;
use crate::keys::Sealing;
use crate::render;
use crate::sessions::{self, Which, session_error};

/// Logs out: revokes the tokens at the issuer, and forgets session and key
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  countersign logout https://api.example.com\n  countersign logout --all\n\nExit code 0 \
when the issuer was told, 1 when it could not be told: the session is gone from this machine either way. A key that is \
sealed by a passphrase needs it, so that the issuer can be told; where it is forgotten, `countersign key delete` goes \
before."
)]
pub(crate) struct LogoutCommand {
    /// URL of the API
    url: Option<String>,
    /// Log out of every session there is
    #[arg(long, conflicts_with_all = ["url", "session"])]
    all: bool,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    sealing: Sealing,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// What became of one session.
struct Ended {
    session: String,
    resource: Option<String>,
    /// Why the issuer was not told, if so.
    not_told: Option<String>,
}

impl LogoutCommand {
    /// Ends the sessions.
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let store = self.which.store()?;
        let mut ended = Vec::new();
        for session in self.sessions(&store)? {
            ended.push(self.end(&session, &store).await?);
        }
        let told = ended.iter().all(|one| one.not_told.is_none());
        self.show(&ended)?;
        Ok(if told { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// A session that cannot be read any more is forgotten without further ado, where all are to go.
    fn sessions(&self, store: &SessionStore) -> Result<Vec<Session>, CommandError> {
        if !self.all {
            return Ok(vec![self.which.find(store, self.url.as_deref())?]);
        }
        let mut readable = Vec::new();
        for listed in store.list().map_err(session_error)? {
            match listed.session {
                Ok(session) => readable.push(session),
                Err(_) => drop(store.remove(&listed.id).map_err(session_error)?),
            }
        }
        Ok(readable)
    }

    async fn end(&self, session: &Session, store: &SessionStore) -> Result<Ended, CommandError> {
        sessions::require_unlocked(session, &self.sealing)?;
        let id = session.id();
        let not_told = match sessions::client(session, store.clone(), &self.sealing) {
            Ok(client) => match client.log_out().await {
                Ok(true) => None,
                Ok(false) => Some("the issuer has no revocation endpoint".to_owned()),
                Err(fault) => Some(fault.to_string()),
            },
            Err(fault) => Some(fault.message().to_owned()),
        };
        store.remove(&id).map_err(session_error)?;
        self.delete_own_key(session)?;
        Ok(Ended { session: id.to_string(), resource: session.config.resource().map(str::to_owned), not_told })
    }

    /// The key that was made for this session alone goes with it.
    fn delete_own_key(&self, session: &Session) -> Result<(), CommandError> {
        let places = session.config.keys();
        if places.dpop.as_str() == format!("session-{}", session.id()) {
            let secret = self.sealing.passphrase_for_kept_key()?;
            if let Ok(keys) = places.store.open(secret, Arc::new(SystemClock)) {
                // One that is not there any more is gone as well.
                let _ = keys.delete(&places.dpop);
            }
        }
        Ok(())
    }

    fn show(&self, ended: &[Ended]) -> Result<(), CommandError> {
        if self.json {
            let rows: Vec<_> = ended
                .iter()
                .map(|one| {
                    json!({ "session": one.session, "resource": one.resource, "revoked": one.not_told.is_none(),
                                   "reason": one.not_told })
                })
                .collect();
            return render::json(&rows);
        }
        if ended.is_empty() {
            render::line("nobody was logged in");
        }
        for one in ended {
            let resource = one.resource.as_deref().unwrap_or("?");
            match &one.not_told {
                None => render::line(format_args!("logged out of {resource}; its tokens are revoked")),
                Some(reason) => {
                    render::line(format_args!(
                        "logged out of {resource} on this machine; the issuer was not told: {reason}"
                    ));
                }
            }
        }
        Ok(())
    }
}
