//! Pages for people: plain HTML without script, in no frame, in no cache, with a policy that allows one style sheet and
//! forms that go where they must.

use std::sync::LazyLock;

use askama::Template;
use aws_lc_rs::digest;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode, header};

/// A page that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Page {
    status: StatusCode,
    html: String,
    cookies: Vec<HeaderValue>,
    /// Where else than here the page's form may end: at the client, by a redirect.
    form_target: Option<String>,
    retry_after: Option<i64>,
}

/// What every page shows.
pub(crate) trait Styled {
    /// The one style sheet.
    fn style(&self) -> &'static str {
        STYLE
    }
}

impl Page {
    pub(crate) fn new<T: Template>(status: StatusCode, template: &T) -> Self {
        let rendered = template.render();
        let (status, html) = match rendered {
            Ok(html) => (status, html),
            Err(fault) => {
                tracing::error!(%fault, "a page cannot be rendered");
                (StatusCode::INTERNAL_SERVER_ERROR, String::new())
            }
        };
        Self { status, html, cookies: Vec::new(), form_target: None, retry_after: None }
    }

    /// The page sets this cookie too.
    pub(crate) fn with_cookie(mut self, cookie: Option<HeaderValue>) -> Self {
        self.cookies.extend(cookie);
        self
    }

    /// The page's form may end at `target`: an origin or a scheme.
    pub(crate) fn with_form_target(mut self, target: &str) -> Self {
        self.form_target = Some(target.to_owned());
        self
    }

    pub(crate) fn with_retry_after(mut self, seconds: Option<i64>) -> Self {
        self.retry_after = seconds;
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let policy = policy(self.form_target.as_deref());
        let mut response = (self.status, self.html).into_response();
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if let Ok(policy) = HeaderValue::try_from(policy) {
            fields.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        guard(fields);
        if let Some(wait) = self.retry_after {
            fields.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        for cookie in self.cookies {
            fields.append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// Sends the browser on, by GET whatever the request was (RFC 9700 §4.12).
pub(crate) fn see_other(location: &str, cookie: Option<HeaderValue>) -> Response {
    let Ok(location) = HeaderValue::try_from(location) else {
        return PageError::Away("a location that is no field".to_owned()).into_response();
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let fields = response.headers_mut();
    fields.insert(header::LOCATION, location);
    guard(fields);
    if let Some(cookie) = cookie {
        fields.append(header::SET_COOKIE, cookie);
    }
    response
}

/// `same-origin` and not `no-referrer`, under which browsers hide the origin of our own forms from us.
fn guard(fields: &mut http::HeaderMap) {
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
}

const STYLE: &str = include_str!("../../templates/style.css");

static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes())));

fn policy(form_target: Option<&str>) -> String {
    let target = form_target.map(|target| format!(" {target}")).unwrap_or_default();
    format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self'{target}; frame-ancestors 'none'; base-uri 'none'",
        *STYLE_HASH
    )
}

/// Why there is nothing to show but a fixed sentence. The reason is for the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PageError {
    #[error("the request cannot be read")]
    Malformed,
    #[error("the client is not known, or has no redirect URI")]
    ClientUnknown,
    #[error("redirect_uri is not one that the client has registered")]
    RedirectUri,
    #[error("request_uri is unknown, expired, answered or another client's")]
    RequestUri,
    #[error("the form does not come from our own page in this browser")]
    Forged,
    #[error("too many passwords wait to be verified")]
    Busy,
    #[error("the server cannot decide: {0}")]
    Away(String),
}

impl PageError {
    /// The stable name, for logs and metrics.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Malformed => "page_malformed",
            Self::ClientUnknown => "page_client_unknown",
            Self::RedirectUri => "page_redirect_uri",
            Self::RequestUri => "page_request_uri",
            Self::Forged => "page_forged",
            Self::Busy => "page_busy",
            Self::Away(_) => "page_away",
        }
    }

    /// The status of the page.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Malformed | Self::ClientUnknown | Self::RedirectUri | Self::RequestUri => StatusCode::BAD_REQUEST,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::Busy | Self::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn sentences(&self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed | Self::ClientUnknown | Self::RedirectUri | Self::RequestUri => (
                "This link does not work",
                "Go back to the app and start again. If that does not help, tell its makers.",
            ),
            Self::Forged => ("This form has expired", "Go back to the app and start again."),
            Self::Busy | Self::Away(_) => ("This does not work just now", "Wait a moment and try again."),
        }
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    title: &'static str,
    text: &'static str,
}

impl Styled for MessagePage {}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (title, text) = self.sentences();
        let wait = (self.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(1);
        Page::new(self.status(), &MessagePage { title, text }).with_retry_after(wait).into_response()
    }
}
