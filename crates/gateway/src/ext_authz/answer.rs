//! Verdicts as Envoy takes them.
//!
//! Envoy sets fields first and removes fields after that, so nothing is in both lists. Fields of a refusal replace those
//! of its own answer, however often a name occurs; the one meaning that every version of Envoy has for `append_action`
//! left out is that.

use std::collections::HashMap;

use bytes::Bytes;
use countersign_dpop::headers::DPOP;
use envoy_types::ext_authz::v3::pb::{
    CheckResponse, DeniedHttpResponse, HeaderAppendAction, HeaderValue, HeaderValueOption, HttpResponse, HttpStatus,
    OkHttpResponse,
};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use tonic::Code;

use crate::identity;

/// The request may pass: the upstream gets `identity` in place of what the client sent under such names and of its
/// credentials, the client gets `learned` with the answer.
pub(super) fn granted(
    sent: &HeaderMap,
    identity: &HeaderMap,
    learned: &HeaderMap,
    keep_credentials: bool,
) -> CheckResponse {
    let removed = |name: &&HeaderName| {
        let is_credential = *name == AUTHORIZATION || *name == DPOP;
        (identity::is_reserved(name) && !identity.contains_key(*name)) || (is_credential && !keep_credentials)
    };
    ok(OkHttpResponse {
        headers: fields(identity, HeaderAppendAction::OverwriteIfExistsOrAdd),
        headers_to_remove: sent.keys().filter(removed).map(ToString::to_string).collect(),
        response_headers_to_add: fields(learned, HeaderAppendAction::OverwriteIfExistsOrAdd),
        ..OkHttpResponse::default()
    })
}

/// The request passes as it is, but for names that an API must be able to trust.
pub(super) fn observed(sent: &HeaderMap) -> CheckResponse {
    let removed = sent.keys().filter(|name| identity::is_reserved(name)).map(ToString::to_string);
    ok(OkHttpResponse { headers_to_remove: removed.collect(), ..OkHttpResponse::default() })
}

/// The client is to get this answer.
pub(super) fn refused(refusal: &Response<Bytes>) -> CheckResponse {
    let status = HttpStatus { code: i32::from(refusal.status().as_u16()) };
    let denied = DeniedHttpResponse {
        status: Some(status),
        headers: fields(refusal.headers(), HeaderAppendAction::AppendIfExistsOrAdd),
        // Of our own making, so it is text.
        body: String::from_utf8_lossy(refusal.body()).into_owned(),
    };
    CheckResponse {
        status: Some(rpc::Status { code: code(refusal.status()).into(), ..rpc::Status::default() }),
        http_response: Some(HttpResponse::DeniedResponse(denied)),
        dynamic_metadata: None,
    }
}

/// With what Envoy's own access log can show, so that it can be laid beside the decision log.
pub(super) fn noted(response: CheckResponse, request: &str, code: &str) -> CheckResponse {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let fields = HashMap::from([("request".to_owned(), text(request)), ("code".to_owned(), text(code))]);
    CheckResponse { dynamic_metadata: Some(Struct { fields }), ..response }
}

fn ok(answer: OkHttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(rpc::Status { code: Code::Ok.into(), ..rpc::Status::default() }),
        http_response: Some(HttpResponse::OkResponse(answer)),
        dynamic_metadata: None,
    }
}

/// Never [`Code::Ok`]: that alone would let the request pass.
const fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        _ => Code::PermissionDenied,
    }
}

/// Every value that is text; ours all are.
fn fields(fields: &HeaderMap, action: HeaderAppendAction) -> Vec<HeaderValueOption> {
    let field = |(name, value): (&HeaderName, &http::HeaderValue)| {
        let header =
            HeaderValue { key: name.to_string(), value: value.to_str().ok()?.to_owned(), ..HeaderValue::default() };
        Some(HeaderValueOption { header: Some(header), append_action: action.into(), ..HeaderValueOption::default() })
    };
    fields.iter().filter_map(field).collect()
}
