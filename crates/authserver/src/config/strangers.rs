//! `[registration]` and `[client_metadata_documents]`, resolved: what clients may have that the operator does not know.

use std::path::Path;

use countersign_dpop::time::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::client::sha256;
use super::file::{read_text, without_line_end};
use super::resolve::{Faults, shorten};
use super::{AuthSetting, ClientMetadataConfig, Key, Problem, RegistrationConfig};
use crate::grant::GrantType;
use crate::registered::{RegisteredClient, Registrar};
use crate::resource::Resource;
use crate::scope::Scope;

/// What clients may have that describe themselves.
#[derive(Debug)]
pub(crate) struct Strangers {
    pub(crate) scopes: Scope,
    pub(crate) grants: Vec<GrantType>,
}

/// `[registration]`: clients register themselves (RFC 7591), each with the token that lets it.
#[derive(Debug)]
pub(crate) struct Registration {
    /// SHA-256 of the initial access token.
    pub(crate) token_sha256: [u8; 32],
    pub(crate) strangers: Strangers,
}

/// The longest file with a token, in bytes.
const MAX_TOKEN_FILE: u64 = 4_096;
/// The longest name, in characters, and the most of anything else.
const MAX_NAME: usize = 200;

impl Strangers {
    fn resolve(
        (table, scopes, grants): (&'static str, &[String], Option<&[String]>),
        resources: &[Resource],
        faults: &mut Faults,
    ) -> Self {
        let key = |name| Key::in_table(table, name);
        let scopes = faults.note(key("scopes"), Scope::from_tokens(scopes.iter().map(String::as_str)));
        let scopes = scopes.unwrap_or_default();
        for scope in scopes.iter().filter(|scope| !resources.iter().any(|resource| resource.scopes.contains(scope))) {
            faults.add(key("scopes"), Problem::ScopeUnknown { scope: shorten(scope) });
        }
        let default = ["authorization_code".to_owned(), "refresh_token".to_owned()];
        let mut found = Vec::new();
        for name in grants.unwrap_or(&default) {
            match GrantType::from_name(name) {
                Some(grant) => found.push(grant),
                None if grants.is_some() => {
                    let known = GrantType::ALL.iter().map(|grant| grant.name()).collect::<Vec<_>>().join(", ");
                    faults.add(key("grants"), Problem::Unknown { found: shorten(name), known });
                }
                None => {}
            }
        }
        Self { scopes, grants: found }
    }

    /// The client that metadata (RFC 7591 §2) describes, with no more than strangers may have.
    pub(crate) fn describe(
        &self,
        members: &Map<String, Value>,
        client_id: String,
        auth: AuthSetting,
        by: Registrar,
        now: Timestamp,
    ) -> Result<RegisteredClient, String> {
        let grants = texts(members, "grant_types")?.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
        if let Some(other) = grants.iter().find(|name| !self.grants.iter().any(|grant| grant.name() == *name)) {
            return Err(format!("grant_types: {} is not for clients that register themselves", shorten(other)));
        }
        let asked = match text(members, "scope")? {
            Some(scope) => Scope::parse(&scope).map_err(|fault| format!("scope: {fault}"))?,
            None => self.scopes.clone(),
        };
        let bound = match members.get("dpop_bound_access_tokens") {
            None => None,
            Some(Value::Bool(bound)) => Some(*bound),
            Some(_) => return Err("dpop_bound_access_tokens is neither true nor false".to_owned()),
        };
        Ok(RegisteredClient {
            name: text(members, "client_name")?.map(|name| name.chars().take(MAX_NAME).collect()),
            jwks: members.get("jwks").cloned(),
            jwks_uri: text(members, "jwks_uri")?,
            redirect_uris: texts(members, "redirect_uris")?.unwrap_or_default(),
            scopes: asked.shared_with(&self.scopes).iter().map(str::to_owned).collect(),
            dpop_bound_access_tokens: bound,
            ..RegisteredClient::new(client_id, auth, grants, by, now)
        })
    }
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name} is not a text")),
    }
}

fn texts(members: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let wrong = || format!("{name} is not an array of texts");
    match members.get(name) {
        None => Ok(None),
        Some(Value::Array(items)) if items.len() <= MAX_NAME => {
            let read = |item: &Value| item.as_str().map(str::to_owned).ok_or_else(wrong);
            items.iter().map(read).collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(wrong()),
    }
}

impl ClientMetadataConfig {
    pub(super) fn resolve(&self, resources: &[Resource], faults: &mut Faults) -> Strangers {
        let written = ("client_metadata_documents", self.scopes.as_slice(), self.grants.as_deref());
        Strangers::resolve(written, resources, faults)
    }
}

impl RegistrationConfig {
    pub(super) fn resolve(&self, base: &Path, resources: &[Resource], faults: &mut Faults) -> Option<Registration> {
        let written = ("registration", self.scopes.as_slice(), self.grants.as_deref());
        let strangers = Strangers::resolve(written, resources, faults);
        let key = |name| Key::in_table("registration", name);
        let token = match (&self.initial_access_token, &self.initial_access_token_file) {
            (Some(_), Some(_)) => {
                faults.add(key("initial_access_token_file"), Problem::Ambiguous { other: "initial_access_token" });
                return None;
            }
            (None, None) => {
                let what =
                    "write initial_access_token or initial_access_token_file; without one anybody could register";
                faults.add(key("initial_access_token"), Problem::Missing { what });
                return None;
            }
            (Some(token), None) => Zeroizing::new(token.expose_secret().to_owned()),
            (None, Some(file)) => {
                let text = faults.note(key("initial_access_token_file"), read_text(base.join(file), MAX_TOKEN_FILE))?;
                Zeroizing::new(without_line_end(&text).to_owned())
            }
        };
        if token.is_empty() {
            faults.add(key("initial_access_token"), Problem::SecretEmpty);
            return None;
        }
        Some(Registration { token_sha256: sha256(token.as_bytes()), strangers })
    }
}
