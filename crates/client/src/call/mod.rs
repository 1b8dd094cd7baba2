//! Calls to a resource, each attempt with a proof of its own (RFC 9449 §7).

mod error;
mod refusal;
mod signing;

use http::header;

pub use self::error::CallError;
pub use self::signing::{Credentials, Next, Signing};
use crate::client::Client;
use crate::http::{Endpoint, RequestBody, ResponseBody, TransportError};
use crate::prover::NonceError;

impl Client {
    /// Sends `request`, which has to be for the client's resource, with a token and a fresh proof, and gives back the
    /// answer, whatever its status; its body is read as it comes. Redirects are given back, unless
    /// [`Client::following_redirects`] says otherwise.
    ///
    /// Where the body allows, the request is sent again once for each of these: the server asks for a nonce
    /// (RFC 9449 §9); it refuses the proof and its clock is not ours; it refuses a token that was kept from before.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, request: http::Request<RequestBody>) -> Result<http::Response<ResponseBody>, CallError> {
        let (mut request, body) = request.into_parts();
        let mut signing = self.signing(&request.method, &request.uri.to_string())?;
        let mut body = Some(body);
        loop {
            let mut headers = request.headers.clone();
            signing.attach(&mut headers).await?;
            let sending = body.take().ok_or(NonceError::BodyNotRepeatable)?;
            body = sending.again();
            let mut attempt = http::Request::new(sending);
            signing.method().clone_into(attempt.method_mut());
            *attempt.headers_mut() = headers;
            let answer = self.enrolment.http.exchange(signing.endpoint(), attempt).await;
            let answer = answer.map_err(|fault| failed(signing.endpoint(), fault))?;
            match signing.learn(answer.status(), answer.headers(), body.is_some()).await? {
                Next::Done => return Ok(answer),
                Next::Again | Next::Follow { with_body: true } => {}
                Next::Follow { with_body: false } => {
                    body = Some(RequestBody::empty());
                    drop_body_fields(&mut request.headers);
                }
            }
        }
    }
}

/// Takes out the fields that describe a body.
pub(crate) fn drop_body_fields(headers: &mut http::HeaderMap) {
    let fields = [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::EXPECT,
    ];
    for name in fields {
        headers.remove(name);
    }
}

fn failed(endpoint: &Endpoint, fault: TransportError) -> CallError {
    CallError::Transport { url: endpoint.to_string(), fault }
}
