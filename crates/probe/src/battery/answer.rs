use countersign_dpop::headers::DPOP_NONCE;
use countersign_dpop::{Challenge, ErrorCode};
use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode};

/// What of an answer matters here.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The first `error` of its challenges.
    pub(super) code: Option<ErrorCode>,
    pub(super) nonce: Option<String>,
}

impl Answer {
    pub(super) fn read(head: &Response<()>) -> Self {
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let code = head
            .headers()
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|field| Challenge::parse_field(field.to_str().ok()?).ok())
            .flatten()
            .find_map(|challenge| challenge.error);
        Self { status: head.status(), code, nonce: head.headers().get(DPOP_NONCE).and_then(text) }
    }

    /// The nonce to try again with, when that is what the server asks for.
    pub(super) fn demanded_nonce(&self) -> Option<&str> {
        self.nonce.as_deref().filter(|_| self.code == Some(ErrorCode::UseDpopNonce))
    }
}
