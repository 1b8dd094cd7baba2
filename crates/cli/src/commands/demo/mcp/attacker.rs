//! The one who has everything but the key, and sends what he likes.

use countersign_dpop::Challenge;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Wire;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::error::CommandError;

/// A message that any MCP server answers.
pub(super) const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A message, and a field beside it.
pub(super) struct Said {
    pub(super) field: Option<(&'static str, String)>,
    pub(super) body: &'static str,
}

impl Said {
    pub(super) const fn plainly(body: &'static str) -> Self {
        Self { field: None, body }
    }
}

/// Sends what it likes.
pub(super) struct Attacker(Wire<HttpConnector, Full<bytes::Bytes>>);

/// What the attacker gets.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Attacker {
    pub(super) fn new() -> Self {
        Self(Wire::builder(TokioExecutor::new()).build_http())
    }

    pub(super) async fn post(&self, url: &str, headers: HeaderMap) -> Result<Got, CommandError> {
        self.say(url, headers, PING).await
    }

    pub(super) async fn say(&self, url: &str, headers: HeaderMap, body: &'static str) -> Result<Got, CommandError> {
        let mut request = http::Request::new(Full::new(bytes::Bytes::from_static(body.as_bytes())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = url.parse().map_err(CommandError::internal)?;
        *request.headers_mut() = headers;
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        request.headers_mut().insert("accept", HeaderValue::from_static("application/json, text/event-stream"));
        self.send(request).await
    }

    pub(super) async fn get(&self, url: &str) -> Result<Got, CommandError> {
        let mut request = http::Request::new(Full::default());
        *request.uri_mut() = url.parse().map_err(CommandError::internal)?;
        self.send(request).await
    }

    async fn send(&self, request: http::Request<Full<bytes::Bytes>>) -> Result<Got, CommandError> {
        let answer = self.0.request(request).await.map_err(CommandError::internal)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(CommandError::internal)?.to_bytes();
        Ok(Got { status: head.status, headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Got {
    fn challenges(&self) -> Vec<Challenge> {
        let fields = self.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|field| field.to_str().ok());
        fields.flat_map(|field| Challenge::parse_field(field).unwrap_or_default()).collect()
    }

    /// The status and the error code.
    pub(super) fn verdict(&self) -> String {
        let error = self.challenges().into_iter().find_map(|challenge| challenge.error);
        error.map_or_else(|| self.status.as_u16().to_string(), |error| format!("{} {error}", self.status.as_u16()))
    }

    pub(super) fn challenge(&self) -> String {
        let challenges = self.challenges();
        let dpop = challenges.iter().any(|challenge| challenge.scheme == countersign_dpop::Scheme::Dpop);
        let with = if dpop { "with a DPoP challenge" } else { "without one" };
        format!("{} {with}", self.status.as_u16())
    }

    pub(super) fn passed(&self) -> &'static str {
        let refused = self.status == StatusCode::UNAUTHORIZED || self.status == StatusCode::FORBIDDEN;
        if refused { "refused" } else { "not refused" }
    }
}
