//! What can go wrong on the way to a server.

use std::error::Error;

/// Why no answer could be had, or none that can be read. Carries neither URL nor anything that was sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransportError {
    /// More bytes than are read.
    #[error("the answer is longer than {limit} bytes")]
    AnswerTooLong {
        /// The most bytes that are read.
        limit: usize,
    },
    /// The answer broke off, or is not HTTP.
    #[error("the answer broke off: {reason}")]
    BrokenOff {
        /// What the HTTP layer says.
        reason: String,
    },
    /// No connection.
    #[error("no connection: {reason}")]
    Connect {
        /// What the system or TLS says.
        reason: String,
    },
    /// There is nothing on this machine to check a server's certificate by.
    #[error("this system has no CA certificates, so no https server can be trusted; install `ca-certificates`")]
    NoCertificates,
    /// The request could not be sent.
    #[error("the request could not be sent: {reason}")]
    Request {
        /// What the HTTP layer says.
        reason: String,
    },
    /// Nothing came in time.
    #[error("no answer in time")]
    TimeOut,
}

impl TransportError {
    pub(crate) fn from_reqwest(fault: &reqwest::Error) -> Self {
        let reason = innermost(fault);
        if fault.is_timeout() {
            Self::TimeOut
        } else if fault.is_connect() {
            Self::Connect { reason }
        } else if fault.is_builder() {
            Self::Request { reason }
        } else {
            Self::BrokenOff { reason }
        }
    }
}

/// The last link of the chain says why; the links above it name the URL, which may hold secrets in its query.
fn innermost(fault: &reqwest::Error) -> String {
    let mut innermost: Option<&dyn Error> = fault.source();
    while let Some(deeper) = innermost.and_then(Error::source) {
        innermost = Some(deeper);
    }
    innermost.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}
