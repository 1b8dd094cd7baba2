//! From what is written to what is meant. Everything that is wrong is found at once.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use countersign_dpop::{NoncePolicy, PublicOrigin, PublicOriginError};
use countersign_replay::RedisServer;
use countersign_resource::{Cors, IssuerConfig, IssuerConfigError, Stage};

use super::error::{ConfigError, ConfigErrors, Key, Problem};
use super::settings::{ReplaySetting, Settings};
use super::{GatewayConfig, IssuerEntry, issuer, mcp, names};

/// The discard port: nothing is sent there.
const NO_UPSTREAM: &str = "http://127.0.0.1:9";
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

impl GatewayConfig {
    /// Resolves the configuration. Relative paths count from `directory`. Files with keys are read now; nothing is
    /// fetched.
    ///
    /// # Errors
    /// Everything that is wrong, by key.
    pub fn resolve(&self, directory: &Path) -> Result<Settings, ConfigErrors> {
        let mut faults = Faults(Vec::new());
        let settings = self.collect(directory, &mut faults);
        match settings {
            Some(settings) if faults.0.is_empty() => Ok(settings),
            Some(_) | None => Err(ConfigErrors(faults.0)),
        }
    }

    fn collect(&self, directory: &Path, faults: &mut Faults) -> Option<Settings> {
        let basics = self.basics(directory, faults);
        let chosen = Settings {
            mode: self.mode(faults),
            assertion: self.assertion(directory, faults),
            reuse_port: self.reuse_port.unwrap_or_default(),
            tls: self.tls(directory, faults),
            upstream_tls: self.upstream_tls(directory, faults),
            upstream_host: faults
                .chosen("upstream_host", self.upstream_host.as_deref(), names::upstream_host)
                .unwrap_or_default(),
            x_forwarded: faults
                .chosen("x_forwarded", self.x_forwarded.as_deref(), names::x_forwarded)
                .unwrap_or_default(),
            stage: faults.chosen("stage", self.stage.as_deref(), stage).unwrap_or_default(),
            window: faults.chosen("window", self.window.as_deref(), names::window).unwrap_or_default(),
            cors: self.cors(faults),
            admin: faults.chosen("admin", self.admin.as_deref(), names::address),
            session_keys: self.mcp.session_keys(directory, faults),
            log: self.log.resolve(directory, faults),
            limits: self.limits.resolve(&mut faults.0),
            replay: self.replay(directory, faults),
            nonce: self.nonce(faults),
            keys: self.keys(faults),
            ..basics?
        };
        let chosen = match faults.chosen("algs", self.algs.as_deref(), names::algorithms) {
            Some(algorithms) => Settings { algorithms, ..chosen },
            None => chosen,
        };
        let stages = faults.stages(&self.stages, chosen.stage, &Key::top);
        let chosen = Settings { stages, scopes_supported: self.scopes_supported.clone(), ..chosen };
        let clients = self.client_settings(&chosen, faults);
        let routes = self.route_settings(&chosen, faults);
        let mut settings = Settings { routes, clients, ..chosen };
        settings.warnings.extend(mcp::lonely_sessions(&settings));
        Some(settings)
    }

    /// What has to be said.
    fn basics(&self, directory: &Path, faults: &mut Faults) -> Option<Settings> {
        const ORIGIN: &str = "the URL that clients use, like https://api.example.com";
        const UPSTREAM: &str = "the URL of the API itself, like http://127.0.0.1:9000";
        const AUDIENCE: &str = "what tokens name as their audience, like https://api.example.com";
        let listen = faults.chosen("listen", self.listen.as_deref(), names::address).unwrap_or(LISTEN);
        let loopback = listen.ip().is_loopback();
        let mut warnings = Vec::new();
        let origin = faults.needed("public_origin", self.public_origin.as_deref(), ORIGIN, |url| {
            public_origin(url, loopback, &mut warnings)
        });
        let mut aliases = Vec::new();
        for alias in &self.aliases {
            aliases.extend(faults.take("aliases", public_origin(alias, loopback, &mut warnings)));
        }
        // Who only answers another proxy has no upstream; one that is never used stands in.
        let upstream = self.upstream.as_deref().or(self.only_answers().then_some(NO_UPSTREAM));
        let upstream = faults.needed("upstream", upstream, UPSTREAM, |url| url.parse().map_err(Problem::Upstream));
        let issuers = self.issuers(directory, faults);
        let audience = faults.needed("audience", self.audience.as_deref(), AUDIENCE, audience);
        Some(Settings { aliases, warnings, ..Settings::new(listen, origin?, upstream?, issuers, audience?) })
    }

    fn issuers(&self, directory: &Path, faults: &mut Faults) -> Vec<IssuerConfig> {
        let mut issuers = Vec::new();
        if let Some(issuer) = &self.issuer {
            let entry = IssuerEntry { issuer: issuer.clone(), jwks: self.jwks.clone(), ..IssuerEntry::default() };
            issuers.extend(issuer::resolve(faults, &entry, directory, &Key::top));
        } else if self.jwks.is_some() {
            faults.add("jwks", Problem::Missing { what: "say whose keys these are with issuer" });
        }
        for (index, entry) in self.issuers.iter().enumerate() {
            issuers.extend(issuer::resolve(faults, entry, directory, &|name| Key::of("issuers", index, name)));
        }
        for (index, issuer) in issuers.iter().enumerate() {
            if issuers[..index].iter().any(|other: &IssuerConfig| other.issuer() == issuer.issuer()) {
                faults.add("issuers", IssuerConfigError::Repeated { issuer: issuer.issuer().to_owned() }.into());
            }
        }
        if self.issuer.is_none() && self.issuers.is_empty() {
            faults.add("issuer", Problem::Missing { what: "who issues the tokens, like https://idp.example.com" });
        }
        issuers
    }

    fn replay(&self, directory: &Path, faults: &mut Faults) -> ReplaySetting {
        let capacity = self.replay_capacity.unwrap_or(ReplaySetting::DEFAULT_CAPACITY);
        if capacity == 0 {
            let problem = Problem::OutOfBounds { value: 0, least: 1, most: u64::from(u32::MAX) };
            faults.add("replay_capacity", problem);
        }
        match self.replay.as_deref() {
            None | Some("memory") => ReplaySetting::Memory { capacity },
            Some("node") => ReplaySetting::Node { capacity },
            Some(url) if url.starts_with("redis") => match self.replay_server(url, directory) {
                Ok(server) => ReplaySetting::Redis { server, capacity },
                Err((name, problem)) => {
                    faults.add(name, problem);
                    ReplaySetting::default()
                }
            },
            Some(_) => {
                faults.add("replay", Problem::Replay);
                ReplaySetting::default()
            }
        }
    }

    /// The server of a shared store, with what the files say.
    fn replay_server(&self, url: &str, directory: &Path) -> Result<RedisServer, (&'static str, Problem)> {
        let mut server = RedisServer::parse(url).map_err(|fault| ("replay", fault.into()))?;
        if let Some(path) = &self.replay_password_file {
            let password = password(&directory.join(path)).map_err(|problem| ("replay_password_file", problem))?;
            server = server.with_password(&password);
        }
        if let Some(path) = &self.replay_ca_file {
            let trusting = server.with_ca_file(&directory.join(path));
            server = trusting.map_err(|fault| ("replay_ca_file", fault.into()))?;
        }
        Ok(server)
    }

    /// The nonce policy; some other settings imply one.
    fn nonce(&self, faults: &mut Faults) -> NoncePolicy {
        let implied = match (self.replay.as_deref(), self.window.as_deref()) {
            (Some("node"), _) => Some("replay = node"),
            (_, Some("atproto")) => Some("window = atproto"),
            (_, _) => None,
        };
        let written = faults.chosen("nonce", self.nonce.as_deref(), names::nonce);
        match (implied, written) {
            (None, written) => written.unwrap_or_default(),
            (Some(_), None | Some(NoncePolicy::Required)) => NoncePolicy::Required,
            (Some(other), Some(NoncePolicy::Never | NoncePolicy::Optional)) => {
                faults.add("nonce", Problem::Contradiction { other, what: "leave nonce out or say required" });
                NoncePolicy::Required
            }
        }
    }

    fn cors(&self, faults: &mut Faults) -> Option<Cors> {
        if self.cors_origins.is_empty() {
            return None;
        }
        faults.take("cors_origins", Cors::new(&self.cors_origins).map_err(Problem::from))
    }
}

/// Collects what is wrong.
pub(super) struct Faults(pub(super) Vec<ConfigError>);

impl Faults {
    pub(super) fn add(&mut self, name: &'static str, problem: Problem) {
        self.0.push(ConfigError { key: Key::top(name), problem });
    }

    pub(super) fn at(&mut self, key: Key, problem: Problem) {
        self.0.push(ConfigError { key, problem });
    }

    /// The value of a key that may be absent, wherever the key stands.
    pub(super) fn read<T>(
        &mut self,
        key: Key,
        value: Option<&str>,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        value.and_then(|value| read(value).map_err(|problem| self.at(key, problem)).ok())
    }

    /// What a key's value was read as, if it can be.
    pub(super) fn take<T>(&mut self, name: &'static str, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add(name, problem)).ok()
    }

    /// The value of a key that may be absent.
    pub(super) fn chosen<T>(
        &mut self,
        name: &'static str,
        value: Option<&str>,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        value.and_then(|value| self.take(name, read(value)))
    }

    /// The value of a key that has to be there.
    fn needed<T>(
        &mut self,
        name: &'static str,
        value: Option<&str>,
        what: &'static str,
        read: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        if value.is_none() {
            self.add(name, Problem::Missing { what });
        }
        self.chosen(name, value, read)
    }
}

/// The first line of a file with a password.
fn password(path: &Path) -> Result<String, Problem> {
    let fault = |fault: String| Problem::File { path: path.display().to_string(), fault };
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => Err(fault("has an empty first line".to_owned())),
    }
}

pub(super) fn stage(value: &str) -> Result<Stage, Problem> {
    value.parse().map_err(|fault| Problem::Stage { value: value.to_owned(), fault })
}

/// A resource identifier: an https URL, or http to a loopback host.
pub(super) fn audience(value: &str) -> Result<String, Problem> {
    match PublicOrigin::parse(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(fault) => Err(Problem::Origin { value: value.to_owned(), fault }),
    }
}

/// Plain http is for loopback hosts; a gateway that can only be reached from its own machine may name another one.
fn public_origin(value: &str, loopback: bool, warnings: &mut Vec<String>) -> Result<PublicOrigin, Problem> {
    let fault = match PublicOrigin::parse(value) {
        Ok(origin) => return Ok(origin),
        Err(fault) => fault,
    };
    if fault == PublicOriginError::PlainHttp
        && loopback
        && let Ok(origin) = PublicOrigin::danger_parse_plain_http(value)
    {
        warnings.push(format!("{origin} is plain http: whoever is between it and its clients can read their tokens"));
        return Ok(origin);
    }
    Err(Problem::Origin { value: value.to_owned(), fault })
}
