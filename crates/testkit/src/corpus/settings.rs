//! What a case's settings mean in the types of the core.
#![expect(clippy::unwrap_used, reason = "a case that names what does not exist fails its test")]

use countersign_dpop::jose::{Algorithm, Algorithms, JwkSet, PublicJwk, VerificationKey};
use countersign_dpop::time::{Timestamp, Window};
use countersign_dpop::{NoncePolicy, PublicOrigin};
use countersign_probe::corpus::{ISSUER_KEY, ISSUER_KID, NOW, NoncePolicySetting, Server, SiteSettings};
use countersign_probe::forge::ForgeKey;

/// When a site that has been up for an hour began.
pub const AN_HOUR_AGO: Timestamp = NOW.plus(-3_600);

/// The public origin of a server, which is its resource identifier as well.
pub fn origin(settings: &SiteSettings, server: Server) -> String {
    match server {
        Server::First => settings.origin.clone().unwrap_or_else(|| "https://rs.example".to_owned()),
        Server::Second => "https://rs2.example".to_owned(),
    }
}

/// [`origin`] as a type.
pub fn public_origin(settings: &SiteSettings, server: Server) -> PublicOrigin {
    PublicOrigin::parse(&origin(settings, server)).unwrap()
}

/// The accepted algorithms.
pub fn algorithms(settings: &SiteSettings) -> Algorithms {
    let wanted: Vec<Algorithm> = settings.algs.iter().map(|name| name.parse().unwrap()).collect();
    if wanted.is_empty() { Algorithms::all() } else { Algorithms::all().narrowed_to(&wanted).unwrap() }
}

/// The window.
pub fn window(settings: &SiteSettings) -> Window {
    settings.window.as_deref().map_or(Window::RFC, |name| Window::preset(name).unwrap())
}

/// The nonce policy.
pub const fn nonce_policy(settings: &SiteSettings) -> NoncePolicy {
    match settings.nonce {
        NoncePolicySetting::Never => NoncePolicy::Never,
        NoncePolicySetting::Optional => NoncePolicy::Optional,
        NoncePolicySetting::Required => NoncePolicy::Required,
    }
}

/// The keys of the issuer of right tokens.
pub fn issuer_keys() -> JwkSet {
    let key = ForgeKey::named(ISSUER_KEY).unwrap();
    let key = PublicJwk::parse(key.jwk().to_string().as_bytes()).unwrap();
    JwkSet::from_keys(vec![VerificationKey { kid: Some(ISSUER_KID.to_owned()), alg: None, key }])
}
