//! From the configuration as it is written to settings that can be served: every value parsed once, every file read.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::client::ClientResolver;
use super::file::{read_text, without_line_end};
use super::strangers::{Registration, Strangers};
use super::trusted_issuer::TrustedIssuerResolver;
use super::{
    AuthServerConfig, AuthSetting, ConfigError, ConfigErrors, Key, LimitsConfig, NonceSetting, Problem, Profile,
    ResourceConfig,
};
use crate::client::Client;
use crate::cors::Cors;
use crate::fetch::Reach;
use crate::issuer::Issuer;
use crate::operation::{LimitSettings, Network, Tls, TlsSettings};
use crate::resource::Resource;
use crate::scope::Scope;
use crate::storage::PostgresAddress;
use crate::trusted_issuer::TrustedIssuer;

/// A configuration that can be served.
#[derive(Debug)]
pub struct Settings {
    pub(crate) issuer: Issuer,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) cors: Cors,
    pub(crate) data: PathBuf,
    pub(crate) database: Option<PostgresAddress>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) limits: LimitSettings,
    pub(crate) profile: Profile,
    pub(crate) nonce: NonceSetting,
    pub(crate) clients: HashMap<String, Arc<Client>>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) trusted_issuers: Vec<TrustedIssuer>,
    /// Hashes of passwords by user.
    pub(crate) users: HashMap<String, Zeroizing<String>>,
    /// Clients register themselves.
    pub(crate) registration: Option<Registration>,
    /// Clients are described by documents of their own.
    pub(crate) client_documents: Option<Strangers>,
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

    /// Whether the database is in Postgres and not in the data directory.
    pub const fn uses_postgres(&self) -> bool {
        self.database.is_some()
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
        let cors = self.resolve_cors(&mut faults);
        let trusted_proxies = self.resolve_proxies(&mut faults);
        let limits = self.resolve_limits(&mut faults);
        let tls = self
            .tls
            .as_ref()
            .map(|tls| TlsSettings { certificate: base.join(&tls.certificate_file), key: base.join(&tls.key_file) });
        if let Some(tls) = &tls {
            faults.note(Key::top("tls"), Tls::open(tls.clone()));
        }
        let database = self.resolve_database(base, &mut faults);
        let data = self.resolve_data(base, &mut faults);
        let resources = self.resolve_resources(&mut faults);
        // With faulty resources nothing can be said about the clients' scopes.
        let are_right = !faults.0.iter().any(|fault| fault.key.is_of("resource"));
        let clients = self.resolve_clients(base, are_right.then_some(resources.as_slice()), &mut faults);
        let trusted_issuers = self.resolve_trusted_issuers(base, &resources, &mut faults);
        let users = self.resolve_users(&mut faults);
        let registration =
            self.registration.as_ref().and_then(|written| written.resolve(base, &resources, &mut faults));
        let client_documents =
            self.client_metadata_documents.as_ref().map(|written| written.resolve(&resources, &mut faults));
        match (issuer, data, faults.0.is_empty()) {
            (Some(issuer), Some(data), true) => Ok(Settings {
                issuer,
                listen: self.listen,
                admin: self.admin,
                cors,
                data,
                database,
                trusted_proxies,
                tls,
                limits,
                profile: self.profile,
                nonce: self.nonce,
                clients,
                resources,
                trusted_issuers,
                users,
                registration,
                client_documents,
            }),
            _ => Err(ConfigErrors(faults.0)),
        }
    }

    fn resolve_proxies(&self, faults: &mut Faults) -> Vec<Network> {
        let parse = |text: &String| faults.note(Key::top("trusted_proxies"), text.parse());
        self.trusted_proxies.iter().filter_map(parse).collect()
    }

    fn resolve_limits(&self, faults: &mut Faults) -> LimitSettings {
        let LimitsConfig { requests_per_source, requests_per_client, drain_seconds } = self.limits;
        let default = LimitSettings::default();
        let rate = |written: Option<u32>, default| written.map_or(default, |rate| Some(rate).filter(|rate| *rate > 0));
        if drain_seconds.is_some_and(|seconds| !(1..=600).contains(&seconds)) {
            faults.add(Key::in_table("limits", "drain_seconds"), Problem::OutOfRange { least: 1, most: 600 });
        }
        LimitSettings {
            per_source: rate(requests_per_source, default.per_source),
            per_client: rate(requests_per_client, default.per_client),
            drain: drain_seconds.map_or(default.drain, Duration::from_secs),
        }
    }

    fn resolve_database(&self, base: &Path, faults: &mut Faults) -> Option<PostgresAddress> {
        match (&self.database, &self.database_file) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                faults.add(Key::top("database_file"), Problem::Ambiguous { other: "database" });
                None
            }
            (Some(url), None) => faults.note(Key::top("database"), PostgresAddress::parse(url)),
            (None, Some(file)) => {
                let key = Key::top("database_file");
                let text = faults.note(key, read_text(base.join(file), MAX_DATABASE_FILE))?;
                let url = SecretString::from(without_line_end(&text).to_owned());
                faults.note(key, PostgresAddress::parse(&url))
            }
        }
    }

    /// Beside a database of its own the directory holds the sealing key only, so it may go without saying.
    fn resolve_data(&self, base: &Path, faults: &mut Faults) -> Option<PathBuf> {
        let has_database = self.database.is_some() || self.database_file.is_some();
        let data = self.data.as_deref().or_else(|| has_database.then_some(Path::new("authserver-data")));
        if data.is_none() {
            faults.add(Key::top("data"), Problem::Missing { what: "write the path of the data directory" });
        }
        data.map(|data| base.join(data))
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
            self.check_introspectors(written, index, faults);
            resources.push(Resource {
                identifier: written.identifier.clone(),
                scopes: scopes.unwrap_or_default(),
                token_format: written.token_format,
                introspected_by: written.introspected_by.clone(),
            });
        }
        resources
    }

    fn check_introspectors(&self, written: &ResourceConfig, index: usize, faults: &mut Faults) {
        let key = || Key::of("resource", index, "introspected_by");
        for id in written.introspected_by.iter().flatten() {
            match self.clients.iter().find(|client| client.client_id == *id) {
                None => faults.add(key(), Problem::ClientUnknown { client: shorten(id) }),
                Some(client) if client.auth == AuthSetting::None => {
                    let with = format!("the client {:?}, which does not authenticate", shorten(id));
                    faults.add(key(), Problem::Meaningless { with });
                }
                Some(_) => {}
            }
        }
    }

    fn resolve_clients(
        &self,
        base: &Path,
        resources: Option<&[Resource]>,
        faults: &mut Faults,
    ) -> HashMap<String, Arc<Client>> {
        let mut clients = HashMap::new();
        for (index, written) in self.clients.iter().enumerate() {
            let is_named = |resource: &ResourceConfig| {
                resource.introspected_by.iter().flatten().any(|id| *id == written.client_id)
            };
            let introspects = self.resources.iter().any(is_named);
            let mut resolver = ClientResolver {
                written,
                index,
                profile: self.profile,
                base,
                introspects,
                secret_sha256: None,
                reach: Reach::Anywhere,
                faults,
            };
            let Some(client) = resolver.resolve(resources) else { continue };
            if clients.insert(client.id.clone(), Arc::new(client)).is_some() {
                let found = shorten(&written.client_id);
                faults.add(Key::of("client", index, "client_id"), Problem::Repeated { found });
            }
        }
        clients
    }
}

/// The longest file with a database URL, in bytes.
const MAX_DATABASE_FILE: u64 = 4_096;
impl AuthServerConfig {
    fn resolve_trusted_issuers(&self, base: &Path, resources: &[Resource], faults: &mut Faults) -> Vec<TrustedIssuer> {
        let mut issuers: Vec<TrustedIssuer> = Vec::new();
        for (index, written) in self.trusted_issuers.iter().enumerate() {
            let clients = &self.clients;
            let mut resolver = TrustedIssuerResolver { written, index, base, clients, resources, faults };
            let Some(issuer) = resolver.resolve() else { continue };
            if issuer.issuer == self.issuer {
                let with = "the server's own issuer, whose tokens are taken anyway".to_owned();
                faults.add(Key::of("trusted_issuer", index, "issuer"), Problem::Meaningless { with });
            }
            if issuers.iter().any(|other| other.issuer == issuer.issuer) {
                let found = shorten(&issuer.issuer);
                faults.add(Key::of("trusted_issuer", index, "issuer"), Problem::Repeated { found });
            }
            issuers.push(issuer);
        }
        issuers
    }
}

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<ConfigError>);

impl Faults {
    pub(super) fn add(&mut self, key: Key, problem: Problem) {
        self.0.push(ConfigError { key, problem });
    }

    pub(super) fn note<T, E: Into<Problem>>(&mut self, key: Key, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.add(key, problem.into())).ok()
    }
}

/// An absolute URI without a fragment (RFC 8707 §2): a scheme, a colon, something after it, URI characters only.
fn is_resource_identifier(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_uri_character = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
    scheme_fits && !rest.is_empty() && text.len() <= 2_048 && rest.bytes().all(is_uri_character)
}

/// As much of a text as a message needs.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
