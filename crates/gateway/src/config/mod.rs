//! The configuration as it is written: flags, variables and one TOML file fill the same keys; unknown keys are
//! refused.

mod client;
mod date;
mod error;
mod issuer;
mod keys;
mod limits;
mod log;
mod mcp;
mod mode;
mod names;
mod resolve;
mod route;
mod settings;
#[cfg(test)]
mod tests;

use bytesize::ByteSize;
use serde::Deserialize;

pub use self::client::{ClientEntry, ClientSettings};
pub use self::date::Date;
pub use self::error::{ConfigError, ConfigErrors, Key, Problem};
pub use self::keys::KeySettings;
pub use self::limits::{GatewayLimits, LimitConfig};
pub use self::log::{LogConfig, LogSettings};
pub use self::mcp::{JudgedBy, McpConfig, McpEntry, McpName, McpNameEntry, McpSettings};
pub use self::route::{RouteEntry, RouteSettings, StageEntry};
pub use self::settings::{ReplaySetting, Settings};

/// The whole configuration. [`GatewayConfig::resolve`] makes [`Settings`] of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// `proxy`; `forward-auth` or `ext-authz` to answer another proxy; `proxy` when absent.
    pub mode: Option<String>,
    /// With `forward-auth`, that other proxy: `nginx`, `caddy` or `traefik`.
    pub proxy: Option<String>,
    /// With `ext-authz`, whether token and proof go on to an upstream that checks proofs itself.
    pub keep_credentials: Option<bool>,
    /// Networks that it may ask from, like `10.0.0.0/8`; loopback addresses when absent.
    pub trusted_proxies: Vec<String>,
    /// Address and port to listen on; `127.0.0.1:8080` when absent.
    pub listen: Option<String>,
    /// Whether another process may be bound to the same address, so that two versions can overlap.
    pub reuse_port: Option<bool>,
    /// File with the certificate (PEM, with those that it is signed by) for TLS towards clients.
    pub tls_certificate: Option<String>,
    /// File with its private key (PEM).
    pub tls_key: Option<String>,
    /// The origin under which clients know the API.
    pub public_origin: Option<String>,
    /// Further origins under which clients may reach it.
    pub aliases: Vec<String>,
    /// The API itself.
    pub upstream: Option<String>,
    /// File with the certificates (PEM) that the upstream's is to be signed by; what the system trusts when absent.
    pub upstream_ca_file: Option<String>,
    /// File with the certificate (PEM, with those that it is signed by) to show to the upstream.
    pub upstream_certificate: Option<String>,
    /// File with its private key (PEM).
    pub upstream_key: Option<String>,
    /// Whether the upstream is told of the caller by a signed assertion instead of plain fields.
    pub upstream_assertion: Option<bool>,
    /// Its audience; the upstream's URL when absent.
    pub upstream_assertion_audience: Option<String>,
    /// File with the private key for it; a new key for each start when absent.
    pub upstream_assertion_key_file: Option<String>,
    /// What `Host` says to the upstream: `upstream` or `public`.
    pub upstream_host: Option<String>,
    /// What becomes of `X-Forwarded-*`: `replace`, `append` or `remove`.
    pub x_forwarded: Option<String>,
    /// The issuer of tokens, when there is one only.
    pub issuer: Option<String>,
    /// File or URL of that issuer's keys, or the JWK Set itself; found through its metadata when absent.
    pub jwks: Option<String>,
    /// `[[issuers]]`
    pub issuers: Vec<IssuerEntry>,
    /// The audience that tokens have to name: the resource identifier.
    pub audience: Option<String>,
    /// `observe`, `accept`, `prefer` or `require`.
    pub stage: Option<String>,
    /// Stages that follow, each from its date on.
    pub stages: Vec<StageEntry>,
    /// The scopes that the resource's metadata names, beside those that routes ask for.
    pub scopes_supported: Vec<String>,
    /// `never`, `optional` or `required`.
    pub nonce: Option<String>,
    /// `rfc`, `strict`, `fapi2`, `mcp` or `atproto`.
    pub window: Option<String>,
    /// The accepted algorithms of proofs, separated by commas; all when absent.
    pub algs: Option<String>,
    /// `memory`, `node`, or the URL of a Redis or Valkey server. May hold a password, so it is never shown.
    pub replay: Option<String>,
    /// File with the password of that server.
    pub replay_password_file: Option<String>,
    /// File with the certificates (PEM) that its own is to be signed by; what the system trusts when absent.
    pub replay_ca_file: Option<String>,
    /// How many proofs the store in memory holds at a time; for a shared one, what a client's share is reckoned by.
    pub replay_capacity: Option<u32>,
    /// Memory for what is known of clients' keys and for tables of them, like `256MB`; 0 for none.
    pub key_cache: Option<ByteSize>,
    /// Who verifies ES256 signatures by such tables: `library`, `portable` or `ifma`; the fastest that the machine can
    /// run when absent.
    pub es256_engine: Option<String>,
    /// Of so many signatures that it accepted one is checked by the library; 0 for none.
    pub es256_check_accepted: Option<u32>,
    /// Of so many signatures that it refused one is checked by the library; 0 for none.
    pub es256_check_refused: Option<u32>,
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Address and port of the admin listener; none when absent.
    pub admin: Option<String>,
    /// `[[routes]]`
    pub routes: Vec<RouteEntry>,
    /// `[[clients]]`
    pub clients: Vec<ClientEntry>,
    /// `[mcp]`
    pub mcp: McpConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[limits]`
    pub limits: LimitConfig,
}

/// `[[issuers]]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerEntry {
    /// The issuer identifier.
    pub issuer: String,
    /// File or URL of its keys, or the JWK Set itself; found through its metadata when absent.
    pub jwks: Option<String>,
    /// How it is asked about its tokens; instead of keys.
    pub introspection: Option<IntrospectionEntry>,
    /// The audiences that its tokens may name, in place of the resource identifier.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The algorithms that it signs with, separated by commas; all when absent.
    pub algs: Option<String>,
    /// A `typ` of its tokens beside `at+jwt`.
    pub typ: Option<String>,
}

/// `issuers.introspection`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionEntry {
    /// The endpoint; found through the issuer's metadata when absent.
    pub endpoint: Option<String>,
    /// The gateway's name at the issuer.
    pub client_id: String,
    /// File with the client's secret (`client_secret_basic`).
    pub secret_file: Option<String>,
    /// File with the client's private key, PEM or JWK (`private_key_jwt`).
    pub key_file: Option<String>,
    /// The key's identifier at the issuer.
    pub kid: Option<String>,
    /// Seconds for which an answer is believed; 30 at most, and when absent.
    pub cache_seconds: Option<i64>,
}

impl GatewayConfig {
    /// This configuration with `lower` where it says nothing: flags over variables over file. Lists are not joined.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        // A second source names the one issuer anew: keys of another one must not be mixed in.
        let own_issuer = self.issuer.is_some() || !self.issuers.is_empty();
        let (issuer, jwks, issuers) = if own_issuer {
            (self.issuer, self.jwks, self.issuers)
        } else {
            (lower.issuer, self.jwks.or(lower.jwks), lower.issuers)
        };
        // Dates belong to the stage that they follow.
        let stages = if self.stage.is_some() { self.stages } else { first_filled(self.stages, lower.stages) };
        Self {
            mode: self.mode.or(lower.mode),
            proxy: self.proxy.or(lower.proxy),
            keep_credentials: self.keep_credentials.or(lower.keep_credentials),
            trusted_proxies: first_filled(self.trusted_proxies, lower.trusted_proxies),
            listen: self.listen.or(lower.listen),
            reuse_port: self.reuse_port.or(lower.reuse_port),
            tls_certificate: self.tls_certificate.or(lower.tls_certificate),
            tls_key: self.tls_key.or(lower.tls_key),
            public_origin: self.public_origin.or(lower.public_origin),
            aliases: first_filled(self.aliases, lower.aliases),
            upstream: self.upstream.or(lower.upstream),
            upstream_ca_file: self.upstream_ca_file.or(lower.upstream_ca_file),
            upstream_certificate: self.upstream_certificate.or(lower.upstream_certificate),
            upstream_key: self.upstream_key.or(lower.upstream_key),
            upstream_assertion: self.upstream_assertion.or(lower.upstream_assertion),
            upstream_assertion_audience: self.upstream_assertion_audience.or(lower.upstream_assertion_audience),
            upstream_assertion_key_file: self.upstream_assertion_key_file.or(lower.upstream_assertion_key_file),
            upstream_host: self.upstream_host.or(lower.upstream_host),
            x_forwarded: self.x_forwarded.or(lower.x_forwarded),
            issuer,
            jwks,
            issuers,
            audience: self.audience.or(lower.audience),
            stage: self.stage.or(lower.stage),
            stages,
            scopes_supported: first_filled(self.scopes_supported, lower.scopes_supported),
            nonce: self.nonce.or(lower.nonce),
            window: self.window.or(lower.window),
            algs: self.algs.or(lower.algs),
            replay: self.replay.or(lower.replay),
            replay_password_file: self.replay_password_file.or(lower.replay_password_file),
            replay_ca_file: self.replay_ca_file.or(lower.replay_ca_file),
            replay_capacity: self.replay_capacity.or(lower.replay_capacity),
            key_cache: self.key_cache.or(lower.key_cache),
            es256_engine: self.es256_engine.or(lower.es256_engine),
            es256_check_accepted: self.es256_check_accepted.or(lower.es256_check_accepted),
            es256_check_refused: self.es256_check_refused.or(lower.es256_check_refused),
            cors_origins: first_filled(self.cors_origins, lower.cors_origins),
            admin: self.admin.or(lower.admin),
            routes: first_filled(self.routes, lower.routes),
            clients: first_filled(self.clients, lower.clients),
            mcp: self.mcp.over(lower.mcp),
            log: self.log.over(lower.log),
            limits: self.limits.over(lower.limits),
        }
    }
}

impl GatewayConfig {
    /// The files that the configuration names, beside itself: when one changes, so does what it says.
    pub fn files(&self, directory: &std::path::Path) -> Vec<std::path::PathBuf> {
        let is_file = |place: &&String| !place.contains("://") && !place.trim_start().starts_with('{');
        let keys = self.issuers.iter().map(|entry| entry.jwks.as_ref()).chain([self.jwks.as_ref()]);
        let asking = self.issuers.iter().filter_map(|entry| entry.introspection.as_ref());
        let secrets = asking.flat_map(|asking| [asking.secret_file.as_ref(), asking.key_file.as_ref()]);
        let upstream = [&self.upstream_ca_file, &self.upstream_certificate, &self.upstream_key];
        let named = keys.flatten().filter(is_file).chain(secrets.flatten()).chain(upstream.into_iter().flatten());
        let named = named.chain(&self.mcp.session_key_files);
        named.map(|file| directory.join(file)).collect()
    }
}

fn first_filled<T>(upper: Vec<T>, lower: Vec<T>) -> Vec<T> {
    if upper.is_empty() { lower } else { upper }
}
