//! Where a request comes from: the address of the connection, or what a trusted proxy says of it.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderMap;

/// The address at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What requests are counted by: an IPv4 address, or the 64 bits of an IPv6 address that one customer has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Source(IpAddr);

impl Source {
    /// The source of a request that came over a connection from `peer`. Of `X-Forwarded-For`, which anybody can write,
    /// the last address counts that is not a trusted proxy's, and only if the connection is one's.
    pub(crate) fn of(peer: Peer, fields: &HeaderMap, trusted: &[Network]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut source = peer.0.to_canonical();
        if is_trusted(source) {
            let values = fields.get_all("x-forwarded-for").iter().rev();
            let texts = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
            for text in texts {
                let Ok(address) = text.trim().parse::<IpAddr>() else { break };
                source = address.to_canonical();
                if !is_trusted(source) {
                    break;
                }
            }
        }
        Self(without_interface(source))
    }
}

impl Source {
    /// The address, or the first one of those that count as one.
    pub(crate) const fn address(self) -> IpAddr {
        self.0
    }
}

fn without_interface(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// A range of addresses, as `10.0.0.0/8`; one address without a length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Network {
    address: IpAddr,
    length: u8,
}

/// Why a text is no range of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an address or a range of addresses; write one as 10.0.0.0/8 or ::1")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), |length| length.parse().map_err(|_| NetworkError))?;
        if length > most {
            return Err(NetworkError);
        }
        Ok(Self { address, length })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.length)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn source(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut fields = HeaderMap::new();
        for value in forwarded {
            fields.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        Source::of(Peer(peer.parse().unwrap()), &fields, &trusted).0.to_string()
    }

    #[test]
    fn believes_trusted_proxies_only() {
        assert_eq!(source("192.0.2.1", &["203.0.113.5"]), "192.0.2.1");
        assert_eq!(source("127.0.0.1", &["203.0.113.5"]), "203.0.113.5");
        assert_eq!(source("127.0.0.1", &["1.1.1.1, 203.0.113.5, 10.1.2.3"]), "203.0.113.5");
        assert_eq!(source("127.0.0.1", &["1.1.1.1", "203.0.113.5"]), "203.0.113.5");
        assert_eq!(source("127.0.0.1", &["203.0.113.5, nonsense"]), "127.0.0.1");
        assert_eq!(source("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(source("::ffff:127.0.0.1", &["203.0.113.5"]), "203.0.113.5");
    }

    #[test]
    fn takes_one_customer_of_ipv6_for_one() {
        assert_eq!(source("2001:db8::1:2:3:4", &[]), "2001:db8::");
        assert_eq!(source("fd00::1", &["2001:db8:0:7::9"]), "2001:db8:0:7::");
    }

    #[test]
    fn refuses_what_is_no_range() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "example.com", "10.0.0.0/-1"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.5".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
    }
}
