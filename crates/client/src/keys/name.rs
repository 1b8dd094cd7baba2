//! Names of keys.

use std::fmt;
use std::str::FromStr;

/// The name of a key in a store: 1 to 64 ASCII letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
/// Such a name can be a file's name everywhere and leads to no other directory.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyName(String);

impl KeyName {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// Takes `name`.
    ///
    /// # Errors
    /// [`KeyNameError`] when it does not follow the rule above.
    pub fn parse(name: &str) -> Result<Self, KeyNameError> {
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
        let all_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if starts_well && all_plain && name.len() <= Self::MAX_LENGTH {
            Ok(Self(name.to_owned()))
        } else {
            Err(KeyNameError)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::parse(name)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyName({self})")
    }
}

/// The text is no name for a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a key's name has 1 to {} letters, digits, '-', '_' and '.', and begins with a letter or digit",
    KeyName::MAX_LENGTH
)]
pub struct KeyNameError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_names() {
        for name in ["a", "dpop", "Client-1", "2026.11", "a_b", &"x".repeat(64)] {
            assert_eq!(KeyName::parse(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn refuses_names_that_could_lead_elsewhere_or_be_mistaken_for_options() {
        for name in ["", ".", "..", "../a", "a/b", "a\\b", ".hidden", "-rf", "_a", "a b", "a\0", "ä", &"x".repeat(65)]
        {
            assert_eq!(KeyName::parse(name), Err(KeyNameError), "{name:?}");
        }
    }
}
