//! The page on which the user decides: who asks, for what, where, for how long, and how the token is protected.

use askama::Template;
use http::StatusCode;
use serde_json::Value;

use crate::authorization::AuthorizationRequest;
use crate::client::Client;
use crate::endpoint::ACCOUNT_PATH;
use crate::grant::GrantType;
use crate::people::{Page, Session, Styled};
use crate::redirect_uri::form_target;
use crate::server::Shared;

/// What the user is asked.
pub(crate) struct ConsentPage<'a> {
    client: &'a str,
    username: &'a str,
    scopes: Vec<&'a str>,
    details: Vec<Detail>,
    resources: &'a [String],
    life: &'static str,
    binding: &'static str,
    jkt: Option<String>,
    destination: &'a str,
    account: String,
}

/// One of the authorization details (RFC 9396).
struct Detail {
    kind: String,
    text: String,
}

impl<'a> ConsentPage<'a> {
    pub(crate) fn new(
        server: &Shared,
        client: &'a Client,
        request: &'a AuthorizationRequest,
        session: &'a Session,
    ) -> Self {
        let is_long = client.grants.contains(&GrantType::RefreshToken);
        Self {
            client: &client.id,
            username: &session.username,
            scopes: request.scope.iter().collect(),
            details: request.authorization_details.as_ref().map(read_details).unwrap_or_default(),
            resources: &request.resources,
            life: if is_long { LONG_LIFE } else { SHORT_LIFE },
            binding: if request.jkt.is_some() || client.bound_tokens_only { BOUND } else { UNBOUND },
            jkt: request.jkt.map(|jkt| jkt.to_string()),
            destination: form_target(&request.redirect_uri),
            account: format!("{}{ACCOUNT_PATH}", server.settings.issuer.path()),
        }
    }

    /// The page whose form goes to `target`.
    pub(crate) fn show(&self, target: &str, token: String) -> Page {
        Page::new(StatusCode::OK, &ConsentTemplate { page: self, target, token })
    }
}

const LONG_LIFE: &str = "Up to 7 days. It ends after a day without use, or when you take it back.";
const SHORT_LIFE: &str = "A few minutes, once.";
const BOUND: &str = "Bound to a key that only the app holds: whoever steals the access cannot use it.";
const UNBOUND: &str = "Not bound to a key unless the app uses one: keep to apps that you trust.";

fn read_details(details: &Value) -> Vec<Detail> {
    let read = |item: &Value| Detail {
        kind: item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
        text: serde_json::to_string_pretty(item).unwrap_or_default(),
    };
    details.as_array().map(|items| items.iter().map(read).collect()).unwrap_or_default()
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentTemplate<'a> {
    page: &'a ConsentPage<'a>,
    target: &'a str,
    token: String,
}

impl Styled for ConsentTemplate<'_> {}
