//! Which server, and what for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_dpop::NonceKeyRing;
use countersign_dpop::time::Window;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// A store in Redis: where it is and what it is for.
#[derive(Clone, Debug)]
pub struct RedisReplayConfig {
    /// Where it is.
    pub server: RedisServer,
    /// The verifier's window.
    pub window: Window,
    /// The most entries of one party; `None` for no bound. Counted over the time that an entry lives, so that right
    /// after the count begins anew it can be twice as many.
    pub quota: Option<u32>,
    /// The ring of the verifier that is to be given the store's nonce key; `None` when it has keys of its own that
    /// all nodes have.
    pub nonce_keys: Option<NonceKeyRing>,
}

/// The address of a Redis or Valkey server, and how to enter. Shows no password.
#[derive(Clone)]
pub struct RedisServer {
    pub(super) places: Places,
    pub(super) login: RedisConnectionInfo,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// Where to look for the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Places {
    /// The server itself, or a node of its cluster.
    Tcp(Address),
    /// A socket of this machine.
    Unix(PathBuf),
    /// Those who know where the master is.
    Sentinels { addresses: Vec<Address>, master: String },
}

/// Host and port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why a text is not the address of a server. Repeats nothing of it: people write passwords into URLs.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedisServerError {
    /// Not a URL of a known form.
    #[error(
        "not like redis://host:6379/0, rediss://host:6379, redis+unix:///path or redis+sentinel://host:26379,host:26379/master"
    )]
    NotAUrl,
    /// A key file cannot be used.
    #[error("{path}: {reason}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
}

/// Why a store in Redis cannot be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedisReplayError {
    /// The system gave no randomness.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

const SENTINEL_PORT: u16 = 26_379;

impl RedisServer {
    /// Reads `redis://[user:password@]host[:port][/database]`, the same with `rediss` for TLS, `redis+unix:///path`, or
    /// `redis+sentinel://[user:password@]host[:port],…/master[/database]`. With TLS, what the operating system trusts is
    /// trusted. A node of a cluster may be named: the one that has the keys is found from there.
    ///
    /// # Errors
    /// [`RedisServerError`].
    pub fn parse(url: &str) -> Result<Self, RedisServerError> {
        if let Some(rest) = url.strip_prefix("redis+sentinel://") {
            return Self::behind_sentinels(rest);
        }
        let (plain, tls) = match url.strip_prefix("rediss://") {
            Some(rest) => (format!("redis://{rest}"), true),
            None => (url.to_owned(), false),
        };
        let info = connection_info(&plain)?;
        let places = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Places::Tcp(Address { host: host.clone(), port: *port }),
            ConnectionAddr::Unix(path) => Places::Unix(path.clone()),
            _ => return Err(RedisServerError::NotAUrl),
        };
        let tls = if tls { Some(Arc::new(trusting_the_system()?)) } else { None };
        Ok(Self { places, login: info.redis_settings().clone(), tls })
    }

    /// Enters with this password instead of the URL's.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.login = self.login.set_password(password);
        self
    }

    /// Trusts the certificates in the PEM file `path`, and only these.
    ///
    /// # Errors
    /// [`RedisServerError`] when there are none in it.
    pub fn with_ca_file(mut self, path: &Path) -> Result<Self, RedisServerError> {
        let fault = |reason: String| RedisServerError::Certificates { path: path.to_owned(), reason };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))? {
            let certificate = certificate.map_err(|error| fault(error.to_string()))?;
            roots.add(certificate).map_err(|error| fault(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(fault("no certificate in it".to_owned()));
        }
        self.tls = Some(Arc::new(versions()?.with_root_certificates(roots).with_no_client_auth()));
        Ok(self)
    }

    /// `user:password@host:port,host:port/master/database`
    fn behind_sentinels(rest: &str) -> Result<Self, RedisServerError> {
        let (authority, path) = rest.split_once('/').ok_or(RedisServerError::NotAUrl)?;
        let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
        let (master, database) = path.split_once('/').unwrap_or((path, "0"));
        if master.is_empty() {
            return Err(RedisServerError::NotAUrl);
        }
        let at = if login.is_empty() { "" } else { "@" };
        let mut addresses = Vec::new();
        let mut info = None;
        for host in hosts.split(',') {
            let host = if host.ends_with(|end: char| end.is_ascii_digit()) && host.rsplit_once(':').is_some() {
                host.to_owned()
            } else {
                format!("{host}:{SENTINEL_PORT}")
            };
            let one = connection_info(&format!("redis://{login}{at}{host}/{database}"))?;
            let ConnectionAddr::Tcp(host, port) = one.addr() else { return Err(RedisServerError::NotAUrl) };
            addresses.push(Address { host: host.clone(), port: *port });
            info = Some(one);
        }
        let login = info.ok_or(RedisServerError::NotAUrl)?.redis_settings().clone();
        Ok(Self { places: Places::Sentinels { addresses, master: master.to_owned() }, login, tls: None })
    }
}

/// The same place and login. Certificates are not compared.
impl PartialEq for RedisServer {
    fn eq(&self, other: &Self) -> bool {
        let login = |server: &Self| {
            (server.login.username().map(str::to_owned), server.login.password().map(str::to_owned), server.login.db())
        };
        self.places == other.places && self.tls.is_some() == other.tls.is_some() && login(self) == login(other)
    }
}

impl Eq for RedisServer {}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisServer")
            .field("places", &self.places)
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        match &self.places {
            Places::Tcp(address) => write!(f, "{scheme}://{address}"),
            Places::Unix(path) => write!(f, "redis+unix://{}", path.display()),
            Places::Sentinels { addresses, master } => {
                let hosts = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                write!(f, "redis+sentinel://{hosts}/{master}")
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn connection_info(url: &str) -> Result<ConnectionInfo, RedisServerError> {
    url.into_connection_info().map_err(|_| RedisServerError::NotAUrl)
}

fn trusting_the_system() -> Result<ClientConfig, RedisServerError> {
    Ok(versions()?.with_platform_verifier().map_err(no_tls)?.with_no_client_auth())
}

fn versions() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, RedisServerError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(no_tls)
}

#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn no_tls(error: rustls::Error) -> RedisServerError {
    RedisServerError::Tls { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        RedisServer::parse(url).unwrap().to_string()
    }

    #[test]
    fn reads_addresses_of_every_form() {
        assert_eq!(shown("redis://h"), "redis://h:6379");
        assert_eq!(shown("redis://user:secret@h:7000/3"), "redis://h:7000");
        assert_eq!(shown("redis://[::1]:7000"), "redis://[::1]:7000");
        assert_eq!(shown("rediss://h:6380"), "rediss://h:6380");
        assert_eq!(shown("redis+unix:///run/redis.sock"), "redis+unix:///run/redis.sock");
        assert_eq!(shown("redis+sentinel://u:secret@a,b:7/main/2"), "redis+sentinel://a:26379,b:7/main");
        assert_eq!(
            shown("redis+sentinel://s1,10.0.0.1,[::1],[::1]:7/main"),
            "redis+sentinel://s1:26379,10.0.0.1:26379,[::1]:26379,[::1]:7/main"
        );
    }

    #[test]
    fn refuses_what_is_no_address_and_repeats_none_of_it() {
        for url in ["", "redis", "http://h", "redis://", "memory", "redis+sentinel://h", "redis+sentinel:///m"] {
            let fault = RedisServer::parse(url).map(|server| server.to_string());
            assert_eq!(fault, Err(RedisServerError::NotAUrl), "{url}");
        }
    }

    #[test]
    fn a_server_is_another_one_by_its_place_and_by_how_it_is_entered() {
        let url = "redis://user:secret@h:7000/3";
        let server = |url| RedisServer::parse(url).unwrap();
        assert_eq!(server(url), server(url));
        assert_eq!(server(url), server("redis://user@h:7000/3").with_password("secret"));
        for other in [
            "rediss://user:secret@h:7000/3",
            "redis://user:secret@g:7000/3",
            "redis://user:secret@h:7001/3",
            "redis://user:secret@h:7000/4",
            "redis://user:other@h:7000/3",
            "redis://other:secret@h:7000/3",
            "redis+sentinel://user:secret@h:7000/main/3",
        ] {
            assert_ne!(server(url), server(other), "{other}");
        }
    }

    #[test]
    fn shows_no_password() {
        let server = RedisServer::parse("redis://user:hunter2@h/0").unwrap().with_password("hunter3");
        let place = r#"RedisServer { places: Tcp(Address { host: "h", port: 6379 }), tls: false, .. }"#;
        assert_eq!((format!("{server:?}"), server.to_string()), (place.to_owned(), "redis://h:6379".to_owned()));
        assert_eq!(server.login.password(), Some("hunter3"));
    }
}
