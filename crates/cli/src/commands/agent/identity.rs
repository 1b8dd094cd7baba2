//! Who signs: the client that a file describes, or a session, with the login that it needs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign_client::keys::{KeyName, KeyPlace, KeyStore};
use countersign_client::login::{Login, LoginPlan, LoginTools};
use countersign_client::sessions::{Session, SessionStore};
use countersign_client::{Client, Endpoint, LoginError};
use countersign_dpop::time::SystemClock;

use crate::browser::Browser;
use crate::commands::login::read_config;
use crate::error::CommandError;
use crate::keys;
use crate::sessions::{Sessions, open_error};

/// How long a person may take in the browser.
const PATIENCE: Duration = Duration::from_mins(10);

/// Key and token of a binding, and what is to be dropped when it is revoked.
pub(crate) struct Identity {
    pub(crate) client: Client,
    pub(crate) keys: Arc<dyn KeyStore>,
    pub(crate) key: KeyName,
    /// The scopes that were granted, where the issuer said.
    pub(crate) scope: Option<String>,
}

/// What a login is made with.
pub(crate) struct Desk<'a> {
    pub(crate) browser: Browser,
    pub(crate) sessions: &'a Sessions,
    pub(crate) sealing: &'a keys::Sealing,
}

/// The client that a file describes, with its key.
pub(crate) fn of_file(file: &Path, sealing: &keys::Sealing) -> Result<Identity, CommandError> {
    let config = read_config(file)?;
    let places = config.keys();
    let store = keys::open(&places.store, sealing.passphrase_for_kept_key()?)?;
    let client = Client::open(&config, store.as_ref(), Arc::new(SystemClock)).map_err(open_error)?;
    Ok(Identity { client, key: places.dpop.clone(), keys: store, scope: None })
}

/// The session that is kept for this binding, or a new one.
pub(crate) async fn log_in(plan: &LoginPlan, desk: &Desk<'_>) -> Result<Identity, CommandError> {
    let in_memory = plan.store == KeyPlace::Memory;
    let sessions = if in_memory { SessionStore::in_memory() } else { desk.sessions.store()? };
    let kept = kept(&sessions, plan)?;
    let secret = match kept {
        Some(_) => desk.sealing.passphrase_for_kept_key()?,
        None => desk.sealing.passphrase_for_new_key()?,
    };
    let store = keys::open(&plan.store, secret)?;
    let session = match kept {
        Some(session) => session,
        None => new_session(plan, desk, &sessions, &store).await?,
    };
    let client = Client::of_session(&session, sessions, store.as_ref(), Arc::new(SystemClock)).map_err(open_error)?;
    let scope = session.tokens.access.scope().map(str::to_owned);
    Ok(Identity { client, key: session.config.keys().dpop.clone(), keys: store, scope })
}

/// A kept session of this very binding that is good still: its label and its resource are this one's.
fn kept(sessions: &SessionStore, plan: &LoginPlan) -> Result<Option<Session>, CommandError> {
    let url = Endpoint::parse(&plan.url).map_err(CommandError::configuration)?;
    let listed = sessions.list().map_err(CommandError::configuration)?;
    let own = listed.into_iter().filter_map(|listed| listed.session.ok()).filter(|session| {
        session.label == plan.label
            && session.config.keys().store == plan.store
            && session.reach().is_some_and(|reach| reach.contains(&url))
            && session.can_renew()
    });
    Ok(own.max_by_key(|session| session.created))
}

async fn new_session(
    plan: &LoginPlan,
    desk: &Desk<'_>,
    sessions: &SessionStore,
    store: &Arc<dyn KeyStore>,
) -> Result<Session, CommandError> {
    let tools = LoginTools::new(Arc::clone(store), sessions.clone(), Arc::new(SystemClock));
    let failed = |fault: LoginError| {
        let error = CommandError::configuration(format!("no login: {fault}"));
        match fault {
            LoginError::ClientUnknown { .. } => {
                error.with_hint("--client-id ID, or client_id in the binding's table; or the client of a file")
            }
            _ => error,
        }
    };
    let login = Login::prepare(plan, &tools).await.map_err(failed)?;
    let session = login.by_code(PATIENCE, |url| desk.browser.visit(url)).await.map_err(failed)?;
    sessions.save(&session).map_err(CommandError::internal)?;
    Ok(session)
}
