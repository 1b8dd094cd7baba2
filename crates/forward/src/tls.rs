//! TLS towards the upstream.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

/// TLS towards the upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be set up: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// TLS 1.2 and 1.3 by aws-lc-rs, trusting what the operating system trusts.
///
/// # Errors
/// [`TlsError`] when the system has no certificates to trust.
pub fn client_tls() -> Result<ClientConfig, TlsError> {
    Ok(versions()?.with_platform_verifier()?.with_no_client_auth())
}

/// For upstreams that are reached without TLS: no certificate is good.
pub(crate) fn trusting_nobody() -> Result<ClientConfig, TlsError> {
    Ok(versions()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn versions() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}
