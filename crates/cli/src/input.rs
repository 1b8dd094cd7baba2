//! Reading configuration files: bounded, strict, and with the line shown when something is wrong.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use serde::de::DeserializeOwned;
use tokio_util::io::ReaderStream;
use zeroize::Zeroizing;

use crate::error::CommandError;

/// The largest configuration file that is read, in bytes.
const MAX_CONFIG: u64 = 1024 * 1024;

/// Reads a small text file.
///
/// # Errors
/// When it is absent, unreadable, larger than a mebibyte, or not UTF-8.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, CommandError> {
    let unreadable = |fault| CommandError::configuration(format!("cannot read {what} {}: {fault}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MAX_CONFIG + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_CONFIG {
        let message = format!("{what} {} is larger than {MAX_CONFIG} bytes", path.display());
        return Err(CommandError::configuration(message));
    }
    Ok(text)
}

/// Reads a small file, or standard input for `-`, that holds a secret. The bytes are wiped when dropped.
///
/// # Errors
/// When it is absent, unreadable, or larger than a mebibyte.
pub(crate) fn read_secret(path: &Path, what: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    let unreadable =
        |fault| CommandError::configuration(format!("cannot read the {what} in {}: {fault}", path.display()));
    let source: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(path).map_err(unreadable)?),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    source.take(MAX_CONFIG + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_CONFIG {
        let message = format!("the {what} in {} is larger than {MAX_CONFIG} bytes", path.display());
        return Err(CommandError::configuration(message));
    }
    Ok(bytes)
}

/// Standard input as the body of a request, sent as it comes.
pub(crate) fn standard_input_body() -> impl Body<Data = Bytes, Error = io::Error> + Send + Sync + 'static {
    StreamBody::new(ReaderStream::new(tokio::io::stdin()).map_ok(Frame::data))
}

/// Reads a TOML file into `T`, refusing unknown keys as `T` says.
///
/// # Errors
/// As [`read_text`]; and with file, line and column when the text does not fit.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, CommandError> {
    let text = read_text(path, what)?;
    toml::from_str(&text).map_err(|fault| {
        CommandError::configuration(format!("{what} {} is not right: {}", path.display(), toml_fault(&fault)))
            .with_hint("nothing was started; mend the line shown and try again")
    })
}

fn toml_fault(fault: &toml::de::Error) -> String {
    fault.to_string().trim_end().to_owned()
}
