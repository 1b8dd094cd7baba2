//! Which session, and the client of it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use countersign_client::keys::KeyStoreError;
use countersign_client::sessions::SessionError;
use countersign_client::{Client, Endpoint, OpenError, Session, SessionStore, TokenError};
use countersign_dpop::time::SystemClock;

use crate::error::CommandError;
use crate::keys::{self, Sealing};

/// Where sessions are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sessions {
    /// Directory of the sessions [default: countersign/sessions in the user's data directory]
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_SESSIONS")]
    sessions: Option<PathBuf>,
}

impl Sessions {
    /// The store.
    pub(crate) fn store(&self) -> Result<SessionStore, CommandError> {
        let directory = match &self.sessions {
            Some(directory) => directory.clone(),
            None => keys::data_directory("sessions", "--sessions DIR")?,
        };
        Ok(SessionStore::in_directory(directory))
    }
}

/// Which session.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// Session by its identifier, the beginning of it, or its label
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    #[command(flatten)]
    sessions: Sessions,
}

impl Which {
    /// The store.
    pub(crate) fn store(&self) -> Result<SessionStore, CommandError> {
        self.sessions.store()
    }

    /// True when a session is named.
    pub(crate) const fn is_named(&self) -> bool {
        self.session.is_some()
    }

    /// The session that is named, or the one for `url`; without either the only one there is.
    pub(crate) fn find(&self, store: &SessionStore, url: Option<&str>) -> Result<Session, CommandError> {
        if let Some(name) = &self.session {
            return one_of(store, |session| session.id().to_string().starts_with(name) || session.label == *name)?
                .ok_or_else(|| CommandError::configuration(format!("there is no session '{name}'")).with_hint(LIST));
        }
        match url {
            Some(url) => {
                let endpoint = Endpoint::parse(url).map_err(|fault| {
                    CommandError::configuration(format!("the URL cannot be called: {fault}"))
                        .with_hint("write it whole, like https://api.example.com/orders")
                })?;
                let found = store.find(&endpoint).map_err(session_error)?;
                found.ok_or_else(|| {
                    CommandError::configuration(format!("nobody is logged in to {endpoint}"))
                        .with_hint(format!("countersign login {endpoint}   (or name a client file with --config)"))
                })
            }
            None => one_of(store, |_| true)?
                .ok_or_else(|| CommandError::configuration("nobody is logged in").with_hint("countersign login URL")),
        }
    }
}

const LIST: &str = "countersign token lists the sessions there are";

/// The one session that fits; more than one is a question.
fn one_of(store: &SessionStore, fits: impl Fn(&Session) -> bool) -> Result<Option<Session>, CommandError> {
    let sessions = store.list().map_err(session_error)?.into_iter().filter_map(|listed| listed.session.ok());
    let mut fitting = sessions.filter(fits);
    let (first, second) = (fitting.next(), fitting.next());
    if second.is_some() {
        return Err(CommandError::configuration("there is more than one such session")
            .with_hint("say which by URL or --session; countersign token lists them"));
    }
    Ok(first)
}

/// The client of a session, with its key unlocked.
pub(crate) fn client(session: &Session, store: SessionStore, sealing: &Sealing) -> Result<Client, CommandError> {
    let secret = sealing.passphrase_for_kept_key()?;
    let keys = session.config.keys().store.open(secret, Arc::new(SystemClock)).map_err(|fault| key_lost(&fault))?;
    Client::of_session(session, store, keys.as_ref(), Arc::new(SystemClock)).map_err(open_error)
}

/// Says why a client cannot be opened.
pub(crate) fn open_error(fault: OpenError) -> CommandError {
    match fault {
        OpenError::KeyStore(fault) => key_lost(&fault),
        fault @ OpenError::KeyChanged { .. } => CommandError::configuration(format!("A04 {fault}"))
            .with_hint("countersign login with the same URL makes a new session with the new key"),
        fault => CommandError::configuration(fault),
    }
}

/// A key that only waits for its passphrase is no reason to go on without it.
pub(crate) fn require_unlocked(session: &Session, sealing: &Sealing) -> Result<(), CommandError> {
    let secret = sealing.passphrase_for_kept_key()?;
    let places = session.config.keys();
    let opened = places.store.open(secret, Arc::new(SystemClock)).and_then(|keys| keys.open(&places.dpop));
    match opened {
        Err(fault @ (KeyStoreError::PassphraseNeeded { .. } | KeyStoreError::WrongPassphrase { .. })) => {
            Err(key_lost(&fault))
        }
        Err(_) | Ok(_) => Ok(()),
    }
}

/// The key of a session cannot be used: the one failure for which there is no other way than the person's.
fn key_lost(fault: &KeyStoreError) -> CommandError {
    let error = CommandError::configuration(format!("A04 the session's key cannot be used: {fault}"));
    match fault.remedy() {
        Some(remedy) => error.with_hint(remedy),
        None => error,
    }
}

/// Says what is wrong with kept sessions.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn session_error(fault: SessionError) -> CommandError {
    let error = CommandError::configuration(&fault);
    match fault {
        SessionError::Damaged { id } => error.with_hint(format!("countersign logout --session {id}")),
        _ => error,
    }
}

/// Says why there is no token, and what to do.
pub(crate) fn token_error(fault: &TokenError, url: &str) -> CommandError {
    let error = CommandError::internal(format!("no token: {fault}"));
    match fault {
        TokenError::LoginNeeded { .. } => error.with_hint(format!("countersign login {url}")),
        TokenError::Clock(_) => error.with_hint("set this machine's clock, for instance with NTP"),
        _ => error.with_hint("countersign doctor looks at everything on the way"),
    }
}
