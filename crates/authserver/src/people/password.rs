//! Passwords: argon2id (RFC 9106), as texts in PHC form.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use zeroize::Zeroizing;

use super::cost::Cost;

/// A password that is not taken, or cannot be hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    /// Shorter than is worth hashing.
    #[error("a password of fewer than {} characters", MIN_LENGTH)]
    TooShort,
    /// Longer than anybody types.
    #[error("a password of more than {} bytes", MAX_LENGTH)]
    TooLong,
    /// The system gave no random salt.
    #[error("no random bytes")]
    NoRandomness,
}

/// The fewest characters of a password.
const MIN_LENGTH: usize = 8;
/// The longest password that is looked at, in bytes.
pub(super) const MAX_LENGTH: usize = 1_024;

/// Hashes a password by argon2id with a salt of its own (19 MiB, two passes: what OWASP advises), in PHC form.
///
/// # Errors
/// See [`PasswordError`].
pub fn hash_password(password: &str) -> Result<Zeroizing<String>, PasswordError> {
    if password.chars().count() < MIN_LENGTH {
        return Err(PasswordError::TooShort);
    }
    if password.len() > MAX_LENGTH {
        return Err(PasswordError::TooLong);
    }
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| PasswordError::NoRandomness)?;
    Ok(Zeroizing::new(hash.to_string()))
}

/// Whether this is an argon2id hash that can be verified at a bearable cost.
pub(crate) fn is_password_hash(text: &str) -> bool {
    let is_whole = |hash: &PasswordHash| hash.salt.is_some() && hash.hash.is_some();
    PasswordHash::new(text).is_ok_and(|hash| is_whole(&hash)) && Cost::of(text).is_some_and(Cost::is_bearable)
}

/// Whether `password` is the one that was hashed. Takes tens of milliseconds of one core.
pub(super) fn is_right(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_verifies() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && is_password_hash(&hash));
        assert!(is_right("correct horse", &hash) && !is_right("correct horsE", &hash) && !is_right("", &hash));
        assert_ne!(hash, hash_password("correct horse").unwrap(), "a salt of its own");
        assert_eq!(hash_password("seven77").err(), Some(PasswordError::TooShort));
        assert_eq!(hash_password(&"x".repeat(1_025)).err(), Some(PasswordError::TooLong));
    }

    #[test]
    fn takes_bearable_argon2id_only() {
        let (salt, hash) = ("bm9ib2R5J3Mgc2FsdCE", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        for (text, fits) in [
            (format!("$argon2id$v=19$m=65536,t=3,p=4${salt}${hash}"), true),
            (format!("$argon2i$v=19$m=65536,t=3,p=4${salt}${hash}"), false),
            (format!("$argon2id$v=19$m=4294967295,t=3,p=4${salt}${hash}"), false),
            (format!("$argon2id$v=19$m=65536,t=300,p=4${salt}${hash}"), false),
            (format!("$argon2id$v=19$m=16,t=3,p=4${salt}${hash}"), false),
            (format!("$argon2id$v=19$m=65536,t=0,p=4${salt}${hash}"), false),
            (format!("$argon2id$v=19$m=65536,t=3,p=4${salt}"), false),
            ("$2b$12$abcdefghijklmnopqrstuv".to_owned(), false),
            ("password".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_password_hash(&text), fits, "{text}");
        }
    }
}
