//! Nonces that servers ask for (RFC 9449 §8, §9), and where they are kept: in memory, the newest of each server.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_dpop::headers::DPOP_NONCE;
use http::HeaderMap;

/// A nonce of a server. Never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Nonce(Arc<str>);

impl Nonce {
    /// The longest nonce that is taken, in bytes.
    pub const MAX_LENGTH: usize = 512;

    /// Takes `nonce`: 1 to 512 characters of printable ASCII without blank, quote and back-slash (RFC 9449 §8.1).
    pub fn parse(nonce: &str) -> Option<Self> {
        let plain = nonce.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        (plain && !nonce.is_empty() && nonce.len() <= Self::MAX_LENGTH).then(|| Self(nonce.into()))
    }

    /// The nonce for `nonce` of a proof.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// What an answer says about nonces.
pub(crate) enum OfferedNonce {
    None,
    One(Nonce),
    /// Two fields, or one that cannot be a nonce.
    Unusable,
}

impl OfferedNonce {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut fields = headers.get_all(DPOP_NONCE).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Self::None,
            (Some(field), None) => field.to_str().ok().and_then(Nonce::parse).map_or(Self::Unusable, Self::One),
            (Some(_), Some(_)) => Self::Unusable,
        }
    }
}

/// For whom a nonce or a clock offset is kept: user session, tenant, resource and tool. Two bindings share nothing.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Binding(Arc<str>);

impl Binding {
    /// The binding of that name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

/// The newest nonce of each (binding, origin), and how far that origin's clock is from ours. Holds the 100 that
/// were used last and forgets all when the process ends.
#[derive(Default)]
pub struct NonceJar {
    /// The one touched last stands at the end.
    places: Mutex<Vec<Place>>,
}

struct Place {
    binding: Binding,
    origin: String,
    known: ServerFacts,
}

/// What is known of a server.
#[derive(Clone, Debug, Default)]
pub struct ServerFacts {
    /// The nonce to use next.
    pub nonce: Option<Nonce>,
    /// Seconds that its clock is ahead of ours, as far as known.
    pub clock_offset: i64,
}

impl NonceJar {
    /// How many (binding, origin) pairs are held.
    pub const CAPACITY: usize = 100;

    /// What is known of `origin`.
    pub fn known(&self, binding: &Binding, origin: &str) -> ServerFacts {
        let places = self.lock();
        let place = places.iter().find(|place| place.is_of(binding, origin));
        place.map(|place| place.known.clone()).unwrap_or_default()
    }

    /// Keeps the newest nonce of `origin`.
    pub fn put(&self, binding: &Binding, origin: &str, nonce: Nonce) {
        self.touch(binding, origin, |known| known.nonce = Some(nonce));
    }

    /// Keeps how far `origin`'s clock is ahead of ours, in seconds.
    pub fn put_clock_offset(&self, binding: &Binding, origin: &str, seconds: i64) {
        self.touch(binding, origin, |known| known.clock_offset = seconds);
    }

    fn touch(&self, binding: &Binding, origin: &str, change: impl FnOnce(&mut ServerFacts)) {
        let mut places = self.lock();
        let known = places.iter().position(|place| place.is_of(binding, origin));
        let mut place = known.map_or_else(
            || Place { binding: binding.clone(), origin: origin.to_owned(), known: ServerFacts::default() },
            |index| places.remove(index),
        );
        change(&mut place.known);
        if places.len() >= Self::CAPACITY {
            places.remove(0);
        }
        places.push(place);
    }

    /// The list is never left half changed by a panic, so one that a panicking thread held is still good.
    fn lock(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn is_of(&self, binding: &Binding, origin: &str) -> bool {
        self.binding == *binding && self.origin == origin
    }
}

impl fmt::Debug for NonceJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonceJar").field("places", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(text: &str) -> Nonce {
        Nonce::parse(text).expect("a nonce")
    }

    #[test]
    fn keeps_the_newest_nonce_of_each_binding_and_origin() {
        let (jar, one, other) = (NonceJar::default(), Binding::new("one"), Binding::new("other"));
        jar.put(&one, "https://a", nonce("n1"));
        jar.put(&one, "https://a", nonce("n2"));
        jar.put(&other, "https://a", nonce("n3"));
        assert_eq!(jar.known(&one, "https://a").nonce, Some(nonce("n2")));
        assert_eq!(jar.known(&other, "https://a").nonce, Some(nonce("n3")));
        assert_eq!(jar.known(&one, "https://b").nonce, None);
    }

    #[test]
    fn holds_the_hundred_used_last() {
        let (jar, binding) = (NonceJar::default(), Binding::new("one"));
        for number in 0..NonceJar::CAPACITY {
            jar.put(&binding, &format!("https://{number}"), nonce("n"));
        }
        jar.put(&binding, "https://0", nonce("again"));
        jar.put(&binding, "https://new", nonce("n"));
        assert_eq!(jar.known(&binding, "https://0").nonce, Some(nonce("again")));
        assert_eq!(jar.known(&binding, "https://1").nonce, None, "the one not touched for longest goes");
        assert_eq!(jar.known(&binding, "https://2").nonce, Some(nonce("n")));
        assert_eq!(jar.lock().len(), NonceJar::CAPACITY);
    }

    #[test]
    fn keeps_offset_and_nonce_of_an_origin_apart() {
        let (jar, binding) = (NonceJar::default(), Binding::new("one"));
        jar.put_clock_offset(&binding, "https://a", -600);
        jar.put(&binding, "https://a", nonce("n"));
        assert_eq!(jar.known(&binding, "https://a").clock_offset, -600);
        assert_eq!(jar.known(&binding, "https://b").clock_offset, 0);
    }

    #[test]
    fn takes_only_what_rfc_9449_allows_in_a_nonce() {
        for good in ["a", "!#$[]^~", "eyJ7S_zG.eyJH0-Z.HX4w-7v", &"x".repeat(512)] {
            assert!(Nonce::parse(good).is_some(), "{good}");
        }
        for bad in ["", " ", "a b", "a\"b", "a\\b", "a\r\nb", "a\u{7f}", "é", &"x".repeat(513)] {
            assert!(Nonce::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn reads_exactly_one_field() {
        let mut headers = HeaderMap::new();
        assert!(matches!(OfferedNonce::read(&headers), OfferedNonce::None));
        headers.append(DPOP_NONCE, "n1".parse().expect("a value"));
        assert!(matches!(OfferedNonce::read(&headers), OfferedNonce::One(_)));
        headers.append(DPOP_NONCE, "n2".parse().expect("a value"));
        assert!(matches!(OfferedNonce::read(&headers), OfferedNonce::Unusable));
    }

    #[test]
    fn is_never_printed() {
        assert_eq!(format!("{:?}", nonce("canary-nonce")), "Nonce");
    }
}
