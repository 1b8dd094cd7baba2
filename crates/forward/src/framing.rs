//! How long a request's body is, said by what the body itself knows (RFC 9112 §6).

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http_body::Body;

use crate::request_body::RequestBody;

/// States the body's length by what the body itself knows, so that no field can contradict it.
pub(crate) fn frame(parts: &mut Parts, body: &RequestBody) {
    if states_its_length(parts, body) {
        return;
    }
    parts.headers.remove(TRANSFER_ENCODING);
    let had_length = parts.headers.remove(CONTENT_LENGTH).is_some();
    match body.size_hint().exact() {
        Some(0) if !had_length => {}
        Some(length) => {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        // A request of unknown length is chunked whatever its method. Over HTTP/2 the field is left out again.
        None => {
            parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// True when the fields say of the body what the body itself knows, and nothing has to be changed.
fn states_its_length(parts: &Parts, body: &RequestBody) -> bool {
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    let stated = lengths.next().map(|length| length.to_str().ok().and_then(|length| length.parse::<u64>().ok()));
    let is_chunked = parts.headers.contains_key(TRANSFER_ENCODING);
    match (body.size_hint().exact(), stated) {
        (Some(0), None) => !is_chunked,
        (Some(length), Some(Some(stated))) => length == stated && lengths.next().is_none() && !is_chunked,
        (None, None) => is_chunked,
        (_, _) => false,
    }
}
