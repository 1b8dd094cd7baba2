//! What a replay store knows a proof by.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use crate::jose::Jkt;

const REALM: usize = 16;
const JKT: usize = 32;
const JTI_AT: usize = REALM + JKT + 1;
/// The longest `jti` that a key holds as it is. One of 256 bits has 43 bytes in base64url, a UUID 36.
const BRIEF: usize = 47;
/// In place of the length of a `jti` whose hash is held.
const HASHED: u8 = u8::MAX;

/// The realm of a verifier: 128 bits of SHA-256 over its name, worked out once.
///
/// A realm is the resource identifier at a resource server and the issuer at an authorization server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RealmId([u8; REALM]);

impl RealmId {
    /// That of the realm with this name.
    pub fn of(name: &str) -> Self {
        let mut id = [0; REALM];
        id.copy_from_slice(&digest(&SHA256, name.as_bytes()).as_ref()[..REALM]);
        Self(id)
    }
}

/// What tells a proof from every other (RFC 9449 §11.1): realm, `jkt` and `jti`, put together in 96 bytes.
///
/// Not secret and not keyed, so that every node and every version of this crate agrees. A store in the memory of one
/// process hashes [`ReplayKey::as_bytes`] as it likes; one that several share remembers [`ReplayKey::digest`].
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct ReplayKey([u8; ReplayKey::LENGTH]);

impl ReplayKey {
    /// How long a key is, in bytes.
    pub const LENGTH: usize = JTI_AT + BRIEF;

    /// Makes the key for a proof by the key `jkt` with the identifier `jti`, presented within `realm`.
    pub fn new(realm: &RealmId, jkt: &Jkt, jti: &str) -> Self {
        let mut bytes = [0; Self::LENGTH];
        bytes[..REALM].copy_from_slice(&realm.0);
        bytes[REALM..][..JKT].copy_from_slice(jkt.as_bytes());
        match u8::try_from(jti.len()) {
            Ok(length) if jti.len() <= BRIEF => {
                bytes[JTI_AT - 1] = length;
                bytes[JTI_AT..][..jti.len()].copy_from_slice(jti.as_bytes());
            }
            Ok(_) | Err(_) => {
                bytes[JTI_AT - 1] = HASHED;
                bytes[JTI_AT..][..32].copy_from_slice(digest(&SHA256, jti.as_bytes()).as_ref());
            }
        }
        Self(bytes)
    }

    /// Takes the bytes of a key made elsewhere, for tests of stores.
    pub const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// SHA-256 over a version and the key.
    pub fn digest(&self) -> [u8; 32] {
        // A label of these 13 bytes, since with it all fits into two of the hash's blocks.
        const LABEL: &[u8; 13] = b"replay key 2\0";
        let mut text = [0; LABEL.len() + Self::LENGTH];
        text[..LABEL.len()].copy_from_slice(LABEL);
        text[LABEL.len()..].copy_from_slice(&self.0);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &text).as_ref());
        hash
    }
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two, three, four, ..] = self.digest();
        write!(f, "ReplayKey({one:02x}{two:02x}{three:02x}{four:02x}…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{RealmId, ReplayKey};
    use crate::jose::Jkt;

    fn key(realm: &str, jkt: u8, jti: &str) -> ReplayKey {
        ReplayKey::new(&RealmId::of(realm), &Jkt::from_bytes([jkt; 32]), jti)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// Every node and every version has to come to the same digest: the values were computed by another program.
    #[test]
    fn digests_are_the_same_everywhere_and_for_ever() {
        let digest = |jti: &str| hex(&key("https://api.example", 7, jti).digest());
        assert_eq!(digest("jti-1"), "c1f724aaab7606677adf9e24b9a2bb9e6fa3f1f20d6f1c17c5ddd2de477cc0a1");
        assert_eq!(digest(&"j".repeat(47)), "341a545830c3642e3de42fcc63ed65c7cb466e9318607a27f3fd604b115f1cb4");
        assert_eq!(digest(&"j".repeat(48)), "b26bc6d4440ab1702e6b6a6d518f3070c80643ca293a3b52e22df3dbf2726fef");
        assert_eq!(digest(&"j".repeat(300)), "555405e0133a900ec4e2075bd4cb266b27acaaad2af25f44f355e21fdd37c5df");
    }

    #[test]
    fn holds_a_brief_identifier_as_it_is() {
        let key = key("https://api.example", 7, "jti-1");
        assert_eq!(key.as_bytes()[16..54], [&[7; 32][..], b"\x05jti-1"].concat());
        assert_eq!(key.as_bytes()[54..], [0; 42]);
        assert_eq!(ReplayKey::from_bytes(*key.as_bytes()), key);
    }

    /// A text that looks like what is held of a longer one is another one.
    #[test]
    fn a_hash_is_no_identifier() {
        let long = "j".repeat(48);
        let held = String::from_utf8_lossy(&key("r", 7, &long).as_bytes()[49..81]).into_owned();
        assert_ne!(key("r", 7, &held), key("r", 7, &long));
        assert_ne!(key("r", 7, "a"), key("r", 7, "a\0"));
    }

    proptest! {
        #[test]
        fn differs_when_a_part_differs(realms in [".{0,40}", ".{0,40}"], jkts: [u8; 2], jtis in [".{0,60}", ".{0,60}"]) {
            let [one, other] = [0, 1].map(|i| key(&realms[i], jkts[i], &jtis[i]));
            let same = realms[0] == realms[1] && jkts[0] == jkts[1] && jtis[0] == jtis[1];
            prop_assert_eq!(one == other, same);
            prop_assert_eq!(one.digest() == other.digest(), same);
            prop_assert_ne!(one, key(&realms[0], jkts[0], &format!("{}j", jtis[0])));
        }
    }

    #[test]
    fn debug_is_short() {
        let shown = format!("{:?}", ReplayKey::from_bytes([0xab; ReplayKey::LENGTH]));
        assert_eq!(shown, "ReplayKey(14eb108c…)");
    }
}
