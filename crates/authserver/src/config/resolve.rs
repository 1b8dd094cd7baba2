//! From the configuration as it is written to settings that can be served: every value parsed once, every file read.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use countersign_dpop::jose::JwkSet;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{
    AuthServerConfig, AuthSetting, ClientConfig, ConfigError, ConfigErrors, Key, NonceSetting, Problem, Profile,
};
use crate::client::{AuthMethod, Client, Credential};
use crate::cors::Cors;
use crate::grant::GrantType;
use crate::issuer::Issuer;
use crate::resource::Resource;
use crate::scope::Scope;

/// A configuration that can be served.
#[derive(Debug)]
pub struct Settings {
    pub(crate) issuer: Issuer,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) cors: Cors,
    pub(crate) data: PathBuf,
    pub(crate) profile: Profile,
    pub(crate) nonce: NonceSetting,
    pub(crate) clients: HashMap<String, Arc<Client>>,
    pub(crate) resources: Vec<Resource>,
}

impl Settings {
    /// The issuer identifier.
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Where to listen, if the configuration says so.
    pub const fn listen(&self) -> Option<SocketAddr> {
        self.listen
    }

    /// Where to tell one's health, if the configuration says so.
    pub const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }
}

impl AuthServerConfig {
    /// Parses every value and reads every file that the configuration names; relative paths count from `base`.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every fault that was found.
    pub fn resolve(self, base: &Path) -> Result<Settings, ConfigErrors> {
        let mut faults = Faults::default();
        let issuer = faults.note(Key::top("issuer"), Issuer::parse(&self.issuer));
        self.refuse_what_is_not_there_yet(&mut faults);
        let cors = self.resolve_cors(&mut faults);
        let data = self.data.as_ref().map(|data| base.join(data));
        if data.is_none() {
            faults.add(Key::top("data"), Problem::Missing { what: "write the path of the data directory" });
        }
        let resources = self.resolve_resources(&mut faults);
        // With faulty resources nothing can be said about the clients' scopes.
        let are_right = !faults.0.iter().any(|fault| fault.key.is_of("resource"));
        let clients = self.resolve_clients(base, are_right.then_some(resources.as_slice()), &mut faults);
        match (issuer, data, faults.0.is_empty()) {
            (Some(issuer), Some(data), true) => Ok(Settings {
                issuer,
                listen: self.listen,
                admin: self.admin,
                cors,
                data,
                profile: self.profile,
                nonce: self.nonce,
                clients,
                resources,
            }),
            _ => Err(ConfigErrors(faults.0)),
        }
    }

    fn refuse_what_is_not_there_yet(&self, faults: &mut Faults) {
        if self.database.is_some() {
            faults.add(Key::top("database"), Problem::NotAvailable { what: "Postgres".to_owned() });
        }
        if !self.users.is_empty() {
            faults.add(Key::of("user", 0, "username"), Problem::NotAvailable { what: "signing users in".to_owned() });
        }
    }

    fn resolve_cors(&self, faults: &mut Faults) -> Cors {
        let mut cors = Cors::default();
        for origin in &self.cors_origins {
            let allowed = cors.allow(origin);
            faults.note(
                Key::top("cors_origins"),
                allowed.map_err(|fault| Problem::Origin { origin: shorten(origin), fault }),
            );
        }
        cors
    }

    fn resolve_resources(&self, faults: &mut Faults) -> Vec<Resource> {
        if self.resources.is_empty() {
            let what = "add a [[resource]] with the identifier that tokens are for";
            faults.add(Key::top("resource"), Problem::NoneConfigured { what });
        }
        let mut resources: Vec<Resource> = Vec::new();
        for (index, written) in self.resources.iter().enumerate() {
            let key = |name| Key::of("resource", index, name);
            if !is_resource_identifier(&written.identifier) {
                faults.add(key("identifier"), Problem::ResourceIdentifier);
            }
            if resources.iter().any(|other| other.identifier == written.identifier) {
                faults.add(key("identifier"), Problem::Repeated { found: shorten(&written.identifier) });
            }
            let scopes = faults.note(key("scopes"), Scope::from_tokens(written.scopes.iter().map(String::as_str)));
            resources.push(Resource { identifier: written.identifier.clone(), scopes: scopes.unwrap_or_default() });
        }
        resources
    }

    fn resolve_clients(
        &self,
        base: &Path,
        resources: Option<&[Resource]>,
        faults: &mut Faults,
    ) -> HashMap<String, Arc<Client>> {
        let mut clients = HashMap::new();
        for (index, written) in self.clients.iter().enumerate() {
            let mut resolver = ClientResolver { written, index, profile: self.profile, base, faults };
            let Some(client) = resolver.resolve(resources) else { continue };
            if clients.insert(client.id.clone(), Arc::new(client)).is_some() {
                let found = shorten(&written.client_id);
                faults.add(Key::of("client", index, "client_id"), Problem::Repeated { found });
            }
        }
        clients
    }
}

/// The longest client identifier, in characters.
pub(crate) const MAX_CLIENT_ID_LENGTH: usize = 256;
const MAX_SECRET_FILE: u64 = 4_096;
const MAX_JWKS_FILE: u64 = 256 * 1_024;

#[derive(Default)]
struct Faults(Vec<ConfigError>);

impl Faults {
    fn add(&mut self, key: Key, problem: Problem) {
        self.0.push(ConfigError { key, problem });
    }

    fn note<T, E: Into<Problem>>(&mut self, key: Key, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.add(key, problem.into())).ok()
    }
}

struct ClientResolver<'a> {
    written: &'a ClientConfig,
    index: usize,
    profile: Profile,
    base: &'a Path,
    faults: &'a mut Faults,
}

impl ClientResolver<'_> {
    fn resolve(&mut self, resources: Option<&[Resource]>) -> Option<Client> {
        let found = self.faults.0.len();
        self.check_client_id();
        self.refuse_redirect_uris();
        let method = self.method();
        let credential = self.credential(method);
        let grants = self.grants();
        let scopes = self.scopes(resources);
        let bound_tokens_only = self.bound_tokens_only();
        if self.faults.0.len() > found {
            return None;
        }
        Some(Client { id: self.written.client_id.clone(), credential: credential?, grants, scopes, bound_tokens_only })
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

    fn refuse_redirect_uris(&mut self) {
        if !self.written.redirect_uris.is_empty() {
            let with = "grants that send nobody to a redirect URI".to_owned();
            self.add("redirect_uris", Problem::Meaningless { with });
        }
    }

    fn method(&mut self) -> AuthMethod {
        let method = match self.written.auth {
            AuthSetting::None => AuthMethod::None,
            AuthSetting::ClientSecretBasic => AuthMethod::ClientSecretBasic,
            AuthSetting::ClientSecretPost => AuthMethod::ClientSecretPost,
            AuthSetting::PrivateKeyJwt => AuthMethod::PrivateKeyJwt,
        };
        let available = AuthMethod::SUPPORTED.contains(&method);
        if !available {
            self.add("auth", Problem::NotAvailable { what: format!("auth = \"{method}\"") });
        } else if !self.profile.rules().auth_methods.contains(&method) {
            let (profile, what) = (self.profile.as_str(), format!("auth = \"{method}\""));
            self.add("auth", Problem::Profile { profile, what, remedy: "write auth = \"private_key_jwt\"" });
        }
        method
    }

    fn credential(&mut self, method: AuthMethod) -> Option<Credential> {
        match method {
            AuthMethod::ClientSecretBasic => {
                self.refuse_jwks(method);
                self.secret()
            }
            AuthMethod::PrivateKeyJwt => {
                self.refuse_secret(method);
                self.keys()
            }
            AuthMethod::ClientSecretPost | AuthMethod::None => None,
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

    fn secret(&mut self) -> Option<Credential> {
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
        Some(Credential::SecretBasic { sha256: sha256(secret.as_bytes()) })
    }

    fn keys(&mut self) -> Option<Credential> {
        if self.written.jwks_uri.is_some() {
            self.add("jwks_uri", Problem::NotAvailable { what: "fetching a client's keys".to_owned() });
            return None;
        }
        let (name, json) = match (&self.written.jwks, &self.written.jwks_file) {
            (Some(_), Some(_)) => {
                self.add("jwks_file", Problem::Ambiguous { other: "jwks" });
                return None;
            }
            (Some(jwks), None) => ("jwks", Zeroizing::new(jwks.to_string())),
            (None, Some(file)) => ("jwks_file", self.read("jwks_file", file, MAX_JWKS_FILE)?),
            (None, None) => {
                self.add("jwks", Problem::Missing { what: "write jwks or jwks_file with the client's public keys" });
                return None;
            }
        };
        match JwkSet::parse(json.as_bytes()) {
            Ok(keys) => Some(Credential::PrivateKeyJwt { keys }),
            Err(fault) => {
                self.add(name, fault.into());
                None
            }
        }
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
        if self.written.grants.is_empty() {
            let what = "write grants = [\"client_credentials\"]";
            self.add("grants", Problem::Missing { what });
        }
        for name in &self.written.grants {
            match GrantType::from_name(name) {
                Some(grant) if grants.contains(&grant) => {
                    self.add("grants", Problem::Repeated { found: shorten(name) });
                }
                Some(grant) => grants.push(grant),
                None if KNOWN_GRANTS.contains(&name.as_str()) => {
                    self.add("grants", Problem::NotAvailable { what: format!("the grant \"{name}\"") });
                }
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

    fn bound_tokens_only(&mut self) -> bool {
        let by_profile = self.profile.rules().bound_tokens_only;
        if by_profile && self.written.dpop_bound_access_tokens == Some(false) {
            let (profile, what) = (self.profile.as_str(), "dpop_bound_access_tokens = false".to_owned());
            self.add("dpop_bound_access_tokens", Problem::Profile { profile, what, remedy: "remove it" });
        }
        self.written.dpop_bound_access_tokens.unwrap_or(by_profile)
    }
}

/// Grants that this server is meant to have and has not yet; named so that the message says so.
const KNOWN_GRANTS: [&str; 5] = [
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

/// SHA-256 of a secret.
pub(crate) fn sha256(secret: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, secret).as_ref());
    hash
}

fn read_text(path: PathBuf, limit: u64) -> Result<Zeroizing<String>, Problem> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(&path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    match read {
        Err(fault) => Err(Problem::File { path, fault }),
        Ok(_) if bytes.len() as u64 > limit => Err(Problem::FileTooLarge { path, limit }),
        Ok(_) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Zeroizing::new(text.to_owned())),
            Err(_) => Err(Problem::FileNotText { path }),
        },
    }
}

fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// An absolute URI without a fragment (RFC 8707 §2): a scheme, a colon, something after it, URI characters only.
fn is_resource_identifier(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_uri_character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    scheme_fits && !rest.is_empty() && text.len() <= 2_048 && rest.bytes().all(is_uri_character)
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
