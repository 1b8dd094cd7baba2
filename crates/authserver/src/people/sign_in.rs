//! Signing in: the same words and the same time whether the user is unknown, disabled or the password wrong.

use askama::Template;
use countersign_dpop::time::Timestamp;
use http::{HeaderValue, StatusCode};
use zeroize::Zeroizing;

use super::page::{Page, PageError, Styled};
use super::session::Cookie;
use super::visitor::Visitor;
use super::{password, user};
use crate::form::Form;
use crate::server::Shared;

/// The page with the two fields. Any page that needs somebody to be signed in shows it in its own place: the form goes
/// to `target`, which calls [`sign_in`] and sends the browser to `target` again.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignInPage<'a> {
    target: &'a str,
    token: String,
    /// Who asks, if somebody does.
    client: Option<&'a str>,
    username: &'a str,
    problem: Option<&'static str>,
}

impl<'a> SignInPage<'a> {
    /// The page as it is shown first.
    pub(crate) fn show(server: &Shared, visitor: &Visitor, target: &'a str, client: Option<&'a str>) -> Page {
        let token = visitor.form_token(server, target);
        let page = Self { target, token, client, username: "", problem: None };
        Page::new(StatusCode::OK, &page).with_cookie(visitor.cookie(server))
    }

    /// The page after a try that failed.
    pub(crate) fn show_again(
        server: &Shared,
        visitor: &Visitor,
        target: &'a str,
        client: Option<&'a str>,
        form: &'a Form,
        failed: &SignInFailure,
    ) -> Page {
        let token = visitor.form_token(server, target);
        let username = form.get("username").filter(|name| user::is_username(name)).unwrap_or_default();
        let (status, problem, wait) = match failed {
            SignInFailure::Wrong => (StatusCode::BAD_REQUEST, "User name or password is wrong.", None),
            SignInFailure::TooMany { wait } => {
                (StatusCode::TOO_MANY_REQUESTS, "Too many tries. Wait a few minutes, then try again.", Some(*wait))
            }
        };
        let page = Self { target, token, client, username, problem: Some(problem) };
        Page::new(status, &page).with_cookie(visitor.cookie(server)).with_retry_after(wait)
    }
}

impl Styled for SignInPage<'_> {}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInFailure {
    #[error("user name or password is wrong, or the user is switched off")]
    Wrong,
    #[error("too many wrong passwords for one name; {wait} s to wait")]
    TooMany {
        /// Seconds to wait.
        wait: i64,
    },
}

impl SignInFailure {
    /// The stable name, for logs and metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Wrong => "sign_in_wrong",
            Self::TooMany { .. } => "sign_in_too_many",
        }
    }
}

/// Signs in whoever filled in the form, for what is at `target`. Returns the field that sets the session's cookie.
pub(crate) async fn sign_in(
    server: &Shared,
    form: &Form,
    target: &str,
    now: Timestamp,
) -> Result<Result<HeaderValue, SignInFailure>, PageError> {
    let username = form.get("username").unwrap_or_default();
    if let Err(wait) = server.people.guesses.begin(username, now) {
        return Ok(Err(SignInFailure::TooMany { wait }));
    }
    let known = user::password_hash(server, username).await?;
    let hash = known.clone().unwrap_or_else(|| Zeroizing::new(password::NOBODYS.to_owned()));
    let is_right = verify(server, form.get("password").unwrap_or_default(), hash).await?;
    match known.filter(|_| is_right) {
        Some(hash) => {
            server.people.guesses.was_right(username);
            let session = server.people.begin(username, &hash, target, now)?;
            let cookie = Cookie::Session.set(&server.settings.issuer, Some(&server.people.write(&session)));
            cookie.map(Ok).ok_or_else(|| PageError::Away("the session cannot be written".to_owned()))
        }
        None => Ok(Err(SignInFailure::Wrong)),
    }
}

/// The field that ends the session in this browser.
pub(crate) fn sign_out(server: &Shared) -> Option<HeaderValue> {
    Cookie::Session.set(&server.settings.issuer, None)
}

async fn verify(server: &Shared, typed: &str, hash: Zeroizing<String>) -> Result<bool, PageError> {
    if typed.len() > password::MAX_LENGTH {
        return Ok(false);
    }
    let typed = Zeroizing::new(typed.to_owned());
    let patience = tokio::time::timeout(PATIENCE, server.people.hashing.acquire());
    let _turn = patience.await.map_err(|_| PageError::Busy)?.map_err(|_| PageError::Busy)?;
    let verified = tokio::task::spawn_blocking(move || password::is_right(&typed, &hash)).await;
    verified.map_err(|fault| PageError::Away(fault.to_string()))
}

/// How long a try waits for its turn to be verified.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
