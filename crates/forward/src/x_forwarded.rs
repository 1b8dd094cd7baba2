//! What the upstream is told of the client's side: `X-Forwarded-For`, `-Proto`, `-Host`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Fields by which proxies name the client, its address and the address it asked for.
const CLAIMED: [HeaderName; 6] = [
    http::header::FORWARDED,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-real-ip"),
];

/// How a request came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The address of the connection's other end.
    pub peer: Option<IpAddr>,
    /// The scheme of the public origin.
    pub scheme: &'a str,
    /// The authority of the public origin.
    pub authority: &'a str,
}

/// What becomes of `Forwarded` and `X-Forwarded-*`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForwardedFields {
    /// What the client sent is removed and set afresh from what is known here.
    #[default]
    Replace,
    /// What arrived is believed, because only a trusted proxy can connect: `X-Forwarded-For` grows by the
    /// connection's other end, the rest is set where absent.
    Append,
    /// Removed, and nothing set.
    Remove,
}

impl ForwardedFields {
    pub(crate) fn apply(self, headers: &mut HeaderMap, arrival: Option<&Arrival<'_>>) {
        match self {
            Self::Replace => {
                remove(headers);
                set_absent(headers, arrival);
            }
            Self::Append => {
                append_peer(headers, arrival.and_then(|arrival| arrival.peer));
                set_absent(headers, arrival);
            }
            Self::Remove => remove(headers),
        }
    }
}

fn remove(headers: &mut HeaderMap) {
    for name in CLAIMED.iter().chain(&[FOR, HOST, PROTO]) {
        headers.remove(name);
    }
    // `X_Forwarded_For` and the like: some upstreams read both spellings as one.
    let spelled: Vec<HeaderName> = headers.keys().filter(|name| is_other_spelling(name.as_str())).cloned().collect();
    for name in spelled {
        headers.remove(name);
    }
}

fn is_other_spelling(name: &str) -> bool {
    name.contains('_') && {
        let name = name.replace('_', "-");
        CLAIMED.iter().chain(&[FOR, HOST, PROTO]).any(|claimed| claimed.as_str() == name)
    }
}

fn set_absent(headers: &mut HeaderMap, arrival: Option<&Arrival<'_>>) {
    let Some(arrival) = arrival else { return };
    for (name, value) in [(PROTO, arrival.scheme), (HOST, arrival.authority)] {
        if let (false, Ok(value)) = (headers.contains_key(&name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    if let (false, Some(peer)) = (headers.contains_key(FOR), arrival.peer.and_then(address)) {
        headers.insert(FOR, peer);
    }
}

fn append_peer(headers: &mut HeaderMap, peer: Option<IpAddr>) {
    let Some(peer) = peer.map(|peer| peer.to_canonical().to_string()) else { return };
    let chain: Vec<&str> = headers.get_all(FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let chain = chain.into_iter().chain([peer.as_str()]).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert(FOR, value);
    }
}

fn address(peer: IpAddr) -> Option<HeaderValue> {
    HeaderValue::from_str(&peer.to_canonical().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVAL: Arrival<'static> = Arrival {
        peer: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
        scheme: "https",
        authority: "api.example",
    };

    fn claimed() -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-forwarded-for", "10.0.0.1"),
            ("x_forwarded_for", "10.0.0.2"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=10.0.0.3"),
            ("x-real-ip", "10.0.0.4"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    fn apply(fields: ForwardedFields) -> Vec<String> {
        let mut headers = claimed();
        fields.apply(&mut headers, Some(&ARRIVAL));
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn replaces_what_the_client_claims() {
        assert_eq!(
            apply(ForwardedFields::Replace),
            ["x-forwarded-for: 192.0.2.7", "x-forwarded-host: api.example", "x-forwarded-proto: https"]
        );
    }

    #[test]
    fn removes_everything() {
        assert_eq!(apply(ForwardedFields::Remove), [""; 0]);
    }

    #[test]
    fn appends_to_a_trusted_proxy_s_chain() {
        let lines = apply(ForwardedFields::Append);
        assert!(lines.contains(&"x-forwarded-for: 10.0.0.1, 192.0.2.7".to_owned()), "{lines:?}");
        assert!(lines.contains(&"x-forwarded-proto: http".to_owned()), "{lines:?}");
    }

    #[test]
    fn an_absent_chain_is_the_peer_once() {
        let mut headers = HeaderMap::new();
        ForwardedFields::Append.apply(&mut headers, Some(&ARRIVAL));
        assert_eq!(headers[FOR], "192.0.2.7");
    }
}
