//! TLS towards clients: the certificate and its key, read again when their files change.
//!
//! Whatever name a client asks for, it is given the one certificate; the request's authority is judged by the request
//! itself (421 where it is not ours).

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Certificate and private key, PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The certificate and those that it is signed by.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why files make no TLS. Shows nothing of the key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TlsFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The side of TLS that clients see.
#[derive(Clone, Debug)]
pub(crate) struct ServerTls {
    certificate: Arc<Certificate>,
    config: Arc<ServerConfig>,
}

/// The certificate of the moment.
#[derive(Debug)]
struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
}

/// A client's connection, in TLS or plain.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl TlsFiles {
    fn read(&self) -> Result<CertifiedKey, TlsFileError> {
        let fault = |path: &Path, reason: String| TlsFileError { path: path.to_owned(), reason };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| fault(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(fault(&self.certificate, "no certificate in it".to_owned()));
        }
        // What is wrong with a key is not said in detail: it might be repeated.
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|_| fault(&self.key, "no private key (PEM) can be read from it".to_owned()))?;
        let provider: CryptoProvider = aws_lc_rs::default_provider();
        CertifiedKey::from_der(chain, key, &provider)
            .map_err(|_| fault(&self.key, "not the key of that certificate".to_owned()))
    }
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsFileError`].
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, TlsFileError> {
        let current = RwLock::new(Arc::new(files.read()?));
        let certificate = Arc::new(Certificate { files: files.clone(), current });
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions =
            versions.map_err(|error| TlsFileError { path: files.certificate.clone(), reason: error.to_string() })?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(Arc::clone(&certificate) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { certificate, config: Arc::new(config) })
    }

    /// Shakes hands, in the time that a head may take.
    pub(crate) async fn accept(&self, stream: TcpStream, limit: Duration) -> io::Result<Socket> {
        let accepting = TlsAcceptor::from(Arc::clone(&self.config)).accept(stream);
        Ok(Socket::Tls(Box::new(timeout(limit, accepting).await??)))
    }

    /// Reads the files again and again. New ones are used by the handshakes to come; files that are wrong, as they are
    /// between the writing of one and the other, change nothing.
    pub(crate) async fn keep(self) {
        let mut ticks = interval(LOOK);
        let mut reported = None;
        loop {
            ticks.tick().await;
            let certificate = Arc::clone(&self.certificate);
            let read = tokio::task::spawn_blocking(move || certificate.files.read()).await;
            match read {
                Ok(Ok(key)) => {
                    reported = None;
                    self.take(key);
                }
                Ok(Err(fault)) if reported.as_ref() != Some(&fault) => {
                    tracing::error!(%fault, "the certificate cannot be read again; the old one stays");
                    reported = Some(fault);
                }
                Ok(Err(_)) | Err(_) => (),
            }
        }
    }

    fn take(&self, key: CertifiedKey) {
        let mut current = self.certificate.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.cert != key.cert {
            tracing::info!("another certificate is used from now on");
            *current = Arc::new(key);
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }
}
