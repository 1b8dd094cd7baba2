//! The page where a user decides for a device (RFC 8628 §3.3): signs in, types the code, sees who asks for what, decides.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_dpop::time::Timestamp;
use http::{Method, Request, StatusCode};

use super::{DEVICE_PATH, judged};
use crate::approval::Approval;
use crate::decision::PageDecision;
use crate::device::{DeviceRequest, DeviceState, UserCode, read_user_code, write_user_code};
use crate::form::Form;
use crate::grant::GrantType;
use crate::people::{Entrance, Page, PageError, Session, Styled, Visitor};
use crate::random::random_id;
use crate::server::Shared;
use crate::storage::{self, Change, Found, SingleUse, Verdict};

pub(super) async fn device(State(server): State<Arc<Shared>>, request: Request<Body>) -> Response {
    judged("device", &server.metrics, async |decision| serve(&server, request, decision).await).await
}

async fn serve(server: &Shared, request: Request<Body>, decision: &mut PageDecision) -> Result<Response, PageError> {
    let now = server.clock.now();
    let (query, _) = Form::parse_query(request.uri().query().unwrap_or_default()).map_err(|_| PageError::Malformed)?;
    let typed = query.get("user_code").and_then(read_user_code);
    let target = target(server, typed.as_deref());
    let visitor = Visitor::read(server, request.headers(), now).await?;
    let page = DevicePage { server, visitor: &visitor, target: &target, now };
    if request.method() != Method::POST {
        return Ok(match visitor.session() {
            None => page.entrance().show(),
            Some(session) => page.ask(session, typed.as_deref()).into_response(),
        });
    }
    let (parts, body) = request.into_parts();
    let form = Form::read(&parts.headers, body).await.map_err(|_| PageError::Malformed)?;
    visitor.check_form(server, &parts.headers, &form, &target)?;
    match visitor.session() {
        None => page.entrance().enter(&form, decision).await,
        Some(session) => page.submit(session, &form, decision).await,
    }
}

/// Where the forms of this page go: here again, with the code that came along, in the one way it is written.
fn target(server: &Shared, code: Option<&str>) -> String {
    let query = code.map(|code| format!("?user_code={}", write_user_code(code))).unwrap_or_default();
    format!("{}{DEVICE_PATH}{query}", server.settings.issuer.path())
}

struct DevicePage<'a> {
    server: &'a Shared,
    visitor: &'a Visitor,
    target: &'a str,
    now: Timestamp,
}

/// Why a code that was typed leads nowhere.
#[derive(Debug, thiserror::Error)]
enum CodeFailure {
    #[error("no request waits for the code that was typed")]
    Wrong,
    #[error("too many wrong codes typed by one user; {wait} s to wait")]
    TooMany {
        /// Seconds to wait.
        wait: i64,
    },
}

impl CodeFailure {
    /// The stable name, for logs and metrics.
    const fn name(&self) -> &'static str {
        match self {
            Self::Wrong => "device_code_wrong",
            Self::TooMany { .. } => "device_code_too_many",
        }
    }
}

/// A request that waits, and the user code it was found by.
struct Waiting {
    code: Found<UserCode>,
    request: Found<DeviceRequest>,
}

impl DevicePage<'_> {
    fn entrance(&self) -> Entrance<'_> {
        Entrance { server: self.server, visitor: self.visitor, target: self.target, asked: None, now: self.now }
    }

    async fn submit(&self, session: &Session, form: &Form, decision: &mut PageDecision) -> Result<Response, PageError> {
        let typed = form.get("user_code").unwrap_or_default();
        // Wrong codes are counted as wrong passwords are, for whoever is signed in.
        let name = format!("device code typed by {}", session.username);
        if let Err(wait) = self.server.people.begin_guess(&name, self.now) {
            return Ok(self.ask_again(session, &CodeFailure::TooMany { wait }, decision));
        }
        let code = read_user_code(typed);
        let waiting = match &code {
            Some(code) => self.find(code).await?,
            None => None,
        };
        let Some((code, waiting)) = code.zip(waiting) else {
            return Ok(self.ask_again(session, &CodeFailure::Wrong, decision));
        };
        self.server.people.forget_guesses(&name);
        decision.client = Some(waiting.request.it.client_id.clone());
        match form.get("action") {
            Some("lookup") => Ok(self.confirm(session, &code, &waiting.request.it).await?.into_response()),
            Some("approve") => self.approve(session, &waiting, decision).await,
            Some("cancel") => {
                self.decide(&waiting, DeviceState::Denied, None).await?;
                decision.note("denied");
                Ok(done("Refused", "The device gets no access. You can close this page.").into_response())
            }
            _ => Err(PageError::Malformed),
        }
    }

    /// The request that waits under this code.
    async fn find(&self, code: &str) -> Result<Option<Waiting>, PageError> {
        let storage = self.server.storage.as_ref();
        let Some(code) = storage::find::<UserCode>(storage, code).await? else { return Ok(None) };
        let request: Option<Found<DeviceRequest>> = storage::find_kept_as(storage, &code.it.request).await?;
        let waits =
            |request: &Found<DeviceRequest>| request.it.state == DeviceState::Pending && self.now <= request.it.until;
        Ok(request.filter(waits).map(|request| Waiting { code, request }))
    }

    fn ask(&self, session: &Session, code: Option<&str>) -> Page {
        self.page(session, StatusCode::OK, code.map(write_user_code).unwrap_or_default(), None)
    }

    fn ask_again(&self, session: &Session, failure: &CodeFailure, decision: &mut PageDecision) -> Response {
        decision.refuse(failure.name(), failure);
        let page = |status, problem| self.page(session, status, String::new(), Some(problem));
        match failure {
            CodeFailure::Wrong => page(StatusCode::BAD_REQUEST, WRONG).into_response(),
            CodeFailure::TooMany { wait } => {
                page(StatusCode::TOO_MANY_REQUESTS, TOO_MANY).with_retry_after(Some(*wait)).into_response()
            }
        }
    }

    fn page(&self, session: &Session, status: StatusCode, code: String, problem: Option<&'static str>) -> Page {
        let token = self.visitor.form_token(self.server, self.target);
        Page::new(status, &CodePage { username: &session.username, target: self.target, token, code, problem })
    }

    async fn confirm(&self, session: &Session, code: &str, request: &DeviceRequest) -> Result<Page, PageError> {
        let is_long = self.refreshes(&request.client_id).await?;
        let page = ConfirmPage {
            client: &request.client_id,
            username: &session.username,
            code: write_user_code(code),
            scopes: request.scope.iter().collect(),
            resources: &request.resources,
            life: if is_long {
                "Up to 7 days. It ends after a day without use, or when you take it back."
            } else {
                "A few minutes, once."
            },
            jkt: request.jkt.map(|jkt| jkt.to_string()),
            target: self.target,
            token: self.visitor.form_token(self.server, self.target),
        };
        Ok(Page::new(StatusCode::OK, &page))
    }

    async fn refreshes(&self, client_id: &str) -> Result<bool, PageError> {
        let client = self.server.client(client_id).await.map_err(|refusal| PageError::Away(refusal.to_string()))?;
        let client = client.ok_or(PageError::ClientUnknown)?;
        Ok(client.grants.contains(&GrantType::RefreshToken))
    }

    async fn approve(
        &self,
        session: &Session,
        waiting: &Waiting,
        decision: &mut PageDecision,
    ) -> Result<Response, PageError> {
        let request = &waiting.request.it;
        let life = self.server.settings.profile.rules().approval_life(self.refreshes(&request.client_id).await?);
        let approval = Approval {
            id: random_id()?,
            subject: session.username.clone(),
            client_id: request.client_id.clone(),
            scope: request.scope.clone(),
            resources: request.resources.clone(),
            authorization_details: None,
            jkt: request.jkt,
            approved_at: self.now,
            until: self.now.plus(life.max(DeviceRequest::LIFE)),
            ended: None,
        };
        let added = storage::add(&approval.id, &approval)?;
        self.decide(waiting, DeviceState::Approved(approval.id.clone()), Some(added)).await?;
        decision.approve(&approval);
        Ok(done("Done", "The device has access now. You can close this page.").into_response())
    }

    /// Writes what was decided; the user code is good for nothing more.
    async fn decide(&self, waiting: &Waiting, state: DeviceState, with: Option<Change>) -> Result<(), PageError> {
        let mut current = waiting.request.clone();
        for _ in 0..8 {
            let decided = DeviceRequest { state: state.clone(), ..current.it.clone() };
            let mut changes = vec![current.replace(&decided)?, Change::Remove(waiting.code.at)];
            changes.extend(with.clone());
            if self.server.storage.commit(&SingleUse::default(), &changes, self.now).await? == Verdict::First {
                return Ok(());
            }
            // The device may have polled meanwhile, or somebody else decided.
            let storage = self.server.storage.as_ref();
            let again = storage::find_kept_as(storage, &waiting.code.it.request).await?;
            let waits = |found: &Found<DeviceRequest>| found.it.state == DeviceState::Pending;
            current = again.filter(waits).ok_or(PageError::RequestUri)?;
        }
        Err(PageError::Busy)
    }
}

const WRONG: &str = "That code is not known, or has been used. Check it, or have the device show a new one.";
const TOO_MANY: &str = "Too many wrong codes. Wait a few minutes, then try again.";

fn done(title: &'static str, text: &'static str) -> Page {
    Page::new(StatusCode::OK, &DonePage { title, text })
}

#[derive(Template)]
#[template(path = "device_code.html")]
struct CodePage<'a> {
    username: &'a str,
    target: &'a str,
    token: String,
    code: String,
    problem: Option<&'static str>,
}

impl Styled for CodePage<'_> {}

#[derive(Template)]
#[template(path = "device_confirm.html")]
struct ConfirmPage<'a> {
    client: &'a str,
    username: &'a str,
    code: String,
    scopes: Vec<&'a str>,
    resources: &'a [String],
    life: &'static str,
    jkt: Option<String>,
    target: &'a str,
    token: String,
}

impl Styled for ConfirmPage<'_> {}

#[derive(Template)]
#[template(path = "message.html")]
struct DonePage {
    title: &'static str,
    text: &'static str,
}

impl Styled for DonePage {}
