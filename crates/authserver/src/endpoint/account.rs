//! The account page: what the user has approved, to be seen and taken back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_dpop::time::Timestamp;
use http::{Method, Request, StatusCode};

use super::{ACCOUNT_PATH, judged};
use crate::approval::{self, Approval, EndedBy};
use crate::decision::PageDecision;
use crate::form::Form;
use crate::people::{Entrance, Page, PageError, Session, Styled, Visitor, see_other, sign_out};
use crate::server::Shared;

pub(super) async fn account(State(server): State<Arc<Shared>>, request: Request<Body>) -> Response {
    judged("account", &server.metrics, async |decision| serve(&server, request, decision).await).await
}

async fn serve(server: &Shared, request: Request<Body>, decision: &mut PageDecision) -> Result<Response, PageError> {
    let now = server.clock.now();
    let target = format!("{}{ACCOUNT_PATH}", server.settings.issuer.path());
    let visitor = Visitor::read(server, request.headers(), now).await?;
    if request.method() != Method::POST {
        return match visitor.session() {
            None => Ok(Entrance { server, visitor: &visitor, target: &target, asked: None, now }.show()),
            Some(session) => {
                let token = visitor.form_token(server, &target);
                Ok(AccountPage::load(server, session, &target, token, now).await?.into_response())
            }
        };
    }
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await.map_err(|_| PageError::Malformed)?;
    visitor.check_form(server, &parts.headers, &form, &target)?;
    let Some(session) = visitor.session() else {
        return Entrance { server, visitor: &visitor, target: &target, asked: None, now }.enter(&form, decision).await;
    };
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
