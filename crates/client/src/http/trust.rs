//! Whose certificates are good: those that the system trusts.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;

/// How many TLS sessions a client keeps to resume: it talks to an issuer and a resource.
const SESSIONS: usize = 8;

/// What the system trusts, read once for all clients of the process: it is large, and there may be a thousand of them.
/// What a client learns of servers stays its own. `None` where the system has no certificates.
pub(super) fn system() -> Option<ClientConfig> {
    static TRUST: OnceLock<ClientConfig> = OnceLock::new();
    if TRUST.get().is_none() {
        let _ = TRUST.set(read()?);
    }
    let mut trust = TRUST.get()?.clone();
    trust.resumption = Resumption::in_memory_sessions(SESSIONS);
    Some(trust)
}

fn read() -> Option<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let mut trust = builder.with_platform_verifier().ok()?.with_no_client_auth();
    trust.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(trust)
}
