//! The authorization endpoint (RFC 6749 §3.1): finds out what is asked and by whom, has the user sign in and decide, and
//! sends the browser back to the client.
//!
//! Nothing is remembered between the pages: each form comes back to the same URL, and everything about it is checked
//! again. Only an answer is written, in one transaction: the pushed request is used up, the approval and its code are
//! there.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_dpop::time::Timestamp;
use http::{Method, Request, Uri};

use super::judged;
use crate::approval::Approval;
use crate::authorization::{
    AuthorizationError, AuthorizationRequest, Code, Prompt, PushedRequest, RedirectError, redirect_target,
};
use crate::client::Client;
use crate::config::Rules;
use crate::consent::ConsentPage;
use crate::decision::PageDecision;
use crate::form::Form;
use crate::grant::GrantType;
use crate::people::{Asking, Entrance, PageError, Session, Visitor, see_other};
use crate::random::{random_id, random_secret};
use crate::redirect_uri::{form_target, with_parameters};
use crate::server::Shared;
use crate::storage::{self, Found, SingleUse, Verdict};

/// The longest query that is read, in bytes.
const MAX_QUERY: usize = 8_192;

pub(super) async fn authorize(State(server): State<Arc<Shared>>, request: Request<Body>) -> Response {
    judged("authorize", &server.metrics, async |decision| serve(&server, request, decision).await).await
}

async fn serve(server: &Shared, request: Request<Body>, decision: &mut PageDecision) -> Result<Response, PageError> {
    let now = server.clock.now();
    let target = target(server, request.uri())?;
    let asked = match find(server, request.uri().query().unwrap_or_default(), now).await? {
        Ok(asked) => asked,
        Err(refused) => return Ok(refused.answer(server, decision)),
    };
    decision.client = Some(asked.client.id.clone());
    let visitor = Visitor::read(server, request.headers(), now).await?;
    let page = AuthorizePage { server, asked, visitor, target, now };
    if request.method() == Method::POST { page.submit(request, decision).await } else { Ok(page.show(decision)) }
}

/// Where the forms of this page go: here again.
fn target(server: &Shared, uri: &Uri) -> Result<String, PageError> {
    let query = uri.query().unwrap_or_default();
    if query.len() > MAX_QUERY {
        return Err(PageError::Malformed);
    }
    Ok(format!("{}{}?{query}", server.settings.issuer.path(), super::AUTHORIZE_PATH))
}

/// A request that waits for its user.
struct Asked {
    client: Arc<Client>,
    request: AuthorizationRequest,
    pushed: Option<Found<PushedRequest>>,
}

/// A request that is refused by sending the browser back.
struct Refused {
    client_id: String,
    redirect_uri: String,
    state: Option<String>,
    error: AuthorizationError,
}

impl Refused {
    fn answer(&self, server: &Shared, decision: &mut PageDecision) -> Response {
        decision.client = Some(self.client_id.clone());
        decision.refuse(self.error.name(), &self.error);
        let mut parameters =
            vec![("error", self.error.code().as_str()), ("error_description", self.error.description())];
        see_other(&answer_location(server, &self.redirect_uri, self.state.as_deref(), &mut parameters), None)
    }
}

/// Every answer names the issuer (RFC 9207), and the state as it was sent or none.
fn answer_location<'a>(
    server: &'a Shared,
    redirect_uri: &str,
    state: Option<&'a str>,
    parameters: &mut Vec<(&'a str, &'a str)>,
) -> String {
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", server.settings.issuer.as_str()));
    with_parameters(redirect_uri, parameters)
}

async fn find(server: &Shared, query: &str, now: Timestamp) -> Result<Result<Asked, Refused>, PageError> {
    let (form, repeated) = Form::parse_query(query).map_err(|_| PageError::Malformed)?;
    if repeated.iter().any(|name| ["client_id", "redirect_uri", "request_uri"].contains(&name.as_str())) {
        return Err(PageError::Malformed);
    }
    let id = form.get("client_id").ok_or(PageError::ClientUnknown)?;
    let client = server.client(id).await.map_err(|refusal| PageError::Away(refusal.to_string()))?;
    let client = client.ok_or(PageError::ClientUnknown)?;
    match form.get("request_uri") {
        // Whatever else stands in the query does not count (RFC 9101 §5).
        Some(name) => find_pushed(server, client, name, now).await.map(Ok),
        None => check_direct(server, client, &form, !repeated.is_empty()),
    }
}

async fn find_pushed(server: &Shared, client: Arc<Client>, name: &str, now: Timestamp) -> Result<Asked, PageError> {
    let found: Option<Found<PushedRequest>> = storage::find(server.storage.as_ref(), name).await?;
    let is_good = |found: &Found<PushedRequest>| {
        found.it.request.client_id == client.id && !found.it.answered && now <= found.it.until
    };
    let found = found.filter(is_good).ok_or(PageError::RequestUri)?;
    // The client may have been changed since.
    if !client.redirect_uris.iter().any(|own| own.is(&found.it.request.redirect_uri)) {
        return Err(PageError::RedirectUri);
    }
    Ok(Asked { client, request: found.it.request.clone(), pushed: Some(found) })
}

fn check_direct(
    server: &Shared,
    client: Arc<Client>,
    form: &Form,
    repeated: bool,
) -> Result<Result<Asked, Refused>, PageError> {
    let settings = &server.settings;
    let target = match redirect_target(settings, &client, form) {
        Ok(target) => target,
        // Also one that should have been pushed, and named its redirect URI there.
        Err(RedirectError::Missing | RedirectError::NotRegistered) => return Err(PageError::RedirectUri),
    };
    let redirect_uri = target.0.clone();
    let checked = if repeated {
        Err(AuthorizationError::Repeated)
    } else if settings.profile.rules().push_demanded || client.push_demanded || client.signature_demanded {
        Err(AuthorizationError::PushRequired)
    } else if form.get("request").is_some() {
        Err(AuthorizationError::RequestObjectNotPushed)
    } else {
        AuthorizationRequest::check(settings, &client, form, target)
    };
    Ok(match checked {
        Ok(request) => Ok(Asked { client, request, pushed: None }),
        Err(error) => {
            let state = form.get("state").filter(|state| state.len() <= AuthorizationRequest::MAX_STATE);
            Err(Refused { client_id: client.id.clone(), redirect_uri, state: state.map(str::to_owned), error })
        }
    })
}

/// A request, whoever looks at it, and where.
struct AuthorizePage<'a> {
    server: &'a Shared,
    asked: Asked,
    visitor: Visitor,
    target: String,
    now: Timestamp,
}

impl AuthorizePage<'_> {
    /// The next thing for the user to do: to sign in, or to decide.
    fn show(&self, decision: &mut PageDecision) -> Response {
        let is_none = self.asked.request.prompt == Some(Prompt::None);
        match self.signed_in() {
            None if is_none => self.refuse(AuthorizationError::LoginRequired, decision),
            Some(_) if is_none => self.refuse(AuthorizationError::ConsentRequired, decision),
            None => self.entrance().show(),
            Some(session) => {
                let token = self.visitor.form_token(self.server, &self.target);
                let page = ConsentPage::new(self.server, &self.asked.client, &self.asked.request, session);
                let end = form_target(&self.asked.request.redirect_uri);
                page.show(&self.target, token).with_form_target(end).into_response()
            }
        }
    }

    /// Whoever is signed in, just now and for this if the client wants it so.
    fn signed_in(&self) -> Option<&Session> {
        let wants_login = self.asked.request.prompt == Some(Prompt::Login);
        let is_fresh = |session: &&Session| self.server.people.is_fresh(session, &self.target, self.now);
        self.visitor.session().filter(|session| !wants_login || is_fresh(session))
    }

    async fn submit(self, request: Request<Body>, decision: &mut PageDecision) -> Result<Response, PageError> {
        let (parts, body) = request.into_parts();
        let form = Form::read(&parts.headers, body).await.map_err(|_| PageError::Malformed)?;
        self.visitor.check_form(self.server, &parts.headers, &form, &self.target)?;
        match (form.get("action"), self.signed_in()) {
            (Some("cancel"), _) => self.cancel(decision).await,
            (Some("approve"), Some(session)) => self.approve(session, decision).await,
            (Some("login"), _) => self.entrance().enter(&form, decision).await,
            // A session that has ended meanwhile: from the start.
            (Some("approve"), None) => Ok(see_other(&self.target, None)),
            _ => Err(PageError::Malformed),
        }
    }

    fn entrance(&self) -> Entrance<'_> {
        let end = form_target(&self.asked.request.redirect_uri);
        let asked = Some(Asking { client: &self.asked.client.id, end });
        Entrance { server: self.server, visitor: &self.visitor, target: &self.target, asked, now: self.now }
    }

    async fn cancel(&self, decision: &mut PageDecision) -> Result<Response, PageError> {
        if let Some(pushed) = &self.asked.pushed {
            self.commit(&[pushed.replace(&pushed.it.answered())?]).await?;
        }
        Ok(self.refuse(AuthorizationError::Denied, decision))
    }

    fn refuse(&self, error: AuthorizationError, decision: &mut PageDecision) -> Response {
        let request = &self.asked.request;
        let (redirect_uri, state) = (request.redirect_uri.clone(), request.state.clone());
        Refused { client_id: request.client_id.clone(), redirect_uri, state, error }.answer(self.server, decision)
    }

    async fn approve(&self, session: &Session, decision: &mut PageDecision) -> Result<Response, PageError> {
        let rules = self.server.settings.profile.rules();
        let approval = self.approval(session, &rules)?;
        let code = random_secret()?;
        let kept = Code::new(&self.asked.request, &approval.id, self.now.plus(rules.code_life));
        let mut changes = vec![storage::add(&approval.id, &approval)?, storage::add(&code, &kept)?];
        if let Some(pushed) = &self.asked.pushed {
            changes.push(pushed.replace(&pushed.it.answered())?);
        }
        self.commit(&changes).await?;
        decision.approve(&approval);
        let request = &self.asked.request;
        let mut parameters = vec![("code", code.as_str())];
        let location = answer_location(self.server, &request.redirect_uri, request.state.as_deref(), &mut parameters);
        Ok(see_other(&location, None))
    }

    fn approval(&self, session: &Session, rules: &Rules) -> Result<Approval, PageError> {
        let request = &self.asked.request;
        Ok(Approval {
            id: random_id()?,
            subject: session.username.clone(),
            client_id: request.client_id.clone(),
            scope: request.scope.clone(),
            resources: request.resources.clone(),
            authorization_details: request.authorization_details.clone(),
            jkt: request.jkt,
            approved_at: self.now,
            until: self.now.plus(rules.approval_life(self.asked.client.grants.contains(&GrantType::RefreshToken))),
            ended: None,
        })
    }

    /// Somebody who was faster has answered the request already.
    async fn commit(&self, changes: &[storage::Change]) -> Result<(), PageError> {
        match self.server.storage.commit(&SingleUse::default(), changes, self.now).await? {
            Verdict::First => Ok(()),
            _ => Err(PageError::RequestUri),
        }
    }
}
