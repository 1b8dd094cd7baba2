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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn reason() -> String {
        "canary".to_owned()
    }

    /// Every refusal of the gateway's own. Whoever adds one adds its row.
    fn every() -> Vec<(Trouble, u16, &'static str)> {
        let own = [
            (Trouble::Authority(BadAuthority::HostRepeated), 400, "host_repeated"),
            (Trouble::Authority(BadAuthority::HostMissing), 400, "host_missing"),
            (Trouble::Authority(BadAuthority::HostMalformed), 400, "host_malformed"),
            (Trouble::Authority(BadAuthority::Contradiction), 400, "authority_contradiction"),
            (Trouble::AmbiguousPath, 400, "ambiguous_path"),
            (Trouble::UntrustedProxy, 403, "untrusted_proxy"),
            (Trouble::ForwardedFields, 400, "forwarded_fields"),
            (Trouble::Attributes, 400, "attributes"),
            (Trouble::NotGrpc, 415, "not_grpc"),
            (Trouble::NoAssertion, 500, "no_assertion"),
            (Trouble::Connect, 405, "connect_method"),
            (Trouble::TooManyFields, 431, "too_many_fields"),
        ];
        let forwarding = [
            (ForwardError::ConnectMethod, 405, "connect_method"),
            (ForwardError::BadTarget, 400, "bad_target"),
            (ForwardError::TransferCoding, 501, "transfer_coding"),
            (ForwardError::RequestBody { reason: reason() }, 400, "request_body_broken"),
            (ForwardError::RequestBodyIdle { limit: LIMIT }, 408, "request_body_idle"),
            (ForwardError::RequestBodySlow { bytes_per_second: 1 }, 408, "request_body_slow"),
            (ForwardError::Unreachable { reason: reason() }, 502, "upstream_unreachable"),
            (ForwardError::ConnectTimeout { limit: LIMIT }, 504, "upstream_connect_timeout"),
            (ForwardError::NoAnswer { limit: LIMIT }, 504, "upstream_no_answer"),
            (ForwardError::BadAnswer { reason: reason() }, 502, "upstream_bad_answer"),
        ];
        let forwarding = forwarding.into_iter().map(|(error, status, code)| (Trouble::Forward(error), status, code));
        own.into_iter().chain(forwarding).collect()
    }

    #[test]
    fn each_has_its_status_and_code_and_tells_nothing_of_what_stands_behind() {
        for (trouble, status, code) in every() {
            let answer = trouble.to_response();
            assert_eq!((answer.status().as_u16(), trouble.code()), (status, code));
            assert_eq!(answer.headers()[CACHE_CONTROL], "no-store", "{code}");
            assert_eq!(answer.headers().contains_key(ALLOW), status == 405, "{code}");
            let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
            let words = body["error_description"].as_str().unwrap();
            assert!(!words.is_empty() && !words.contains("canary"), "{code}: {words}");
        }
    }
}
