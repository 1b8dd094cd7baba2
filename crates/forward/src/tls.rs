//! TLS towards the upstream.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

/// TLS towards the upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// Why a file is of no use for TLS towards the upstream. Shows nothing of a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct UpstreamTlsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Whom to trust as the upstream, and what to show to it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UpstreamTls {
    /// What the operating system trusts when empty.
    trusted: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
}

/// A certificate with its key.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl UpstreamTls {
    /// Trusts those certificates (PEM) that stand in `file`, and those that they signed, and nobody else.
    ///
    /// # Errors
    /// [`UpstreamTlsError`] when there are none, or one cannot be used.
    pub fn with_ca_file(self, file: &Path) -> Result<Self, UpstreamTlsError> {
        let trusted = certificates(file)?;
        let checked = Self { trusted, ..self };
        checked.roots().map_err(|fault| UpstreamTlsError { path: file.to_owned(), reason: fault.to_string() })?;
        Ok(checked)
    }

    /// Shows the certificate (PEM, with those that it is signed by) to an upstream that asks for one.
    ///
    /// # Errors
    /// [`UpstreamTlsError`] when one of the files cannot be used, or the key is another certificate's.
    pub fn with_certificate_files(self, certificate: &Path, key: &Path) -> Result<Self, UpstreamTlsError> {
        // What is wrong with a key is not said in detail: it might be repeated.
        let fault = |reason: &str| UpstreamTlsError { path: key.to_owned(), reason: reason.to_owned() };
        let chain = certificates(certificate)?;
        let read = PrivateKeyDer::from_pem_file(key).map_err(|_| fault("no private key (PEM) can be read from it"))?;
        let identity = Some(Identity { chain, key: Arc::new(read) });
        let checked = Self { identity, ..self };
        checked
            .authenticated(trusting_nobody_yet().map_err(|TlsError(error)| fault(&error.to_string()))?)
            .map_err(|_| fault("not the key of that certificate"))?;
        Ok(checked)
    }

    /// TLS 1.2 and 1.3 by aws-lc-rs.
    ///
    /// # Errors
    /// [`TlsError`] when nothing is to be trusted in particular and the system has no certificates to trust.
    pub fn config(&self) -> Result<ClientConfig, TlsError> {
        let builder = if self.trusted.is_empty() {
            versions()?.with_platform_verifier()?
        } else {
            versions()?.with_root_certificates(self.roots()?)
        };
        Ok(self.authenticated(builder)?)
    }

    fn roots(&self) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.trusted {
            roots.add(certificate.clone())?;
        }
        Ok(roots)
    }

    fn authenticated(&self, builder: WithVerifier) -> Result<ClientConfig, rustls::Error> {
        match &self.identity {
            Some(Identity { chain, key }) => builder.with_client_auth_cert(chain.clone(), key.clone_key()),
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

type WithVerifier = ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

/// TLS 1.2 and 1.3 by aws-lc-rs, trusting what the operating system trusts.
///
/// # Errors
/// [`TlsError`] when the system has no certificates to trust.
pub fn client_tls() -> Result<ClientConfig, TlsError> {
    UpstreamTls::default().config()
}

/// For upstreams that are reached without TLS: no certificate is good.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    Ok(trusting_nobody_yet()?.with_no_client_auth())
}

fn trusting_nobody_yet() -> Result<WithVerifier, TlsError> {
    Ok(versions()?.with_root_certificates(RootCertStore::empty()))
}

fn versions() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, UpstreamTlsError> {
    let fault = |reason: String| UpstreamTlsError { path: file.to_owned(), reason };
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| fault(error.to_string()))?;
    if found.is_empty() {
        return Err(fault("no certificate (PEM) in it".to_owned()));
    }
    Ok(found)
}
