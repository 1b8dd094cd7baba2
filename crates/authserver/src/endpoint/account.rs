//! The account page: what the user has approved, to be seen and taken back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_dpop::time::Timestamp;
use http::{Method, Request, StatusCode};

use super::ACCOUNT_PATH;
use crate::approval::{self, Approval, EndedBy};
use crate::decision::PageDecision;
use crate::form::Form;
use crate::people::{Page, PageError, Session, SignInPage, Styled, Visitor, see_other, sign_in, sign_out};
use crate::server::Shared;

pub(super) async fn account(State(server): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let mut decision = PageDecision::new("account");
    match serve(&server, request, &mut decision).await {
        Ok(response) => {
            decision.log(response.status());
            response
        }
        Err(error) => {
            decision.refuse(error.name(), &error);
            decision.log(error.status());
            error.into_response()
        }
    }
}

async fn serve(server: &Shared, request: Request<Body>, decision: &mut PageDecision) -> Result<Response, PageError> {
    let now = server.clock.now();
    let target = format!("{}{ACCOUNT_PATH}", server.settings.issuer.path());
    let visitor = Visitor::read(server, request.headers(), now).await?;
    if request.method() != Method::POST {
        return match visitor.session() {
            None => Ok(SignInPage::show(server, &visitor, &target, None).into_response()),
            Some(session) => {
                let token = visitor.form_token(server, &target);
                Ok(AccountPage::load(server, session, &target, token, now).await?.into_response())
            }
        };
    }
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await.map_err(|_| PageError::Malformed)?;
    visitor.check_form(server, &parts.headers, &form, &target)?;
    let Some(session) = visitor.session() else { return enter(server, &visitor, &form, &target, now, decision).await };
    match form.get("action") {
        Some("logout") => {
            decision.note("signed_out");
            Ok(see_other(&target, sign_out(server)))
        }
        Some("withdraw") => {
            withdraw(server, session, form.get("grant").unwrap_or_default(), now, decision).await?;
            Ok(see_other(&target, None))
        }
        _ => Err(PageError::Malformed),
    }
}

async fn enter(
    server: &Shared,
    visitor: &Visitor,
    form: &Form,
    target: &str,
    now: Timestamp,
    decision: &mut PageDecision,
) -> Result<Response, PageError> {
    match sign_in(server, form, target, now).await? {
        Ok(cookie) => {
            decision.note("signed_in");
            Ok(see_other(target, Some(cookie)))
        }
        Err(failure) => {
            decision.refuse(failure.name(), &failure);
            Ok(SignInPage::show_again(server, visitor, target, None, form, &failure).into_response())
        }
    }
}

/// Takes back an approval of this user; of others nothing is said.
async fn withdraw(
    server: &Shared,
    session: &Session,
    id: &str,
    now: Timestamp,
    decision: &mut PageDecision,
) -> Result<(), PageError> {
    let is_own = |approval: &Approval| approval.subject == session.username;
    if approval::end(server.storage.as_ref(), id, EndedBy::User, is_own, now).await? {
        decision.note("withdrawn");
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    username: &'a str,
    target: &'a str,
    token: String,
    approvals: Vec<Line>,
}

/// An approval as it is shown.
struct Line {
    id: String,
    client: String,
    scope: String,
    resources: String,
    since: String,
    until: String,
    key: Option<String>,
}

impl Styled for AccountPage<'_> {}

impl<'a> AccountPage<'a> {
    async fn load(
        server: &Shared,
        session: &'a Session,
        target: &'a str,
        token: String,
        now: Timestamp,
    ) -> Result<Page, PageError> {
        let mut approvals = approval::list(server.storage.as_ref(), Some(&session.username)).await?;
        approvals.retain(|approval| approval.is_live(now));
        approvals.sort_by_key(|approval| std::cmp::Reverse(approval.approved_at));
        let approvals = approvals.into_iter().map(Line::from).collect();
        Ok(Page::new(StatusCode::OK, &Self { username: &session.username, target, token, approvals }))
    }
}

impl From<Approval> for Line {
    fn from(approval: Approval) -> Self {
        Self {
            client: approval.client_id,
            scope: approval.scope.to_string(),
            resources: approval.resources.join(", "),
            since: written(approval.approved_at),
            until: written(approval.until),
            key: approval.jkt.map(|jkt| jkt.to_string()),
            id: approval.id,
        }
    }
}

/// A date as people read it, in UTC.
fn written(date: Timestamp) -> String {
    let since_epoch = Duration::from_secs(u64::try_from(date.seconds()).unwrap_or_default());
    let text = SystemTime::UNIX_EPOCH.checked_add(since_epoch).map(httpdate::fmt_http_date).unwrap_or_default();
    text.replace(" GMT", " UTC")
}
