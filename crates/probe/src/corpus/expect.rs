use countersign_dpop::diagnosis::DiagnosisCode;
use countersign_dpop::headers::DPOP_NONCE;
use countersign_dpop::{Challenge, ErrorCode};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

/// A verdict: one status and one code, exactly.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Served.
    Accept,
    /// 401 with `invalid_dpop_proof`.
    InvalidDpopProof,
    /// 401 with `invalid_token`.
    InvalidToken,
    /// 401 with `use_dpop_nonce` and a nonce.
    UseDpopNonce,
    /// 400 with `invalid_request`.
    InvalidRequest,
    /// 403 with `insufficient_scope`.
    InsufficientScope,
    /// 401 without a code: no credentials.
    NoCredentials,
    /// 421: another authority.
    Misdirected,
    /// 400 by the HTTP layer.
    BadRequest,
    /// 405 by the HTTP layer or the gateway.
    MethodNotAllowed,
    /// 431 by the HTTP layer.
    FieldsTooLarge,
    /// 503: the store cannot judge.
    Unavailable,
    /// 500 by the service behind: the request was let through.
    ServiceFailed,
    /// 204: a preflight.
    Preflight,
}

impl Expect {
    /// The status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Accept => StatusCode::OK,
            Self::InvalidDpopProof | Self::InvalidToken | Self::UseDpopNonce | Self::NoCredentials => {
                StatusCode::UNAUTHORIZED
            }
            Self::InvalidRequest | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::FieldsTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::ServiceFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Preflight => StatusCode::NO_CONTENT,
        }
    }

    /// The code.
    pub const fn code(self) -> Option<ErrorCode> {
        match self {
            Self::InvalidDpopProof => Some(ErrorCode::InvalidDpopProof),
            Self::InvalidToken => Some(ErrorCode::InvalidToken),
            Self::UseDpopNonce => Some(ErrorCode::UseDpopNonce),
            Self::InvalidRequest => Some(ErrorCode::InvalidRequest),
            Self::InsufficientScope => Some(ErrorCode::InsufficientScope),
            Self::Accept
            | Self::NoCredentials
            | Self::Misdirected
            | Self::BadRequest
            | Self::MethodNotAllowed
            | Self::FieldsTooLarge
            | Self::Unavailable
            | Self::ServiceFailed
            | Self::Preflight => None,
        }
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The code.
    pub code: Option<ErrorCode>,
    /// The nonce for the next proof.
    pub nonce: Option<String>,
    /// The fields; empty where the core answered.
    pub fields: HeaderMap,
    /// What the server itself says is wrong, where it can be asked.
    pub diagnosis: Option<DiagnosisCode>,
    /// The fields that the service behind got; empty where there is none or it was not reached.
    pub upstream: HeaderMap,
}

impl Answer {
    /// Reads an answer by HTTP.
    pub fn read(status: StatusCode, fields: HeaderMap) -> Self {
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let nonce = fields.get(DPOP_NONCE).and_then(text);
        let code = challenges(&fields).into_iter().find_map(|challenge| challenge.error);
        Self { status, code, nonce, fields, diagnosis: None, upstream: HeaderMap::new() }
    }

    /// The challenges in it that can be read.
    pub fn challenges(&self) -> Vec<Challenge> {
        challenges(&self.fields)
    }

    /// `401 invalid_dpop_proof` and the like.
    pub fn summary(&self) -> String {
        let code = self.code.map_or("", ErrorCode::as_str);
        format!("{} {code}", self.status.as_u16()).trim_end().to_owned()
    }
}

fn challenges(fields: &HeaderMap) -> Vec<Challenge> {
    let fields = fields.get_all(WWW_AUTHENTICATE).iter();
    fields.filter_map(|field| Challenge::parse_field(field.to_str().ok()?).ok()).flatten().collect()
}
