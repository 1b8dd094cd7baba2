//! Reading configuration files: bounded, strict, and with the line shown when something is wrong.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use zeroize::Zeroizing;

use crate::config_lines::ConfigLines;
use crate::error::CommandError;

/// The largest configuration file that is read, in bytes.
const MAX_CONFIG: u64 = 1024 * 1024;

/// How much of standard input is kept in memory, so that it can be sent again when a server asks for a nonce.
const MAX_KEPT_INPUT: u64 = 1024 * 1024;

/// Reads a small text file.
///
/// # Errors
/// When it is absent, unreadable, larger than a mebibyte, or not UTF-8.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, CommandError> {
    read_text_from(File::open(path).map_err(|fault| unreadable(what, path, &fault))?, path, what)
}

/// As [`read_text`], of a file that may hold a secret: it is refused when other users may read or write it.
///
/// # Errors
/// As [`read_text`]; and when its permission bits give others anything.
pub(crate) fn read_private_text(path: &Path, what: &str) -> Result<String, CommandError> {
    let file = File::open(path).map_err(|fault| unreadable(what, path, &fault))?;
    let mode = file.metadata().map_err(|fault| unreadable(what, path, &fault))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let message = format!("{what} {} is open to other users (mode {mode:03o})", path.display());
        return Err(CommandError::configuration(message).with_hint(format!("chmod 600 {}", path.display())));
    }
    read_text_from(file, path, what)
}

fn read_text_from(file: File, path: &Path, what: &str) -> Result<String, CommandError> {
    let mut text = String::new();
    file.take(MAX_CONFIG + 1).read_to_string(&mut text).map_err(|fault| unreadable(what, path, &fault))?;
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
    let unreadable = |fault: io::Error| unreadable(&format!("the {what} in"), path, &fault);
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

/// What standard input holds, when it is short enough to be kept; else its beginning, and the rest as it comes.
///
/// # Errors
/// The system's.
pub(crate) async fn standard_input() -> io::Result<StandardInput> {
    let mut stdin = tokio::io::stdin();
    let mut start = Vec::new();
    (&mut stdin).take(MAX_KEPT_INPUT + 1).read_to_end(&mut start).await?;
    if start.len() as u64 <= MAX_KEPT_INPUT {
        return Ok(StandardInput::Whole(start));
    }
    let rest = ReaderStream::new(AsyncReadExt::chain(io::Cursor::new(start), stdin)).map_ok(Frame::data);
    Ok(StandardInput::Long(Box::new(StreamBody::new(rest))))
}

/// Standard input as the body of a request.
pub(crate) enum StandardInput {
    /// All of it.
    Whole(Vec<u8>),
    /// Too long to be kept.
    Long(Box<dyn Body<Data = Bytes, Error = io::Error> + Send + Sync + Unpin>),
}

/// Reads a TOML file into `T`, refusing unknown keys as `T` says.
///
/// # Errors
/// As [`read_text`]; and with file, line, column and key when the text does not fit.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, CommandError> {
    parse_toml(&read_text(path, what)?, path, what)
}

/// [`read_toml`] of a text that was read from `path`.
///
/// # Errors
/// With file, line, column and key when the text does not fit.
pub(crate) fn parse_toml<T: DeserializeOwned>(text: &str, path: &Path, what: &str) -> Result<T, CommandError> {
    toml::from_str(text).map_err(|fault| {
        let line = fault.span().map(|span| format!("\n{}", ConfigLines::of(text).at(span.start))).unwrap_or_default();
        let said = toml_fault(text, fault);
        CommandError::configuration(format!("{what} {} is not right: {said}{line}", path.display()))
            .with_hint("nothing was started; mend that line and try again")
    })
}

fn unreadable(what: &str, path: &Path, fault: &io::Error) -> CommandError {
    let error = CommandError::configuration(format!("cannot read {what} {}: {fault}", path.display()));
    match fault.kind() {
        io::ErrorKind::NotFound => error.with_hint("check the path; one that is relative counts from this directory"),
        io::ErrorKind::IsADirectory => error.with_hint("name a file in it"),
        io::ErrorKind::PermissionDenied => error.with_hint("let this user read it"),
        io::ErrorKind::InvalidData => error.with_hint("it has to be UTF-8 text"),
        _ => error,
    }
}

/// Where the fault is and what it is, without any value of the file: it may be a secret.
fn toml_fault(text: &str, mut fault: toml::de::Error) -> String {
    let place = fault.span().map(|span| place(text, span.start)).unwrap_or_default();
    // Without its input the parser shows no line of it, but says at which key it was.
    fault.set_input(None);
    let shown = fault.to_string();
    let key = shown.strip_prefix(fault.message()).map(str::trim).and_then(|rest| rest.strip_prefix("in `"));
    let key = key.and_then(|key| key.strip_suffix('`')).map(|key| format!("{key}: ")).unwrap_or_default();
    format!("{place}{key}{}", without_values(fault.message()))
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("line {line}, column {column}: ")
}

/// The message up to where it quotes a value, and what was expected in its place. Names of keys are no values.
fn without_values(message: &str) -> String {
    if ["unknown field", "missing field", "duplicate field"].iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    let (found, expected) = message.rsplit_once(", expected ").map_or((message, None), |(a, b)| (a, Some(b)));
    let found = found.split(['`', '"', '\'']).next().unwrap_or_default().trim_end();
    expected.map_or_else(|| found.to_owned(), |expected| format!("{found}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct File {
        secret: String,
        #[serde(default)]
        client: Vec<Client>,
        when: Option<When>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Client {
        secret: String,
        port: Option<u16>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum When {
        Never,
        Always,
    }

    fn fault(text: &str) -> String {
        toml_fault(text, toml::from_str::<File>(text).unwrap_err())
    }

    #[test]
    fn a_fault_is_told_with_place_and_key_and_without_the_value() {
        let client = "secret = 'x'\n[[client]]\nsecret = 'y'\n";
        let cases = [
            ("secret = 4711".to_owned(), "line 1, column 10: secret: invalid type: integer, expected a string"),
            ("secret = '4711".to_owned(), "line 1, column 15: invalid literal string, expected `'`"),
            ("secret = \"4711".to_owned(), "line 1, column 15: invalid basic string, expected `\"`"),
            (
                "secret = 'x'\nwhen = '4711, expected'".to_owned(),
                "line 2, column 8: when: unknown variant, expected `never` or `always`",
            ),
            (format!("{client}port = '4711'"), "line 4, column 8: client.port: invalid type: string, expected u16"),
            (format!("{client}port = 471147"), "line 4, column 8: client.port: invalid value: integer, expected u16"),
            (format!("{client}prt = 1"), "unknown field `prt`, expected `secret` or `port`"),
        ];
        for (text, expected) in cases {
            let said = fault(&text);
            assert!(said.contains(expected) && !said.contains("4711"), "expected {expected:?}, found {said:?}");
        }
    }
}
