//! Issuers whose tokens are taken in exchange (RFC 8693), or as assertions (RFC 7523).

use std::collections::BTreeMap;

use crate::keys::PublicKeys;
use crate::scope::Scope;

/// `[[trusted_issuer]]`
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    /// As in `iss` of its tokens, compared as text.
    pub(crate) issuer: String,
    /// What must be among the audiences of its tokens.
    pub(crate) audience: String,
    pub(crate) keys: PublicKeys,
    /// The clients that may present its tokens.
    pub(crate) clients: Vec<String>,
    /// Which subjects may get tokens; one that ends in `*` stands for all that begin so. Absent: all.
    pub(crate) subjects: Option<Vec<String>>,
    /// The resources that tokens may be had for.
    pub(crate) resources: Vec<String>,
    /// What its scopes are here. Absent: the same by name.
    pub(crate) scopes: Option<BTreeMap<String, Scope>>,
    /// How often one of its tokens may be presented.
    pub(crate) max_uses: u32,
    /// What is put before its subjects, so that they are not taken for ours.
    pub(crate) subject_prefix: String,
}

impl TrustedIssuer {
    /// What `scope` of its tokens is worth here: never more than what is written for each of its tokens.
    pub(crate) fn map_scope(&self, scope: &Scope) -> Scope {
        let Some(map) = &self.scopes else { return scope.clone() };
        let tokens = scope.iter().filter_map(|token| map.get(token)).flat_map(Scope::iter);
        Scope::from_tokens(tokens).unwrap_or_default()
    }

    /// Whether tokens of this subject are taken.
    pub(crate) fn takes_subject(&self, subject: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => subject.starts_with(start),
            None => subject == pattern,
        };
        self.subjects.as_ref().is_none_or(|subjects| subjects.iter().any(fits))
    }
}
