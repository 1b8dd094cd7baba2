//! TLS of the server itself (rustls with aws-lc-rs), with certificates that are read again when their files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// `[tls]`, resolved: files in PEM form.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    /// The certificate and those that lead from it to the root.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

/// Why certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("{} cannot be used: {}", path.display(), fault)]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        fault: PemFault,
    },
    /// They do not belong together, or are of a kind that is not supported.
    #[error("certificate and key do not fit: {0}")]
    NotFit(rustls::Error),
}

/// What is wrong with a PEM file.
#[derive(Debug, thiserror::Error)]
pub enum PemFault {
    /// It cannot be read.
    #[error("{0}")]
    Io(std::io::Error),
    /// It holds nothing of the kind that is needed.
    #[error("it holds no {0} in PEM form")]
    Nothing(&'static str),
}

/// Turns connections into encrypted ones.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("settings", &self.certificate.settings).finish_non_exhaustive()
    }
}

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

impl Tls {
    /// Reads the files.
    pub(crate) fn open(settings: TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certificate = Arc::new(Certificate::open(settings, provider.clone())?);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::NotFit)?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: Arc::new(config).into(), certificate })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let handshake = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream));
        handshake.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// Reads the files again whenever they have changed, until it is dropped.
    pub(crate) async fn follow(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.certificate.reload_if_changed();
        }
    }
}

/// The certificate in use.
struct Certificate {
    settings: TlsSettings,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    seen: Seen,
}

/// What a file looked like when it was read: when it changed and how long it was.
type Seen = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    fn open(settings: TlsSettings, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let seen = look(&settings);
        let key = Arc::new(read(&settings, &provider)?);
        Ok(Self { settings, provider, current: RwLock::new(Current { key, seen }) })
    }

    /// Files that do not fit, for instance because only one of them has been replaced yet, leave all as it is.
    fn reload_if_changed(&self) {
        let seen = look(&self.settings);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).seen == seen {
            return;
        }
        match read(&self.settings, &self.provider) {
            Ok(key) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Current { key: Arc::new(key), seen };
                tracing::info!("the TLS certificate has changed and is in use");
            }
            Err(fault) => {
                tracing::warn!(%fault, "the TLS certificate has changed and cannot be used; the old one stays");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).key.clone())
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn look(settings: &TlsSettings) -> Seen {
    [&settings.certificate, &settings.key].map(|path| {
        let found = path.metadata().ok()?;
        Some((found.modified().ok()?, found.len()))
    })
}

fn read(settings: &TlsSettings, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let fault = |path: &Path, what, fault: pem::Error| TlsError::File {
        path: path.to_owned(),
        fault: match fault {
            pem::Error::Io(fault) => PemFault::Io(fault),
            _ => PemFault::Nothing(what),
        },
    };
    let path = &settings.certificate;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = chain.map_err(|error| fault(path, "certificate", error))?;
    if chain.is_empty() {
        return Err(fault(path, "certificate", pem::Error::NoItemsFound));
    }
    let path = &settings.key;
    let key = PrivateKeyDer::from_pem_file(path).map_err(|error| fault(path, "private key", error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::NotFit)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::generate_simple_self_signed;

    use super::*;

    fn write(settings: &TlsSettings, name: &str) {
        let made = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        fs::write(&settings.certificate, made.cert.pem()).unwrap();
        fs::write(&settings.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn takes_a_changed_certificate_and_keeps_the_old_one_when_it_does_not_fit() {
        let dir = tempfile::tempdir().unwrap();
        let settings = TlsSettings { certificate: dir.path().join("chain.pem"), key: dir.path().join("key.pem") };
        assert!(matches!(Tls::open(settings.clone()), Err(TlsError::File { .. })));
        write(&settings, "one.example");
        let tls = Tls::open(settings.clone()).unwrap();
        let current = || tls.certificate.current.read().unwrap().key.cert[0].clone();
        let first = current();

        fs::write(&settings.key, "-----BEGIN NOTHING-----\n").unwrap();
        tls.certificate.reload_if_changed();
        assert_eq!(current(), first);
        write(&settings, "a-longer-name-for-another-length.example");
        tls.certificate.reload_if_changed();
        assert_ne!(current(), first);
    }

    #[test]
    fn refuses_a_key_of_another_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let settings = TlsSettings { certificate: dir.path().join("chain.pem"), key: dir.path().join("key.pem") };
        write(&settings, "one.example");
        let other = generate_simple_self_signed(vec!["two.example".to_owned()]).unwrap();
        fs::write(&settings.key, other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(Tls::open(settings.clone()), Err(TlsError::NotFit(_))));
        fs::write(&settings.certificate, "nothing").unwrap();
        let fault = Tls::open(settings).unwrap_err().to_string();
        assert!(fault.contains("chain.pem") && fault.contains("holds no certificate"), "{fault}");
    }
}
