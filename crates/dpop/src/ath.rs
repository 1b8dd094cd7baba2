//! `ath`: the hash of the access token (RFC 9449 §4.2).

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::digest;

use crate::jose::{encode_array, encode_base64url};

/// SHA-256 of an access token's ASCII bytes.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Ath {
    hash: [u8; 32],
    /// In base64url, as a proof has it; 32 bytes always have such a text.
    text: Option<[u8; 43]>,
}

impl Ath {
    /// Hashes `token`.
    pub fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self::from_hash(hash)
    }

    fn from_hash(hash: [u8; 32]) -> Self {
        Self { hash, text: encode_array(&hash) }
    }

    /// Whether `text` is this hash in base64url, as a proof has it.
    pub(crate) fn is_spelled(&self, text: &str) -> bool {
        self.text().is_some_and(|own| own == text.as_bytes())
    }

    /// In base64url.
    pub(crate) const fn text(&self) -> Option<&[u8; 43]> {
        self.text.as_ref()
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl fmt::Display for Ath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base64url(self.hash))
    }
}

impl fmt::Debug for Ath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ath({:02x}{:02x}…)", self.hash[0], self.hash[1])
    }
}

/// The `ath` that a proof has to have: that of an access token, hashed when somebody first asks. A proof that is refused
/// for something else costs no hash, and neither does a token whose hash is remembered. `Debug` does not show the token.
pub struct ExpectedAth<'a>(Expected<'a>);

enum Expected<'a> {
    Known(Ath),
    Of { token: &'a str, ath: OnceLock<Ath> },
}

impl<'a> ExpectedAth<'a> {
    /// That of `token`, not hashed yet.
    pub const fn of(token: &'a str) -> Self {
        Self(Expected::Of { token, ath: OnceLock::new() })
    }

    /// The hash.
    pub fn get(&self) -> &Ath {
        match &self.0 {
            Expected::Known(ath) => ath,
            Expected::Of { token, ath } => ath.get_or_init(|| Ath::of(token)),
        }
    }
}

impl From<Ath> for ExpectedAth<'_> {
    /// One that is known.
    fn from(ath: Ath) -> Self {
        Self(Expected::Known(ath))
    }
}

impl fmt::Debug for ExpectedAth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = match &self.0 {
            Expected::Known(ath) => Some(ath),
            Expected::Of { token: _, ath } => ath.get(),
        };
        f.debug_tuple("ExpectedAth").field(&known).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Ath, ExpectedAth};
    use crate::jose::{decode_array, encode_base64url};

    proptest! {
        /// Comparing texts says what decoding and comparing the hashes would say.
        #[test]
        fn is_spelled_by_what_decodes_to_it(hash: [u8; 32], at in 0..43_usize, other in "[A-Za-z0-9_=+/-]?", any in ".*") {
            let ath = Ath::from_hash(hash);
            let text = encode_base64url(hash);
            let changed = [&text[..at], &other, &text[at + 1..]].concat();
            let longer = [&text, &*other].concat();
            prop_assert!(ath.is_spelled(&text));
            for text in [&text, &changed, &longer, &text[..at], &any] {
                prop_assert_eq!(ath.is_spelled(text), decode_array(text).is_ok_and(|decoded| decoded == hash), "{}", text);
            }
        }
    }

    #[test]
    fn is_the_hash_of_the_token_and_shows_its_beginning_only_in_logs() {
        let ath = Ath::of("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        assert_eq!(ath.to_string(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "RFC 9449 §7.1");
        assert_eq!(format!("{:?}", Ath::of("an.access.token")), "Ath(5243…)");
    }

    #[test]
    fn is_expected_as_known_or_as_worked_out() {
        let (token, ath) = ("an.access.token", Ath::of("an.access.token"));
        let expected = ExpectedAth::of(token);
        assert_eq!(format!("{expected:?}"), "ExpectedAth(None)", "not hashed yet");
        assert_eq!((expected.get(), ExpectedAth::from(ath).get()), (&ath, &ath));
        assert_eq!(format!("{expected:?}"), "ExpectedAth(Some(Ath(5243…)))");
    }
}
