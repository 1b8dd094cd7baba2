//! The `Date` field (RFC 9110 §6.6.1).

use std::time::UNIX_EPOCH;

use countersign_dpop::time::Timestamp;
use http::{HeaderMap, header};

/// The server's time, if the answer tells it.
pub(crate) fn read_date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let seconds = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Timestamp::from_seconds(i64::try_from(seconds).ok()?))
}
