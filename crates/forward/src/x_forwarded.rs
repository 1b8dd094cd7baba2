//! What the upstream is told of the client's side: `X-Forwarded-For`, `-Proto`, `-Host`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How a request came in. What is the same for many requests is made into fields once, by whoever knows how many.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The address of the connection's other end, by [`peer_field`].
    pub peer: Option<&'a HeaderValue>,
    /// The scheme of the public origin.
    pub scheme: &'static str,
    /// The authority of the public origin.
    pub authority: &'a HeaderValue,
}

/// The address of a connection's other end as `X-Forwarded-For` says it. Never `None`: an address is visible ASCII.
pub fn peer_field(peer: IpAddr) -> Option<HeaderValue> {
    HeaderValue::from_str(&peer.to_canonical().to_string()).ok()
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
    /// True for a field that does not go on as the client sent it.
    pub(crate) fn removes(self, name: &HeaderName) -> bool {
        match self {
            Self::Replace | Self::Remove => is_claim(name.as_str()),
            Self::Append => false,
        }
    }

    /// Sets what is to be set, after what [`ForwardedFields::removes`] names was taken off.
    pub(crate) fn set(self, headers: &mut HeaderMap, arrival: Option<&Arrival<'_>>) {
        let Some(arrival) = arrival else { return };
        match self {
            Self::Replace => set_absent(headers, arrival),
            Self::Append => {
                append_peer(headers, arrival.peer);
                set_absent(headers, arrival);
            }
            Self::Remove => (),
        }
    }
}

/// True for the fields by which proxies name the client, its address and the address it asked for. `X_Forwarded_For`
/// and the like are among them: some upstreams read both spellings as one.
fn is_claim(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'f') => name == "forwarded",
        Some(b'x') if name.contains('_') => is_known_claim(&name.replace('_', "-")),
        Some(b'x') => is_known_claim(name),
        Some(_) | None => false,
    }
}

fn is_known_claim(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-for"
            | "x-forwarded-host"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "x-forwarded-proto"
            | "x-forwarded-server"
            | "x-original-host"
            | "x-real-ip"
    )
}

fn set_absent(headers: &mut HeaderMap, arrival: &Arrival<'_>) {
    headers.entry(PROTO).or_insert_with(|| HeaderValue::from_static(arrival.scheme));
    headers.entry(HOST).or_insert_with(|| arrival.authority.clone());
    if let Some(peer) = arrival.peer {
        headers.entry(FOR).or_insert_with(|| peer.clone());
    }
}

fn append_peer(headers: &mut HeaderMap, peer: Option<&HeaderValue>) {
    let Some(peer) = peer.and_then(|peer| peer.to_str().ok()) else { return };
    let chain: Vec<&str> = headers.get_all(FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let chain = chain.into_iter().chain([peer]).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&chain) {
        headers.insert(FOR, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::remove_all;

    static PEER: HeaderValue = HeaderValue::from_static("192.0.2.7");
    static AUTHORITY: HeaderValue = HeaderValue::from_static("api.example");
    static ARRIVAL: Arrival<'static> = Arrival { peer: Some(&PEER), scheme: "https", authority: &AUTHORITY };

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
        remove_all(&mut headers, |name| fields.removes(name));
        fields.set(&mut headers, Some(&ARRIVAL));
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
    fn a_peer_is_named_as_what_it_is() {
        for (peer, expected) in
            [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::1")]
        {
            assert_eq!(peer_field(peer.parse().unwrap()).unwrap(), expected);
        }
    }

    #[test]
    fn an_absent_chain_is_the_peer_once() {
        let mut headers = HeaderMap::new();
        ForwardedFields::Append.set(&mut headers, Some(&ARRIVAL));
        assert_eq!(headers[FOR], "192.0.2.7");
    }
}
