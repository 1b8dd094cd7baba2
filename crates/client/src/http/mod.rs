//! HTTP as this client speaks it: https or loopback, no redirects, no proxies, bounded answers, limited times.

mod body;
mod date;
mod endpoint;
mod error;
mod form;
mod trust;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;

pub use self::body::{RequestBody, ResponseBody};
pub(crate) use self::date::read_date;
pub use self::endpoint::{Endpoint, EndpointError};
pub use self::error::TransportError;
pub(crate) use self::form::{Form, percent_encode};

/// How long the client waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TimeLimits {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the whole of an answer with metadata or a token.
    pub answer: Duration,
    /// For the next bytes of an answer that is streamed. There is no limit on the whole of it.
    pub idle: Duration,
}

impl Default for TimeLimits {
    /// 10 s, 30 s and 5 minutes.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), answer: Duration::from_secs(30), idle: Duration::from_mins(5) }
    }
}

/// The longest answer with metadata or a token, in bytes.
pub(crate) const MAX_ANSWER: usize = 1_048_576;

/// An answer that was read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The connections of a client.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    answer_limit: Duration,
    roots: Roots,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Roots {
    System,
    /// The system has no CA certificates: loopback works, https cannot.
    None,
}

impl Http {
    pub(crate) fn new(limits: TimeLimits) -> Result<Self, TransportError> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(limits.connect)
            .read_timeout(limits.idle)
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        let (builder, roots) = match trust::system() {
            Some(trust) => (builder.tls_backend_preconfigured(trust), Roots::System),
            None => (builder.tls_certs_only([]), Roots::None),
        };
        let client = builder.build().map_err(|fault| TransportError::from_reqwest(&fault))?;
        Ok(Self { client, answer_limit: limits.answer, roots })
    }

    /// Sends a request to `endpoint` and reads the answer, bounded in size and time.
    pub(crate) async fn fetch(
        &self,
        endpoint: &Endpoint,
        request: http::Request<Bytes>,
    ) -> Result<Answer, TransportError> {
        let (parts, body) = request.into_parts();
        let built = self.build(endpoint, parts.method, parts.headers)?.body(body).timeout(self.answer_limit);
        let response = built.send().await.map_err(|fault| TransportError::from_reqwest(&fault))?;
        let (parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let body = read_at_most(ResponseBody::new(body), MAX_ANSWER).await?;
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Sends a request to `endpoint`; the answer's body is left to the caller.
    pub(crate) async fn exchange(
        &self,
        endpoint: &Endpoint,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<ResponseBody>, TransportError> {
        let (parts, body) = request.into_parts();
        let built = self.build(endpoint, parts.method, parts.headers)?.body(body.into_reqwest());
        let response = built.send().await.map_err(|fault| TransportError::from_reqwest(&fault))?;
        Ok(http::Response::<reqwest::Body>::from(response).map(ResponseBody::new))
    }

    /// As [`Http::exchange`], with the time limit of a short answer on its head.
    pub(crate) async fn exchange_in_time(
        &self,
        endpoint: &Endpoint,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<ResponseBody>, TransportError> {
        let answer = tokio::time::timeout(self.answer_limit, self.exchange(endpoint, request));
        answer.await.unwrap_or(Err(TransportError::TimeOut))
    }

    fn build(
        &self,
        endpoint: &Endpoint,
        method: http::Method,
        headers: HeaderMap,
    ) -> Result<reqwest::RequestBuilder, TransportError> {
        if endpoint.is_https() && self.roots == Roots::None {
            return Err(TransportError::NoCertificates);
        }
        Ok(self.client.request(method, endpoint.as_str()).headers(headers))
    }
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read_at_most(mut body: ResponseBody, limit: usize) -> Result<Bytes, TransportError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len().saturating_add(data.len()) > limit {
            return Err(TransportError::AnswerTooLong { limit });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
