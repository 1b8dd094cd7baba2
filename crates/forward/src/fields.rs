//! Hop-by-hop fields (RFC 9110 §7.6.1): what concerns one connection only and goes no further.

use http::header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// True for the fields of one hop. They are known by their texts because that is one look at each field that a message
/// has, where asking the message for each of these names is a hash and a search for every one.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "http2-settings" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade"
    )
}

/// Fields that no trailer may hold (RFC 9110 §6.5.1): framing, routing, credentials, and how to read the content. An
/// upstream that merges trailers into the header would believe them, though nobody has checked them.
const NOT_IN_TRAILERS: [HeaderName; 16] = [
    http::header::AUTHORIZATION,
    http::header::CONTENT_ENCODING,
    http::header::CONTENT_LENGTH,
    http::header::CONTENT_RANGE,
    http::header::CONTENT_TYPE,
    http::header::COOKIE,
    HeaderName::from_static("dpop"),
    HeaderName::from_static("dpop-nonce"),
    http::header::EXPECT,
    http::header::FORWARDED,
    http::header::HOST,
    http::header::MAX_FORWARDS,
    http::header::PROXY_AUTHORIZATION,
    http::header::SET_COOKIE,
    http::header::TRAILER,
    http::header::WWW_AUTHENTICATE,
];

/// Takes off the fields of one hop, and those that `Connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_hop_by_hop_and(headers, |_| false);
}

/// Takes off the fields of one hop, those that `Connection` names, and what else is `unwanted`.
pub(crate) fn remove_hop_by_hop_and(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    remove_all(headers, |name| is_hop_by_hop(name) || unwanted(name));
}

/// Takes off every field whose name is `unwanted`, in one pass where there is none.
pub fn remove_all(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| unwanted(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Takes off the fields that no trailer may hold, and those of one hop.
pub(crate) fn clean_trailers(trailers: &mut HeaderMap, is_reserved: fn(&HeaderName) -> bool) {
    remove_hop_by_hop_and(trailers, |name| {
        NOT_IN_TRAILERS.contains(name) || is_reserved(name) || name.as_str().starts_with("x-forwarded-")
    });
}

/// True when the client takes trailers (RFC 9110 §10.1.4).
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case(b"trailers"))
}

/// True for a request that asks to become a WebSocket, and nothing else (RFC 6455 §4.1).
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let mut upgrades = tokens(headers, &UPGRADE);
    upgrades.next().is_some_and(|token| token.eq_ignore_ascii_case(b"websocket"))
        && upgrades.next().is_none()
        && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade"))
}

/// Puts back what makes a message one of a WebSocket's beginning.
pub(crate) fn set_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// True when the only transfer coding, if any, is `chunked`: others would have to be decoded here.
pub(crate) fn transfer_coding_is_known(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers, &CONNECTION).filter_map(|token| HeaderName::from_bytes(token).ok()).collect()
}

/// The members of a field that is a list of tokens, as bytes: one odd member must not hide the others.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let members = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn takes_off_what_connection_names_in_any_field_and_spelling() {
        let mut found = headers(&[
            ("connection", "close, X-One ,,"),
            ("connection", "x-TWO"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
            ("trailer", "x-sum"),
        ]);
        remove_hop_by_hop(&mut found);
        assert_eq!(found, headers(&[("x-three", "3"), ("trailer", "x-sum")]));
    }

    #[test]
    fn a_connection_field_that_is_no_list_of_names_does_no_harm() {
        let mut found = headers(&[("connection", "a b, \"x\""), ("x-one", "1"), ("x-two", "2")]);
        found.append("connection", HeaderValue::from_bytes(b"\xff, x-two").unwrap());
        remove_hop_by_hop(&mut found);
        assert_eq!(found, headers(&[("x-one", "1")]));
    }

    #[test]
    fn no_credential_gets_through_as_a_trailer() {
        let mut found = headers(&[
            ("dpop", "x"),
            ("authorization", "DPoP x"),
            ("content-length", "5"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-mine", "1"),
            ("x-sum", "1"),
        ]);
        clean_trailers(&mut found, |name| name == "x-mine");
        assert_eq!(found, headers(&[("x-sum", "1")]));
    }

    #[test]
    fn only_websocket_alone_is_an_upgrade() {
        assert!(asks_for_websocket(&headers(&[("upgrade", "WebSocket"), ("connection", "keep-alive, Upgrade")])));
        for (upgrade, connection) in
            [("h2c", "upgrade"), ("websocket, h2c", "upgrade"), ("h2c, websocket", "upgrade"), ("websocket", "close")]
        {
            assert!(!asks_for_websocket(&headers(&[("upgrade", upgrade), ("connection", connection)])), "{upgrade}");
        }
    }

    #[test]
    fn only_chunked_is_a_known_transfer_coding() {
        assert!(transfer_coding_is_known(&headers(&[])));
        assert!(transfer_coding_is_known(&headers(&[("transfer-encoding", "Chunked")])));
        assert!(!transfer_coding_is_known(&headers(&[("transfer-encoding", "gzip, chunked")])));
        assert!(!transfer_coding_is_known(&headers(&[
            ("transfer-encoding", "gzip"),
            ("transfer-encoding", "chunked")
        ])));
    }

    #[test]
    fn knows_who_takes_trailers() {
        assert!(takes_trailers(&headers(&[("te", "gzip, Trailers")])));
        assert!(!takes_trailers(&headers(&[("te", "gzip")])));
    }
}
