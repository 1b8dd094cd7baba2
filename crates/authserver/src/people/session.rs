//! Sessions: signed cookies. Nothing is stored for them; they end with their time, with the password, and with the user.

use std::fmt;

use aws_lc_rs::hmac;
use countersign_dpop::NoRandomness;
use countersign_dpop::jose::{decode_base64url, encode_base64url};
use countersign_dpop::time::Timestamp;
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::cost::Costs;
use super::guesses::Guesses;
use super::user;
use crate::issuer::Issuer;
use crate::random::random_id;
use crate::server::Shared;
use crate::storage::StorageError;

/// What the server needs to deal with people.
pub(crate) struct People {
    key: hmac::Key,
    pub(super) guesses: Guesses,
    /// What every try to sign in costs.
    pub(super) costs: Costs,
    /// Hashing a password takes a core and 19 MiB; so many at a time.
    pub(super) hashing: Semaphore,
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("People").finish_non_exhaustive()
    }
}

/// Somebody who is signed in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Session {
    pub(crate) username: String,
    pub(crate) signed_in_at: i64,
    /// Where the user signed in for, hashed: what `prompt=login` is satisfied by.
    signed_in_for: String,
    /// Changes with the password.
    stamp: String,
    /// Makes each session another one, to which forms are tied.
    id: String,
}

/// Seconds that a session lasts.
const LIFE: i64 = 8 * 3_600;
/// Seconds that signing in counts as done just now.
const FRESH: i64 = 300;
/// The longest cookie that is looked at, in bytes.
const MAX_COOKIE: usize = 1_024;

impl People {
    /// Counts a guess of `name` at something that can be guessed.
    ///
    /// # Errors
    /// The seconds to wait.
    pub(crate) fn begin_guess(&self, name: &str, now: Timestamp) -> Result<(), i64> {
        self.guesses.begin(name, now)
    }

    /// The guess was right.
    pub(crate) fn forget_guesses(&self, name: &str) {
        self.guesses.was_right(name);
    }
}

impl People {
    const HASHING_AT_A_TIME: usize = 2;

    pub(crate) fn new(key: &[u8], costs: Costs) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self { key, guesses: Guesses::default(), costs, hashing: Semaphore::new(Self::HASHING_AT_A_TIME) }
    }

    /// A code over `parts` for one purpose.
    pub(super) fn authenticate(&self, purpose: &str, parts: &[&str]) -> String {
        encode_base64url(hmac::sign(&self.key, &message(purpose, parts)))
    }

    pub(super) fn is_authentic(&self, purpose: &str, parts: &[&str], code: &str) -> bool {
        decode_base64url(code).is_ok_and(|code| hmac::verify(&self.key, &message(purpose, parts), &code).is_ok())
    }

    fn stamp(&self, password_hash: &str) -> String {
        self.authenticate("stamp", &[password_hash]).chars().take(22).collect()
    }

    /// The session of somebody who has just signed in to do what is at `target`.
    pub(super) fn begin(
        &self,
        username: &str,
        password_hash: &str,
        target: &str,
        now: Timestamp,
    ) -> Result<Session, NoRandomness> {
        Ok(Session {
            username: username.to_owned(),
            signed_in_at: now.seconds(),
            signed_in_for: self.authenticate("target", &[target]),
            stamp: self.stamp(password_hash),
            id: random_id()?,
        })
    }

    /// The cookie's value.
    pub(super) fn write(&self, session: &Session) -> String {
        let text = encode_base64url(serde_json::to_vec(session).unwrap_or_default());
        let code = self.authenticate("session", &[&text]);
        format!("{text}.{code}")
    }

    /// The session of a cookie, if it is authentic and its time has not passed.
    fn read(&self, value: &str, now: Timestamp) -> Option<Session> {
        let (text, code) = value.split_once('.')?;
        if value.len() > MAX_COOKIE || !self.is_authentic("session", &[text], code) {
            return None;
        }
        let session: Session = serde_json::from_slice(&decode_base64url(text).ok()?).ok()?;
        let age = now.since(Timestamp::from_seconds(session.signed_in_at));
        (-60..LIFE).contains(&age).then_some(session)
    }

    /// Whether the user has signed in just now, and for this.
    pub(crate) fn is_fresh(&self, session: &Session, target: &str, now: Timestamp) -> bool {
        let age = now.since(Timestamp::from_seconds(session.signed_in_at));
        age < FRESH && self.is_authentic("target", &[target], &session.signed_in_for)
    }
}

/// The session of a cookie whose user may still sign in with the same password.
pub(super) async fn find(server: &Shared, value: &str, now: Timestamp) -> Result<Option<Session>, StorageError> {
    let Some(session) = server.people.read(value, now) else { return Ok(None) };
    let hash = user::password_hash(server, &session.username).await?;
    Ok(hash.filter(|hash| server.people.stamp(hash) == session.stamp).map(|_| session))
}

fn message(purpose: &str, parts: &[&str]) -> Vec<u8> {
    let mut message = format!("countersign people 1 {purpose}\0").into_bytes();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message
}

/// A cookie of this server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cookie {
    /// The session.
    Session,
    /// A random number that ties a form to the browser it was shown in, before there is a session.
    Visit,
}

impl Cookie {
    /// Cookies with this prefix can be set by this host alone, over https alone (RFC 6265bis §4.1.3.2).
    fn name(self, issuer: &Issuer) -> String {
        let prefix = if issuer.is_https() { "__Host-" } else { "" };
        let name = match self {
            Self::Session => "countersign-session",
            Self::Visit => "countersign-visit",
        };
        format!("{prefix}{name}")
    }

    /// The only cookie of that name.
    pub(super) fn find(self, issuer: &Issuer, headers: &HeaderMap) -> Option<String> {
        let name = self.name(issuer);
        let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
        let mut values = fields
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(own, _)| *own == name)
            .map(|(_, value)| value);
        let value = values.next()?;
        values.next().is_none().then(|| value.to_owned())
    }

    /// The field that sets it until the browser is closed, or removes it.
    pub(super) fn set(self, issuer: &Issuer, value: Option<&str>) -> Option<HeaderValue> {
        let secure = if issuer.is_https() { "; Secure" } else { "" };
        let age = if value.is_some() { "" } else { "; Max-Age=0" };
        let (name, value) = (self.name(issuer), value.unwrap_or_default());
        HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}")).ok()
    }
}
