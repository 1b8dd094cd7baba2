//! `[[trusted_issuer]]`, resolved.

use std::collections::BTreeMap;
use std::path::Path;

use countersign_dpop::PublicOrigin;
use countersign_dpop::jose::JwkSet;

use super::file::read_text;
use super::resolve::{Faults, shorten};
use super::{ClientConfig, Key, Problem, TrustedIssuerConfig};
use crate::fetch::{FetchUrl, Reach};
use crate::grant::GrantType;
use crate::keys::{Place, PublicKeys};
use crate::resource::Resource;
use crate::scope::Scope;
use crate::trusted_issuer::TrustedIssuer;

/// Resolves one trusted issuer, noting its faults.
pub(super) struct TrustedIssuerResolver<'a> {
    pub(super) written: &'a TrustedIssuerConfig,
    pub(super) index: usize,
    pub(super) base: &'a Path,
    pub(super) clients: &'a [ClientConfig],
    pub(super) resources: &'a [Resource],
    pub(super) faults: &'a mut Faults,
}

/// How often a token may be presented when nothing is said: every five minutes for an hour, and a few times more.
const DEFAULT_MAX_USES: u32 = 16;
/// The most that can be said: every use is kept.
const MAX_USES: u32 = 1_000;
const MAX_JWKS_FILE: u64 = 256 * 1_024;

impl TrustedIssuerResolver<'_> {
    /// `None` when it has faults.
    pub(super) fn resolve(&mut self) -> Option<TrustedIssuer> {
        let found = self.faults.0.len();
        self.check_names();
        self.check_clients();
        let keys = self.keys();
        let resources = self.resources();
        let scopes = self.scopes();
        let max_uses = self.max_uses();
        if self.faults.0.len() > found {
            return None;
        }
        Some(TrustedIssuer {
            issuer: self.written.issuer.clone(),
            audience: self.written.audience.clone(),
            keys: keys?,
            clients: self.written.clients.clone(),
            subjects: self.written.subjects.clone(),
            resources,
            scopes,
            max_uses,
            subject_prefix: self.written.subject_prefix.clone().unwrap_or_default(),
        })
    }

    fn add(&mut self, name: &'static str, problem: Problem) {
        self.faults.add(Key::of("trusted_issuer", self.index, name), problem);
    }

    fn check_names(&mut self) {
        if self.written.issuer.is_empty() {
            self.add("issuer", Problem::Missing { what: "write the iss of its tokens" });
        }
        if self.written.audience.is_empty() {
            self.add("audience", Problem::Missing { what: "write what its tokens must be for" });
        }
    }

    fn check_clients(&mut self) {
        if self.written.clients.is_empty() {
            self.add("clients", Problem::Missing { what: "write the client_ids that may present its tokens" });
        }
        for id in &self.written.clients {
            let Some(client) = self.clients.iter().find(|client| client.client_id == *id) else {
                self.add("clients", Problem::ClientUnknown { client: shorten(id) });
                continue;
            };
            let wanted = [GrantType::TokenExchange.name(), GrantType::JwtBearer.name()];
            if !client.grants.iter().any(|grant| wanted.contains(&grant.as_str())) {
                self.add("clients", Problem::ClientWithoutGrant { client: shorten(id) });
            }
        }
    }

    fn keys(&mut self) -> Option<PublicKeys> {
        let written = (&self.written.jwks, &self.written.jwks_file, &self.written.jwks_uri);
        match written {
            (None, None, None) => self.keys_by_metadata(),
            (Some(jwks), None, None) => self.key_set("jwks", jwks.to_string().as_bytes()),
            (None, Some(file), None) => match read_text(self.base.join(file), MAX_JWKS_FILE) {
                Ok(text) => self.key_set("jwks_file", text.as_bytes()),
                Err(problem) => {
                    self.add("jwks_file", problem);
                    None
                }
            },
            (None, None, Some(url)) => match FetchUrl::parse(url) {
                Ok(url) => Some(PublicKeys::published(Place::JwkSet(url), Reach::Anywhere)),
                Err(fault) => {
                    self.add("jwks_uri", fault.into());
                    None
                }
            },
            (Some(_), _, Some(_)) => self.ambiguous("jwks_uri", "jwks"),
            (Some(_), Some(_), None) => self.ambiguous("jwks_file", "jwks"),
            (None, Some(_), Some(_)) => self.ambiguous("jwks_uri", "jwks_file"),
        }
    }

    fn ambiguous(&mut self, name: &'static str, other: &'static str) -> Option<PublicKeys> {
        self.add(name, Problem::Ambiguous { other });
        None
    }

    fn key_set(&mut self, name: &'static str, json: &[u8]) -> Option<PublicKeys> {
        match JwkSet::parse(json) {
            Ok(keys) => Some(PublicKeys::fixed(keys)),
            Err(fault) => {
                self.add(name, fault.into());
                None
            }
        }
    }

    /// The issuer itself says where its keys are (RFC 8414 §3.1, OpenID Connect Discovery 1.0 §4).
    fn keys_by_metadata(&mut self) -> Option<PublicKeys> {
        let issuer = self.written.issuer.clone();
        if issuer.is_empty() {
            return None;
        }
        if let Err(fault) = PublicOrigin::parse(&issuer) {
            self.add("issuer", Problem::IssuerWithoutKeys { fault });
            return None;
        }
        let bare = issuer.trim_end_matches('/');
        let host_end = bare.find("://").and_then(|at| bare[at + 3..].find('/').map(|slash| at + 3 + slash));
        let (origin, path) = bare.split_at(host_end.unwrap_or(bare.len()));
        let urls = [
            format!("{bare}/.well-known/openid-configuration"),
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
        ];
        let documents: Result<Vec<_>, _> = urls.iter().map(|url| FetchUrl::parse(url)).collect();
        match documents {
            Ok(documents) => Some(PublicKeys::published(Place::Metadata { issuer, documents }, Reach::Anywhere)),
            Err(fault) => {
                self.add("issuer", fault.into());
                None
            }
        }
    }

    /// The audience is the resource unless others are named: a token is good for what it says it is for.
    fn resources(&mut self) -> Vec<String> {
        let known = |name: &String| self.resources.iter().any(|resource| resource.identifier == *name);
        let named = match &self.written.resources {
            Some(named) => named.clone(),
            None if known(&self.written.audience) => vec![self.written.audience.clone()],
            None => {
                let what = "its audience is no [[resource]]; write the resources that its tokens stand for";
                self.add("resources", Problem::Missing { what });
                return Vec::new();
            }
        };
        let unknown: Vec<String> = named.iter().filter(|name| !known(name)).map(|name| shorten(name)).collect();
        for resource in unknown {
            self.add("resources", Problem::ResourceUnknown { resource });
        }
        named
    }

    fn scopes(&mut self) -> Option<BTreeMap<String, Scope>> {
        let mut map = BTreeMap::new();
        for (theirs, ours) in self.written.scopes.as_ref()? {
            match Scope::from_tokens(ours.iter().map(String::as_str)) {
                Ok(scope) => {
                    for token in scope.iter() {
                        if !self.resources.iter().any(|resource| resource.scopes.contains(token)) {
                            self.faults.add(
                                Key::of("trusted_issuer", self.index, "scopes"),
                                Problem::ScopeUnknown { scope: shorten(token) },
                            );
                        }
                    }
                    map.insert(theirs.clone(), scope);
                }
                Err(fault) => self.faults.add(Key::of("trusted_issuer", self.index, "scopes"), fault.into()),
            }
        }
        Some(map)
    }

    fn max_uses(&mut self) -> u32 {
        let written = self.written.max_uses.unwrap_or(DEFAULT_MAX_USES);
        if !(1..=MAX_USES).contains(&written) {
            self.add("max_uses", Problem::OutOfRange { least: 1, most: MAX_USES.into() });
        }
        written
    }
}
