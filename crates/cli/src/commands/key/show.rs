//! Showing keys: their public side and where they live.

use std::process::ExitCode;

use countersign_client::keys::{ListedKey, StoredKey};
use serde::Serialize;

use crate::error::CommandError;
use crate::render::{self, BAD, BOLD, NAME, styled};

/// A key as JSON.
#[derive(Serialize)]
struct KeyJson<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jkt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_jwk: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl<'a> From<&'a StoredKey> for KeyJson<'a> {
    fn from(key: &'a StoredKey) -> Self {
        Self {
            name: key.name.as_str(),
            alg: Some(key.algorithm.name()),
            jkt: Some(key.jkt().to_string()),
            storage: Some(key.class.to_string()),
            created: Some(key.created.seconds()),
            public_jwk: serde_json::from_str(&key.public.to_json()).ok(),
            fault: None,
        }
    }
}

impl<'a> From<&'a ListedKey> for KeyJson<'a> {
    fn from(listed: &'a ListedKey) -> Self {
        match &listed.key {
            Ok(key) => Self::from(key),
            Err(fault) => Self {
                name: listed.name.as_str(),
                alg: None,
                jkt: None,
                storage: None,
                created: None,
                public_jwk: None,
                fault: Some(fault.to_string()),
            },
        }
    }
}

/// Says that a key was made or taken.
pub(crate) fn made(key: &StoredKey, verb: &str, json: bool) -> Result<ExitCode, CommandError> {
    if json {
        render::json(&KeyJson::from(key))?;
    } else {
        let name = styled(NAME, &key.name);
        render::line(format_args!("key {name} {verb}: {}, kept as {}", key.algorithm, key.class));
        render::line(format_args!("jkt {}", key.jkt()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows one key.
pub(crate) fn one(key: &StoredKey, json: bool) -> Result<ExitCode, CommandError> {
    if json {
        render::json(&KeyJson::from(key))?;
    } else {
        render::line(format_args!("name     {}", styled(NAME, &key.name)));
        render::line(format_args!("alg      {}", key.algorithm));
        render::line(format_args!("jkt      {}", key.jkt()));
        render::line(format_args!("storage  {}", key.class));
        render::line(format_args!("public   {}", key.public.to_json()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists keys; exit code 1 when one of them cannot be read.
pub(crate) fn list(keys: &[ListedKey], json: bool) -> Result<ExitCode, CommandError> {
    if json {
        render::json(&keys.iter().map(KeyJson::from).collect::<Vec<_>>())?;
    } else if keys.is_empty() {
        render::line("no keys; countersign key new NAME makes one");
    } else {
        table(keys);
    }
    let all_readable = keys.iter().all(|listed| listed.key.is_ok());
    Ok(if all_readable { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn table(keys: &[ListedKey]) {
    let width = keys.iter().map(|listed| listed.name.as_str().len()).max().unwrap_or(0).max(4);
    let heading = format!("{:width$}  {:9}  {:43}  storage", "name", "alg", "jkt");
    render::line(styled(BOLD, heading));
    for listed in keys {
        let name = styled(NAME, format_args!("{:width$}", listed.name.as_str()));
        match &listed.key {
            Ok(key) => {
                render::line(format_args!("{name}  {:9}  {:43}  {}", key.algorithm.name(), key.jkt(), key.class));
            }
            Err(fault) => render::line(format_args!("{name}  {}", styled(BAD, fault))),
        }
    }
}
