use std::error::Error;
use std::time::Duration;

use http::StatusCode;

/// Any error that can cross threads.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request got no answer from the upstream. The texts are for logs: they name no field's value.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// `CONNECT`: this is no tunnel to anywhere (RFC 9110 §9.3.6).
    #[error("the method CONNECT is not forwarded")]
    ConnectMethod,
    /// The request's target is not a path that can go below the upstream's.
    #[error("the request's target cannot be forwarded")]
    BadTarget,
    /// A transfer coding other than `chunked` (RFC 9112 §6.1).
    #[error("a transfer coding other than chunked")]
    TransferCoding,
    /// The client's body broke off or broke its framing.
    #[error("the request's body broke off: {reason}")]
    RequestBody {
        /// What went wrong.
        reason: String,
    },
    /// The client sent no more of its body for too long.
    #[error("the client sent nothing of its body for {} s", limit.as_secs())]
    RequestBodyIdle {
        /// How long it may take.
        limit: Duration,
    },
    /// The client sent its body too slowly for too long.
    #[error("the client sent less than {bytes_per_second} bytes of its body a second")]
    RequestBodySlow {
        /// What it has to send on average.
        bytes_per_second: u32,
    },
    /// No connection to the upstream.
    #[error("the upstream cannot be reached: {reason}")]
    Unreachable {
        /// What went wrong.
        reason: String,
    },
    /// No connection to the upstream in time.
    #[error("the upstream did not take the connection within {} s", limit.as_secs())]
    ConnectTimeout {
        /// How long it may take.
        limit: Duration,
    },
    /// The upstream took the request but did not begin to answer.
    #[error("the upstream did not begin to answer within {} s", limit.as_secs())]
    NoAnswer {
        /// How long it may take.
        limit: Duration,
    },
    /// The upstream closed the connection, or what it sent is not HTTP.
    #[error("the upstream's answer is not usable: {reason}")]
    BadAnswer {
        /// What went wrong.
        reason: String,
    },
}

impl ForwardError {
    /// The status to answer with.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::ConnectMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadTarget | Self::RequestBody { .. } => StatusCode::BAD_REQUEST,
            Self::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::RequestBodyIdle { .. } | Self::RequestBodySlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Unreachable { .. } | Self::BadAnswer { .. } => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout { .. } | Self::NoAnswer { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// A short name for logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ConnectMethod => "connect_method",
            Self::BadTarget => "bad_target",
            Self::TransferCoding => "transfer_coding",
            Self::RequestBody { .. } => "request_body_broken",
            Self::RequestBodyIdle { .. } => "request_body_idle",
            Self::RequestBodySlow { .. } => "request_body_slow",
            Self::Unreachable { .. } => "upstream_unreachable",
            Self::ConnectTimeout { .. } => "upstream_connect_timeout",
            Self::NoAnswer { .. } => "upstream_no_answer",
            Self::BadAnswer { .. } => "upstream_bad_answer",
        }
    }
}

/// The whole chain of an error's causes on one line.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// True when a cause of the error is an I/O error of this kind.
pub(crate) fn is_caused_by(error: &(dyn Error + 'static), kind: std::io::ErrorKind) -> bool {
    let mut source = Some(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == kind) {
            return true;
        }
        source = cause.source();
    }
    false
}
