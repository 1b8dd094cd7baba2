//! Scopes (RFC 6749 §3.3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens, in the order in which they were named.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Scope(Vec<String>);

/// The text is not a list of scope tokens separated by single blanks, or is too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not scope tokens separated by single blanks, or more than {} of them", Scope::MAX_TOKENS)]
pub struct ScopeError;

impl Scope {
    /// The most scope tokens in one request or configuration entry.
    pub(crate) const MAX_TOKENS: usize = 256;

    /// Parses the value of a `scope` parameter.
    pub(crate) fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::from_tokens(text.split(' '))
    }

    /// Takes scope tokens; one that is named twice counts once.
    pub(crate) fn from_tokens<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut scope = Self::default();
        for token in tokens {
            if !is_scope_token(token) || scope.0.len() == Self::MAX_TOKENS {
                return Err(ScopeError);
            }
            if !scope.contains(token) {
                scope.0.push(token.to_owned());
            }
        }
        Ok(scope)
    }

    pub(crate) fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|own| own == token)
    }

    pub(crate) fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|token| other.contains(token))
    }

    /// The tokens of `self` that are also in `other`.
    pub(crate) fn shared_with(&self, other: &Self) -> Self {
        Self(self.iter().filter(|token| other.contains(token)).map(str::to_owned).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        if text.is_empty() { Ok(Self::default()) } else { Self::parse(&text) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`
fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_token_once_in_the_order_given() {
        assert_eq!(Scope::parse("write read write").unwrap().to_string(), "write read");
    }

    #[test]
    fn refuses_what_is_no_scope_token() {
        for text in ["", " read", "read ", "read  write", "read\twrite", "re\"ad", "re\\ad", "lés", "read\nwrite"] {
            assert_eq!(Scope::parse(text), Err(ScopeError), "{text:?}");
        }
    }

    #[test]
    fn refuses_more_tokens_than_anyone_needs() {
        let tokens: Vec<String> = (0..=Scope::MAX_TOKENS).map(|n| format!("s{n}")).collect();
        assert_eq!(Scope::parse(&tokens.join(" ")), Err(ScopeError));
        assert!(Scope::parse(&tokens[1..].join(" ")).is_ok());
    }

    #[test]
    fn knows_subset_and_overlap() {
        let (wide, narrow) = (Scope::parse("a b c").unwrap(), Scope::parse("c a").unwrap());
        assert!(narrow.is_subset_of(&wide) && !wide.is_subset_of(&narrow));
        assert_eq!(wide.shared_with(&narrow).to_string(), "a c");
        assert!(Scope::default().is_subset_of(&narrow) && Scope::default().is_empty());
    }
}
