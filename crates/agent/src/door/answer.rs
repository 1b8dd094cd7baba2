//! An answer on its way to a program: what belongs to the agent is taken off.

use countersign_dpop::{Challenge, ErrorCode};
use countersign_forward::{AnswerBody, ForwardError};
use http::header::{LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::door::body::DoorBody;
use crate::door::scrub::{Needles, Scrub};
use crate::place::Place;
use crate::policy::Policy;
use crate::refusal::{Code, Refusal};

/// True for the fields of an answer that are between the agent and the resource. One look at the text, where comparing
/// with each of these names is one for every one.
fn is_between(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "alt-svc"
            | "authentication-info"
            | "authorization"
            | "dpop"
            | "dpop-nonce"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "www-authenticate"
    )
}

const CODE: HeaderName = HeaderName::from_static("countersign-code");

/// What the program gets of the resource's answer. A 401 is the agent's to deal with, and its failure.
pub(super) fn clean(
    response: Response<AnswerBody>,
    needles: Needles,
    policy: &Policy,
) -> Result<Response<DoorBody>, Refusal> {
    if response.status() == StatusCode::UNAUTHORIZED {
        return Err(not_let_in(response.headers()));
    }
    let (mut head, body) = response.into_parts();
    let insufficient = head.status == StatusCode::FORBIDDEN && head.headers.contains_key(WWW_AUTHENTICATE);
    remove_where(&mut head.headers, |name, value| {
        is_between(name) || (!policy.cookies && *name == SET_COOKIE) || needles.are_in(value.as_bytes())
    });
    if insufficient {
        // An ordinary authorization failure: the scopes of the binding do not suffice.
        head.headers.insert(CODE, HeaderValue::from_static("K04"));
    }
    Ok(Response::from_parts(head, DoorBody::resource(Scrub::new(body, needles))))
}

/// Takes off every field that holds a secret.
pub(super) fn remove_secrets(headers: &mut HeaderMap, needles: &Needles) {
    remove_where(headers, |_, value| needles.are_in(value.as_bytes()));
}

fn remove_where(headers: &mut HeaderMap, is_one: impl Fn(&HeaderName, &HeaderValue) -> bool) {
    let names: Vec<HeaderName> =
        headers.iter().filter(|(name, value)| is_one(name, value)).map(|(name, _)| name.clone()).collect();
    for name in names {
        headers.remove(name);
    }
}

/// Makes a redirect below the resource one to the local address, so that what follows is signed too.
pub(super) fn local(mut response: Response<DoorBody>, place: &Place, base: &str) -> Response<DoorBody> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let below = location.and_then(|location| place.below(location));
    if let Some(below) = below {
        let path = format!("{base}{below}");
        let path = if path.is_empty() { "/" } else { path.as_str() };
        if let Ok(value) = HeaderValue::from_str(path) {
            response.headers_mut().insert(LOCATION, value);
        }
    }
    response
}

fn not_let_in(headers: &HeaderMap) -> Refusal {
    let said = error(headers).map_or_else(|| "without an error code".to_owned(), |code| format!("with {code}"));
    let detail = format!("the resource does not accept what the agent sends: 401 {said}");
    Refusal::new(Code::A08, StatusCode::BAD_GATEWAY, detail, "countersign doctor finds out why")
}

/// The error code of a challenge, if there is one that is known.
fn error(headers: &HeaderMap) -> Option<ErrorCode> {
    let fields = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| Challenge::parse_field(field).unwrap_or_default()).find_map(|challenge| challenge.error)
}

/// The forwarder got no answer.
pub(super) fn no_answer(fault: &ForwardError) -> Refusal {
    tracing::warn!(code = fault.code(), %fault, "a request got no answer");
    let detail = format!("no answer from the resource ({})", fault.code());
    Refusal::new(Code::A09, fault.status(), detail, "see the agent's log")
}
