//! What Envoy asks about, out of the attributes of its question.

use std::net::IpAddr;

use envoy_types::ext_authz::v3::pb::{Address, CheckRequest};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::advice::{Asked, origin_form};
use crate::answer::Trouble;

/// A request as Envoy received it.
#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    target: PathAndQuery,
    authority: String,
    headers: HeaderMap,
    /// Who sent it to Envoy.
    pub(super) peer: Option<IpAddr>,
}

impl Question {
    /// Reads the attributes. Method, path and host must be there and be such; the fields are `header_map`, as they came
    /// (`encode_raw_headers`), or `headers`, where those of one name are one value.
    pub(super) fn read(request: CheckRequest, max_fields: usize) -> Result<Self, Trouble> {
        let attributes = request.attributes.ok_or(Trouble::Attributes)?;
        let peer = attributes.source.and_then(address);
        let http = attributes.request.and_then(|request| request.http).ok_or(Trouble::Attributes)?;
        let method = Method::from_bytes(http.method.as_bytes()).map_err(|_| Trouble::Attributes)?;
        if method == Method::CONNECT {
            return Err(Trouble::Connect);
        }
        let target = origin_form(&http.path).ok_or(Trouble::Attributes)?;
        if http.host.is_empty() {
            return Err(Trouble::Attributes);
        }
        let authority = http.host.clone();
        let headers = headers(http, max_fields)?;
        Ok(Self { method, target, authority, headers, peer })
    }

    /// The request as it is judged.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.method.clone(),
            target: self.target.clone(),
            authority: Some(&self.authority),
            headers: &self.headers,
        }
    }
}

/// The fields, without those that HTTP/2 writes with a colon. Envoy sends one of the two forms, never both.
fn headers(http: HttpRequest, max_fields: usize) -> Result<HeaderMap, Trouble> {
    let raw = http.header_map.unwrap_or_default().headers;
    if !raw.is_empty() && !http.headers.is_empty() {
        return Err(Trouble::Attributes);
    }
    // Four of them are no fields of the client's.
    if raw.len().max(http.headers.len()) > max_fields.saturating_add(4) {
        return Err(Trouble::TooManyFields);
    }
    let raw = raw.into_iter().map(|field| {
        let value = if field.raw_value.is_empty() { field.value.into_bytes() } else { field.raw_value };
        (field.key, value)
    });
    let joined = http.headers.into_iter().map(|(name, value)| (name, value.into_bytes()));
    let mut headers = HeaderMap::new();
    for (name, value) in raw.chain(joined).filter(|(name, _)| !name.starts_with(':')) {
        let name = HeaderName::try_from(name).map_err(|_| Trouble::Attributes)?;
        let value = HeaderValue::try_from(value).map_err(|_| Trouble::Attributes)?;
        headers.try_append(name, value).map_err(|_| Trouble::TooManyFields)?;
    }
    Ok(headers)
}

fn address(peer: Peer) -> Option<IpAddr> {
    match peer.address?.address? {
        Address::SocketAddress(address) => address.address.parse().ok(),
        Address::Pipe(_) | Address::EnvoyInternalAddress(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use envoy_types::pb::envoy::config::core::v3 as core;
    use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
    use envoy_types::pb::envoy::service::auth::v3::attribute_context::Request;
    use proptest::prelude::*;

    use super::*;

    fn http() -> HttpRequest {
        let fields = [(":authority", "api.example.com"), (":path", "/a?b"), ("dpop", "x"), ("x-y", "1,2")];
        HttpRequest {
            method: "GET".to_owned(),
            path: "/a?b".to_owned(),
            host: "api.example.com".to_owned(),
            headers: fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..HttpRequest::default()
        }
    }

    fn read(http: HttpRequest) -> Result<Question, &'static str> {
        let request = Some(Request { http: Some(http), ..Request::default() });
        let attributes = Some(AttributeContext { request, ..AttributeContext::default() });
        Question::read(CheckRequest { attributes }, 8).map_err(|trouble| trouble.code())
    }

    fn raw(fields: &[(&str, &str, &[u8])]) -> HttpRequest {
        let field = |(key, value, raw): &(&str, &str, &[u8])| core::HeaderValue {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            raw_value: raw.to_vec(),
        };
        let header_map = Some(core::HeaderMap { headers: fields.iter().map(field).collect() });
        HttpRequest { header_map, headers: HashMap::new(), ..http() }
    }

    #[test]
    fn reads_both_forms_of_the_fields() {
        let joined = read(http()).unwrap();
        let asked = joined.asked();
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/a?b"));
        assert_eq!(asked.authority, Some("api.example.com"));
        assert_eq!((asked.headers.len(), &asked.headers["x-y"]), (2, &HeaderValue::from_static("1,2")));
        let apart = read(raw(&[(":path", "", b"/"), ("dpop", "", b"x"), ("dpop", "y", b""), ("z", "", b"\xff")]));
        let apart = apart.unwrap();
        assert_eq!(apart.headers.get_all("dpop").iter().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(apart.headers["z"].as_bytes(), b"\xff");
    }

    #[test]
    fn refuses_what_is_unclear() {
        type Change = fn(&mut HttpRequest);
        let changes: [Change; 12] = [
            |http| http.method = String::new(),
            |http| http.method = "GE T".to_owned(),
            |http| http.method = "GET\r\n".to_owned(),
            |http| http.path = String::new(),
            |http| http.path = "*".to_owned(),
            |http| http.path = "https://api.example.com/a".to_owned(),
            |http| http.path = "/a\u{0}".to_owned(),
            |http| http.path = "/a#/b".to_owned(),
            |http| http.host = String::new(),
            |http| drop(http.headers.insert("a b".to_owned(), "x".to_owned())),
            |http| drop(http.headers.insert("a".to_owned(), "x\r\ny: z".to_owned())),
            |http| http.header_map = raw(&[("a", "b", b"")]).header_map,
        ];
        for (place, change) in changes.iter().enumerate() {
            let mut http = http();
            change(&mut http);
            assert_eq!(read(http).unwrap_err(), "attributes", "{place}");
        }
        assert_eq!(read(HttpRequest { method: "CONNECT".to_owned(), ..http() }).unwrap_err(), "connect_method");
        let many = (0..13).map(|number| (format!("x-{number}"), String::new())).collect();
        assert_eq!(read(HttpRequest { headers: many, ..http() }).unwrap_err(), "too_many_fields");
        for request in [
            CheckRequest::default(),
            CheckRequest { attributes: Some(AttributeContext::default()) },
            CheckRequest {
                attributes: Some(AttributeContext { request: Some(Request::default()), ..AttributeContext::default() }),
            },
        ] {
            assert_eq!(Question::read(request, 8).unwrap_err().code(), "attributes");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_read_or_refused(
            method in "\\PC{0,8}",
            path in "(/.{0,20}|.{0,20})",
            host in ".{0,12}",
            fields in proptest::collection::vec((".{0,8}", proptest::collection::vec(any::<u8>(), 0..12)), 0..12),
        ) {
            let field = |(key, raw_value): (String, Vec<u8>)| core::HeaderValue { key, raw_value, ..Default::default() };
            let header_map = Some(core::HeaderMap { headers: fields.into_iter().map(field).collect() });
            let asked = HttpRequest { method, path, host, header_map, ..HttpRequest::default() };
            if let Ok(question) = read(asked.clone()) {
                prop_assert_eq!(question.method.as_str(), asked.method);
                prop_assert_eq!(question.target.as_str(), asked.path);
                prop_assert_eq!(question.authority, asked.host);
            }
        }
    }
}
