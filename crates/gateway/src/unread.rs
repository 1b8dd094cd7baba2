//! Answers to requests whose body nobody will read.

use std::time::Duration;

use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Response, Version};
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::timeout;

use crate::body::Content;

/// The longest body that is read into nothing to keep the connection.
const MAX_DISCARDED: u64 = 64 * 1_024;
/// How long it may take to come: it is mostly there already.
const PATIENCE: Duration = Duration::from_millis(100);

/// `response` to the request of `head`, whose `body` is not wanted. Over HTTP/1 a short body is read into nothing;
/// with any other the connection ends, and the answer says so: a client that is not told would send its next request
/// on it, the one with the nonce for instance, and lose that.
pub(crate) async fn to_unread<B: Body + Unpin>(
    head: &Parts,
    body: B,
    mut response: Response<Content>,
) -> Response<Content> {
    if head.version < Version::HTTP_2 && !body.is_end_stream() {
        // Reading would call for the body that the client holds back.
        let is_held_back = head.headers.contains_key(EXPECT);
        if is_held_back || !discard(body).await {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

/// Reads `body` into nothing; false when it is long or does not come.
async fn discard<B: Body + Unpin>(mut body: B) -> bool {
    if body.size_hint().upper().is_none_or(|length| length > MAX_DISCARDED) {
        return false;
    }
    let read = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    timeout(PATIENCE, read).await.unwrap_or(false)
}
