//! `[[client]]`, resolved.

use std::path::Path;

use aws_lc_rs::digest;
use countersign_dpop::jose::JwkSet;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::file::{read_text, without_line_end};
use super::resolve::{Faults, shorten};
use super::{ClientConfig, ConfigErrors, Key, Problem, Profile, Settings};
use crate::client::{AuthMethod, Client, Credential};
use crate::fetch::{FetchUrl, Reach};
use crate::grant::GrantType;
use crate::keys::{Place, PublicKeys};
use crate::redirect_uri::RedirectUri;
use crate::resource::Resource;
use crate::scope::Scope;

/// Resolves one client, noting its faults.
pub(super) struct ClientResolver<'a> {
    pub(super) written: &'a ClientConfig,
    pub(super) index: usize,
    pub(super) profile: Profile,
    pub(super) base: &'a Path,
    /// Whether it may introspect, which is reason enough to be registered.
    pub(super) introspects: bool,
    /// Of a client that is registered already.
    pub(super) secret_sha256: Option<[u8; 32]>,
    /// Where its keys may be published.
    pub(super) reach: Reach,
    pub(super) faults: &'a mut Faults,
}

/// Resolves a client that does not stand in the configuration as if it did.
pub(crate) fn resolve_registered(
    written: &ClientConfig,
    secret_sha256: Option<[u8; 32]>,
    reach: Reach,
    settings: &Settings,
) -> Result<Client, ConfigErrors> {
    let mut faults = Faults::default();
    let (profile, base, introspects) = (settings.profile, Path::new(""), false);
    let mut resolver =
        ClientResolver { written, index: 0, profile, base, introspects, secret_sha256, reach, faults: &mut faults };
    resolver.resolve(Some(&settings.resources)).ok_or(ConfigErrors(faults.0))
}

impl ClientResolver<'_> {
    /// `None` when it has faults. Without `resources` nothing is said of its scopes.
    pub(super) fn resolve(&mut self, resources: Option<&[Resource]>) -> Option<Client> {
        let found = self.faults.0.len();
        self.check_client_id();
        let method = self.method();
        let credential = self.credential(method);
        let grants = self.grants();
        if method == AuthMethod::None && grants.contains(&GrantType::ClientCredentials) {
            let with = "auth = \"none\": a client without credentials gets no token by them".to_owned();
            self.add("grants", Problem::Meaningless { with });
        }
        let scopes = self.scopes(resources);
        self.check_exchange_resources(resources);
        let bound_tokens_only = self.bound_tokens_only();
        let redirect_uris = self.redirect_uris(&grants);
        let push_demanded = self.push_demanded();
        let signature_demanded = self.signature_demanded(method);
        if self.faults.0.len() > found {
            return None;
        }
        Some(Client {
            id: self.written.client_id.clone(),
            credential: credential?,
            grants,
            scopes,
            exchange_resources: self.written.exchange_resources.clone(),
            bound_tokens_only,
            redirect_uris,
            push_demanded,
            signature_demanded,
            refresh_bound_to_key: self.written.refresh_bound_to_key,
            authorization_details_types: self.written.authorization_details_types.clone(),
        })
    }

    fn add(&mut self, name: &'static str, problem: Problem) {
        self.faults.add(Key::of("client", self.index, name), problem);
    }

    fn check_client_id(&mut self) {
        let id = &self.written.client_id;
        let fits =
            (1..=MAX_CLIENT_ID_LENGTH).contains(&id.len()) && id.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if !fits {
            self.add("client_id", Problem::ClientId { limit: MAX_CLIENT_ID_LENGTH });
        }
    }

    fn redirect_uris(&mut self, grants: &[GrantType]) -> Vec<RedirectUri> {
        let sends_users = grants.contains(&GrantType::AuthorizationCode);
        if sends_users && self.written.redirect_uris.is_empty() {
            let what = "write redirect_uris = [\"https://app.example/callback\"]";
            self.add("redirect_uris", Problem::Missing { what });
        }
        if !sends_users && !self.written.redirect_uris.is_empty() {
            let with = "grants that send nobody to a redirect URI".to_owned();
            self.add("redirect_uris", Problem::Meaningless { with });
        }
        let mut uris = Vec::new();
        for text in &self.written.redirect_uris {
            match RedirectUri::parse(text) {
                Ok(uri) => uris.push(uri),
                Err(fault) => self.add("redirect_uris", Problem::RedirectUri { found: shorten(text), fault }),
            }
        }
        uris
    }

    fn signature_demanded(&mut self, method: AuthMethod) -> bool {
        let demanded = self.written.require_signed_request_object;
        if demanded && method != AuthMethod::PrivateKeyJwt {
            let with = format!("auth = \"{method}\", which has no key to sign with");
            self.add("require_signed_request_object", Problem::Meaningless { with });
        }
        demanded
    }

    fn push_demanded(&mut self) -> bool {
        let by_profile = self.profile.rules().push_demanded;
        let written = self.written.require_pushed_authorization_requests;
        if by_profile && written == Some(false) {
            let what = "require_pushed_authorization_requests = false".to_owned();
            let problem = Problem::Profile { profile: self.profile.as_str(), what, remedy: "remove it" };
            self.add("require_pushed_authorization_requests", problem);
        }
        written.unwrap_or(by_profile)
    }

    fn method(&mut self) -> AuthMethod {
        let method = AuthMethod::from(self.written.auth);
        if !self.profile.rules().auth_methods.contains(&method) {
            let (profile, what) = (self.profile.as_str(), format!("auth = \"{method}\""));
            self.add("auth", Problem::Profile { profile, what, remedy: "write auth = \"private_key_jwt\"" });
        }
        method
    }

    fn credential(&mut self, method: AuthMethod) -> Option<Credential> {
        match method {
            AuthMethod::ClientSecretBasic => {
                self.refuse_jwks(method);
                self.secret().map(|sha256| Credential::SecretBasic { sha256 })
            }
            AuthMethod::ClientSecretPost => {
                self.refuse_jwks(method);
                self.secret().map(|sha256| Credential::SecretPost { sha256 })
            }
            AuthMethod::PrivateKeyJwt => {
                self.refuse_secret(method);
                self.keys()
            }
            AuthMethod::None => {
                self.refuse_secret(method);
                self.refuse_jwks(method);
                Some(Credential::None)
            }
        }
    }

    fn refuse_secret(&mut self, method: AuthMethod) {
        let with = || Problem::Meaningless { with: format!("auth = \"{method}\"") };
        if self.written.secret.is_some() {
            self.add("secret", with());
        }
        if self.written.secret_file.is_some() {
            self.add("secret_file", with());
        }
    }

    fn refuse_jwks(&mut self, method: AuthMethod) {
        let with = || Problem::Meaningless { with: format!("auth = \"{method}\"") };
        if self.written.jwks.is_some() {
            self.add("jwks", with());
        }
        if self.written.jwks_file.is_some() {
            self.add("jwks_file", with());
        }
        if self.written.jwks_uri.is_some() {
            self.add("jwks_uri", with());
        }
    }

    /// SHA-256 of the secret.
    fn secret(&mut self) -> Option<[u8; 32]> {
        if self.secret_sha256.is_some() {
            return self.secret_sha256;
        }
        let (name, secret) = match (&self.written.secret, &self.written.secret_file) {
            (Some(_), Some(_)) => {
                self.add("secret_file", Problem::Ambiguous { other: "secret" });
                return None;
            }
            (Some(secret), None) => ("secret", Zeroizing::new(secret.expose_secret().to_owned())),
            (None, Some(file)) => ("secret_file", self.read("secret_file", file, MAX_SECRET_FILE)?),
            (None, None) => {
                self.add("secret", Problem::Missing { what: "write secret or secret_file" });
                return None;
            }
        };
        let secret = if name == "secret_file" { without_line_end(&secret) } else { &secret };
        if secret.is_empty() {
            self.add(name, Problem::SecretEmpty);
            return None;
        }
        Some(sha256(secret.as_bytes()))
    }

    fn keys(&mut self) -> Option<Credential> {
        let written = (&self.written.jwks, &self.written.jwks_file, &self.written.jwks_uri);
        let (name, json) = match written {
            (Some(jwks), None, None) => ("jwks", Zeroizing::new(jwks.to_string())),
            (None, Some(file), None) => ("jwks_file", self.read("jwks_file", file, MAX_JWKS_FILE)?),
            (None, None, Some(url)) => return self.published_keys(url),
            (None, None, None) => {
                let what = "write jwks, jwks_file or jwks_uri with the client's public keys";
                self.add("jwks", Problem::Missing { what });
                return None;
            }
            (Some(_), Some(_), _) => return self.ambiguous("jwks_file", "jwks"),
            (Some(_), None, Some(_)) => return self.ambiguous("jwks_uri", "jwks"),
            (None, Some(_), Some(_)) => return self.ambiguous("jwks_uri", "jwks_file"),
        };
        match JwkSet::parse(json.as_bytes()) {
            Ok(keys) => Some(Credential::PrivateKeyJwt { keys: PublicKeys::fixed(keys) }),
            Err(fault) => {
                self.add(name, fault.into());
                None
            }
        }
    }

    fn published_keys(&mut self, url: &str) -> Option<Credential> {
        match FetchUrl::parse(url) {
            Ok(url) if self.reach == Reach::Public && !url.may_be_public() => {
                self.add("jwks_uri", Problem::NotPublic);
                None
            }
            Ok(url) => {
                let keys = PublicKeys::published(Place::JwkSet(url), self.reach);
                Some(Credential::PrivateKeyJwt { keys })
            }
            Err(fault) => {
                self.add("jwks_uri", fault.into());
                None
            }
        }
    }

    fn ambiguous(&mut self, name: &'static str, other: &'static str) -> Option<Credential> {
        self.add(name, Problem::Ambiguous { other });
        None
    }

    fn read(&mut self, name: &'static str, file: &Path, limit: u64) -> Option<Zeroizing<String>> {
        match read_text(self.base.join(file), limit) {
            Ok(text) => Some(text),
            Err(problem) => {
                self.add(name, problem);
                None
            }
        }
    }

    fn grants(&mut self) -> Vec<GrantType> {
        let mut grants = Vec::new();
        if self.written.grants.is_empty() && !self.introspects {
            let what = "write grants = [\"client_credentials\"]";
            self.add("grants", Problem::Missing { what });
        }
        for name in &self.written.grants {
            match GrantType::from_name(name) {
                Some(grant) if grants.contains(&grant) => {
                    self.add("grants", Problem::Repeated { found: shorten(name) });
                }
                Some(grant) => grants.push(grant),
                None => {
                    let known = GrantType::ALL.iter().map(|grant| grant.name()).collect::<Vec<_>>().join(", ");
                    self.add("grants", Problem::Unknown { found: shorten(name), known });
                }
            }
        }
        grants
    }

    fn scopes(&mut self, resources: Option<&[Resource]>) -> Scope {
        let scopes = match Scope::from_tokens(self.written.scopes.iter().map(String::as_str)) {
            Ok(scopes) => scopes,
            Err(fault) => {
                self.add("scopes", fault.into());
                return Scope::default();
            }
        };
        for scope in scopes.iter() {
            let is_known = |resources: &[Resource]| resources.iter().any(|resource| resource.scopes.contains(scope));
            if !resources.is_none_or(is_known) {
                self.add("scopes", Problem::ScopeUnknown { scope: shorten(scope) });
            }
        }
        scopes
    }

    fn check_exchange_resources(&mut self, resources: Option<&[Resource]>) {
        let known = |name: &String| {
            resources.is_none_or(|resources| resources.iter().any(|resource| resource.identifier == *name))
        };
        let written = &self.written.exchange_resources;
        let unknown: Vec<String> = written.iter().filter(|name| !known(name)).map(|name| shorten(name)).collect();
        if !written.is_empty() && !self.written.grants.iter().any(|grant| grant == GrantType::TokenExchange.name()) {
            let with = format!("grants without {:?}", GrantType::TokenExchange.name());
            self.add("exchange_resources", Problem::Meaningless { with });
        }
        for resource in unknown {
            self.add("exchange_resources", Problem::ResourceUnknown { resource });
        }
    }

    fn bound_tokens_only(&mut self) -> bool {
        let by_profile = self.profile.rules().bound_tokens_only;
        if by_profile && self.written.dpop_bound_access_tokens == Some(false) {
            let (profile, what) = (self.profile.as_str(), "dpop_bound_access_tokens = false".to_owned());
            self.add("dpop_bound_access_tokens", Problem::Profile { profile, what, remedy: "remove it" });
        }
        self.written.dpop_bound_access_tokens.unwrap_or(by_profile)
    }
}

/// The longest client identifier, in characters.
const MAX_CLIENT_ID_LENGTH: usize = 256;
const MAX_SECRET_FILE: u64 = 4_096;
const MAX_JWKS_FILE: u64 = 256 * 1_024;

/// SHA-256 of a secret.
pub(crate) fn sha256(secret: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
    hash
}
