//! Which session.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

/// The identifier of a session: 32 hexadecimal digits over issuer, resource, client and label. The same login again
/// takes the place of the old one.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The identifier of that session.
    pub fn of(issuer: &str, resource: Option<&str>, client_id: &str, label: &str) -> Self {
        let mut hash = Context::new(&SHA256);
        for part in ["countersign session 1", issuer, resource.unwrap_or_default(), client_id, label] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self::first_half(hash.finish().as_ref())
    }

    fn first_half(digest: &[u8]) -> Self {
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
        Self(id)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a session is named by 32 hexadecimal digits")]
pub struct SessionIdError;

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower_hex = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let number = u128::from_str_radix(text, 16).map_err(|_| SessionIdError)?;
        if lower_hex { Ok(Self(number.to_be_bytes())) } else { Err(SessionIdError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differs_in_every_part_and_is_read_back() {
        let id = SessionId::of("i", Some("r"), "c", "");
        for other in [
            SessionId::of("ir", None, "c", ""),
            SessionId::of("i", None, "rc", ""),
            SessionId::of("i", Some("r"), "", "c"),
            SessionId::of("i", Some("r"), "c", "tool"),
        ] {
            assert_ne!(id, other);
        }
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "+", "0", &"g".repeat(32), &"A".repeat(32), &format!("+{}", "0".repeat(31)), &"0".repeat(33)] {
            assert_eq!(bad.parse::<SessionId>(), Err(SessionIdError), "{bad}");
        }
    }
}
