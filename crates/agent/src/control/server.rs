use std::borrow::Cow;
use std::convert::Infallible;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::getuid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::agent::Agent;
use crate::approval::{Ask, Decision, DecisionError};
use crate::control::{
    Address, BindingStatus, Decided, Failed, GrantStatus, Leak, Password, Revoke, Revoked, Status, Waiting,
};
use crate::journal::{Entry, Event};
use crate::listener::Bound;
use crate::lock::LockError;
use crate::peer::Peer;

/// Connections at a time.
const MAX_CONNECTIONS: usize = 32;
/// The longest body, in bytes.
const MAX_BODY: usize = 16_384;
/// How long a list of what waits is held back while nothing changes.
const HOLD: Duration = Duration::from_secs(25);
const IDLE: Duration = Duration::from_secs(30);

type Answer = Response<Full<Bytes>>;

/// Serves until `ending`.
pub(crate) async fn serve(bound: Bound, agent: Agent, ending: CancellationToken) {
    let Bound::Socket { listener, path } = bound else { return };
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some(accepted) = ending.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let Ok(peer) = Peer::of(&stream) else { continue };
        if peer.uid != getuid().as_raw() {
            tracing::warn!(uid = peer.uid, "another user at the control socket");
            continue;
        }
        let (agent, ending) = (agent.clone(), ending.clone());
        tokio::spawn(async move {
            ending.run_until_cancelled(connection(stream, agent, peer)).await;
            drop(place);
        });
    }
    let _ = fs::remove_file(path);
}

async fn connection(stream: UnixStream, agent: Agent, peer: Peer) {
    let peer = Arc::new(peer);
    let service = service_fn(move |request| {
        let (agent, peer) = (agent.clone(), Arc::clone(&peer));
        async move { Ok::<_, Infallible>(answer(&agent, &peer, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(fault) = served {
        tracing::debug!(%fault, "a connection to the control socket ended early");
    }
}

async fn answer(agent: &Agent, peer: &Peer, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body = match tokio::time::timeout(IDLE, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Zeroizing::new(body.to_bytes().to_vec()),
        Ok(Err(_)) | Err(_) => return failed(StatusCode::BAD_REQUEST, "the body cannot be read"),
    };
    match (&head.method, steps.as_slice()) {
        (&Method::GET, ["status"]) => json(&status(agent)),
        (&Method::GET, ["addresses"]) => addresses(agent, peer),
        (&Method::GET, ["approvals"]) => waiting(agent, head.uri.query()).await,
        (&Method::POST, ["approvals", id]) => match (id.parse(), read::<Decided>(&body)) {
            (Ok(id), Some(decided)) => decide(agent, peer, id, decided.decision),
            _ => failed(StatusCode::BAD_REQUEST, "a decision is once, deny, or for some seconds"),
        },
        (&Method::POST, ["lock"]) => locking(read::<Password>(&body), |password| agent.lock(password)),
        (&Method::POST, ["unlock"]) => locking(read::<Password>(&body), |password| agent.unlock(password)),
        (&Method::POST, ["revoke"]) => match read::<Revoke>(&body) {
            Some(which) => revoke(agent, which.binding.as_deref()).await,
            None => failed(StatusCode::BAD_REQUEST, "which binding?"),
        },
        (&Method::POST, ["journal"]) => match read::<Leak>(&body) {
            Some(leak) => note(agent, &leak),
            None => failed(StatusCode::BAD_REQUEST, "what was found?"),
        },
        _ => failed(StatusCode::NOT_FOUND, "the agent knows no such thing"),
    }
}

/// No body is an empty object.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(if body.is_empty() { b"{}" } else { body }).ok()
}

fn status(agent: &Agent) -> Status {
    let head = agent.head();
    let bindings = agent.opened().into_iter().map(|opened| BindingStatus {
        name: opened.binding.name().to_string(),
        resource: opened.binding.resource(),
        jkt: opened.binding.jkt().to_string(),
        approval: opened.binding.policy.approval.as_str().to_owned(),
        ends_at: opened.binding.ends_at().map(countersign_dpop::time::Timestamp::seconds),
        socket: opened.socket,
        address: opened.address,
        revoked: opened.binding.is_revoked(),
    });
    let grants = agent.approvals().grants().into_iter();
    Status {
        locked: agent.is_locked(),
        pid: std::process::id(),
        journal_head: head.hash,
        journal_lines: head.lines,
        bindings: bindings.collect(),
        approvals: grants
            .map(|grant| GrantStatus {
                id: grant.id,
                subject: grant.subject,
                until: grant.until.map(countersign_dpop::time::Timestamp::seconds),
            })
            .collect(),
    }
}

/// Shown only when it is written down.
fn addresses(agent: &Agent, peer: &Peer) -> Answer {
    let mut entry = Entry::new(Event::Revealed);
    entry.process = Cow::Borrowed(&peer.chain);
    entry.uid = Some(peer.uid);
    entry.verified = Some(peer.verified);
    if let Err(fault) = agent.record(&entry) {
        return failed(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string());
    }
    let opened = agent.opened().into_iter();
    let addresses = opened.map(|opened| Address { binding: opened.binding.name().to_string(), url: opened.url });
    json(&addresses.collect::<Vec<_>>())
}

async fn waiting(agent: &Agent, query: Option<&str>) -> Answer {
    let seen: Option<u64> = query.and_then(|query| query.strip_prefix("seen=")).and_then(|seen| seen.parse().ok());
    let mut version = agent.approvals().watch();
    if let Some(seen) = seen {
        let _ = tokio::time::timeout(HOLD, version.wait_for(|version| *version != seen)).await;
    }
    let version = *version.borrow();
    json(&Waiting { version, waiting: agent.approvals().waiting() })
}

fn decide(agent: &Agent, peer: &Peer, id: u64, decision: Decision) -> Answer {
    // Without the line nothing is approved.
    let Some(ask) = agent.approvals().ask(id) else { return undecided(DecisionError::Unknown) };
    let by: Vec<i32> = peer.chain.iter().map(|process| process.pid).collect();
    if decision != Decision::Deny && ask.process.first().is_some_and(|process| by.contains(&process.pid)) {
        return undecided(DecisionError::OwnRequest);
    }
    if let Err(fault) = agent.record(&line(&ask, decision, peer)) {
        return failed(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string());
    }
    match agent.approvals().decide(id, decision, &by) {
        Ok(ask) => json(&ask),
        Err(fault) => undecided(fault),
    }
}

fn line<'a>(ask: &'a Ask, decision: Decision, peer: &'a Peer) -> Entry<'a> {
    let event = if decision == Decision::Deny { Event::Denied } else { Event::Approved };
    let mut entry = Entry::new(event).of(&ask.binding);
    entry.approval = Some(ask.id);
    entry.tool = ask.tool.as_deref().map(Into::into);
    entry.method = Some(ask.method.as_str().into());
    entry.path = Some(ask.path.as_str().into());
    entry.seconds = if let Decision::For(seconds) = decision { Some(seconds) } else { None };
    entry.process = Cow::Borrowed(&peer.chain);
    entry.uid = Some(peer.uid);
    entry.verified = Some(peer.verified);
    entry
}

fn undecided(fault: DecisionError) -> Answer {
    let status = match fault {
        DecisionError::Unknown => StatusCode::NOT_FOUND,
        DecisionError::OwnRequest => StatusCode::FORBIDDEN,
    };
    failed(status, &fault.to_string())
}

fn locking(
    password: Option<Password>,
    act: impl FnOnce(Option<&Zeroizing<String>>) -> Result<(), LockError>,
) -> Answer {
    let Some(password) = password else { return failed(StatusCode::BAD_REQUEST, "the password is a text") };
    match act(password.password.as_ref()) {
        Ok(()) => json(&serde_json::json!({})),
        Err(fault) => {
            let status = match fault {
                LockError::Locked => StatusCode::CONFLICT,
                LockError::WrongPassword => StatusCode::FORBIDDEN,
                LockError::Wait { .. } => StatusCode::TOO_MANY_REQUESTS,
                LockError::NoRandomness => StatusCode::INTERNAL_SERVER_ERROR,
            };
            failed(status, &fault.to_string())
        }
    }
}

async fn revoke(agent: &Agent, which: Option<&str>) -> Answer {
    let chosen: Vec<_> = agent
        .bindings()
        .into_iter()
        .filter(|binding| which.is_none_or(|which| binding.name().as_str() == which))
        .collect();
    if chosen.is_empty() && which.is_some() {
        return failed(StatusCode::NOT_FOUND, "there is no binding of this name");
    }
    let mut revoked = Vec::new();
    for binding in chosen {
        let fault = agent.revoke(binding.name()).await.err();
        revoked.push(Revoked { binding: binding.name().to_string(), fault });
    }
    json(&revoked)
}

fn note(agent: &Agent, leak: &Leak) -> Answer {
    let note = crate::peer::plain(&leak.note);
    match agent.record(&Entry::new(Event::Leaked).of(&crate::peer::plain(&leak.binding)).saying(note)) {
        Ok(()) => json(&serde_json::json!({})),
        Err(fault) => failed(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string()),
    }
}

fn json(value: &impl Serialize) -> Answer {
    answer_with(StatusCode::OK, value)
}

fn failed(status: StatusCode, error: &str) -> Answer {
    answer_with(status, &Failed { error: error.to_owned() })
}

fn answer_with(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut response = Response::new(Full::new(serde_json::to_vec(value).unwrap_or_default().into()));
    *response.status_mut() = status;
    response
}
