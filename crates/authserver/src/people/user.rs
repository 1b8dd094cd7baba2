//! Users: those of the configuration, and those added at run time, who are kept in the storage.

use std::sync::Arc;

use countersign_dpop::time::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::password::{PasswordError, hash_password};
use crate::config::Settings;
use crate::plain;
use crate::server::{AuthServer, Shared};
use crate::storage::{self, Change, EntryKind, Found, Kept, Listing, SingleUse, Storage, StorageError, Verdict, add};

/// The longest name of a user, in bytes.
pub(crate) const MAX_USERNAME: usize = 128;

/// Whether a user may be called so: something, without blanks and control characters.
pub(crate) fn is_username(text: &str) -> bool {
    (1..=MAX_USERNAME).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// A user as kept in the storage.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct KeptUser {
    pub(super) username: String,
    pub(super) password_hash: Zeroizing<String>,
    pub(super) disabled: bool,
    #[serde(with = "plain::date")]
    pub(super) changed_at: Timestamp,
}

impl Kept for KeptUser {
    const KIND: EntryKind = EntryKind::User;

    fn not_after(&self) -> Timestamp {
        Timestamp::MAX
    }
}

/// The hash of the password of a user who may sign in.
pub(super) async fn password_hash(server: &Shared, username: &str) -> Result<Option<Zeroizing<String>>, StorageError> {
    if !is_username(username) {
        return Ok(None);
    }
    // The storage is asked for users of the configuration too: their answer must not come sooner.
    let found: Option<Found<KeptUser>> = storage::find(server.storage.as_ref(), username).await?;
    let kept = found.filter(|user| !user.it.disabled).map(|user| user.it.password_hash);
    Ok(server.settings.users.get(username).cloned().or(kept))
}

/// The users of a server, for whoever runs it.
#[derive(Clone, Debug)]
pub struct Users {
    server: Arc<Shared>,
}

/// One user, as listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserState {
    /// The name to sign in with.
    pub username: String,
    /// Whether it is one of the configuration, which only the configuration changes.
    pub configured: bool,
    /// Whether signing in is switched off.
    pub disabled: bool,
    /// When the password was set, or the user switched off or on.
    pub changed_at: Option<Timestamp>,
}

/// Why a user is not added or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No name for a user.
    #[error("not a name for a user; write 1 to {MAX_USERNAME} bytes without blanks")]
    Username,
    /// A client has that name: their tokens could not be told apart.
    #[error("a client is called so; a user of that name could be taken for it")]
    IsClient,
    /// There is one already.
    #[error("there is a user of that name already")]
    Exists,
    /// There is none.
    #[error("there is no user of that name")]
    Unknown,
    /// The configuration has that user.
    #[error("the configuration has that user; change it there")]
    Configured,
    /// The password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl AuthServer {
    /// The users of this server.
    pub fn users(&self) -> Users {
        Users { server: self.shared.clone() }
    }
}

impl Users {
    /// Adds a user.
    ///
    /// # Errors
    /// See [`UserError`].
    pub async fn add(&self, username: &str, password: &str) -> Result<(), UserError> {
        if !is_username(username) {
            return Err(UserError::Username);
        }
        self.refuse_configured(username)?;
        if self.config().clients.contains_key(username) {
            return Err(UserError::IsClient);
        }
        let user = KeptUser {
            username: username.to_owned(),
            password_hash: hash_password(password)?,
            disabled: false,
            changed_at: self.now(),
        };
        match self.commit(add(username, &user)?).await? {
            Verdict::First => Ok(()),
            _ => Err(UserError::Exists),
        }
    }

    /// Gives a user another password, which ends the user's sessions.
    ///
    /// # Errors
    /// See [`UserError`].
    pub async fn set_password(&self, username: &str, password: &str) -> Result<(), UserError> {
        self.refuse_configured(username)?;
        let password_hash = hash_password(password)?;
        self.change(username, |user| KeptUser { password_hash: password_hash.clone(), ..user }).await
    }

    /// Switches signing in off, which ends the user's sessions, or on again.
    ///
    /// # Errors
    /// See [`UserError`].
    pub async fn set_disabled(&self, username: &str, disabled: bool) -> Result<(), UserError> {
        self.refuse_configured(username)?;
        self.change(username, |user| KeptUser { disabled, ..user }).await
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// The storage's.
    pub async fn list(&self) -> Result<Vec<UserState>, StorageError> {
        let configured =
            |name: &String| UserState { username: name.clone(), configured: true, disabled: false, changed_at: None };
        let mut users: Vec<UserState> = self.config().users.keys().map(configured).collect();
        let mut after = None;
        loop {
            let listing = Listing { kind: EntryKind::User, owner: None, after, limit: 500 };
            let page = self.server.storage.list(listing).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.at.id);
            for entry in &page {
                let user = Found::<KeptUser>::read(entry)?.it;
                let changed_at = Some(user.changed_at);
                users.push(UserState {
                    username: user.username,
                    configured: false,
                    disabled: user.disabled,
                    changed_at,
                });
            }
        }
        users.sort_by(|one, other| one.username.cmp(&other.username));
        Ok(users)
    }

    fn config(&self) -> &Settings {
        &self.server.settings
    }

    fn now(&self) -> Timestamp {
        Clock::now(self.server.clock.as_ref())
    }

    fn refuse_configured(&self, username: &str) -> Result<(), UserError> {
        if self.config().users.contains_key(username) { Err(UserError::Configured) } else { Ok(()) }
    }

    async fn change(&self, username: &str, change: impl Fn(KeptUser) -> KeptUser) -> Result<(), UserError> {
        loop {
            let found: Option<Found<KeptUser>> = storage::find(self.server.storage.as_ref(), username).await?;
            let found = found.ok_or(UserError::Unknown)?;
            let changed = KeptUser { changed_at: self.now(), ..change(found.it.clone()) };
            if self.commit(found.replace(&changed)?).await? == Verdict::First {
                return Ok(());
            }
        }
    }

    async fn commit(&self, change: Change) -> Result<Verdict, StorageError> {
        let storage: &dyn Storage = self.server.storage.as_ref();
        storage.commit(&SingleUse::default(), &[change], self.now()).await
    }
}
