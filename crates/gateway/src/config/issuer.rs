//! `[[issuers]]`: whose tokens are taken, and how they are judged.

use std::path::Path;
use std::sync::Arc;

use countersign_dpop::jose::{JwkSet, SoftwareKey};
use countersign_resource::{Introspection, IntrospectionCredential, IssuerConfig, IssuerConfigError};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::error::{Key, Problem};
use super::resolve::Faults;
use super::{IntrospectionEntry, IssuerEntry, names};

/// The longest secret or key that is read from a file, in bytes.
const MAX_SECRET: u64 = 64 * 1_024;

pub(super) fn resolve(
    faults: &mut Faults,
    entry: &IssuerEntry,
    directory: &Path,
    key: &dyn Fn(&'static str) -> Key,
) -> Option<IssuerConfig> {
    let found = match (&entry.introspection, entry.jwks.as_deref()) {
        (Some(_), Some(_)) => {
            let what = "its tokens are judged by keys or by asking it, not both";
            faults.at(key("jwks"), Problem::Contradiction { other: "introspection", what });
            return None;
        }
        (Some(asking), None) => asking_of(asking, directory, &entry.issuer),
        (None, None) => IssuerConfig::discovered(&entry.issuer).map_err(Problem::from),
        (None, Some(inline)) if inline.trim_start().starts_with('{') => with_keys(&entry.issuer, inline),
        (None, Some(url)) if url.contains("://") => {
            IssuerConfig::with_key_set_url(&entry.issuer, url).map_err(Problem::from)
        }
        (None, Some(file)) => {
            IssuerConfig::with_key_set_file(&entry.issuer, &directory.join(file)).map_err(Problem::from)
        }
    };
    let issuer = found
        .map_err(|problem| {
            let of_issuer = matches!(problem, Problem::Issuer(IssuerConfigError::Issuer { .. }));
            let name = if of_issuer {
                "issuer"
            } else if entry.introspection.is_some() {
                "introspection"
            } else {
                "jwks"
            };
            faults.at(key(name), problem);
        })
        .ok()?;
    let issuer = entry.audiences.iter().fold(issuer, IssuerConfig::with_audience);
    let issuer = entry.typ.iter().fold(issuer, |issuer, typ| issuer.with_typ(typ));
    match entry.algs.as_deref().map(names::algorithms).transpose() {
        Ok(None) => Some(issuer),
        Ok(Some(algorithms)) => Some(issuer.with_algorithms(algorithms)),
        Err(problem) => {
            faults.at(key("algs"), problem);
            None
        }
    }
}

fn with_keys(issuer: &str, inline: &str) -> Result<IssuerConfig, Problem> {
    let set = JwkSet::parse(inline.as_bytes())
        .map_err(|fault| IssuerConfigError::KeySet { path: "in the configuration".to_owned(), fault })?;
    Ok(IssuerConfig::with_key_set(issuer, set)?)
}

fn asking_of(entry: &IntrospectionEntry, directory: &Path, issuer: &str) -> Result<IssuerConfig, Problem> {
    let mut asking = Introspection::new(&entry.client_id, credential(entry, directory)?);
    if let Some(endpoint) = &entry.endpoint {
        asking = asking.at(endpoint)?;
    }
    if let Some(seconds) = entry.cache_seconds {
        if !(0..=countersign_resource::INTROSPECTION_CACHE).contains(&seconds) {
            return Err(Problem::Credential { what: "cache_seconds is not within 0 to 30" });
        }
        asking = asking.with_cache(seconds);
    }
    Ok(IssuerConfig::introspected(issuer, asking)?)
}

fn credential(entry: &IntrospectionEntry, directory: &Path) -> Result<IntrospectionCredential, Problem> {
    match (&entry.secret_file, &entry.key_file) {
        (Some(file), None) => {
            let bytes = read(&directory.join(file))?;
            let text = std::str::from_utf8(&bytes).map_err(|_| unusable(&directory.join(file), "is not UTF-8"))?;
            match text.trim_end_matches(['\r', '\n']) {
                "" => Err(unusable(&directory.join(file), "is empty")),
                secret => Ok(IntrospectionCredential::SecretBasic(SecretString::from(secret))),
            }
        }
        (None, Some(file)) => {
            let path = directory.join(file);
            let key = SoftwareKey::from_text(&read(&path)?, None)
                .map_err(|fault| unusable(&path, format_args!("holds no usable key: {fault}")))?;
            Ok(IntrospectionCredential::PrivateKeyJwt { signer: Arc::new(key), kid: entry.kid.clone() })
        }
        (None, None) | (Some(_), Some(_)) => Err(Problem::Credential { what: "write one of secret_file and key_file" }),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let length =
        std::fs::metadata(path).map_err(|fault| unusable(path, format_args!("cannot be read: {fault}")))?.len();
    if length > MAX_SECRET {
        return Err(unusable(path, "is too large"));
    }
    let bytes = std::fs::read(path).map_err(|fault| unusable(path, format_args!("cannot be read: {fault}")))?;
    Ok(Zeroizing::new(bytes))
}

fn unusable(path: &Path, fault: impl std::fmt::Display) -> Problem {
    Problem::File { path: path.display().to_string(), fault: fault.to_string() }
}
