//! Signing in: the same words and the same time whether the user is unknown, disabled or the password wrong.

use askama::Template;
use axum::response::{IntoResponse, Response};
use countersign_dpop::time::Timestamp;
use http::{HeaderValue, StatusCode};
use zeroize::Zeroizing;

use super::page::{Page, PageError, Styled, see_other};
use super::session::Cookie;
use super::visitor::Visitor;
use super::{password, user};
use crate::decision::PageDecision;
use crate::form::Form;
use crate::server::Shared;

/// The page with the two fields. Any page that needs somebody to be signed in shows it in its own place.
#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    target: &'a str,
    token: String,
    /// Who asks, if somebody does.
    client: Option<&'a str>,
    username: &'a str,
    problem: Option<&'static str>,
}

/// Where somebody who is not signed in comes in, on the way to what is at `target`.
pub(crate) struct Entrance<'a> {
    pub(crate) server: &'a Shared,
    pub(crate) visitor: &'a Visitor,
    pub(crate) target: &'a str,
    /// Who asks, if somebody does.
    pub(crate) asked: Option<Asking<'a>>,
    pub(crate) now: Timestamp,
}

/// A client that has sent the user.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) client: &'a str,
    /// Where the forms may end.
    pub(crate) end: &'a str,
}

impl Entrance<'_> {
    /// The page as it is shown first.
    pub(crate) fn show(&self) -> Response {
        self.page(StatusCode::OK, "", None).into_response()
    }

    /// Signs in whoever filled in the form, and sends the browser on to where it wanted to go; or shows the form again.
    pub(crate) async fn enter(&self, form: &Form, decision: &mut PageDecision) -> Result<Response, PageError> {
        match sign_in(self.server, form, self.target, self.now).await? {
            Ok(cookie) => {
                decision.note("signed_in");
                Ok(see_other(self.target, Some(cookie)))
            }
            Err(failure) => {
                decision.refuse(failure.name(), &failure);
                Ok(self.show_again(form, &failure).into_response())
            }
        }
    }

    /// The page after a try that failed.
    fn show_again(&self, form: &Form, failed: &SignInFailure) -> Page {
        let username = form.get("username").filter(|name| user::is_username(name)).unwrap_or_default();
        match failed {
            SignInFailure::Wrong => {
                self.page(StatusCode::BAD_REQUEST, username, Some("User name or password is wrong."))
            }
            SignInFailure::TooMany { wait } => {
                let problem = Some("Too many tries. Wait a few minutes, then try again.");
                self.page(StatusCode::TOO_MANY_REQUESTS, username, problem).with_retry_after(Some(*wait))
            }
        }
    }

    fn page(&self, status: StatusCode, username: &str, problem: Option<&'static str>) -> Page {
        let (target, token) = (self.target, self.visitor.form_token(self.server, self.target));
        let client = self.asked.map(|asked| asked.client);
        let page = Page::new(status, &SignInPage { target, token, client, username, problem });
        let page = page.with_cookie(self.visitor.cookie(self.server));
        match self.asked {
            Some(asked) => page.with_form_target(asked.end),
            None => page,
        }
    }
}

impl Styled for SignInPage<'_> {}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
enum SignInFailure {
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
    const fn name(&self) -> &'static str {
        match self {
            Self::Wrong => "sign_in_wrong",
            Self::TooMany { .. } => "sign_in_too_many",
        }
    }
}

/// Signs in whoever filled in the form, for what is at `target`. Returns the field that sets the session's cookie.
async fn sign_in(
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
    let hashes = server.people.costs.to_verify(known.as_ref());
    let is_right = verify(server, form.get("password").unwrap_or_default(), hashes).await?;
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

/// Whether the password is that of one of the hashes; all of them are computed, whichever fits.
async fn verify(server: &Shared, typed: &str, hashes: Vec<Zeroizing<String>>) -> Result<bool, PageError> {
    if typed.len() > password::MAX_LENGTH {
        return Ok(false);
    }
    let typed = Zeroizing::new(typed.to_owned());
    let patience = tokio::time::timeout(PATIENCE, server.people.hashing.acquire());
    let _turn = patience.await.map_err(|_| PageError::Busy)?.map_err(|_| PageError::Busy)?;
    let verify_all = move || hashes.iter().filter(|hash| password::is_right(&typed, hash)).count() > 0;
    let verified = tokio::task::spawn_blocking(verify_all).await;
    verified.map_err(|fault| PageError::Away(fault.to_string()))
}

/// How long a try waits for its turn to be verified.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
