//! Answers of the gateway's own, other than refusals by token or proof.

use bytes::Bytes;
use countersign_forward::ForwardError;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::authority::BadAuthority;

/// Why a request is not even judged, or not answered by the upstream.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It does not say clearly which authority it is for.
    Authority(BadAuthority),
    /// A path that is read in two ways and is of two routes.
    AmbiguousPath,
    /// A proxy asks that is none of the trusted ones.
    UntrustedProxy,
    /// The fields by which a proxy says what it asks about are absent, or there twice, or not usable.
    ForwardedFields,
    /// Envoy's question lacks what is asked about, or says it in no usable way.
    Attributes,
    /// Not gRPC over HTTP/2, where only Envoy is answered.
    NotGrpc,
    /// The assertion for the upstream cannot be signed.
    NoAssertion,
    /// The method CONNECT.
    Connect,
    /// More fields than allowed.
    TooManyFields,
    /// Forwarding failed.
    Forward(ForwardError),
}

impl Trouble {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::AmbiguousPath | Self::Authority(_) | Self::ForwardedFields | Self::Attributes => {
                StatusCode::BAD_REQUEST
            }
            Self::NotGrpc => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UntrustedProxy => StatusCode::FORBIDDEN,
            Self::NoAssertion => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Connect => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Forward(error) => error.status(),
        }
    }

    /// The stable name for logs and metrics.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::AmbiguousPath => "ambiguous_path",
            Self::UntrustedProxy => "untrusted_proxy",
            Self::NoAssertion => "no_assertion",
            Self::ForwardedFields => "forwarded_fields",
            Self::Attributes => "attributes",
            Self::NotGrpc => "not_grpc",
            Self::Authority(BadAuthority::HostRepeated) => "host_repeated",
            Self::Authority(BadAuthority::HostMissing) => "host_missing",
            Self::Authority(BadAuthority::HostMalformed) => "host_malformed",
            Self::Authority(BadAuthority::Contradiction) => "authority_contradiction",
            Self::Connect => "connect_method",
            Self::TooManyFields => "too_many_fields",
            Self::Forward(error) => error.code(),
        }
    }

    /// The answer. It says nothing of what stands behind.
    pub(crate) fn to_response(&self) -> Response<Bytes> {
        // Written by hand: the texts are ours and hold nothing that JSON would escape.
        let body = format!("{{\"error_description\":\"{}\"}}", self.description());
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }

    const fn description(&self) -> &'static str {
        match self {
            Self::UntrustedProxy => "not a trusted proxy",
            Self::NoAssertion => "the API cannot be told who asks",
            Self::ForwardedFields | Self::Attributes => "the proxy does not say clearly what it asks about",
            Self::NotGrpc => "only gRPC over HTTP/2 is answered here",
            Self::AmbiguousPath => "the path can be read in two ways",
            Self::Authority(BadAuthority::HostRepeated) => "more than one Host field",
            Self::Authority(BadAuthority::HostMissing) => "no Host field",
            Self::Authority(BadAuthority::HostMalformed) => "a Host field that names no host",
            Self::Authority(BadAuthority::Contradiction) => "two authorities that differ",
            Self::Connect | Self::Forward(ForwardError::ConnectMethod) => "the method CONNECT is not allowed",
            Self::TooManyFields => "too many fields",
            Self::Forward(ForwardError::BadTarget) => "the target cannot be forwarded",
            Self::Forward(ForwardError::TransferCoding) => "a transfer coding other than chunked",
            Self::Forward(ForwardError::RequestBody { .. }) => "the body broke off",
            Self::Forward(ForwardError::RequestBodyIdle { .. } | ForwardError::RequestBodySlow { .. }) => {
                "the body did not come in time"
            }
            Self::Forward(ForwardError::Unreachable { .. }) => "the API cannot be reached",
            Self::Forward(ForwardError::BadAnswer { .. }) => "the API gave no usable answer",
            Self::Forward(ForwardError::ConnectTimeout { .. } | ForwardError::NoAnswer { .. }) => {
                "the API did not answer in time"
            }
        }
    }
}
