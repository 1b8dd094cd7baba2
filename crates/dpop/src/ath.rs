//! `ath`: the hash of the access token (RFC 9449 §4.2).

use std::fmt;

use aws_lc_rs::digest;

use crate::jose::{encode_array, encode_base64url};

/// SHA-256 of an access token's ASCII bytes. Also the key under which a token may be cached, so it is computed once.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Ath([u8; 32]);

impl Ath {
    /// Hashes `token`.
    pub fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Whether `text` is this hash in base64url, as a proof has it.
    pub(crate) fn is_spelled(&self, text: &str) -> bool {
        encode_array::<43>(&self.0).is_some_and(|own| own == text.as_bytes())
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Ath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_base64url(self.0))
    }
}

impl fmt::Debug for Ath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ath({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Ath;
    use crate::jose::{decode_array, encode_base64url};

    proptest! {
        /// Comparing texts says what decoding and comparing the hashes would say.
        #[test]
        fn is_spelled_by_what_decodes_to_it(hash: [u8; 32], at in 0..43_usize, other in "[A-Za-z0-9_=+/-]?", any in ".*") {
            let ath = Ath(hash);
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
}
